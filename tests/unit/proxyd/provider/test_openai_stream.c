/*
 * Recorded streams through the adapter, from a server in this process, cut at every byte: whatever
 * came before the cut, the end is an error and never looks whole.
 */
#include "tests/unit/proxyd/provider/served.h"

#define CHUNK(rest) "data: {\"object\":\"chat.completion.chunk\",\"choices\":[" rest "\n\n"
#define WORD(text) \
	CHUNK("{\"index\":0,\"delta\":{\"content\":\"" text "\"},\"finish_reason\":null}]}")
#define TEXT_48    "0123456789abcdef0123456789abcdef0123456789abcdef"
#define STOP       CHUNK("{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}")
#define USAGE      CHUNK("],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":2}}")
#define DONE       "data: [DONE]\n\n"
#define TEXT(text) "data: {\"choices\":[{\"text\":\"" text "\",\"finish_reason\":null}]}\n\n"
#define TEXT_STOP  "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"length\"}]}\n\n"
#define EVENT(type, rest) \
	"event: " type "\ndata: {\"type\":\"" type "\",\"sequence_number\":1" rest "}\n\n"
#define CREATED \
	EVENT("response.created", ",\"response\":{\"status\":\"in_progress\",\"usage\":null}")
#define DELTA EVENT("response.output_text.delta", ",\"delta\":\"wo\"")
#define COMPLETED                                                                         \
	EVENT("response.completed", ",\"response\":{\"status\":\"completed\",\"usage\":{" \
				    "\"input_tokens\":11,\"output_tokens\":2}}")
#define INCOMPLETE                                                               \
	EVENT("response.incomplete", ",\"response\":{\"status\":\"incomplete\"," \
				     "\"incomplete_details\":{\"reason\":\"max_output_tokens\"}}")
#define FAILED                                                                               \
	EVENT("response.failed", ",\"response\":{\"status\":\"failed\",\"error\":{\"code\":" \
				 "\"server_error\",\"message\":\"it broke\"}}")

static const struct recording {
	enum shm_usage_object object;
	const char *text;
	const char *shown; /* to a client that did not ask for usage */
	const char *stop;
	bool numbers;
} recordings[] = {
    {SHM_OBJECT_CHAT, ": hi\n\n" WORD("Hel") WORD("lo") STOP USAGE DONE,
     ": hi\n\n" WORD("Hel") WORD("lo") STOP DONE, "stop", true},
    {SHM_OBJECT_CHAT, WORD("Hel") WORD("lo") STOP DONE, WORD("Hel") WORD("lo") STOP DONE, "stop",
     false},
    {SHM_OBJECT_COMPLETION, TEXT("a") TEXT("b") TEXT_STOP DONE, TEXT("a") TEXT("b") TEXT_STOP DONE,
     "length", false},
    {SHM_OBJECT_RESPONSES, CREATED DELTA DELTA COMPLETED, CREATED DELTA DELTA COMPLETED,
     "completed", true},
    {SHM_OBJECT_RESPONSES, CREATED DELTA INCOMPLETE, CREATED DELTA INCOMPLETE, "max_output_tokens",
     false},
};

enum framing {
	CHUNKED,
	LENGTH,
	TO_CLOSE,
	FRAMINGS,
};

/* An answer whose body is text, with these line ends. Returns its length; *ret_head: of its head.
 */
static size_t compose(char *to, size_t size, const char *text, bool crlf, enum framing framing,
		      size_t *ret_head)
{
	static char body[8192];
	size_t len = 0, n;

	for (const char *at = text; *at; at++) {
		if (*at == '\n' && crlf)
			body[len++] = '\r';
		body[len++] = *at;
	}
	body[len] = '\0';
	static const char *const heads[] = {"Transfer-Encoding: chunked\r\n", "", ""};
	n = (size_t)snprintf(to, size, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n%s",
			     heads[framing]);
	if (framing == LENGTH)
		n += (size_t)snprintf(to + n, size - n, "Content-Length: %zu\r\n", len);
	n += (size_t)snprintf(to + n, size - n, "\r\n");
	*ret_head = n;
	if (framing != CHUNKED)
		return n + (size_t)snprintf(to + n, size - n, "%s", body);
	/* Two chunks, so that a cut falls into framing too. */
	size_t half = len / 2;
	return n + (size_t)snprintf(to + n, size - n, "%zx\r\n%.*s\r\n%zx\r\n%s\r\n0\r\n\r\n", half,
				    (int)half, body, len - half, body + half);
}

/* Without CRs, which only the framing differs in. */
static void plain_lines(char *text)
{
	char *to = text;

	for (const char *at = text; *at; at++) {
		if (*at != '\r')
			*to++ = *at;
	}
	*to = '\0';
}

static void check_whole(const struct recording *r)
{
	char all[8192];

	(void)snprintf(all, sizeof(all), "%s%s", heard.text, heard.tail);
	plain_lines(all);
	assert_string_equal(all, r->shown);
	assert_string_equal(heard.error_type, "");
	assert_false(heard.outcome.truncated);
	assert_int_equal(heard.outcome.fault, EXCHANGE_FAULT_NONE);
	assert_string_equal(heard.x->record.stop_reason, r->stop);
	assert_true(heard.finals == 1);
	assert_int_equal(!(heard.x->record.flags & SHM_USAGE_ESTIMATED), r->numbers);
	if (r->numbers) {
		assert_int_equal(heard.prompt, 11);
		assert_int_equal(heard.completion, 2);
	}
}

/* A cut: whole events that the recording begins with, then the truth. */
static void check_cut(const struct recording *r, size_t at)
{
	plain_lines(heard.text);
	size_t len = strlen(heard.text);
	if (strncmp(heard.text, r->shown, len) != 0 ||
	    (len && strcmp(heard.text + len - 2, "\n\n") != 0))
		fail_msg("cut at %zu: not whole events: %s", at, heard.text);
	if (heard.error_type[0] == '\0')
		fail_msg("cut at %zu: passed for whole", at);
	assert_true(heard.outcome.truncated);
	assert_int_equal(heard.outcome.fault, EXCHANGE_FAULT_NETWORK);
	assert_int_equal(heard.outcome.http_status, 502);
	assert_int_equal(heard.outcome.tail.len, 0);
	assert_null(strstr(heard.text, "[DONE]"));
}

/* How much of the body says that it is whole: all but the framing behind the last event. */
static size_t enough(const char *answer, size_t len, const struct recording *r, bool crlf)
{
	const char *last = r->object == SHM_OBJECT_RESPONSES ? "event: response." : "data: [DONE]";
	const char *at = answer, *found = NULL;

	while ((at = memmem(at, len - (size_t)(at - answer), last, strlen(last))) != NULL)
		found = at++;
	assert_non_null(found);
	const char *end = strstr(found, crlf ? "\r\n\r\n" : "\n\n");
	assert_non_null(end);
	/* Behind a CR an LF may belong to it: that byte need not come. */
	return (size_t)(end - answer) + (crlf ? 3 : 2);
}

static void cut_everywhere(void **state BF_UNUSED)
{
	static char answer[16384];
	size_t cuts = 0;

	for (size_t i = 0; i < BF_ARRAY_LEN(recordings); i++) {
		for (unsigned form = 0; form < 2 * FRAMINGS; form++) {
			const struct recording *r = &recordings[i];
			bool crlf = form % 2;
			size_t head = 0;
			struct harness h;
			int listener = server_open();
			size_t len =
			    compose(answer, sizeof(answer), r->text, crlf, form / 2, &head);
			size_t whole = enough(answer, len, r, crlf);
			harness_open(&h, with_server);
			for (size_t cut = head; cut <= len; cut++) {
				(void)ask(&h, r->object);
				serve(&h, listener, answer, cut);
				if (cut > whole)
					check_whole(r);
				else if (cut < whole)
					check_cut(r, cut);
				else if (heard.error_type[0])
					check_cut(r, cut);
				else
					check_whole(r);
				cuts++;
				finish(&h);
			}
			harness_close(&h);
			(void)close(listener);
		}
	}
	assert_true(cuts > 10000);
}

/* One answer, as it is. */
static void once(enum shm_usage_object object, const char *text, enum framing framing)
{
	static char answer[16384];
	size_t head, len = compose(answer, sizeof(answer), text, false, framing, &head);
	struct harness h;
	int listener = server_open();

	harness_open(&h, with_server);
	(void)ask(&h, object);
	serve(&h, listener, answer, len);
	/* Only what was kept by value is looked at afterwards. */
	finish(&h);
	harness_close(&h);
	(void)close(listener);
}

static void streams_without_a_marker(void **state BF_UNUSED)
{
	once(SHM_OBJECT_CHAT, WORD("a") STOP, CHUNKED);
	assert_string_equal(heard.error_type, "upstream_truncated");
	without_marker = true;
	for (enum framing f = CHUNKED; f < FRAMINGS; f++) {
		once(SHM_OBJECT_CHAT, WORD("a") STOP, f);
		/* An end of the connection is no end of a body that can be told from a cut. */
		assert_string_equal(heard.error_type, f == TO_CLOSE ? "upstream_truncated" : "");
		assert_string_equal(heard.tail, f == TO_CLOSE ? "" : "data: [DONE]\n\n");
	}
	once(SHM_OBJECT_CHAT, WORD("a"), CHUNKED);
	assert_string_equal(heard.error_type, "upstream_truncated");
	once(SHM_OBJECT_CHAT, STOP "data: {", CHUNKED);
	assert_string_equal(heard.error_type, "upstream_truncated");
	once(SHM_OBJECT_CHAT, WORD("a") STOP DONE, CHUNKED);
	assert_string_equal(heard.error_type, "");
	without_marker = false;
}

static void errors_instead_of_streams(void **state BF_UNUSED)
{
	static const struct {
		enum shm_usage_object object;
		const char *text;
		int status;
	} list[] = {
	    {SHM_OBJECT_CHAT, "data: {\"error\":{\"message\":\"slow down\",\"code\":429}}\n\n",
	     429},
	    {SHM_OBJECT_CHAT, ": hi\n\ndata: {\"error\":\"slow down\"}\n\n" DONE, 502},
	    {SHM_OBJECT_CHAT,
	     "event: error\ndata: {\"object\":\"error\",\"message\":\"slow down\","
	     "\"code\":503}\n\n",
	     503},
	    {SHM_OBJECT_RESPONSES,
	     "event: error\ndata: {\"type\":\"error\",\"code\":null,\"message\":\"slow down\"}\n\n",
	     502},
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		once(list[i].object, list[i].text, CHUNKED);
		assert_string_equal(heard.error_type, "upstream_stream_error");
		assert_int_equal(heard.outcome.fault, EXCHANGE_FAULT_STATUS);
		assert_int_equal(heard.outcome.http_status, list[i].status);
		assert_false(heard.outcome.truncated);
		assert_non_null(strstr(heard.error_text, "slow down"));
		assert_int_equal(heard.len, 0); /* nothing was passed on: it can be repeated */
	}
}

static void errors_within_streams(void **state BF_UNUSED)
{
	once(SHM_OBJECT_CHAT, WORD("a") "data: {\"error\":{\"message\":\"gone\"}}\n\n" DONE,
	     CHUNKED);
	assert_string_equal(heard.text, WORD("a"));
	assert_string_equal(heard.error_type, "upstream_stream_error");
	assert_true(heard.outcome.truncated);
	assert_string_equal(heard.tail, "");
	/* A response that failed says so itself. */
	once(SHM_OBJECT_RESPONSES, CREATED DELTA FAILED, CHUNKED);
	assert_string_equal(heard.text, CREATED DELTA);
	assert_string_equal(heard.error_type, "upstream_stream_error");
	assert_non_null(strstr(heard.error_text, "it broke"));
	assert_string_equal(heard.tail, FAILED);
}

static void numbers_that_cannot_be_true(void **state BF_UNUSED)
{
	once(SHM_OBJECT_CHAT,
	     WORD("a") STOP CHUNK("],\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":"
				  "99999999999999999999}}") DONE,
	     CHUNKED);
	assert_string_equal(heard.error_type, "");
	assert_string_equal(heard.text, WORD("a") STOP);
	assert_true(heard.completion > 0 && heard.completion < 10);
	once(SHM_OBJECT_CHAT,
	     WORD("a") STOP CHUNK("],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":\"x\"}}")
		 DONE,
	     CHUNKED);
	assert_int_equal(heard.prompt, 5);
	assert_true(heard.completion > 0 && heard.completion < 10);
}

/* One read holds all: what is left for the end is counted as well. */
static void words_that_come_with_the_end(void **state BF_UNUSED)
{
	static const struct {
		enum shm_usage_object object;
		const char *text;
		uint64_t words;
	} list[] = {
	    {SHM_OBJECT_CHAT, WORD("Hel") WORD("lo") DONE, 2},
	    {SHM_OBJECT_CHAT, WORD("Hel") WORD("lo") STOP DONE, 2},
	    {SHM_OBJECT_CHAT,
	     CHUNK("{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}") WORD("a") STOP DONE,
	     1},
	    {SHM_OBJECT_COMPLETION, TEXT("a") TEXT_STOP DONE, 1},
	    {SHM_OBJECT_CHAT, WORD(TEXT_48) WORD("lo") STOP DONE, 13},
	    {SHM_OBJECT_CHAT,
	     CHUNK("{\"delta\":{\"content\":\"a\"}},{\"delta\":{\"content\":\"b\"}}]}") STOP DONE,
	     2},
	    {SHM_OBJECT_COMPLETION, TEXT(TEXT_48) TEXT_STOP DONE, 12},
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		once(list[i].object, list[i].text, LENGTH);
		assert_string_equal(heard.error_type, "");
		assert_true(heard.estimated);
		assert_int_equal(heard.completion, list[i].words);
		assert_true(heard.prompt > 0);
	}
}

/* A stream that is cut costs what came of it. */
static void words_before_a_cut(void **state BF_UNUSED)
{
	once(SHM_OBJECT_CHAT, WORD(TEXT_48) WORD("a") WORD(TEXT_48), CHUNKED);
	assert_string_equal(heard.error_type, "upstream_truncated");
	assert_int_equal(heard.completion, 25);
	once(SHM_OBJECT_RESPONSES, CREATED DELTA DELTA, CHUNKED);
	assert_int_equal(heard.completion, 2);
	assert_true(heard.estimated);
}

static void once_with(bool metered, uint64_t reserved, const char *text)
{
	static char answer[16384];
	size_t head, len = compose(answer, sizeof(answer), text, false, LENGTH, &head);
	struct harness h;
	int listener = server_open();

	harness_open(&h, with_server);
	struct exchange *x = ask(&h, SHM_OBJECT_CHAT);
	x->spend.metered = metered;
	x->spend.output_tokens = reserved;
	serve(&h, listener, answer, len);
	finish(&h);
	harness_close(&h);
	(void)close(listener);
}

/* What comes at once is passed on at once, but apart from what is more than was reserved. */
static void what_is_reserved_goes_first(void **state BF_UNUSED)
{
	static const struct {
		bool metered;
		uint64_t reserved;
		unsigned bodies;
	} list[] = {{false, 0, 1}, {true, 25, 1}, {true, 24, 2}, {true, 13, 2},
		    {true, 12, 3}, {true, 11, 3}, {true, 0, 3}};

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		once_with(list[i].metered, list[i].reserved,
			  ": hi\n\n" WORD(TEXT_48) WORD("a") WORD(TEXT_48));
		assert_int_equal(heard.completion, 25);
		if (heard.bodies != list[i].bodies)
			fail_msg("%lu: %u", (unsigned long)list[i].reserved, heard.bodies);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(cut_everywhere),
	    cmocka_unit_test(streams_without_a_marker),
	    cmocka_unit_test(errors_instead_of_streams),
	    cmocka_unit_test(errors_within_streams),
	    cmocka_unit_test(numbers_that_cannot_be_true),
	    cmocka_unit_test(words_that_come_with_the_end),
	    cmocka_unit_test(words_before_a_cut),
	    cmocka_unit_test(what_is_reserved_goes_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Recorded streams through the adapter, from a server in this process, cut at every byte: whatever
 * came before the cut, the end is an error and never looks whole.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "proxyd/provider/provider.h"
#include "tests/unit/proxyd/harness.h"

#define CHUNK(rest) "data: {\"object\":\"chat.completion.chunk\",\"choices\":[" rest "\n\n"
#define WORD(text) \
	CHUNK("{\"index\":0,\"delta\":{\"content\":\"" text "\"},\"finish_reason\":null}]}")
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

/* What the sink heard of one attempt. */
struct heard {
	struct exchange *x;
	char text[4096];
	size_t len;
	unsigned heads, finals, ends;
	uint64_t prompt, completion;
	struct exchange_outcome outcome;
	char error_type[64], error_text[400], tail[1024];
};

static struct heard heard;

static void hear_head(struct exchange *x BF_UNUSED, int http_status, bool is_stream)
{
	assert_int_equal(http_status, 200);
	assert_true(is_stream);
	heard.heads++;
}

static bool hear_body(struct exchange *x BF_UNUSED, struct bf_slice bytes)
{
	assert_int_equal(heard.ends, 0);
	assert_true(bytes.len > 0 && heard.len + bytes.len < sizeof(heard.text));
	memcpy(heard.text + heard.len, bytes.ptr, bytes.len);
	heard.len += bytes.len;
	heard.text[heard.len] = '\0';
	return true;
}

static bool hear_final(struct exchange *x, struct bf_slice event, struct bf_slice json)
{
	heard.finals++;
	assert_true(json.ptr > event.ptr && json.ptr + json.len < event.ptr + event.len);
	assert_int_equal(json.ptr[0], '{');
	assert_int_equal(json.ptr[json.len - 1], '}');
	return hear_body(x, event);
}

static void hear_usage(struct exchange *x BF_UNUSED, uint64_t prompt, uint64_t completion,
		       uint64_t cached BF_UNUSED)
{
	heard.prompt = prompt;
	heard.completion = completion;
}

static void hear_done(struct exchange *x, const struct exchange_outcome *outcome)
{
	heard.ends++;
	heard.outcome = *outcome;
	(void)snprintf(heard.error_type, sizeof(heard.error_type), "%s",
		       outcome->error_type ? outcome->error_type : "");
	(void)snprintf(heard.error_text, sizeof(heard.error_text), "%s",
		       outcome->error_text ? outcome->error_text : "");
	(void)snprintf(heard.tail, sizeof(heard.tail), "%.*s", BF_SLICE_FMT(outcome->tail));
	exchange_set_state(x, EXCHANGE_DONE);
}

static const struct exchange_sink sink = {hear_head, hear_body, hear_final, hear_usage, hear_done};

static bool always_ready(const struct exchange *x BF_UNUSED)
{
	return true;
}

static const struct exchange_out out = {.stream_ready = always_ready};

static char url[64];
static bool without_marker;

static void with_server(struct bf_config *config)
{
	struct bf_conf_provider *p = harness_mock(config);

	p->name = BF_SLICE_LIT("served");
	p->network_config.base_url = bf_slice_from(url);
	p->network_config.request_timeout_ms = 30000;
	p->network_config.stream_idle_timeout_ms = 30000;
	p->custom_provider_config.does_not_send_done_marker = without_marker;
}

static int server_open(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", ntohs(sin.sin_port));
	return fd;
}

static struct exchange *ask(struct harness *h, enum shm_usage_object object)
{
	struct exchange *x = exchange_new(&h->w);

	assert_non_null(x);
	memset(&heard, 0, sizeof(heard));
	heard.x = x;
	x->object = object;
	x->body = BF_SLICE_LIT("{\"model\":\"served/m\",\"stream\":true}");
	x->model_edit = (struct exchange_edit){.from = 9, .to = 19};
	x->model = BF_SLICE_LIT("m");
	x->wants_stream = true;
	x->sink = &sink;
	x->out = &out;
	exchange_set_state(x, EXCHANGE_GATE);
	exchange_set_state(x, EXCHANGE_CALLING);
	h->providers.items[0].ops->start(&h->providers.items[0], x);
	return x;
}

/* Reads the request, says these bytes and closes. */
static void serve(struct harness *h, int listener, const char *bytes, size_t len)
{
	char request[4096];
	int one = 1, fd = -1;
	size_t got = 0;

	for (int i = 0; i < 1000 && !heard.ends && fd < 0; i++) {
		harness_turns(h, 1);
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	}
	assert_true(fd >= 0);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (int i = 0; i < 1000 && !memmem(request, got, "\r\n\r\n", 4); i++) {
		harness_turns(h, 1);
		ssize_t n = recv(fd, request + got, sizeof(request) - got, MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
	}
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
	(void)shutdown(fd, SHUT_WR);
	for (int i = 0; i < 5000 && !heard.ends; i++) {
		harness_turns(h, 1);
		if (!heard.ends)
			(void)usleep(100);
	}
	assert_int_equal(heard.ends, 1);
	(void)close(fd);
}

static void finish(struct harness *h)
{
	exchange_free(heard.x);
	harness_turns(h, 2);
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(cut_everywhere),
	    cmocka_unit_test(streams_without_a_marker),
	    cmocka_unit_test(errors_instead_of_streams),
	    cmocka_unit_test(errors_within_streams),
	    cmocka_unit_test(numbers_that_cannot_be_true),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Plain answers through the adapter, from a server in this process: what is one, what is an error
 * with a good status, what was cut, and what a call costs that nobody heard the end of.
 */
#include "tests/unit/proxyd/provider/served.h"

static enum shm_usage_object object = SHM_OBJECT_CHAT;

/* A plain answer of this head and body; the client asked for a stream, or not. */
static void plain(bool wants_stream, const char *head, const char *body)
{
	char answer[2048];
	struct harness h;
	int listener = server_open();
	int len = snprintf(answer, sizeof(answer), "HTTP/1.1 %s\r\n\r\n%s", head, body);

	assert_true(len > 0 && len < (int)sizeof(answer));
	harness_open(&h, with_server);
	collecting = true;
	ask(&h, object)->wants_stream = wants_stream;
	serve(&h, listener, answer, (size_t)len);
	collecting = false;
	finish(&h);
	harness_close(&h);
	(void)close(listener);
}

#define JSON_HEAD "200 OK\r\nContent-Type: application/json"
#define GOOD_BODY \
	"{\"choices\":[{\"message\":{\"content\":\"hello you\"},\"finish_reason\":\"stop\"}]}"
#define ERROR_BODY "{\"error\":{\"message\":\"slow down\",\"code\":429}}"

static void plain_answers(void **state BF_UNUSED)
{
	static const struct {
		bool stream;
		const char *head, *body;
		enum exchange_fault fault;
		int status;
		bool truncated;
		const char *text;
	} list[] = {
	    {false, JSON_HEAD, GOOD_BODY, EXCHANGE_FAULT_NONE, 200, false, ""},
	    {true, JSON_HEAD, GOOD_BODY, EXCHANGE_FAULT_NETWORK, 502, false, "something else"},
	    {true, JSON_HEAD, ERROR_BODY, EXCHANGE_FAULT_STATUS, 429, false, "slow down"},
	    {false, JSON_HEAD, ERROR_BODY, EXCHANGE_FAULT_STATUS, 429, false, "slow down"},
	    {false, JSON_HEAD, "{\"error\":\"gone\"}", EXCHANGE_FAULT_STATUS, 502, false, "gone"},
	    {false, JSON_HEAD, "{\"id\":", EXCHANGE_FAULT_NETWORK, 502, true, "complete"},
	    {false, JSON_HEAD "\r\nContent-Length: 6", "{\"id\":", EXCHANGE_FAULT_NETWORK, 502,
	     false, "complete"},
	    {false, JSON_HEAD, "", EXCHANGE_FAULT_NETWORK, 502, true, "empty"},
	    {false, JSON_HEAD "\r\nContent-Length: 0", "", EXCHANGE_FAULT_NETWORK, 502, false,
	     "empty"},
	    {true, JSON_HEAD "\r\nContent-Length: 0", "", EXCHANGE_FAULT_NETWORK, 502, false,
	     "something else"},
	    {false, "204 No Content", "", EXCHANGE_FAULT_NETWORK, 502, false, "empty"},
	    {true, "204 No Content", "", EXCHANGE_FAULT_NETWORK, 502, false, "something else"},
	    {false, JSON_HEAD, "[1]", EXCHANGE_FAULT_NETWORK, 502, false, "object"},
	    {false, "200 OK\r\nContent-Length: 2", "{}", EXCHANGE_FAULT_NETWORK, 502, false,
	     "choices"},
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		plain(list[i].stream, list[i].head, list[i].body);
		if (heard.outcome.fault != list[i].fault ||
		    heard.outcome.http_status != list[i].status ||
		    heard.outcome.truncated != list[i].truncated ||
		    !strstr(heard.error_text, list[i].text))
			fail_msg("%zu: %d %d %d %s", i, heard.outcome.fault,
				 heard.outcome.http_status, heard.outcome.truncated,
				 heard.error_text);
		assert_int_equal(heard.answer_status,
				 list[i].fault == EXCHANGE_FAULT_NETWORK ? 0 : list[i].status);
	}
	/* The text alone is counted: 9 bytes. */
	plain(false, JSON_HEAD, GOOD_BODY);
	assert_true(heard.estimated);
	assert_int_equal(heard.completion, 3);
}

/* Who charges by the parts alone would forget what only their sum tells. */
static void the_sum_counts_when_it_is_more(void **state BF_UNUSED)
{
	static const struct {
		const char *usage;
		uint64_t prompt, completion;
	} list[] = {
	    {"\"prompt_tokens\":100,\"completion_tokens\":10,\"total_tokens\":5110", 100, 5010},
	    {"\"prompt_tokens\":100,\"completion_tokens\":10,\"total_tokens\":110", 100, 10},
	    {"\"prompt_tokens\":100,\"completion_tokens\":10,\"total_tokens\":7", 100, 10},
	    {"\"prompt_tokens\":100,\"completion_tokens\":10,\"total_tokens\":1e300", 100, 10},
	    {"\"prompt_tokens\":100,\"completion_tokens\":10,\"total_tokens\":1000000001", 100, 10},
	    {"\"prompt_tokens\":100,\"total_tokens\":400", 100, 300},
	};
	char body[512];

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		(void)snprintf(body, sizeof(body), "{\"choices\":[{}],\"usage\":{%s}}",
			       list[i].usage);
		plain(false, JSON_HEAD, body);
		assert_int_equal(heard.prompt, list[i].prompt);
		assert_int_equal(heard.completion, list[i].completion);
	}
	assert_true(heard.estimated);
	plain(false, JSON_HEAD, "{\"choices\":[{}],\"usage\":{\"total_tokens\":500}}");
	assert_true(heard.estimated);
	assert_int_equal(heard.prompt + heard.completion, 500);
	/* Vectors have no answer to be paid for. */
	object = SHM_OBJECT_EMBEDDING;
	plain(false, JSON_HEAD,
	      "{\"data\":[],\"usage\":{\"prompt_tokens\":9,\"total_tokens\":12}}");
	object = SHM_OBJECT_CHAT;
	assert_int_equal(heard.prompt, 12);
	assert_int_equal(heard.completion, 0);
}

/* A head that begins is an answer that was cut; garbage is none. */
static void cuts_within_heads(void **state BF_UNUSED)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";

	for (size_t cut = 0; cut < sizeof(answer); cut++) {
		struct harness h;
		int listener = server_open();
		harness_open(&h, with_server);
		collecting = true;
		(void)ask(&h, SHM_OBJECT_CHAT);
		serve(&h, listener, answer, cut);
		collecting = false;
		assert_string_equal(heard.error_type, "upstream_closed");
		assert_int_equal(heard.outcome.truncated, cut > 0);
		finish(&h);
		harness_close(&h);
		(void)close(listener);
	}
	plain(false, "what is this", "");
	assert_string_equal(heard.error_type, "upstream_protocol_error");
	assert_false(heard.outcome.truncated);
}

/* The provider has all of the request: that costs, heard or not. */
static void a_client_that_leaves(void **state BF_UNUSED)
{
	struct harness h;
	char request[4096];
	int listener = server_open(), fd = -1;
	size_t got = 0;

	harness_open(&h, with_server);
	struct exchange *x = ask(&h, SHM_OBJECT_CHAT);
	x->wants_stream = false;
	for (int i = 0; i < 1000 && fd < 0; i++) {
		harness_turns(&h, 1);
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	}
	assert_int_equal(heard.prompt, 0);
	for (int i = 0; i < 1000 && !memmem(request, got, "\r\n\r\n", 4); i++) {
		harness_turns(&h, 1);
		ssize_t n = recv(fd, request + got, sizeof(request) - got, MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
	}
	x->call_cancel(x);
	assert_int_equal(heard.prompt, x->body.len / 4);
	assert_int_equal(heard.completion, 0);
	assert_true(x->record.flags & SHM_USAGE_ESTIMATED);
	(void)close(fd);
	exchange_set_state(x, EXCHANGE_DONE);
	finish(&h);
	/* Before anything was sent nothing is known to cost. */
	x = ask(&h, SHM_OBJECT_CHAT);
	x->call_cancel(x);
	assert_int_equal(heard.prompt, 0);
	assert_false(x->record.flags & SHM_USAGE_ESTIMATED);
	exchange_set_state(x, EXCHANGE_DONE);
	finish(&h);
	harness_close(&h);
	(void)close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain_answers),
	    cmocka_unit_test(the_sum_counts_when_it_is_more),
	    cmocka_unit_test(cuts_within_heads),
	    cmocka_unit_test(a_client_that_leaves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

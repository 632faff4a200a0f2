/* Between provider and client: failures at every stage, answers that arrive late or in pieces, rows
 * before last bytes. */
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

#include "common/base/clock.h"
#include "shm/content.h"
#include "shm/metrics.h"
#include "tests/support/by_hand.h"
#include "tests/unit/proxyd/harness.h"

static char answer[65536];
static struct exchange *called; /* with the provider now */
static unsigned cancelled;

/* A provider that does nothing by itself: the test plays the upstream. */
static void on_cancel(struct exchange *x)
{
	assert_ptr_equal(x, called);
	called = NULL;
	cancelled++;
}

static void on_resume(struct exchange *x)
{
	(void)x;
}

static void fake_start(struct provider *p, struct exchange *x)
{
	(void)p;
	x->call_cancel = on_cancel;
	x->call_resume = on_resume;
	called = x;
}

static const struct provider_ops fake_ops = {.name = "mock", .start = fake_start};

/* Opens a house and lets a client ask; returns the client. */
static int ask(struct harness *h, bool stream, const char *path)
{
	char request[512], body[256];

	called = NULL;
	cancelled = 0;
	harness_clock(true); /* ticks are counted from when the request came */
	harness_open(h, NULL);
	by_hand_providers(&h->w, &h->config.providers, &fake_ops);
	int fd = harness_client(h);
	(void)snprintf(body, sizeof(body),
		       "{\"model\":\"mock/m\",\"stream\":%s,\"input\":\"hi\","
		       "\"messages\":[{\"role\":\"user\"}]}",
		       stream ? "true" : "false");
	(void)snprintf(request, sizeof(request),
		       "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%s", path,
		       strlen(body), body);
	harness_send(h, fd, request, strlen(request));
	harness_turns(h, 2);
	assert_non_null(called);
	return fd;
}

/* Bytes that wait for the client, without turning the loop. */
static ssize_t recv_now(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n < 0 ? 0 : n;
}

static void done(const struct exchange_outcome *outcome)
{
	struct exchange *x = called;

	called = NULL;
	x->sink->on_done(x, outcome);
}

static struct shm_usage_record finish(struct harness *h, int fd)
{
	struct shm_usage_record rows[2];

	assert_int_equal(harness_rows(h, rows, 2), 1);
	(void)close(fd);
	harness_turns(h, 4);
	harness_close(h);
	harness_clock(false);
	return rows[0];
}

#define UNIFIED "/v1/chat/completions"
#define OPENAI  "/openai/v1/chat/completions"

static void failure_before_anything_is_an_error_answer(void **state)
{
	static const struct exchange_outcome o = {
	    .http_status = 504, .error_type = "upstream_timeout", .error_text = "no answer in 30s"};
	static const char *const paths[] = {UNIFIED, OPENAI};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct harness h;
		int fd = ask(&h, i == 1, paths[i]);
		done(&o);
		(void)harness_ask(&h, fd, "", answer, sizeof(answer));
		assert_memory_equal(answer, "HTTP/1.1 504 Gateway Timeout\r\n", 30);
		assert_non_null(strstr(
		    answer,
		    i == 0 ? "{\"type\":\"upstream_timeout\",\"is_bifrost_error\":true,"
			     "\"status_code\":504,\"error\":{\"type\":\"upstream_timeout\","
			     "\"message\":\"no answer in 30s\"},\"extra_fields\":{\"error_type\":"
			     "\"provider_timeout\",\"request_type\":\"chat_completion\","
			     "\"provider\":\"mock\",\"original_model_requested\":\"m\","
			   : "{\"error\":{\"message\":\"no answer in 30s\",\"type\":"
			     "\"server_error\",\"param\":null,\"code\":\"upstream_timeout\"}}"));
		struct shm_usage_record row = finish(&h, fd);
		assert_int_equal(row.status, SHM_USAGE_ERROR);
		assert_int_equal(row.http_status, 504);
		assert_string_equal(row.error_type, "upstream_timeout");
		assert_string_equal(row.error_text, "no answer in 30s");
	}
}

/* Streams tell the truth: what breaks off ends in an error event, never in [DONE]. */
static void failure_in_mid_stream_is_an_error_event(void **state)
{
	static const struct exchange_outcome o = {.http_status = 502,
						  .error_type = "upstream_truncated",
						  .error_text = "cut off",
						  .truncated = true};
	struct harness h;
	int fd = ask(&h, true, UNIFIED);

	(void)state;
	called->sink->on_head(called, 200, true);
	assert_true(called->sink->on_body(called, BF_SLICE_LIT("data: {\"x\":1}\n\n")));
	harness_turns(&h, 2);
	called->sink->on_usage(called, 5, 1, 0);
	done(&o);
	(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
	const char *event = strstr(answer, "data: {\"x\":1}\n\n");
	assert_non_null(event);
	assert_non_null(strstr(
	    event + 5,
	    "data: "
	    "{\"type\":\"upstream_truncated\",\"is_bifrost_error\":true,\"status_code\":502"));
	assert_null(strstr(answer, "[DONE]"));
	struct shm_usage_record row = finish(&h, fd);
	assert_int_equal(row.status, SHM_USAGE_ERROR);
	assert_int_equal(row.http_status, 200);
	assert_int_equal(row.completion_tokens, 1);
	assert_true(row.flags & SHM_USAGE_TRUNCATED);
}

static void a_plain_answer_in_pieces_is_joined(void **state)
{
	static const struct exchange_outcome o = {.http_status = 200};
	struct shm_content item;
	struct harness h;
	int fd = ask(&h, false, UNIFIED);

	(void)state;
	called->sink->on_head(called, 200, false);
	for (int i = 0; i < 10; i++) {
		assert_true(called->sink->on_body(called, BF_SLICE_LIT("0123456789")));
		harness_turns(&h, 1);
	}
	assert_int_equal(harness_read(&h, fd, answer, sizeof(answer), NULL, NULL), 0);
	done(&o);
	(void)harness_ask(&h, fd, "", answer, sizeof(answer));
	assert_non_null(strstr(answer, "Content-Length: 100\r\n"));
	assert_int_equal(shm_content_next(&h.seg, h.slot, 0, &item), 1);
	assert_int_equal(shm_content_next(&h.seg, h.slot, item.end, &item), 1);
	assert_int_equal(item.len, 100);
	struct shm_usage_record row = finish(&h, fd);
	assert_int_equal(row.status, SHM_USAGE_SUCCESS);
	assert_true(row.flags & SHM_USAGE_HAS_CONTENT);
}

/* An upstream's own error body reaches the client as it came; its row is an error. */
static void an_upstreams_error_is_passed_on(void **state)
{
	static const struct exchange_outcome o = {
	    .http_status = 429, .error_type = "rate_limit", .error_text = "slow down"};
	struct harness h;
	int fd = ask(&h, false, OPENAI);

	(void)state;
	called->sink->on_head(called, 429, false);
	assert_true(
	    called->sink->on_body(called, BF_SLICE_LIT("{\"error\":{\"message\":\"theirs\"}}")));
	done(&o);
	(void)harness_ask(&h, fd, "", answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 429 Too Many Requests\r\n", 32);
	assert_non_null(strstr(answer, "\r\n\r\n{\"error\":{\"message\":\"theirs\"}}"));
	(void)finish(&h, fd);
	/* On the unified routes in the unified shape. */
	fd = ask(&h, false, UNIFIED);
	called->sink->on_head(called, 429, false);
	assert_true(
	    called->sink->on_body(called, BF_SLICE_LIT("{\"error\":{\"message\":\"theirs\"}}")));
	done(&o);
	(void)harness_ask(&h, fd, "", answer, sizeof(answer));
	assert_non_null(strstr(answer, "\r\n\r\n{\"is_bifrost_error\":false,\"status_code\":429,"
				       "\"error\":{\"message\":\"theirs\"},\"extra_fields\":{"));
	struct shm_usage_record row = finish(&h, fd);
	assert_int_equal(row.status, SHM_USAGE_ERROR);
	assert_int_equal(row.http_status, 429);
}

/* Nothing binds the client before the first event: not even the head of the stream. */
static void the_head_leaves_with_the_first_event(void **state)
{
	static const struct exchange_outcome o = {.http_status = 200,
						  .tail = {"data: [DONE]\n\n", 14}};
	struct harness h;
	int fd = ask(&h, true, UNIFIED);

	(void)state;
	called->sink->on_head(called, 200, true);
	assert_int_equal(harness_read(&h, fd, answer, sizeof(answer), NULL, NULL), 0);
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_STREAMS_OPEN), 0);
	assert_true(called->sink->on_body(called, BF_SLICE_LIT("data: 1\n\n")));
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_STREAMS_OPEN), 1);
	(void)harness_read(&h, fd, answer, sizeof(answer), "data: 1\n\n\r\n", NULL);
	assert_memory_equal(answer, "HTTP/1.1 200 OK\r\n", 17);
	done(&o);
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_STREAMS_OPEN), 0);
	(void)finish(&h, fd);
	/* A stream of nothing but its end is a stream, too. */
	fd = ask(&h, true, UNIFIED);
	called->sink->on_head(called, 200, true);
	done(&o);
	(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
	assert_non_null(strstr(answer, "data: [DONE]\n\n"));
	assert_int_equal(finish(&h, fd).status, SHM_USAGE_SUCCESS);
}

static void the_final_event_says_who_answered(void **state)
{
	static const struct exchange_outcome o = {.http_status = 200};
	static const char event[] = "data: {\"choices\":[]}\n\n";
	static const char *const paths[] = {UNIFIED, OPENAI};
	struct shm_content item;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct harness h;
		int fd = ask(&h, true, paths[i]);
		called->sink->on_head(called, 200, true);
		assert_true(called->sink->on_final(called, (struct bf_slice){event, 22},
						   (struct bf_slice){event + 6, 14}));
		done(&o);
		(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
		bool told = strstr(answer, "data: {\"choices\":[],\"extra_fields\":{") != NULL;
		assert_int_equal(told, i == 0);
		assert_int_equal(shm_content_next(&h.seg, h.slot, 0, &item), 1);
		assert_int_equal(shm_content_next(&h.seg, h.slot, item.end, &item), 1);
		assert_int_equal(item.len, 22); /* the log keeps what the provider said */
		(void)finish(&h, fd);
	}
}

static void tick(struct harness *h, int64_t ms)
{
	called->on_tick(called, bf_mono_ms() + ms);
	harness_turns(h, 1);
}

#define beats(h) ((int)shm_metric_of(&(h)->seg, (h)->slot, SHM_M_HEARTBEATS))

static void heartbeats_on_a_silent_stream(void **state)
{
	static const struct exchange_outcome o = {
	    .http_status = 502, .error_type = "upstream_truncated", .error_text = "cut"};
	struct harness h;
	int fd = ask(&h, true, UNIFIED);

	(void)state;
	h.config.server.heartbeat_interval_ms = 1000;
	h.config.server.early_heartbeat_after_ms = 0;
	tick(&h, 0);
	tick(&h, 100000);
	assert_int_equal(beats(&h), 0); /* not before the upstream answered */
	called->sink->on_head(called, 200, true);
	tick(&h, 200000); /* it spoke since the last look */
	tick(&h, 200999);
	assert_int_equal(beats(&h), 0);
	tick(&h, 201000);
	tick(&h, 201999);
	assert_int_equal(beats(&h), 1);
	tick(&h, 202000);
	assert_int_equal(beats(&h), 2);
	assert_true(called->sink->on_body(called, BF_SLICE_LIT("data: 1\n\n")));
	tick(&h, 203000);
	tick(&h, 203500);
	assert_int_equal(beats(&h), 2);
	h.config.server.heartbeat_interval_ms = 0;
	tick(&h, 900000);
	assert_int_equal(beats(&h), 2);
	done(&o);
	(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
	assert_non_null(strstr(answer, ": heartbeat\n\n"));
	assert_int_equal(finish(&h, fd).http_status, 200);
}

/* Early heartbeats cost the status: what fails afterwards is told in the stream, and a plain answer
 * has no place in it. */
static void early_heartbeats(void **state)
{
	static const struct exchange_outcome good = {.http_status = 200};
	static const struct exchange_outcome bad = {.fault = EXCHANGE_FAULT_STATUS,
						    .http_status = 400,
						    .error_type = "upstream_refused",
						    .error_text = "no"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct harness h;
		int fd = ask(&h, true, UNIFIED);
		h.config.server.heartbeat_interval_ms = 0;
		h.config.server.early_heartbeat_after_ms = 1000;
		tick(&h, 500);
		assert_int_equal(beats(&h), 0);
		tick(&h, 2000);
		assert_int_equal(beats(&h), 1);
		called->sink->on_head(called, i == 0 ? 200 : 400, false);
		assert_true(called->sink->on_body(called, BF_SLICE_LIT("{\"id\":\"plain\"}")));
		done(i == 0 ? &good : &bad);
		(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
		assert_memory_equal(answer, "HTTP/1.1 200 OK\r\n", 17);
		assert_null(strstr(answer, "plain"));
		assert_non_null(
		    strstr(answer, i == 0 ? "upstream_protocol_error" : "upstream_refused"));
		assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_STREAMS_OPEN), 0);
		struct shm_usage_record row = finish(&h, fd);
		assert_int_equal(row.status, SHM_USAGE_ERROR);
	}
}

static void an_answer_without_end_is_stopped(void **state)
{
	static char piece[1 << 20];
	struct harness h;
	int fd = ask(&h, false, UNIFIED);
	unsigned pieces = 0;

	(void)state;
	memset(piece, 'x', sizeof(piece));
	called->sink->on_head(called, 200, false);
	while (called->sink->on_body(called, (struct bf_slice){piece, sizeof(piece)}))
		assert_true(++pieces < 32);
	assert_int_equal(pieces, WORKER_ANSWER_MAX / sizeof(piece));
	assert_int_equal(cancelled, 1);
	(void)harness_ask(&h, fd, "", answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 502 Bad Gateway\r\n", 26);
	struct shm_usage_record row = finish(&h, fd);
	assert_string_equal(row.error_type, "answer_too_large");
}

/* The closing events are held until the row is in the segment. */
static void the_row_precedes_the_last_events(void **state)
{
	static const struct exchange_outcome o = {.http_status = 200,
						  .tail = {"data: [DONE]\n\n", 14}};
	struct shm_usage_record row;
	struct shm_content item;
	struct harness h;
	int fd = ask(&h, true, UNIFIED);

	(void)state;
	called->sink->on_head(called, 200, true);
	assert_true(called->sink->on_body(called, BF_SLICE_LIT("data: 1\n\n")));
	(void)harness_read(&h, fd, answer, sizeof(answer), "data: 1\n\n\r\n", NULL);
	assert_int_equal(harness_rows(&h, &row, 1), 0);
	done(&o);
	/* No turn of the loop since: nothing can have been written yet. */
	assert_int_equal(shm_usage_waiting(&h.seg, h.slot), 1);
	assert_int_equal(recv_now(fd), 0);
	(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n0\r\n\r\n", NULL);
	assert_non_null(strstr(answer, "data: [DONE]\n\n"));
	assert_int_equal(shm_content_next(&h.seg, h.slot, 0, &item), 1);
	assert_int_equal(shm_content_next(&h.seg, h.slot, item.end, &item), 1);
	assert_int_equal(item.len, 9 + 14);
	assert_memory_equal(item.bytes, "data: 1\n\ndata: [DONE]\n\n", 23);
	row = finish(&h, fd);
	assert_int_equal(row.status, SHM_USAGE_SUCCESS);
}

static void a_client_that_leaves_stops_the_call(void **state)
{
	struct harness h;
	int fd = ask(&h, true, UNIFIED);

	(void)state;
	called->sink->on_head(called, 200, true);
	assert_true(called->sink->on_body(called, BF_SLICE_LIT("data: 1\n\n")));
	called->sink->on_usage(called, 4, 1, 0);
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_STREAMS_OPEN), 1);
	(void)close(fd);
	harness_turns(&h, 4);
	assert_int_equal(cancelled, 1);
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_STREAMS_OPEN), 0);
	struct shm_usage_record row = finish(&h, -1);
	assert_true(row.flags & SHM_USAGE_CLIENT_GONE);
	assert_int_equal(row.completion_tokens, 1);
	assert_int_equal(row.http_status, 200);
}

/* An end that is none, in the stream's own language; the row says what was sent. */
static void a_worker_that_leaves_ends_its_streams(void **state)
{
	static const char *const ways[][2] = {
	    {UNIFIED, "data: {\"type\":\"worker_stopped\",\"is_bifrost_error\":true,"
		      "\"status_code\":503,"},
	    {OPENAI, "data: {\"error\":{\"message\":\"this node is restarting; send it again\","},
	    {"/v1/responses", "event: error\ndata: {\"type\":\"error\","},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(ways); i++) {
		struct harness h;
		int fd = ask(&h, true, ways[i][0]);

		called->sink->on_head(called, 200, true);
		assert_true(called->sink->on_body(called, BF_SLICE_LIT("data: 1\n\n")));
		/* Nothing has left yet: it goes in the same write. */
		front_done(&h.f);
		assert_int_equal(cancelled, 1);
		assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_STREAMS_OPEN), 0);
		(void)harness_read(&h, fd, answer, sizeof(answer), NULL, NULL);
		assert_memory_equal(answer, "HTTP/1.1 200 OK\r\n", 17);
		const char *said = strstr(answer, "data: 1\n\n");
		assert_non_null(said = strstr(said, ways[i][1]));
		assert_non_null(strstr(said, "this node is restarting; send it again"));
		assert_string_equal(answer + strlen(answer) - 9, "\n\n\r\n0\r\n\r\n");
		struct shm_usage_record row = finish(&h, fd);
		assert_int_equal(row.http_status, 200);
		assert_string_equal(row.error_type, "worker_stopped");
		assert_true(row.flags & SHM_USAGE_TRUNCATED);
		assert_false(row.flags & SHM_USAGE_CLIENT_GONE);
	}
}

/* Of what has not begun there is a whole answer, whatever of the provider's is here already. */
static void a_worker_that_leaves_refuses_what_has_not_begun(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct harness h;
		int fd = ask(&h, i & 1, UNIFIED);

		if (i & 2)
			called->sink->on_head(called, 200, i & 1);
		if (i == 2)
			assert_true(called->sink->on_body(called, BF_SLICE_LIT("{\"id\":1")));
		front_done(&h.f);
		(void)harness_read(&h, fd, answer, sizeof(answer), NULL, NULL);
		assert_memory_equal(answer, "HTTP/1.1 503 Service Unavailable\r\n", 34);
		assert_non_null(strstr(answer, "\r\nRetry-After: 1\r\n"));
		assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
		assert_non_null(strstr(answer, "{\"type\":\"worker_stopped\","));
		struct shm_usage_record row = finish(&h, fd);
		assert_int_equal(row.http_status, 503);
		assert_string_equal(row.error_type, "worker_stopped");
		assert_false(row.flags & (SHM_USAGE_TRUNCATED | SHM_USAGE_CLIENT_GONE));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_worker_that_leaves_ends_its_streams),
	    cmocka_unit_test(a_worker_that_leaves_refuses_what_has_not_begun),
	    cmocka_unit_test(failure_before_anything_is_an_error_answer),
	    cmocka_unit_test(failure_in_mid_stream_is_an_error_event),
	    cmocka_unit_test(a_plain_answer_in_pieces_is_joined),
	    cmocka_unit_test(an_upstreams_error_is_passed_on),
	    cmocka_unit_test(the_head_leaves_with_the_first_event),
	    cmocka_unit_test(the_final_event_says_who_answered),
	    cmocka_unit_test(heartbeats_on_a_silent_stream),
	    cmocka_unit_test(early_heartbeats),
	    cmocka_unit_test(an_answer_without_end_is_stopped),
	    cmocka_unit_test(the_row_precedes_the_last_events),
	    cmocka_unit_test(a_client_that_leaves_stops_the_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

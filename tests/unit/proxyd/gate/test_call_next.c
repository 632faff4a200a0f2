/* What follows a failure: refused keys, fallbacks and their rows, streams before and after their
 * first event. */
#include "common/base/error_class.h"
#include "tests/unit/proxyd/gate/scripted.h"

static void every_key_refused(void **state)
{
	struct shm_usage_record row[2];

	(void)state;
	house(0, 3);
	int fd = ask(STEPS(401, 402, 403), "", false, "");
	has("HTTP/1.1 502 Bad Gateway\r\n");
	has("upstream_credentials_exhausted");
	assert_null(strstr(answer, "says 403"));
	assert_int_equal(strlen(asked), 24);
	assert_int_equal(leave(fd, row, 2), 1);
	assert_string_equal(row[0].error_type, "upstream_credentials_exhausted");
	assert_int_equal(row[0].http_status, 502);
	assert_int_equal(row[0].attempts, 3);
	assert_memory_equal(row[0].attempt_trail, "[[\"k1\",401,", 11);
}

/* Answer, row and counter name the same class. */
static void an_unknown_model_is_the_callers(void **state)
{
	struct shm_usage_record row[2];

	(void)state;
	house(0, 1);
	int fd = ask(STEPS(NO_MODEL), "", false, "");
	has("HTTP/1.1 404 Not Found\r\n");
	has("\"error_type\":\"caller_model_unknown\"");
	assert_int_equal(shm_error_class_sum(&h.seg, BF_ERROR_CLASS_CALLER_MODEL_UNKNOWN), 1);
	assert_int_equal(leave(fd, row, 2), 1);
	assert_string_equal(row[0].error_type, "model_not_found");
	assert_int_equal(row[0].http_status, 404);
}

static void one_refused_key_leaves_a_trail(void **state)
{
	struct shm_usage_record row[2];

	(void)state;
	house(0, 1);
	int fd = ask(STEPS(401), "", false, "");
	has("upstream_credentials_exhausted");
	assert_int_equal(leave(fd, row, 2), 1);
	assert_memory_equal(row[0].attempt_trail, "[[\"k1\",401,", 11);
}

static void a_fallback_answers(void **state)
{
	struct shm_usage_record row[3];
	char id[BF_UUID_TEXT_LEN + 1];

	(void)state;
	house(1, 1);
	int fd = ask(STEPS(500, 500, 200), "", false, FALLBACKS);
	has("HTTP/1.1 200 OK\r\n");
	has("second says 200");
	has("\"is_fallback\":true");
	assert_string_equal(asked, "mock/k1 mock/k1 second/k1 ");
	assert_int_equal(metric(SHM_M_FALLBACKS), 1);
	assert_int_equal(metric(SHM_M_REQUESTS_OK), 1);
	assert_int_equal(metric(SHM_M_REQUESTS_FAILED), 1);
	assert_int_equal(leave(fd, row, 3), 2);
	bf_uuid_format((const struct bf_uuid *)(const void *)row[0].id, id);
	has(id);
	assert_memory_equal(row[1].parent_id, id, BF_UUID_TEXT_LEN);
	assert_memory_not_equal(row[0].id, row[1].id, 16);
	assert_string_equal(row[0].parent_id, "");
	assert_int_equal(row[0].fallback_index, 0);
	assert_int_equal(row[1].fallback_index, 1);
	assert_int_equal(row[0].attempts, 2);
	assert_int_equal(row[1].attempts, 1);
	assert_int_equal(row[0].http_status, 500);
	assert_int_equal(row[1].http_status, 200);
	assert_string_equal(row[1].provider, "second");
	assert_string_equal(row[1].model, "m2");
	assert_string_equal(row[1].attempt_trail, "");
	assert_string_equal(row[1].error_type, "");
	assert_int_equal(row[1].object_type, row[0].object_type);
	assert_true(row[1].started_wall_ns >= row[0].started_wall_ns);
}

static void all_fail_and_the_first_error_is_told(void **state)
{
	struct shm_usage_record row[4];

	(void)state;
	house(0, 1);
	retry_after_s = 9;
	int fd = ask(STEPS(429, 401, NETWORK), "x-request-id: mine\r\n", false, FALLBACKS);
	has("HTTP/1.1 429 Too Many Requests\r\n");
	has("mock says 429");
	has("Retry-After: 9\r\n");
	has("\"is_fallback\":false");
	assert_null(strstr(answer, "exhausted"));
	assert_string_equal(asked, "mock/k1 second/k1 third/k1 ");
	assert_int_equal(leave(fd, row, 4), 3);
	assert_int_equal(row[0].http_status, 429);
	assert_int_equal(row[1].http_status, 502);
	assert_string_equal(row[1].error_type, "upstream_credentials_exhausted");
	assert_string_equal(row[2].error_type, "upstream_unreachable");
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(row[i].fallback_index, i);
		assert_string_equal(row[i].request_id, "mine");
	}
}

/* The pin names no key of a fallback: that target is skipped over with a row of its own. */
static void a_fallback_without_a_key(void **state)
{
	struct shm_usage_record row[4];

	(void)state;
	house(0, 2);
	keys[1][1].name = BF_SLICE_LIT("other");
	int fd = ask(STEPS(500, 200), "x-bf-api-key: k2\r\n", false, FALLBACKS);
	has("third says 200");
	assert_string_equal(asked, "mock/k2 third/k2 ");
	assert_int_equal(leave(fd, row, 4), 3);
	assert_int_equal(row[1].attempts, 0);
	assert_string_equal(row[1].error_type, "no_provider_key");
}

static void no_room_for_the_fallbacks_row(void **state)
{
	struct shm_usage_record row[3];

	(void)state;
	house(0, 1);
	int fd = ask(STEPS(FULL, 200), "", false, FALLBACKS);
	h.w.inflight -= UINT64_C(1) << 40;
	has("HTTP/1.1 500 Internal Server Error\r\n");
	has("mock says 500");
	assert_string_equal(asked, "mock/k1 ");
	shm_metric_set(&h.seg, h.slot, SHM_M_INFLIGHT, (int64_t)h.w.inflight);
	assert_int_equal(leave(fd, row, 3), 1);
}

static void a_stream_that_told_nothing_is_tried_again(void **state)
{
	struct shm_usage_record row[2];

	(void)state;
	house(1, 1);
	int fd = ask(STEPS(STREAM_CUT, STREAM), "", true, "");
	has("HTTP/1.1 200 OK\r\n");
	has("data: {\"n\":1}\n\n");
	has("data: [DONE]");
	assert_int_equal(metric(SHM_M_STREAMS_OPEN), 0);
	assert_int_equal(metric(SHM_M_STREAMS_TRUNCATED), 0);
	assert_int_equal(leave(fd, row, 2), 1);
	assert_int_equal(row[0].status, SHM_USAGE_SUCCESS);
	assert_int_equal(row[0].attempts, 2);
	assert_int_equal(row[0].flags & SHM_USAGE_TRUNCATED, 0);
}

static void a_stream_that_told_nothing_has_a_real_status(void **state)
{
	struct shm_usage_record row[2];

	(void)state;
	house(0, 1);
	script = STEPS(STREAM_CUT);
	int fd = send_request("", true, "");
	(void)harness_ask(&h, fd, "", answer, sizeof(answer));
	has("HTTP/1.1 502 Bad Gateway\r\n");
	has("upstream_truncated");
	assert_int_equal(leave(fd, row, 2), 1);
	assert_int_equal(row[0].http_status, 502);
	assert_true(row[0].flags & SHM_USAGE_TRUNCATED);
}

static void a_stream_that_began_is_not(void **state)
{
	struct shm_usage_record row[2];

	(void)state;
	house(5, 2);
	int fd = ask(STEPS(STREAM_BEGUN_CUT, STREAM), "", true, FALLBACKS);
	has("data: {\"n\":1}\n\n");
	has("upstream_truncated");
	assert_null(strstr(answer, "[DONE]"));
	assert_string_equal(asked, "mock/k1 ");
	assert_int_equal(metric(SHM_M_STREAMS_TRUNCATED), 1);
	assert_int_equal(leave(fd, row, 2), 1);
	assert_int_equal(row[0].completion_tokens, 1);
	assert_int_equal(row[0].http_status, 200);
}

static void a_client_that_leaves_a_fallback(void **state)
{
	struct shm_usage_record row[3];

	(void)state;
	house(0, 1);
	script = STEPS(503, HOLD);
	int fd = send_request("", false, FALLBACKS);
	for (int i = 0; i < 50 && !held; i++)
		harness_turns(&h, 1);
	assert_non_null(held);
	assert_int_equal(leave(fd, row, 3), 2);
	assert_int_equal(cancelled, 1);
	assert_string_equal(row[0].error_type, "upstream_error");
	assert_true(row[1].flags & SHM_USAGE_CLIENT_GONE);
	assert_int_equal(row[1].fallback_index, 1);
}

/* Without rows everything else stays: attempts, fallbacks, counters. */
static void without_logging(void **state)
{
	struct shm_usage_record row[2];

	(void)state;
	house(1, 2);
	h.config.client.enable_logging = false;
	int fd = ask(STEPS(500, 429, 429, 200), "", false, FALLBACKS);
	has("second says 200");
	assert_string_equal(asked, "mock/k1 mock/k1 mock/k2 second/k1 ");
	assert_int_equal(metric(SHM_M_REQUESTS_OK), 1);
	assert_int_equal(metric(SHM_M_REQUESTS_FAILED), 1);
	assert_int_equal(leave(fd, row, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_key_refused),
	    cmocka_unit_test(an_unknown_model_is_the_callers),
	    cmocka_unit_test(one_refused_key_leaves_a_trail),
	    cmocka_unit_test(a_fallback_answers),
	    cmocka_unit_test(all_fail_and_the_first_error_is_told),
	    cmocka_unit_test(a_fallback_without_a_key),
	    cmocka_unit_test(no_room_for_the_fallbacks_row),
	    cmocka_unit_test(without_logging),
	    cmocka_unit_test(a_stream_that_told_nothing_is_tried_again),
	    cmocka_unit_test(a_stream_that_told_nothing_has_a_real_status),
	    cmocka_unit_test(a_stream_that_began_is_not),
	    cmocka_unit_test(a_client_that_leaves_a_fallback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Attempts end to end: rotation, retries, pins, the deadline, clients that leave, and what the row
 * says of it. */
#include "tests/unit/proxyd/gate/scripted.h"

static void a_rate_limited_key_gives_way(void **state)
{
	struct shm_usage_record row[2];

	(void)state;
	house(0, 2);
	retry_after_s = 3600;
	int fd = ask(STEPS(429, 200), "", false, "");
	has("HTTP/1.1 200 OK\r\n");
	assert_null(strstr(answer, "Retry-After"));
	assert_string_equal(asked, "mock/k1 mock/k2 ");
	assert_int_equal(metric(SHM_M_UPSTREAM_ATTEMPTS), 2);
	assert_int_equal(metric(SHM_M_KEY_ROTATIONS), 1);
	assert_int_equal(metric(SHM_M_UPSTREAM_RETRIES), 0);
	(void)close(fd);
	/* The next request spares it at once. */
	fd = ask(STEPS(200), "", false, "");
	assert_string_equal(asked, "mock/k1 mock/k2 mock/k2 ");
	assert_int_equal(leave(fd, row, 2), 2);
	assert_int_equal(row[0].attempts, 2);
	assert_string_equal(row[0].key_name, "k2");
	assert_string_equal(row[0].key_id, "k2");
	assert_int_equal(row[0].http_status, 200);
	assert_memory_equal(row[0].attempt_trail, "[[\"k1\",429,", 11);
	assert_non_null(strstr(row[0].attempt_trail, ",[\"k2\",200,"));
	assert_int_equal(row[1].attempts, 1);
	assert_string_equal(row[1].attempt_trail, "");
}

static void the_same_key_again(void **state)
{
	struct shm_usage_record row[2];

	(void)state;
	house(2, 2);
	int fd = ask(STEPS(503, NETWORK, 200), "", false, "");
	has("HTTP/1.1 200 OK\r\n");
	assert_string_equal(asked, "mock/k1 mock/k1 mock/k1 ");
	assert_int_equal(metric(SHM_M_UPSTREAM_RETRIES), 2);
	assert_int_equal(leave(fd, row, 2), 1);
	assert_int_equal(row[0].attempts, 3);
	assert_non_null(strstr(row[0].attempt_trail, "[\"k1\",503,"));
	assert_non_null(strstr(row[0].attempt_trail, "[\"k1\",\"upstream_unreachable\","));
}

static void a_dead_connection_is_an_attempt(void **state)
{
	struct shm_usage_record row[3];

	(void)state;
	house(0, 1);
	int fd = ask(STEPS(REPEATED), "", false, "");
	has("HTTP/1.1 200 OK\r\n");
	assert_int_equal(metric(SHM_M_UPSTREAM_RETRIES), 1);
	assert_int_equal(metric(SHM_M_UPSTREAM_ATTEMPTS), 2);
	(void)close(fd);
	fd = ask(STEPS(REPEATED_NETWORK, 200), "", false, "");
	has("HTTP/1.1 502 Bad Gateway\r\n");
	assert_string_equal(asked, "mock/k1 mock/k1 ");
	assert_int_equal(leave(fd, row, 3), 2);
	assert_int_equal(row[0].attempts, 2);
	assert_memory_equal(row[0].attempt_trail, "[[\"k1\",\"connection_lost\",", 25);
	assert_non_null(strstr(row[0].attempt_trail, ",[\"k1\",200,"));
	assert_int_equal(row[1].attempts, 2);
	assert_non_null(strstr(row[1].attempt_trail, ",[\"k1\",\"upstream_unreachable\","));
}

static void every_failed_attempt_leaves_a_trail(void **state)
{
	static const int list[] = {400, 401, 429, 500, NETWORK};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		const int steps[] = {list[i]};
		struct shm_usage_record row[2];
		char begin[64];

		house(0, 1);
		int fd = ask(steps, "", false, "");
		assert_int_equal(leave(fd, row, 2), 1);
		(void)snprintf(begin, sizeof(begin), "[[\"k1\",%d,", list[i]);
		assert_memory_equal(row[0].attempt_trail,
				    list[i] ? begin : "[[\"k1\",\"upstream_unreachable\",", 11);
		assert_int_equal(row[0].attempts, 1);
	}
}

/* What an upstream calls a bad request or a refusal, and is a rate limit. */
static void rate_limits_by_another_status(void **state)
{
	struct shm_usage_record row[4];

	(void)state;
	house(0, 2);
	int fd = ask(STEPS(LIMIT_400, 200), "", false, "");
	has("HTTP/1.1 200 OK\r\n");
	assert_string_equal(asked, "mock/k1 mock/k2 ");
	(void)close(fd);
	fd = ask(STEPS(LIMIT_400), "x-bf-api-key: k2\r\n", false, "");
	has("HTTP/1.1 400 Bad Request\r\n");
	has("slow down");
	has("\"error_type\":\"provider_rate_limited\"");
	assert_int_equal(leave(fd, row, 4), 2);
	assert_non_null(strstr(row[0].attempt_trail, "[\"k1\",400,"));
	assert_int_equal(row[1].http_status, 400);
	assert_string_equal(row[1].error_type, "upstream_rate_limited");
}

/* A quota that is used up is a matter of money: the key is dead, the next is tried at once. */
static void used_up_quotas(void **state)
{
	struct shm_usage_record row[3];

	(void)state;
	house(0, 2);
	confs[0].network_config.retry_backoff_initial_ms = 600000;
	confs[0].network_config.retry_backoff_max_ms = 600000;
	int fd = ask(STEPS(QUOTA_429, 200), "", false, "");
	has("HTTP/1.1 200 OK\r\n");
	assert_string_equal(asked, "mock/k1 mock/k2 ");
	(void)close(fd);
	/* When no key is left, the client gets what it knows. */
	fd = ask(STEPS(QUOTA_429), "x-bf-api-key: k2\r\n", false, "");
	has("HTTP/1.1 429 Too Many Requests\r\n");
	has("insufficient_quota");
	assert_int_equal(leave(fd, row, 3), 2);
	assert_non_null(strstr(row[1].attempt_trail, "[\"k2\",429,"));
}

static void pinned_keys(void **state)
{
	struct shm_usage_record row[4];

	(void)state;
	house(0, 3);
	retry_after_s = 7;
	int fd = ask(STEPS(429), "x-bf-api-key: k2\r\n", false, "");
	has("HTTP/1.1 429 Too Many Requests\r\n");
	has("Retry-After: 7\r\n");
	has("mock says 429");
	(void)close(fd);
	fd = ask(STEPS(200), "x-bf-api-key: k2\r\nx-bf-api-key-id: k3\r\n", false, "");
	has("HTTP/1.1 200 OK\r\n");
	(void)close(fd);
	fd = ask(STEPS(200), "x-bf-api-key: nobody\r\n", false, "");
	has("HTTP/1.1 400 Bad Request\r\n");
	has("no key with this name");
	(void)close(fd);
	keys[0][1].enabled = false;
	provider_keys_close(&h.w.providers->items[0]->keys); /* as a change would */
	provider_keys_without_health(&h.w.providers->items[0]->keys, &confs[0]);
	fd = ask(STEPS(200), "x-bf-api-key-id: k2\r\n", false, "");
	has("has no key with the id \\\"k2\\\" that is enabled");
	assert_string_equal(asked, "mock/k2 mock/k3 ");
	assert_int_equal(leave(fd, row, 4), 4);
	assert_int_equal(row[2].attempts, 0);
	assert_int_equal(row[2].status, SHM_USAGE_ERROR);
	assert_string_equal(row[2].error_type, "no_provider_key");
}

static void a_client_that_leaves_during_the_pause(void **state)
{
	struct shm_usage_record row[2];

	(void)state;
	house(3, 1);
	confs[0].network_config.retry_backoff_initial_ms = 5000;
	confs[0].network_config.retry_backoff_max_ms = 5000;
	script = STEPS(503, 200);
	int fd = send_request("", false, "");
	harness_turns(&h, 3);
	assert_string_equal(asked, "mock/k1 ");
	assert_int_equal(leave(fd, row, 2), 1);
	assert_int_equal(cancelled, 0);
	assert_true(row[0].flags & SHM_USAGE_CLIENT_GONE);
	assert_int_equal(row[0].http_status, 499);
}

static void the_deadline_ends_it(void **state)
{
	struct shm_usage_record row[3];

	(void)state;
	house(1000, 1);
	harness_clock(true);
	attempt_ms = 10;
	confs[0].network_config.total_timeout_ms = 30;
	int steps[64] = {NETWORK};
	int fd = ask(steps, "", false, FALLBACKS);
	has("HTTP/1.1 502 Bad Gateway\r\n");
	/* A fallback begins while there is time, and ends with it. */
	size_t n = leave(fd, row, 3);
	attempt_ms = 0;
	harness_clock(false);
	assert_in_range(n, 1, 3);
	assert_in_range(row[0].attempts, 2, 3);
}

static void a_dead_worker_names_the_key_it_was_with(void **state)
{
	struct shm_usage_record row;

	(void)state;
	house(0, 2);
	script = STEPS(429, HOLD);
	int fd = send_request("", false, "");
	for (int i = 0; i < 50 && !held; i++) {
		harness_turns(&h, 1);
		(void)usleep(1000);
	}
	assert_non_null(held);
	shm_slot_dead(&h.seg, h.slot);
	assert_true(shm_inflight_sweep(&h.seg, h.slot, 0, bf_wall_ns(), &row) >= 0);
	assert_string_equal(row.key_name, "k2");
	assert_int_equal(row.attempts, 2);
	act(held, 200);
	(void)harness_ask(&h, fd, "", answer, sizeof(answer));
	(void)leave(fd, &row, 1);
}

static void a_provider_without_keys(void **state)
{
	struct shm_usage_record row[2];

	(void)state;
	house(1, 0);
	int fd = ask(STEPS(401), "", false, "");
	has("HTTP/1.1 401 Unauthorized\r\n");
	has("mock says 401");
	assert_int_equal(leave(fd, row, 2), 1);
	assert_string_equal(row[0].key_name, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_rate_limited_key_gives_way),
	    cmocka_unit_test(the_same_key_again),
	    cmocka_unit_test(a_dead_connection_is_an_attempt),
	    cmocka_unit_test(every_failed_attempt_leaves_a_trail),
	    cmocka_unit_test(rate_limits_by_another_status),
	    cmocka_unit_test(used_up_quotas),
	    cmocka_unit_test(pinned_keys),
	    cmocka_unit_test(a_client_that_leaves_during_the_pause),
	    cmocka_unit_test(the_deadline_ends_it),
	    cmocka_unit_test(a_dead_worker_names_the_key_it_was_with),
	    cmocka_unit_test(a_provider_without_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

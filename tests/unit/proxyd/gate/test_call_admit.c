/* Admission while meters are busy: tried again, given up, and left alone; and of targets that a key
 * may not use. */
#include "common/base/error_class.h"
#include "proxyd/front/conn.h"
#include "shm/layout.h"
#include "tests/unit/proxyd/gate/governed.h"

static struct shm_usage_record rows[8];

/* As if writerd had stopped in the middle of a change. Time stands still from here on: how long it
 * is waited for is not a matter of how fast this machine is. */
static struct shm_meter *busy_meter(void)
{
	const struct bf_limit *limit = &in_force_plan.limits[0];
	struct shm_meter *m = &h.seg.map->meters[shm_meter_find(&h.seg, limit->identity)];

	assert_int_equal(m->config & 1, 0);
	m->config++;
	harness_clock(true);
	return m;
}

static int real_time(void **state)
{
	(void)state;
	harness_clock(false);
	return 0;
}

static int begin(bool stream, const char *more)
{
	static const int steps[] = {200, 200};

	script = steps;
	int fd = send_request(KEY_A, stream, more);
	harness_turns(&h, 4);
	assert_string_equal(asked, "");
	assert_int_equal(h.w.inflight, 0);
	assert_true(metric(SHM_M_LIMIT_BUSY) > 0);
	return fd;
}

static void busy_meters_are_tried_again(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	struct shm_meter *m = busy_meter();
	int fd = begin(false, "");
	m->config++;
	(void)harness_ask(&h, fd, "", answer, sizeof(answer));
	has(" 200 ");
	has("x-ratelimit-remaining-requests: 4\r\n");
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 1);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
	assert_int_equal(rows[0].fallback_index, 0);
}

static void and_then_given_up(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	struct shm_meter *m = busy_meter();
	int fd = begin(false, FALLBACKS);
	harness_tick(49);
	for (int busy = metric(SHM_M_LIMIT_BUSY); metric(SHM_M_LIMIT_BUSY) == busy;)
		harness_turns(&h, 1); /* tried once more */
	harness_tick(1);
	(void)harness_ask(&h, fd, "", answer, sizeof(answer));
	has(" 503 ");
	has("\"type\":\"limits_busy\"");
	has("Retry-After: 1\r\n");
	assert_string_equal(asked, "");
	assert_int_equal(metric(SHM_M_LIMIT_TOO_BUSY), 1);
	assert_int_equal(metric(SHM_M_REQUESTS_REFUSED), 1);
	assert_int_equal(shm_error_class_sum(&h.seg, BF_ERROR_CLASS_BIFROST_DROPPED), 1);
	m->config++;
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 0);
	assert_int_equal(leave_governed(fd, rows, 8), 0);
}

static void who_waits_may_leave(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	struct shm_meter *m = busy_meter();
	int fd = begin(false, "");
	(void)close(fd);
	harness_turns(&h, 8);
	m->config++;
	harness_turns(&h, 8);
	assert_string_equal(asked, "");
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 0);
	assert_int_equal(leave_governed(harness_client(&h), rows, 8), 0);
}

static void a_worker_that_leaves_tells_who_waits(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	struct shm_meter *m = busy_meter();
	int fd = begin(true, "");
	conn_leave(BF_CONTAINER_OF(h.f.conns.next, struct conn, node));
	(void)harness_read(&h, fd, answer, sizeof(answer), NULL, NULL);
	has(" 503 ");
	has("worker_stopped");
	m->config++;
	assert_int_equal(leave_governed(fd, rows, 8), 0);
}

/* The primary failed; its fallback finds the meters busy. */
static void fallbacks_wait_too(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	script = STEPS(HOLD, 200);
	int fd = send_request(KEY_A, false, FALLBACKS);
	harness_turns(&h, 4);
	struct shm_meter *m = busy_meter();
	act(held, 500);
	harness_turns(&h, 4);
	assert_string_equal(asked, "mock/k1 ");
	m->config++;
	(void)harness_ask(&h, fd, "", answer, sizeof(answer));
	has(" 200 ");
	assert_string_equal(asked, "mock/k1 second/k1 ");
	assert_int_equal(leave_governed(fd, rows, 8), 2);
	assert_int_equal(rows[1].fallback_index, 1);
	assert_string_not_equal(rows[1].parent_id, "");
}

static void and_end_with_the_primarys_error(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	script = STEPS(HOLD);
	int fd = send_request(KEY_A, false, FALLBACKS);
	harness_turns(&h, 4);
	struct shm_meter *m = busy_meter();
	act(held, 500);
	harness_tick(50);
	(void)harness_ask(&h, fd, "", answer, sizeof(answer));
	has(" 500 ");
	has("mock says 500");
	m->config++;
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 0);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

/* ---- targets that a key may not use */

static struct bf_slice any_name[] = {{"*", 1}}, model_m[] = {BF_SLICE_INIT("mock/M")};
static struct bf_slice later_keys[] = {BF_SLICE_INIT("k2"), BF_SLICE_INIT("k3")};
static struct bf_conf_provider_config configs[2];

#define ANY  ((struct bf_array){any_name, 1})
#define M    ((struct bf_array){model_m, 1})
#define NONE ((struct bf_array){NULL, 0})

/* The key may use mock as the lists say, and everything of `second` or `third`. */
static void restrict_to(struct bf_array allowed, struct bf_array denied, struct bf_array key_ids,
			const char *other)
{
	configs[0] = (struct bf_conf_provider_config){.provider = BF_SLICE_LIT("mock"),
						      .weight_micro = BF_WEIGHT_NONE,
						      .allowed_models = allowed,
						      .blacklisted_models = denied,
						      .key_ids = key_ids};
	configs[1] = (struct bf_conf_provider_config){.provider = bf_slice_from(other),
						      .weight_micro = BF_WEIGHT_NONE,
						      .allowed_models = ANY,
						      .key_ids = ANY};
	virtual_keys[0].allow_all_providers = false;
	virtual_keys[0].provider_configs = (struct bf_array){configs, 2};
	in_force_publish(&h.w);
}

/* Before the limits: the one of requests is not touched. */
static void expect_refused(const char *type, const char *part, enum shm_metric counter,
			   enum bf_error_class class)
{
	int before = metric(counter), refused = metric(SHM_M_REQUESTS_REFUSED);
	int64_t of_class = shm_error_class_sum(&h.seg, class);

	(void)ask(STEPS(200), KEY_A, false, "");
	has(" 403 ");
	has(type);
	has("virtual key \\\"team a\\\" may not use ");
	has(part);
	assert_string_equal(asked, "");
	has(bf_error_class_name(class));
	assert_int_equal(metric(counter), before + 1);
	assert_int_equal(metric(SHM_M_REQUESTS_REFUSED), refused + 1);
	assert_int_equal(shm_error_class_sum(&h.seg, class), of_class + 1);
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 0);
}

static void what_is_not_allowed_is_refused(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	restrict_to(NONE, NONE, ANY, "third");
	expect_refused("\"type\":\"model_blocked\"", "not in allowed_models", SHM_M_MODEL_BLOCKED,
		       BF_ERROR_CLASS_POLICY_MODEL_BLOCKED);
	restrict_to(ANY, M, ANY, "third");
	expect_refused("\"type\":\"model_blocked\"", "in blacklisted_models", SHM_M_MODEL_BLOCKED,
		       BF_ERROR_CLASS_POLICY_MODEL_BLOCKED);
	restrict_to(M, M, ANY, "third");
	expect_refused("\"type\":\"model_blocked\"", "in blacklisted_models", SHM_M_MODEL_BLOCKED,
		       BF_ERROR_CLASS_POLICY_MODEL_BLOCKED);
	restrict_to(M, NONE, NONE, "third");
	expect_refused("\"type\":\"provider_key_blocked\"", "key_ids", SHM_M_PROVIDER_KEY_BLOCKED,
		       BF_ERROR_CLASS_POLICY_ACCESS_DENIED);
	configs[0].provider = BF_SLICE_LIT("openai");
	in_force_publish(&h.w);
	expect_refused("\"type\":\"provider_blocked\"", "none of its provider_configs",
		       SHM_M_PROVIDER_BLOCKED, BF_ERROR_CLASS_POLICY_PROVIDER_BLOCKED);
	virtual_keys[0].provider_configs.count = 0;
	in_force_publish(&h.w);
	expect_refused("\"type\":\"provider_blocked\"", "it has no provider_configs",
		       SHM_M_PROVIDER_BLOCKED, BF_ERROR_CLASS_POLICY_PROVIDER_BLOCKED);
	virtual_keys[0].allow_all_providers = true;
	in_force_publish(&h.w);
	int fd = ask(STEPS(200), KEY_A, false, "");
	has(" 200 ");
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

/* None of them has a row, each has its class. */
static void every_refusal_has_a_class(void **state)
{
	(void)state;
	governed(1, 0, 0, 0);
	(void)ask(STEPS(200), "x-bf-vk: sk-bf-unknown\r\n", false, "");
	has(" 401 ");
	(void)ask(STEPS(200), "x-bf-vk: sk-bf-b\r\n", false, "");
	has(" 403 ");
	assert_int_equal(shm_error_class_sum(&h.seg, BF_ERROR_CLASS_POLICY_ACCESS_DENIED), 2);
	(void)ask(STEPS(200), KEY_A, false, "");
	has(" 200 ");
	(void)ask(STEPS(200), KEY_A, false, "");
	has(" 429 ");
	assert_int_equal(shm_error_class_sum(&h.seg, BF_ERROR_CLASS_POLICY_RATE_LIMITED), 1);
	int fd = ask(STEPS(200), KEY_A, false, ",\"stream\":1");
	has(" 400 ");
	assert_int_equal(shm_error_class_sum(&h.seg, BF_ERROR_CLASS_CALLER_INVALID_REQUEST), 1);
	assert_int_equal(metric(SHM_M_REQUESTS_REFUSED), 4);
	assert_int_equal(metric(SHM_M_REQUESTS_FAILED), 0);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

/* The request has one row, the fallback's. */
static void a_fallback_that_is_allowed_is_asked(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	restrict_to(ANY, M, ANY, "third");
	int fd = ask(STEPS(200), KEY_A, false, FALLBACKS);
	has(" 200 ");
	assert_string_equal(asked, "third/k1 ");
	assert_int_equal(metric(SHM_M_MODEL_BLOCKED), 1);
	assert_int_equal(metric(SHM_M_PROVIDER_BLOCKED), 1);
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 1);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
	assert_int_equal(rows[0].fallback_index, 2);
	assert_string_equal(rows[0].provider, "third");
}

static void nor_is_a_fallback_that_is_not(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	restrict_to(ANY, NONE, ANY, "third");
	int fd = ask(STEPS(500, 200), KEY_A, false, FALLBACKS);
	has(" 200 ");
	assert_string_equal(asked, "mock/k1 third/k1 ");
	assert_int_equal(metric(SHM_M_PROVIDER_BLOCKED), 1);
	(void)close(fd);
	asked[0] = '\0';
	/* All are refused: the client hears of the first. */
	restrict_to(ANY, M, ANY, "nobody");
	fd = ask(STEPS(200), KEY_A, false, FALLBACKS);
	has(" 403 ");
	has("\"type\":\"model_blocked\"");
	assert_string_equal(asked, "");
	assert_int_equal(leave_governed(fd, rows, 8), 2);
}

static void only_its_keys_of_a_provider_are_used(void **state)
{
	const struct limits_of of = {.requests = 9};

	(void)state;
	house(0, 3);
	govern_house(&of);
	place_meters();
	restrict_to(ANY, NONE, (struct bf_array){later_keys, 2}, "third");
	keys[0][1].weight_micro = 1;
	(void)ask(STEPS(429, 429), KEY_A, false, "");
	has(" 429 ");
	assert_string_equal(asked, "mock/k2 mock/k3 ");
	asked[0] = '\0';
	(void)ask(STEPS(200), KEY_A "x-bf-api-key: k3\r\n", false, "");
	has(" 200 ");
	assert_string_equal(asked, "mock/k3 ");
	asked[0] = '\0';
	(void)ask(STEPS(200), KEY_A "x-bf-api-key-id: k1\r\n", false, "");
	has(" 403 ");
	has("\"type\":\"provider_key_blocked\"");
	assert_string_equal(asked, "");
	/* Without a virtual key nothing is restricted. */
	int fd = ask(STEPS(200), "x-bf-api-key-id: k1\r\n", false, "");
	has(" 200 ");
	assert_string_equal(asked, "mock/k1 ");
	assert_int_equal(leave_governed(fd, rows, 8), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(busy_meters_are_tried_again, real_time),
	    cmocka_unit_test_teardown(and_then_given_up, real_time),
	    cmocka_unit_test_teardown(who_waits_may_leave, real_time),
	    cmocka_unit_test_teardown(a_worker_that_leaves_tells_who_waits, real_time),
	    cmocka_unit_test_teardown(fallbacks_wait_too, real_time),
	    cmocka_unit_test_teardown(and_end_with_the_primarys_error, real_time),
	    cmocka_unit_test(what_is_not_allowed_is_refused),
	    cmocka_unit_test(every_refusal_has_a_class),
	    cmocka_unit_test(a_fallback_that_is_allowed_is_asked),
	    cmocka_unit_test(nor_is_a_fallback_that_is_not),
	    cmocka_unit_test(only_its_keys_of_a_provider_are_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

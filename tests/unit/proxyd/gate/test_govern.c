/* Who may ask: keys that are known, unknown, blocked, or missing. */
#include "shm/health.h"
#include "tests/support/fd_count.h"
#include "tests/unit/proxyd/gate/governed.h"

static struct shm_usage_record rows[8];

static void keys_are_known_or_refused(void **state)
{
	const struct limits_of none = {0};

	(void)state;
	house(0, 1);
	govern_house(&none);
	(void)ask(STEPS(200), "", false, "");
	has(" 200 ");
	(void)ask(STEPS(200), "x-bf-vk: legacy\r\n", false, "");
	has(" 200 ");
	(void)ask(STEPS(200), "Authorization: Bearer sk-bf-a\r\n", false, "");
	has(" 200 ");
	(void)ask(STEPS(200), "x-api-key: sk-bf-unknown\r\n", false, "");
	has(" 401 ");
	has("\"type\":\"virtual_key_not_found\"");
	assert_null(strstr(answer, "sk-bf-unknown"));
	(void)ask(STEPS(200), "api-key: sk-bf-b\r\n", false, "");
	has(" 403 ");
	has("\"type\":\"virtual_key_blocked\"");
	has("team b");
	h.config.client.enforce_auth_on_inference = true;
	int fd = ask(STEPS(200), "Authorization: Bearer sk-provider\r\n", false, "");
	has(" 401 ");
	has("\"type\":\"virtual_key_required\"");
	assert_int_equal(metric(SHM_M_KEYS_MISSING), 1);
	assert_int_equal(metric(SHM_M_KEYS_UNKNOWN), 1);
	assert_int_equal(metric(SHM_M_KEYS_BLOCKED), 1);
	assert_int_equal(leave_governed(fd, rows, 8), 3);
	assert_string_equal(rows[0].virtual_key_id, "");
	assert_string_equal(rows[1].virtual_key_id, "vk-c");
	assert_string_equal(rows[1].virtual_key_name, "team c");
	assert_string_equal(rows[2].virtual_key_id, "vk-a");
}

/* A worker that started after the last one was deleted. */
static void keys_are_asked_for_where_there_are_none(void **state)
{
	const struct limits_of none = {0};

	(void)state;
	house(0, 1);
	govern_house(&none);
	in_force_close(&h.w);
	h.config.governance.virtual_keys.count = 0;
	in_force_open(&h.w);
	(void)ask(STEPS(200), "", false, "");
	has(" 200 ");
	(void)ask(STEPS(200), "Authorization: Bearer sk-of-a-provider\r\n", false, "");
	has(" 200 ");
	int fd = ask(STEPS(200), KEY_A, false, "");
	has(" 401 ");
	has("\"type\":\"virtual_key_not_found\"");
	assert_int_equal(leave_governed(fd, rows, 8), 2);
}

/* By the wall clock; the clock of windows has no say. */
static void keys_expire(void **state)
{
	const struct limits_of none = {0};
	int64_t now_ms = bf_wall_ms();

	(void)state;
	house(0, 1);
	govern_house(&none);
	virtual_keys[0].expires_at_ms = now_ms + 3600000;
	in_force_publish(&h.w);
	(void)ask(STEPS(200), KEY_A, false, "");
	has(" 200 ");
	virtual_keys[0].expires_at_ms = now_ms - 1000;
	in_force_publish(&h.w);
	(void)ask(STEPS(200), KEY_A, false, "");
	has(" 403 ");
	has("\"type\":\"virtual_key_blocked\"");
	has("virtual key \\\"team a\\\" expired at 2");
	(void)shm_wall_update(&h.seg, bf_wall_ns() - INT64_C(3600000000000), bf_boot_ns());
	(void)ask(STEPS(200), KEY_A, false, "");
	has(" 403 ");
	/* One that is to be deleted then is gone. */
	virtual_keys[0].delete_after_expire = true;
	in_force_publish(&h.w);
	int fd = ask(STEPS(200), KEY_A, false, "");
	has(" 401 ");
	has("\"type\":\"virtual_key_not_found\"");
	assert_int_equal(metric(SHM_M_KEYS_BLOCKED), 2);
	assert_int_equal(metric(SHM_M_KEYS_UNKNOWN), 1);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

static void lists_of_models_need_the_same_key(void **state)
{
	static const char *const cases[][2] = {
	    {"", " 401 "},
	    {"x-bf-vk: sk-bf-x\r\n", " 401 "},
	    {"x-bf-vk: sk-bf-b\r\n", " 403 "},
	    {KEY_A, " 200 "},
	};
	const struct limits_of of = {.requests = 1};
	char request[256];
	int fd = -1;

	(void)state;
	house(0, 1);
	govern_house(&of); /* no meters: a list needs none */
	h.config.client.enforce_auth_on_inference = true;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		fd = harness_client(&h);
		(void)snprintf(request, sizeof(request),
			       "GET /v1/models HTTP/1.1\r\nHost: a\r\n%s\r\n", cases[i][0]);
		(void)harness_ask(&h, fd, request, answer, sizeof(answer));
		has(cases[i][1]);
	}
	assert_int_equal(leave_governed(fd, rows, 8), 0);
}

/* Health is red for a minute. */
static void a_missing_price_is_loud(void **state)
{
	const struct limits_of of = {.budget_nusd = 1000};
	const uint64_t bit = UINT64_C(1) << SHM_H_MODEL_UNPRICED;

	(void)state;
	house(0, 1);
	govern_house(&of);
	place_meters();
	prices[0].pattern = BF_SLICE_LIT("other");
	in_force_publish(&h.w);
	govern_beat(&h.w);
	assert_int_equal(shm_health_all(&h.seg) & bit, 0);
	int fd = ask(STEPS(200), KEY_A, false, "");
	has("\"type\":\"model_unpriced\"");
	govern_beat(&h.w);
	assert_int_equal(shm_health_all(&h.seg) & bit, bit);
	h.w.governance->unpriced_mono_ms -= 60000;
	govern_beat(&h.w);
	assert_int_equal(shm_health_all(&h.seg) & bit, 0);
	assert_int_equal(leave_governed(fd, rows, 8), 0);
}

/* Nothing is in force: whether a key exists nobody knows, nor what others meet. */
static void before_anything_is_in_force(void **state)
{
	struct bf_err err = {0};

	(void)state;
	house(0, 1);
	assert_int_equal(govern_open(&h.w, &err), 0);
	(void)ask(STEPS(200), KEY_A, false, "");
	has(" 503 ");
	has("\r\nRetry-After: 1\r\n");
	has("\"type\":\"governance_not_loaded\"");
	(void)ask(STEPS(200), "", false, "");
	has(" 503 ");
	/* A segment of before has a generation that nobody has. */
	shm_set_generation(&h.seg, 70);
	(void)ask(STEPS(200), KEY_A, false, "");
	has(" 503 ");
	assert_int_equal(metric(SHM_M_GOVERNANCE_NOT_LOADED), 3);
	assert_int_equal(metric(SHM_M_KEYS_UNKNOWN), 0);
	in_force_publish(&h.w);
	int fd = ask(STEPS(200), "", false, "");
	has(" 200 ");
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

/* The segment names what this worker has not heard of yet: what it knows may be deleted, what it
 * does not know may exist. */
static void what_is_newer_may_know_better(void **state)
{
	const struct limits_of none = {0};

	(void)state;
	house(0, 1);
	govern_house(&none);
	(void)ask(STEPS(200), KEY_A, false, "");
	has(" 200 ");
	shm_set_generation(&h.seg, shm_generation(&h.seg) + 1);
	(void)ask(STEPS(200), KEY_A, false, "");
	has(" 503 ");
	has("\"type\":\"governance_not_loaded\"");
	(void)ask(STEPS(200), "", false, "");
	has(" 503 ");
	(void)ask(STEPS(200), "x-bf-vk: sk-bf-new\r\n", false, "");
	has(" 503 ");
	has("\"type\":\"governance_not_loaded\"");
	virtual_keys[2].value = BF_SLICE_LIT("sk-bf-new");
	in_force_publish(&h.w);
	(void)ask(STEPS(200), "x-bf-vk: sk-bf-new\r\n", false, "");
	has(" 200 ");
	int fd = ask(STEPS(200), "x-bf-vk: legacy\r\n", false, "");
	has(" 401 ");
	assert_int_equal(leave_governed(fd, rows, 8), 2);
}

/* Made when the change is announced, used when it is in force, held by who was admitted before. */
static void changes_are_prepared(void **state)
{
	const struct limits_of of = {.requests = 1};
	const struct everybody *before;

	(void)state;
	house(0, 1);
	govern_house(&of);
	place_meters();
	before = h.w.governance->everybody;
	script = STEPS(HOLD);
	int fd = send_request(KEY_A, false, "");
	harness_turns(&h, 4);
	assert_ptr_equal(held->everybody, before);
	rate_limits[0].request_max_limit = 9;
	in_force_publish(&h.w);
	assert_non_null(h.w.governance->next);
	assert_true(govern_follow(&h.w));
	assert_ptr_not_equal(h.w.governance->everybody, before);
	assert_null(h.w.governance->next);
	assert_ptr_equal(held->everybody, before);
	assert_int_equal(held->virtual_key->own.limits[0].max, 1);
	/* As it was: nothing is made anew. */
	before = h.w.governance->everybody;
	assert_int_equal(govern_prepare(&h.w, NULL), 0);
	act(held, 200);
	assert_ptr_equal(h.w.governance->everybody, before);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

/* Of snapshots. */
static unsigned map_count(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[4096];
	unsigned count = 0;

	while (f && fgets(line, sizeof(line), f))
		count += strstr(line, "snapshot-") != NULL;
	if (f)
		(void)fclose(f);
	return count;
}

/* However many there are, while one of the first runs: of what was in force nothing is left behind
 * that nobody holds. */
static void many_flips_leave_nothing_behind(void **state)
{
	static const char request[] =
	    "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" KEY_A "Content-Length: 47\r\n\r\n"
	    "{\"model\":\"mock/m\",\"messages\":[{\"role\":\"user\"}]}";
	const struct limits_of of = {.requests = 1000000};
	const struct keyring *ring;
	int fds;

	(void)state;
	house(0, 1);
	govern_house(&of);
	place_meters();
	ring = &h.w.governance->keys;
	script = STEPS(HOLD);
	int fd = send_request(KEY_A, false, ""), often = harness_client(&h);
	harness_turns(&h, 4);
	assert_non_null(held);
	const struct keyring_key *first = held->held_key;
	fds = fd_count();
	for (int i = 0; i < 1000; i++) {
		rate_limits[0].request_max_limit--;
		in_force_publish(&h.w);
		script = STEPS(200);
		(void)harness_ask(&h, often, request, answer, sizeof(answer));
		assert_int_equal(harness_rows(&h, rows, 8), 1);
		assert_int_equal(fd_count(), fds);
		assert_int_equal(map_count(), 2);
		assert_int_equal(ring->count, 1);
		assert_null(h.w.governance->next);
		assert_int_equal(h.w.governance->everybody->refs, 1);
	}
	assert_ptr_equal(held->held_key, first);
	assert_int_equal(first->refs, 1);
	assert_int_equal(held->everybody->refs, 1);
	act(held, 200);
	(void)close(often);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

static void numbers_of_keys_are_told(void **state)
{
	const struct limits_of none = {0};

	(void)state;
	house(0, 1);
	govern_house(&none);
	for (int i = 0; i < 3; i++)
		(void)ask(STEPS(200), KEY_A, false, "");
	int fd = ask(STEPS(200), "x-bf-vk: legacy\r\n", false, "");
	govern_beat(&h.w);
	assert_int_equal(metric(SHM_M_KEYS_CACHED), 2);
	assert_int_equal(metric(SHM_M_KEYS_HYDRATED), 2);
	assert_int_equal(metric(SHM_M_KEYS_EVICTED), 0);
	assert_true(metric(SHM_M_KEYS_CACHED_BYTES) >= 2 * 4096);
	assert_int_equal(leave_governed(fd, rows, 8), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keys_are_known_or_refused),
	    cmocka_unit_test(keys_are_asked_for_where_there_are_none),
	    cmocka_unit_test(keys_expire),
	    cmocka_unit_test(lists_of_models_need_the_same_key),
	    cmocka_unit_test(a_missing_price_is_loud),
	    cmocka_unit_test(before_anything_is_in_force),
	    cmocka_unit_test(what_is_newer_may_know_better),
	    cmocka_unit_test(changes_are_prepared),
	    cmocka_unit_test(many_flips_leave_nothing_behind),
	    cmocka_unit_test(numbers_of_keys_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

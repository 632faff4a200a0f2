/* Limits that depend on where a request goes: of providers and models, with a key and without. */
#include "tests/unit/proxyd/gate/governed.h"

static struct shm_usage_record rows[8];
static struct bf_conf_provider_limits provider_limits[1];
static struct bf_conf_model_config model_configs[1];
static struct bf_conf_rate_limit rates_of_targets[2];

/* One request to mock; one token and more to the model m2, wherever. */
static void limited(bool keyed)
{
	struct bf_conf_governance *g = &h.config.governance;

	house(0, 1);
	if (keyed) {
		govern_house(&(const struct limits_of){.requests = 9});
		in_force_close(&h.w);
	}
	rates_of_targets[0] = (struct bf_conf_rate_limit){
	    .id = BF_SLICE_LIT("one"),
	    .request_max_limit = 1,
	    .request_reset_duration = BF_SLICE_LIT("1h"),
	};
	provider_limits[0] =
	    (struct bf_conf_provider_limits){.own = {.id = BF_SLICE_LIT("mock"),
						     .name = BF_SLICE_LIT("mock"),
						     .rate_limit_id = BF_SLICE_LIT("one")}};
	model_configs[0] = (struct bf_conf_model_config){
	    .own = {.id = BF_SLICE_LIT("of-m2"),
		    .name = BF_SLICE_LIT("M2"),
		    .rate_limit_id = BF_SLICE_LIT("one")},
	    .model_name = BF_SLICE_LIT("M2"),
	};
	g->providers = (struct bf_array){provider_limits, 1};
	g->model_configs = (struct bf_array){model_configs, 1};
	rates_of_targets[1] = rate_limits[0];
	g->rate_limits = (struct bf_array){rates_of_targets, keyed ? 2 : 1};
	in_force_open(&h.w);
	(void)shm_wall_update(&h.seg, bf_wall_ns(), bf_boot_ns());
	place_meters();
}

static int64_t counted_by(const char *owner)
{
	const struct bf_plan *plan = &in_force_plan;
	struct shm_meter_info info;

	for (uint32_t i = 0; i < plan->limit_count; i++) {
		if (!bf_slice_is(plan->limits[i].owner_id, owner))
			continue;
		uint32_t m = shm_meter_find(&h.seg, plan->limits[i].identity);
		assert_true(shm_meter_read(&h.seg, m, &info));
		return info.value;
	}
	fail_msg("no such owner");
	return -1;
}

/* A provider's limit holds for those without a key too, in a house that knows no keys at all. */
static void without_keys(void **state)
{
	(void)state;
	limited(false);
	(void)ask(STEPS(200), "", false, "");
	has(" 200 ");
	assert_int_equal(counted_by("mock"), 1);
	int fd = ask(STEPS(200), "", false, "");
	has(" 429 ");
	has("\"type\":\"request_limited\"");
	has("provider \\\"mock\\\": request limit exceeded: 1/1 requests per 1h");
	assert_int_equal(leave_governed(fd, rows, 8), 1);
	assert_int_equal(rows[0].meter_count, 1);
	assert_string_equal(rows[0].virtual_key_id, "");
}

/* Who is refused by the limit of one target asks the next; each meets limits of its own. */
static void the_next_target_may_pass(void **state)
{
	(void)state;
	limited(true);
	(void)ask(STEPS(200), KEY_A, false, FALLBACKS);
	assert_string_equal(asked, "mock/k1 ");
	(void)ask(STEPS(200), KEY_A, false, FALLBACKS);
	has(" 200 ");
	assert_string_equal(asked, "mock/k1 second/k1 ");
	assert_int_equal(counted_by("mock"), 1);
	assert_int_equal(counted_by("of-m2"), 1);
	assert_int_equal(counted_by("vk-a"), 2);
	(void)ask(STEPS(200), KEY_A, false, FALLBACKS);
	has(" 200 ");
	assert_string_equal(asked, "mock/k1 second/k1 third/k1 ");
	int fd = ask(STEPS(200), KEY_A, false, ",\"fallbacks\":[\"second/m2\"]");
	has(" 429 ");
	has("provider \\\"mock\\\"");
	assert_int_equal(counted_by("vk-a"), 3);
	assert_int_equal(leave_governed(fd, rows, 8), 3);
	assert_int_equal(rows[0].meter_count, 2);
	assert_int_equal(rows[1].meter_count, 2);
	assert_int_equal(rows[2].meter_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_keys),
	    cmocka_unit_test(the_next_target_may_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

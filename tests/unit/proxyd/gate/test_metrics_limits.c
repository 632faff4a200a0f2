/* How limits stand, as samples. */
#include "proxyd/gate/metrics_limits.h"
#include "tests/unit/proxyd/gate/governed.h"

static struct shm_usage_record rows[8];
static struct bf_buf out;

static const char *samples_of(int (*write)(const struct worker *w, struct bf_buf *out))
{
	bf_buf_clear(&out);
	metrics_limits_follow(&h.w);
	assert_int_equal(write(&h.w, &out), 0);
	assert_int_equal(bf_buf_append(&out, "", 1), 0);
	return bf_buf_slice(&out).ptr;
}

#define LABELS(limit, quantity, window)                                             \
	"{owner=\"virtual_key\",owner_id=\"vk-a\",owner_name=\"team "               \
	"a\",virtual_key_id=\"vk-a\",virtual_key_name=\"team a\",limit_id=\"" limit \
	"\",quantity=\"" quantity "\",window=\"" window "\"} "

static void held_and_settled_are_told_apart(void **state)
{
	const struct bf_plan *plan;
	struct shm_meter_info info;

	(void)state;
	bf_buf_init(&out, 1 << 20);
	governed(10, 1000, 2, INT64_C(2500000000));
	plan = &in_force_plan;
	script = STEPS(HOLD);
	int fd = send_request(KEY_A, false, ",\"max_tokens\":10");
	harness_turns(&h, 4);
	const char *text = samples_of(metrics_limits_held);
	assert_non_null(strstr(text, "bifrost_limit_held" LABELS("rl", "requests", "1h") "1\n"));
	assert_non_null(
	    strstr(text, "bifrost_limit_held" LABELS("rl", "concurrent_requests", "") "1\n"));
	assert_non_null(strstr(text, LABELS("b", "cost", "1h") "0.0000000"));
	text = samples_of(metrics_limits_settled);
	assert_non_null(strstr(text, "bifrost_limit_settled" LABELS("rl", "tokens", "1h") "0\n"));
	held->sink->on_usage(held, 3, 4, 0);
	act(held, 200);
	/* As writerd does once the row is written. */
	for (uint32_t i = 0; i < plan->limit_count; i++) {
		uint32_t m = shm_meter_find(&h.seg, plan->limits[i].identity);
		assert_true(shm_meter_read(&h.seg, m, &info));
		shm_meter_set_settled(&h.seg, m, info.epoch, info.value);
	}
	assert_non_null(
	    strstr(samples_of(metrics_limits_settled), LABELS("rl", "tokens", "1h") "7\n"));
	assert_non_null(
	    strstr(samples_of(metrics_limits_held), LABELS("rl", "tokens", "1h") "0\n"));
	assert_string_equal(samples_of(metrics_limits_left_out), "bifrost_limits_left_out 0\n");
	assert_int_equal(leave_governed(fd, rows, 8), 1);
	bf_buf_done(&out);
}

static void without_governance_there_are_none(void **state)
{
	(void)state;
	bf_buf_init(&out, 1 << 20);
	house(0, 1);
	assert_string_equal(samples_of(metrics_limits_held), "");
	assert_string_equal(samples_of(metrics_limits_left_out), "bifrost_limits_left_out 0\n");
	assert_int_equal(leave(harness_client(&h), rows, 8), 0);
	bf_buf_done(&out);
}

static void so_many_are_told(void **state)
{
	enum {
		MANY = 1200
	};
	static struct bf_conf_virtual_key many[MANY];
	static struct bf_conf_model_config models[MANY];
	static char names[MANY][16];
	static struct bf_conf_team team = {
	    .own = {.id = {"t", 1}, .name = {"blue", 4}, .rate_limit_id = {"rl", 2}}};
	size_t lines = 0;

	(void)state;
	bf_buf_init(&out, 1 << 20);
	house(0, 1);
	rate_limits[0] =
	    (struct bf_conf_rate_limit){.id = BF_SLICE_LIT("rl"), .concurrent_max_limit = 1};
	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "sk-bf-%u", i);
		many[i] = (struct bf_conf_virtual_key){.own.id = bf_slice_from(names[i]),
						       .own.name = bf_slice_from(names[i]),
						       .value = bf_slice_from(names[i]),
						       .is_active = true,
						       .own.rate_limit_id = BF_SLICE_LIT("rl")};
		models[i] = (struct bf_conf_model_config){.own = many[i].own,
							  .model_name = BF_SLICE_LIT("m"),
							  .scope = BF_MODEL_VIRTUAL_KEY,
							  .scope_id = many[i].own.id};
	}
	h.config.governance.model_configs = (struct bf_array){models, MANY};
	h.config.governance.teams = (struct bf_array){&team, 1};
	h.config.governance.virtual_keys = (struct bf_array){many, MANY};
	h.config.governance.rate_limits = (struct bf_array){rate_limits, 1};
	in_force_open(&h.w);
	place_meters();
	/* As writerd counts them. */
	shm_metric_set(&h.seg, h.slot, SHM_M_LIMITS, in_force_plan.limit_count);
	const char *text = samples_of(metrics_limits_held);
	for (const char *at = text; *at; at++)
		lines += *at == '\n';
	assert_int_equal(lines, TOLD_MAX);
	/* Before all keys, of whom each is one of many. */
	assert_ptr_equal(strstr(text, "bifrost_limit_held{owner=\"team\",owner_id=\"t\","
				      "owner_name=\"blue\",virtual_key_id=\"\","
				      "virtual_key_name=\"\",limit_id=\"rl\","),
			 text);
	assert_non_null(strstr(text, "bifrost_limit_held{owner=\"model_config\","
				     "owner_id=\"sk-bf-0\",owner_name=\"m\","
				     "virtual_key_id=\"sk-bf-0\",virtual_key_name=\"\","));
	assert_string_equal(samples_of(metrics_limits_left_out), "bifrost_limits_left_out 1401\n");
	in_force_close(&h.w);
	assert_int_equal(leave(harness_client(&h), rows, 8), 0);
	bf_buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(held_and_settled_are_told_apart),
	    cmocka_unit_test(without_governance_there_are_none),
	    cmocka_unit_test(so_many_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

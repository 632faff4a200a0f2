/* Budgets that the API raises for a time: what the owner's entity says then, in force and behind a
 * restart, and what is refused. */
#include "tests/unit/writerd/entities_bed.h"

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/codec/json_writer.h"
#include "shm/wall.h"

#define VK       BF_ENTITY_VIRTUAL_KEY
#define TEAM     BF_ENTITY_TEAM
#define UPDATE   BF_ENTITY_UPDATE
#define OVERRIDE BF_ENTITY_BUDGET_OVERRIDE

#define PLAIN "providers: {mock: {}}\n"

static struct bed b;
static struct bf_arena arena;

static int open_bed(void **state)
{
	(void)state;
	bf_arena_init(&arena, 16 << 20);
	bed_open(&b, PLAIN);
	(void)shm_wall_update(&b.c.seg, bf_wall_ns(), bf_boot_ns());
	bed_ask_well(&b, BF_ENTITY_CREATE, VK, "k",
		     "{\"name\":\"ops\",\"budgets\":[{\"id\":\"b\",\"max_limit\":1.5,"
		     "\"reset_duration\":\"1d\"}],\"provider_configs\":[{\"provider\":\"mock\","
		     "\"budgets\":[{\"id\":\"pb\",\"max_limit\":2,\"reset_duration\":\"1d\"}]}]}");
	return 0;
}

static int close_bed(void **state)
{
	(void)state;
	bed_close(&b);
	bf_arena_done(&arena);
	return 0;
}

static unsigned ask(uint32_t type, const char *id, const char *budget, const char *json,
		    uint64_t expected)
{
	struct bf_msg_entity_change change = bed_change(OVERRIDE, type, id, json);
	uint32_t before = b.answers;

	change.sub_id = bf_slice_from(budget);
	change.expected_version = expected;
	bed_send(&b, &change);
	bed_settle(&b);
	assert_int_equal(b.answers, before + 1);
	return (unsigned)b.status;
}

static void has(const char *part)
{
	if (!strstr(b.json, part))
		fail_msg("%s is not in %s", part, b.json);
}

static char whole[512];

/* As JSON has it; until the next call. */
static const char *time_text(int64_t ms)
{
	static char text[64];
	struct bf_json_writer w;
	struct bf_buf out;

	bf_buf_init(&out, 64);
	bf_jw_init(&w, &out);
	bf_time_write_json(ms, &w);
	assert_int_equal(bf_jw_finish(&w), 0);
	(void)snprintf(text, sizeof(text), "%.*s", BF_SLICE_FMT(bf_buf_slice(&out)));
	bf_buf_done(&out);
	return text;
}

/* As it is in force. */
static const struct bf_conf_budget *budget(bool of_config)
{
	const struct bf_conf_provider_config *configs;
	struct bf_conf_virtual_key *key;
	struct bf_entity e;

	assert_true(bed_finds(&b, VK, "k", &e));
	bf_arena_reset(&arena);
	key = bf_arena_alloc(&arena, sizeof(*key));
	assert_non_null(key);
	assert_int_equal(bf_entity_decode(&e, key, &arena, NULL), 0);
	configs = key->provider_configs.items;
	return of_config ? configs->own.budgets.items : key->own.budgets.items;
}

static void raised_and_ended(void **state)
{
	int64_t now_ms = bf_wall_ms();

	(void)state;
	assert_int_equal(ask(VK, "k", "b", "{\"amount\":0.25,\"cycles\":3}", 0), 200);
	assert_int_equal(b.version, 2);
	has("\"message\":\"Budget overridden successfully\"");
	has("\"budget\":{\"id\":\"b\"");
	has("\"effective_max_limit\":1.75}");
	assert_int_equal(budget(false)->override_amount_nusd, 250000000);
	assert_int_equal(budget(false)->override_cycles, 3);
	assert_true(budget(false)->override_anchor_ms >= now_ms - 1000);
	assert_true(budget(false)->override_anchor_ms <= now_ms + 10000);
	assert_int_equal(budget(false)->override_until_ms, 0);
	assert_int_equal(budget(true)->override_amount_nusd, 0);

	assert_int_equal(ask(VK, "k", "pb", "{\"amount\":1,\"mode\":\"forever\"}", 2), 200);
	assert_int_equal(budget(true)->override_amount_nusd, 1000000000);
	assert_int_equal(budget(true)->override_cycles, 0);
	assert_int_equal(budget(false)->override_cycles, 3);

	bed_again(&b, PLAIN);
	assert_int_equal(budget(false)->override_amount_nusd, 250000000);
	assert_int_equal(ask(VK, "k", "b", "", 0), 200);
	has("\"effective_max_limit\":1.5}");
	assert_int_equal(budget(false)->override_amount_nusd, 0);
	assert_int_equal(budget(false)->override_anchor_ms, 0);
	assert_int_equal(ask(VK, "k", "b", "", 0), 404);
}

static void until_a_moment(void **state)
{
	(void)state;
	assert_int_equal(ask(VK, "k", "b",
			     "{\"amount\":1,\"mode\":\"until\",\"until\":\"2099-01-01T00:00:00Z\"}",
			     0),
			 200);
	assert_int_equal(budget(false)->override_until_ms, INT64_C(4070908800000));
	assert_int_equal(budget(false)->override_cycles, 0);
	/* The next one takes its place. */
	assert_int_equal(ask(VK, "k", "b", "{\"amount\":2,\"cycles\":1}", 0), 200);
	assert_int_equal(budget(false)->override_until_ms, 0);
	assert_int_equal(budget(false)->override_cycles, 1);
}

static void other_changes_leave_it(void **state)
{
	(void)state;
	assert_int_equal(ask(VK, "k", "b", "{\"amount\":1,\"cycles\":3}", 0), 200);
	bed_ask_well(&b, UPDATE, VK, "k", "{\"name\":\"other\"}");
	assert_int_equal(budget(false)->override_amount_nusd, 1000000000);
	bed_ask_well(&b, UPDATE, VK, "k",
		     "{\"budgets\":[{\"max_limit\":9,\"reset_duration\":\"1d\"}]}");
	assert_int_equal(budget(false)->max_limit_nusd, INT64_C(9000000000));
	assert_int_equal(budget(false)->override_amount_nusd, 1000000000);
	assert_int_equal(budget(false)->override_cycles, 3);
	/* As an answer showed it. */
	bed_ask_well(&b, UPDATE, VK, "k",
		     "{\"budgets\":[{\"id\":\"b\",\"max_limit\":8,\"reset_duration\":\"1d\","
		     "\"override_amount\":1,\"override_cycles_total\":3,\"override_anchor_reset\":"
		     "\"2026-01-01T00:00:00Z\",\"override_until\":null,\"effective_max_limit\":9,"
		     "\"override_cycles_remaining\":3,\"override_ends_at\":"
		     "\"2026-01-04T00:00:00Z\"}]}");
	assert_int_equal(budget(false)->override_anchor_ms, INT64_C(1767225600000));
}

/* So many windows of another length, or that begin elsewhere, would be another time. */
static void other_windows_end_it(void **state)
{
	static const char *const bodies[] = {
	    "{\"budgets\":[{\"id\":\"b\",\"max_limit\":1.5,\"reset_duration\":\"1M\"}]}",
	    ("{\"budgets\":[{\"id\":\"b\",\"max_limit\":1.5,\"reset_duration\":\"1d\","
	     "\"last_reset\":\"2026-01-01T06:00:00Z\"}]}"),
	    "{\"calendar_aligned\":true}",
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(bodies); i++) {
		assert_int_equal(ask(VK, "k", "b", "{\"amount\":1,\"cycles\":3}", 0), 200);
		bed_ask_well(&b, UPDATE, VK, "k", bodies[i]);
		assert_int_equal(budget(false)->override_amount_nusd, 0);
		assert_int_equal(budget(false)->override_cycles, 0);
		assert_int_equal(budget(false)->override_anchor_ms, 0);
	}
	/* Also where a client sends back what it was shown. */
	assert_int_equal(ask(VK, "k", "b", "{\"amount\":1,\"cycles\":3}", 0), 200);
	(void)snprintf(whole, sizeof(whole),
		       "{\"budgets\":[{\"id\":\"b\",\"max_limit\":1.5,\"reset_duration\":\"1Y\","
		       "\"override_amount\":1,\"override_cycles_total\":3,"
		       "\"override_anchor_reset\":%s}]}",
		       time_text(budget(false)->override_anchor_ms));
	bed_ask_well(&b, UPDATE, VK, "k", whole);
	assert_int_equal(budget(false)->override_amount_nusd, 0);
	/* What ends at a moment of its own is not of the windows. */
	assert_int_equal(ask(VK, "k", "b",
			     "{\"amount\":1,\"mode\":\"until\",\"until\":\"2099-01-01T00:00:00Z\"}",
			     0),
			 200);
	bed_ask_well(&b, UPDATE, VK, "k", bodies[0]);
	assert_int_equal(budget(false)->override_amount_nusd, 1000000000);
	assert_int_equal(budget(false)->override_until_ms, INT64_C(4070908800000));
}

static void what_is_refused(void **state)
{
	static const struct {
		const char *json, *part;
	} bad[] = {
	    {"{}", "amount"},
	    {"{\"amount\":0,\"cycles\":1}", "amount"},
	    {"{\"amount\":-1,\"cycles\":1}", "amount"},
	    {"{\"amount\":1}", "cycles: is required for mode cycles"},
	    {"{\"amount\":1,\"cycles\":0}", "cycles: is required"},
	    {"{\"amount\":1,\"cycles\":1000000}", "cycles"},
	    {"{\"amount\":1,\"mode\":\"always\"}", "forever"},
	    {"{\"amount\":1,\"mode\":\"forever\",\"cycles\":1}", "remove it"},
	    {"{\"amount\":1,\"mode\":\"until\"}", "until: is required"},
	    {"{\"amount\":1,\"mode\":\"until\",\"until\":\"2020-01-01T00:00:00Z\"}", "is over"},
	    {"{\"amount\":1,\"cycles\":1,\"until\":\"2099-01-01T00:00:00Z\"}", "remove it"},
	    {"{\"amount\":1999999999,\"cycles\":1}", "more than 2000000000 together"},
	    {"{\"amount\":1,\"cycles\":1,\"what\":1}", "what"},
	    {"[]", "object"},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(bad); i++) {
		assert_int_equal(ask(VK, "k", "b", bad[i].json, 0), 400);
		has(bad[i].part);
	}
	assert_int_equal(ask(VK, "k", "x", "{\"amount\":1,\"cycles\":1}", 0), 404);
	has("no budget with the id");
	assert_int_equal(ask(VK, "x", "b", "{\"amount\":1,\"cycles\":1}", 0), 404);
	assert_int_equal(ask(TEAM, "k", "b", "{\"amount\":1,\"cycles\":1}", 0), 404);
	assert_int_equal(ask(BF_ENTITY_API_KEY, "k", "b", "{\"amount\":1,\"cycles\":1}", 0), 400);
	assert_int_equal(ask(VK, "k", "b", "{\"amount\":1,\"cycles\":1}", 7), 409);
	has("version_conflict");
	assert_int_equal(ask(VK, "k", "b", "", 7), 409);
	assert_int_equal(budget(false)->override_amount_nusd, 0);
	assert_int_equal(ask(VK, "k", "b", "{\"amount\":1,\"cycles\":1}", 1), 200);
}

#define BED_TEST(f) cmocka_unit_test_setup_teardown(f, open_bed, close_bed)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BED_TEST(raised_and_ended),       BED_TEST(until_a_moment),
	    BED_TEST(other_changes_leave_it), BED_TEST(other_windows_end_it),
	    BED_TEST(what_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

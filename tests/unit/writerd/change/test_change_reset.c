/* Resets of usage as workers ask for them: what limits are asked for, what is answered, and that
 * the group they came with is done before. */
#include "tests/unit/writerd/entities_bed.h"

#include "writerd/limits/limits_reset.h"

#define VK    BF_ENTITY_VIRTUAL_KEY
#define TEAM  BF_ENTITY_TEAM
#define RESET BF_ENTITY_RESET_USAGE
#define PLAIN "providers: {mock: {}}\n"

static struct bed b;

/* What limits were asked for, and what they say. */
static struct {
	uint32_t asked, type;
	char id[64], limit_id[64];
	enum limits_reset_verdict verdict;
	bool key_was_there;
} played;

static int play(void *owner, struct limits_reset *reset)
{
	static struct limits_forgiven items[2];

	played.asked++;
	played.type = reset->type;
	(void)snprintf(played.id, sizeof(played.id), "%.*s", BF_SLICE_FMT(reset->id));
	(void)snprintf(played.limit_id, sizeof(played.limit_id), "%.*s",
		       BF_SLICE_FMT(reset->limit_id));
	played.key_was_there =
	    entities_live(((struct bed *)owner)->r.t, VK, BF_SLICE_LIT("late")) != NULL;
	for (int i = 0; i < 2; i++)
		items[i] = (struct limits_forgiven){
		    .limit = {.quantity = i ? BF_QUANTITY_NUSD : BF_QUANTITY_TOKENS,
			      .owner = BF_OWNER_TEAM,
			      .owner_id = BF_SLICE_LIT("t"),
			      .limit_id = bf_slice_from(i ? "b" : "r"),
			      .window = {.kind = BF_WINDOW_DAY}},
		    .window = 1,
		    .amount = i ? 1500000000 : 7};
	reset->forgiven = (struct bf_array){items, 2};
	(void)bf_err_set(&reset->err, BF_E_FULL, "the disk is full");
	return (int)played.verdict;
}

static int open_bed(void **state)
{
	(void)state;
	memset(&played, 0, sizeof(played));
	bed_open(&b, PLAIN);
	b.r.on_reset = play;
	bed_ask_well(&b, BF_ENTITY_CREATE, TEAM, "t", "{\"name\":\"blue\"}");
	return 0;
}

static int close_bed(void **state)
{
	(void)state;
	bed_close(&b);
	return 0;
}

static unsigned ask(uint32_t type, const char *id, const char *limit_id, uint64_t expected)
{
	struct bf_msg_entity_change change = bed_change(RESET, type, id, "");

	change.sub_id = bf_slice_from(limit_id);
	change.expected_version = expected;
	bed_send(&b, &change);
	bed_settle(&b);
	return (unsigned)b.status;
}

static void has(const char *part)
{
	if (!strstr(b.json, part))
		fail_msg("%s is not in %s", part, b.json);
}

static void what_is_answered(void **state)
{
	uint32_t overlays = b.overlays;

	(void)state;
	assert_int_equal(ask(TEAM, "t", "", 0), 200);
	assert_int_equal(played.type, TEAM);
	assert_string_equal(played.id, "t");
	assert_string_equal(played.limit_id, "");
	has("{\"owner_type\":\"team\",\"owner_id\":\"t\",\"limit_id\":\"r\",\"quantity\":"
	    "\"tokens\",\"forgiven\":7,\"window_start\":\"1970-01-02T00:00:00");
	has("\"limit_id\":\"b\",\"quantity\":\"cost\",\"forgiven\":1.5,");
	/* Nothing of the team changed. */
	assert_int_equal(b.version, 1);
	assert_int_equal(b.overlays, overlays);
	assert_int_equal(ask(TEAM, "t", "r", 1), 200);
	assert_string_equal(played.limit_id, "r");
	assert_int_equal(played.asked, 2);
}

static void what_is_refused(void **state)
{
	(void)state;
	assert_int_equal(ask(TEAM, "x", "", 0), 404);
	assert_int_equal(ask(TEAM, "t", "", 2), 409);
	has("version_conflict");
	assert_int_equal(ask(BF_ENTITY_API_KEY, "t", "", 0), 400);
	assert_int_equal(played.asked, 0);
	played.verdict = LIMITS_RESET_UNKNOWN;
	assert_int_equal(ask(TEAM, "t", "b", 0), 404);
	has("no limit with the id \\\"b\\\"");
	played.verdict = LIMITS_RESET_NO_STORE;
	assert_int_equal(ask(TEAM, "t", "", 0), 409);
	has("logs_store_off");
	played.verdict = LIMITS_RESET_NOT_READY;
	assert_int_equal(ask(TEAM, "t", "", 0), 503);
	has("limits_not_ready");
	played.verdict = LIMITS_RESET_FAILED;
	assert_int_equal(ask(TEAM, "t", "", 0), 503);
	has("the disk is full");
}

/* Limits that the same group brings are there when it is reset. */
static void behind_its_group(void **state)
{
	const struct bf_msg_entity_change first =
	    bed_change(BF_ENTITY_CREATE, VK, "k", "{\"name\":\"k\"}");
	const struct bf_msg_entity_change reset = bed_change(RESET, TEAM, "t", "");
	const struct bf_msg_entity_change late =
	    bed_change(BF_ENTITY_CREATE, VK, "late", "{\"name\":\"late\"}");
	uint32_t before = b.answers;

	(void)state;
	/* The first flies alone; the others wait for it. */
	bed_send(&b, &first);
	bed_send(&b, &reset);
	bed_send(&b, &late);
	assert_int_equal(played.asked, 0);
	bed_settle(&b);
	assert_int_equal(b.answers, before + 3);
	assert_int_equal(played.asked, 1);
	assert_true(played.key_was_there);
	assert_true(bed_finds(&b, VK, "late", NULL));
}

/* Usage is no configuration. */
static void also_without_a_config_store(void **state)
{
	(void)state;
	bed_again(&b, "config_store: {enabled: false}\n" PLAIN
		      "governance: {teams: [{id: f, name: file}]}\n");
	b.r.on_reset = play;
	assert_int_equal(ask(TEAM, "f", "", 0), 200);
	b.r.on_reset = NULL;
	assert_int_equal(ask(TEAM, "f", "", 0), 503);
}

#define BED_TEST(f) cmocka_unit_test_setup_teardown(f, open_bed, close_bed)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BED_TEST(what_is_answered),
	    BED_TEST(what_is_refused),
	    BED_TEST(behind_its_group),
	    BED_TEST(also_without_a_config_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

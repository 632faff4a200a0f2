/* The bound on limits of one request is never below what a worker's plan finds. */
#include "tests/unit/writerd/entities_bed.h"

#define MODEL  BF_ENTITY_MODEL_CONFIG
#define CREATE BF_ENTITY_CREATE
#define UPDATE BF_ENTITY_UPDATE

#define PLAIN "providers: {mock: {}}\n"

static struct bed b;

/* What workers would make of what is in force. */
static void everybodys_plan_can_be_made(void)
{
	const struct bf_snapshot s = bed_now(&b);
	struct bf_config config;
	struct bf_arena arena;
	struct bf_plan plan;
	struct bf_err err = {0};

	bf_arena_init(&arena, 16 << 20);
	assert_int_equal(bf_snapshot_common_config(&s, &arena, &config, &err), 0);
	if (bf_plan_make(&plan, &config, &arena, &err) < 0)
		fail_msg("%s", err.text);
	bf_arena_done(&arena);
}

/* One model by several names: a request to it meets the limits of all. */
static void limits_of_all_names_of_a_model_add_up(void **state)
{
	static const char *const again[] = {"GPT", "vendor/gpt", "Vendor/Gpt", "mock/mock/gpt"};
	char budgets[2048], json[4096];
	size_t at = 0;

	(void)state;
	for (int i = 1; i <= 25; i++)
		at += (size_t)snprintf(budgets + at, sizeof(budgets) - at,
				       "%s{\"max_limit\":1,\"reset_duration\":\"%dh\"}",
				       i > 1 ? "," : "", i);
	bed_open(&b, PLAIN);
	(void)snprintf(json, sizeof(json), "{\"model_name\":\"gpt\",\"budgets\":[%s]}", budgets);
	bed_ask_well(&b, CREATE, MODEL, "", json);
	for (size_t i = 0; i < BF_ARRAY_LEN(again); i++) {
		(void)snprintf(json, sizeof(json), "{\"model_name\":\"%s\",\"budgets\":[%s]}",
			       again[i], budgets);
		bed_ask_badly(&b, CREATE, MODEL, "", json, 400, "at most 40 can be decided");
	}
	/* No request is to both. */
	(void)snprintf(json, sizeof(json), "{\"model_name\":\"other\",\"budgets\":[%s]}", budgets);
	bed_ask_well(&b, CREATE, MODEL, "o", json);
	bed_ask_well(&b, UPDATE, MODEL, "o", json);
	everybodys_plan_can_be_made();
	bed_close(&b);
}

static void a_model_of_any_name(char *json, size_t room)
{
	static const char *const names[] = {"a",   "A",         "v/a",    "V/A",    "w/v/a",
					    "v/A", "other/v/a", "mock/a", "muck/a", "b",
					    "v/b", "mock/v/b",  "*"};
	static const char *const providers[] = {"", ",\"provider\":\"mock\"",
						",\"provider\":\"muck\""};
	size_t at = (size_t)snprintf(json, room, "{\"model_name\":\"%s\"%s,\"budgets\":[",
				     names[(size_t)rand() % BF_ARRAY_LEN(names)],
				     providers[(size_t)rand() % BF_ARRAY_LEN(providers)]);

	for (int i = 1 + rand() % 16; i > 0; i--)
		at += (size_t)snprintf(json + at, room - at,
				       "{\"max_limit\":1,\"reset_duration\":\"%dh\"}%s", i,
				       i > 1 ? "," : "");
	(void)snprintf(json + at, room - at, "]}");
}

/* Whatever is let in, workers can make a plan of it; and a good deal is let in. */
static void what_is_let_in_can_be_planned(void **state)
{
	unsigned in = 0, out = 0;
	char json[2048];

	(void)state;
	srand(11);
	for (int round = 0; round < 6; round++) {
		bed_open(&b, "providers: {mock: {}, muck: {custom_provider_config: "
			     "{base_provider_type: openai}, network_config: {base_url: "
			     "'http://127.0.0.1:1'}}}\n");
		for (int i = 0; i < 40; i++) {
			a_model_of_any_name(json, sizeof(json));
			unsigned status = bed_ask(&b, CREATE, MODEL, "", json);

			in += status == 201;
			out += status == 400;
			everybodys_plan_can_be_made();
		}
		bed_close(&b);
	}
	assert_true(in > 60);
	assert_true(out > 10);
}

/* Without a look at all of them, and with one, the answer is the same. */
static void what_was_large_once_is_not_forgotten(void **state)
{
	char budgets[2048], json[4096];
	size_t at = 0;

	(void)state;
	for (int i = 1; i <= 25; i++)
		at += (size_t)snprintf(budgets + at, sizeof(budgets) - at,
				       "%s{\"max_limit\":1,\"reset_duration\":\"%dh\"}",
				       i > 1 ? "," : "", i);
	bed_open(&b, PLAIN);
	bed_ask_well(&b, CREATE, BF_ENTITY_TEAM, "t", "{\"name\":\"t\"}");
	bed_ask_well(&b, CREATE, BF_ENTITY_VIRTUAL_KEY, "k", "{\"name\":\"k\",\"team_id\":\"t\"}");
	(void)snprintf(json, sizeof(json), "{\"budgets\":[%s]}", budgets);
	bed_ask_well(&b, UPDATE, BF_ENTITY_VIRTUAL_KEY, "k", json);
	bed_ask_badly(&b, UPDATE, BF_ENTITY_TEAM, "t", json, 400, "might meet 50 limits");
	/* Of another team it is nobody's. */
	bed_ask_well(&b, CREATE, BF_ENTITY_TEAM, "u", "{\"name\":\"u\"}");
	bed_ask_well(&b, UPDATE, BF_ENTITY_TEAM, "u", json);
	bed_ask_badly(&b, UPDATE, BF_ENTITY_VIRTUAL_KEY, "k", "{\"team_id\":\"u\"}", 400,
		      "at most 40 can be decided");
	bed_ask_well(&b, UPDATE, BF_ENTITY_VIRTUAL_KEY, "k", "{\"budgets\":[]}");
	bed_ask_well(&b, UPDATE, BF_ENTITY_TEAM, "t", json);
	bed_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(limits_of_all_names_of_a_model_add_up),
	    cmocka_unit_test(what_is_let_in_can_be_planned),
	    cmocka_unit_test(what_was_large_once_is_not_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

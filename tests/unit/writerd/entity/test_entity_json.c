/* Entities as clients see them: every field but secrets, usage where it is known, limits with and
 * without their owners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/schema/model_catalog.h"
#include "writerd/entity/entity_json.h"

static struct bf_buf out;
static char text[16384];

static int setup(void **state)
{
	(void)state;
	bf_buf_init(&out, sizeof(text) - 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_buf_done(&out);
	return 0;
}

static void finish(struct bf_json_writer *w)
{
	assert_int_equal(bf_jw_finish(w), 0);
	(void)snprintf(text, sizeof(text), "%.*s", BF_SLICE_FMT(bf_buf_slice(&out)));
	bf_buf_clear(&out);
}

static void has(const char *part)
{
	if (!strstr(text, part))
		fail_msg("%s is not in %s", part, text);
}

static void lacks(const char *part)
{
	if (strstr(text, part))
		fail_msg("%s is in %s", part, text);
}

static bool used(void *ctx, struct bf_slice owner_id, struct bf_slice limit_id,
		 enum bf_quantity quantity, struct entity_usage *ret_usage)
{
	(void)ctx;
	*ret_usage =
	    (struct entity_usage){.used = 1500000000, .held = 2, .start_ms = 1000, .end_ms = 61000};
	if (bf_slice_is(owner_id, "pc") && bf_slice_is(limit_id, "r") &&
	    quantity == BF_QUANTITY_TOKENS) {
		ret_usage->used = 7;
		return true;
	}
	return bf_slice_is(owner_id, "k") && bf_slice_is(limit_id, "b") &&
	       quantity == BF_QUANTITY_NUSD;
}

static struct bf_conf_budget budget = {.id = BF_SLICE_INIT("b"),
				       .max_limit_nusd = 2500000000,
				       .reset_duration = BF_SLICE_INIT("1m"),
				       .quarter_start_month = 1};
static struct bf_conf_rate_limit rate = {
    .id = BF_SLICE_INIT("r"), .token_max_limit = 10, .token_reset_duration = BF_SLICE_INIT("1h")};

static void write_key(const struct entity_usages *usages, const char *value, uint32_t flags)
{
	struct bf_conf_provider_config config = {
	    .own = {.id = BF_SLICE_LIT("pc"), .rate_limit = {&rate, 1}},
	    .provider = BF_SLICE_LIT("openai"),
	    .weight_micro = BF_WEIGHT_NONE};
	struct bf_conf_virtual_key key = {
	    .own = {.id = BF_SLICE_LIT("k"), .name = BF_SLICE_LIT("key"), .budgets = {&budget, 1}},
	    .value = BF_SLICE_LIT("sk-bf-secret"),
	    .value_hint = BF_SLICE_LIT("cret"),
	    .is_active = true,
	    .provider_configs = {&config, 1}};
	const struct bf_entity e = {.type = BF_ENTITY_VIRTUAL_KEY,
				    .flags = flags,
				    .version = 3,
				    .created_ms = 1763721600123,
				    .updated_ms = 1763721600456,
				    .id = BF_SLICE_LIT("k")};
	const struct bf_entity_def *def = bf_entity_def(BF_ENTITY_VIRTUAL_KEY);
	struct bf_json_writer w;

	bf_jw_init(&w, &out);
	if (value)
		entity_json_once(&w, def, &e, &key, bf_slice_from(value));
	else
		entity_json(&w, def, &e, &key, usages);
	finish(&w);
}

static void a_key(void **state)
{
	const struct entity_usages usages = {.of = used};

	(void)state;
	write_key(&usages, NULL, BF_ENTITY_FROM_FILE);
	has("{\"id\":\"k\",\"name\":\"key\",");
	has("\"value_hint\":\"cret\"");
	has("\"team_id\":null");
	has("\"expires_at\":null");
	has("\"budgets\":[{\"id\":\"b\",\"max_limit\":2.5,\"reset_duration\":\"1m\"");
	has("\"current_usage\":1.5,\"held\":0.000000002,"
	    "\"window_start\":\"1970-01-01T00:00:01.000Z\","
	    "\"window_end\":\"1970-01-01T00:01:01.000Z\"}]");
	has("\"rate_limit\":null");
	has("\"provider\":\"openai\",\"weight\":null");
	has("\"rate_limit\":{\"id\":\"r\"");
	has("\"token_current_usage\":7,\"token_held\":2,\"token_window_start\":");
	lacks("request_current_usage");
	has("\"version\":3,\"created_at\":\"2025-11-21T10:40:00.123Z\","
	    "\"updated_at\":\"2025-11-21T10:40:00.456Z\",\"from_file\":true}");
	lacks("sk-bf-secret");
	lacks("quarantined");
	lacks("virtual_key_id");
	lacks("\"budget\":");
}

static bool raised(void *ctx, struct bf_slice owner_id, struct bf_slice limit_id,
		   enum bf_quantity quantity, struct entity_usage *ret_usage)
{
	(void)owner_id;
	(void)limit_id;
	*ret_usage = *(const struct entity_usage *)ctx;
	return quantity == BF_QUANTITY_NUSD;
}

static void an_override(void **state)
{
	struct entity_usage u = {
	    .extra = 500000000, .extra_windows = 2, .extra_end_ms = 1763721600000};
	const struct entity_usages usages = {.of = raised, .ctx = &u};

	(void)state;
	budget.override_amount_nusd = 500000000;
	budget.override_cycles = 3;
	budget.override_anchor_ms = 1763721000000;
	write_key(&usages, NULL, 0);
	has("\"override_amount\":0.5,\"override_cycles_total\":3,\"override_anchor_reset\":"
	    "\"2025-11-21T10:30:00");
	has("\"effective_max_limit\":3,\"override_cycles_remaining\":2,\"override_ends_at\":"
	    "\"2025-11-21T10:40:00");
	/* It is over. */
	u.extra = u.extra_windows = 0;
	write_key(&usages, NULL, 0);
	has("\"effective_max_limit\":2.5,\"override_cycles_remaining\":0,");
	/* One without an end. */
	u = (struct entity_usage){.extra = 500000000, .extra_end_ms = INT64_MAX};
	budget.override_cycles = 0;
	write_key(&usages, NULL, 0);
	has("\"effective_max_limit\":3,\"current_usage\"");
	budget.override_amount_nusd = budget.override_anchor_ms = 0;
	write_key(&usages, NULL, 0);
	has("\"override_amount\":0,\"override_cycles_total\":0,\"override_anchor_reset\":null,"
	    "\"override_until\":null,\"current_usage\"");
}

static void without_usage(void **state)
{
	(void)state;
	write_key(NULL, NULL, BF_ENTITY_QUARANTINED);
	lacks("current_usage");
	has("\"from_file\":false,\"quarantined\":true}");
}

static void a_value_is_shown_once(void **state)
{
	(void)state;
	write_key(NULL, "sk-bf-new", 0);
	has("\"value\":\"sk-bf-new\"");
	lacks("sk-bf-secret");
}

static void a_password_is_not_shown(void **state)
{
	const struct bf_conf_auth_config auth = {.id = BF_SLICE_LIT("auth"),
						 .is_enabled = true,
						 .admin_username = BF_SLICE_LIT("root"),
						 .admin_password = BF_SLICE_LIT("horse")};
	const struct bf_entity e = {.type = BF_ENTITY_AUTH_CONFIG, .id = BF_SLICE_LIT("auth")};
	const struct bf_entity_def *def = bf_entity_def(BF_ENTITY_AUTH_CONFIG);
	struct bf_json_writer w;

	(void)state;
	assert_non_null(def);
	bf_jw_init(&w, &out);
	entity_json(&w, def, &e, &auth, NULL);
	finish(&w);
	has("\"admin_username\":\"root\"");
	lacks("horse");
	lacks("password");
}

/* Empty lists of models: a key's is all, a provider's is none. */
static void lists_of_models(void **state)
{
	const struct bf_model_catalog catalog = {.provider = BF_SLICE_LIT("p")};
	const struct bf_conf_provider_key key = {.id = BF_SLICE_LIT("k"),
						 .name = BF_SLICE_LIT("k")};
	struct bf_entity e = {.type = BF_ENTITY_MODEL_CATALOG, .id = BF_SLICE_LIT("p")};
	struct bf_json_writer w;

	(void)state;
	bf_jw_init(&w, &out);
	entity_json(&w, bf_entity_def(BF_ENTITY_MODEL_CATALOG), &e, &catalog, NULL);
	finish(&w);
	has("\"models\":[]");
	e = (struct bf_entity){.type = BF_ENTITY_PROVIDER, .id = BF_SLICE_LIT("k")};
	bf_jw_init(&w, &out);
	entity_json(&w, bf_entity_part(BF_ENTITY_PROVIDER), &e, &key, NULL);
	finish(&w);
	has("\"models\":[\"*\"]");
}

static void limits_apart(void **state)
{
	const struct bf_conf_owner own = {.id = BF_SLICE_LIT("k"), .name = BF_SLICE_LIT("key")};
	const struct entity_usages usages = {.of = used};
	struct bf_json_writer w;

	(void)state;
	bf_jw_init(&w, &out);
	entity_budget_json(&w, &budget, "virtual_key", &own, &usages);
	finish(&w);
	has("\"current_usage\":1.5");
	has("\"owner_type\":\"virtual_key\",\"owner_id\":\"k\",\"owner_name\":\"key\"}");
	bf_jw_init(&w, &out);
	entity_rate_limit_json(&w, &rate, NULL, NULL, NULL);
	finish(&w);
	has("\"token_max_limit\":10");
	lacks("owner");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_key),
	    TEST(an_override),
	    TEST(without_usage),
	    TEST(a_value_is_shown_once),
	    TEST(a_password_is_not_shown),
	    TEST(lists_of_models),
	    TEST(limits_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

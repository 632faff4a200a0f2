/* The registry: every type whole, bodies there and back, no secret in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/schema/config.h"
#include "common/schema/config_auth.h"
#include "common/snapshot/entity.h"

#define TEXT(s) BF_SLICE_INIT(s)

static void every_type(void **state)
{
	uint32_t known = 0;

	(void)state;
	for (uint32_t t = 0; t < BF_ENTITY_TYPE_MAX; t++) {
		const struct bf_entity_def *def = bf_entity_def(t);

		if (!def)
			continue;
		known++;
		assert_int_equal(bf_entity_type_of(bf_slice_from(def->name)), t);
		assert_non_null(def->plural);
		assert_true(def->id_offset + sizeof(struct bf_slice) <= def->table->size);
		assert_true(def->name_offset + sizeof(struct bf_slice) <= def->table->size);
		assert_true(def->scope_offset + sizeof(struct bf_slice) <= def->table->size);
		assert_true(def->value_offset + sizeof(struct bf_slice) <= def->table->size);
	}
	assert_true(known >= 13);
	assert_null(bf_entity_def(0));
	assert_null(bf_entity_def(BF_ENTITY_TYPE_MAX));
	assert_null(bf_entity_def(UINT32_MAX));
	assert_int_equal(bf_entity_type_of(BF_SLICE_LIT("")), 0);
	assert_int_equal(bf_entity_type_of(BF_SLICE_LIT("virtual_keys")), 0);
}

/* One whose id is no member, and one that consists of parts. */
static void clients_and_providers(void **state)
{
	const struct bf_entity_def *part = bf_entity_part(BF_ENTITY_PROVIDER);
	struct bf_conf_client client, back;
	struct bf_arena arena;
	struct bf_entity e;
	struct bf_buf body;

	(void)state;
	bf_buf_init(&body, 1 << 16);
	bf_arena_init(&arena, 1 << 16);
	assert_int_equal(
	    bf_table_defaults(bf_entity_def(BF_ENTITY_CLIENT_CONFIG)->table, &client, &arena), 0);
	client.drop_excess_requests = client.enable_logging = true;
	assert_int_equal(bf_entity_encode(BF_ENTITY_CLIENT_CONFIG, &client, &body, &e), 0);
	assert_true(bf_slice_is(e.id, "client"));
	assert_int_equal(bf_entity_decode(&e, &back, &arena, NULL), 0);
	assert_true(back.drop_excess_requests);
	/* What cannot change while workers serve is not part of it. */
	assert_false(back.enable_logging);
	assert_string_equal(part->name, "key");
	assert_int_equal(part->table->size, sizeof(struct bf_conf_provider_key));
	assert_null(bf_entity_part(BF_ENTITY_TEAM));
	bf_arena_done(&arena);
	bf_buf_done(&body);
}

static void a_key_without_its_value(void **state)
{
	struct bf_conf_budget budget = {.id = TEXT("b"),
					.max_limit_nusd = 5,
					.reset_duration = TEXT("1h"),
					.quarter_start_month = 1};
	struct bf_conf_rate_limit rate = {.id = TEXT("r"), .concurrent_max_limit = 3};
	struct bf_conf_provider_config config = {
	    .own.id = TEXT("c"), .provider = TEXT("openai"), .weight_micro = BF_WEIGHT_NONE};
	struct bf_conf_virtual_key key = {.own = {.id = TEXT("k"),
						  .name = TEXT("Key"),
						  .budgets = {&budget, 1},
						  .rate_limit = {&rate, 1}},
					  .value = TEXT("sk-bf-hidden"),
					  .team_id = TEXT("t"),
					  .provider_configs = {&config, 1},
					  .expires_at_ms = 77};
	struct bf_conf_virtual_key back;
	struct bf_entity e;
	struct bf_arena arena;
	struct bf_buf body;

	(void)state;
	bf_arena_init(&arena, 1 << 16);
	bf_buf_init(&body, 1 << 16);
	assert_int_equal(bf_buf_append(&body, "before", 6), 0);
	assert_int_equal(bf_entity_encode(BF_ENTITY_VIRTUAL_KEY, &key, &body, &e), 0);
	assert_int_equal(e.type, BF_ENTITY_VIRTUAL_KEY);
	assert_true(bf_slice_is(e.id, "k") && bf_slice_is(e.name, "Key") && e.scope.len == 0);
	assert_int_equal(e.body.len, bf_buf_len(&body) - 6);
	assert_null(memmem(body.data, body.end, "hidden", 6));
	assert_true(bf_slice_is(key.value, "sk-bf-hidden"));

	assert_int_equal(bf_entity_decode(&e, &back, &arena, NULL), 0);
	assert_int_equal(back.value.len, 0);
	key.value = (struct bf_slice){NULL, 0};
	assert_true(bf_table_equal(bf_entity_def(e.type)->table, &key, &back, 0));
	assert_int_equal(
	    ((struct bf_conf_rate_limit *)back.own.rate_limit.items)->concurrent_max_limit, 3);
	bf_buf_done(&body);
	bf_arena_done(&arena);
}

static void whose_scope(void **state)
{
	struct bf_conf_model_config model = {.own.id = TEXT("m"),
					     .model_name = TEXT("gpt-4o"),
					     .scope = BF_MODEL_VIRTUAL_KEY,
					     .scope_id = TEXT("k")};
	struct bf_entity e;
	struct bf_buf body;

	(void)state;
	bf_buf_init(&body, 1 << 16);
	assert_int_equal(bf_entity_encode(BF_ENTITY_MODEL_CONFIG, &model, &body, &e), 0);
	assert_true(bf_slice_is(e.scope, "k") && bf_slice_is(e.name, "gpt-4o"));
	bf_buf_done(&body);
}

static void a_key_of_the_api(void **state)
{
	struct bf_conf_api_key in = {.id = TEXT("a"),
				     .name = TEXT("A"),
				     .value = TEXT("the-hidden-value"),
				     .value_hint = TEXT("alue"),
				     .is_active = false};
	struct bf_conf_api_key back;
	struct bf_entity e;
	struct bf_arena arena;
	struct bf_buf body;

	(void)state;
	bf_arena_init(&arena, 1 << 16);
	bf_buf_init(&body, 1 << 16);
	assert_int_equal(bf_entity_encode(BF_ENTITY_API_KEY, &in, &body, &e), 0);
	assert_null(memmem(body.data, body.end, "hidden", 6));
	assert_true(bf_slice_is(e.name, "A"));
	assert_int_equal(bf_entity_decode(&e, &back, &arena, NULL), 0);
	assert_true(bf_slice_is(back.value_hint, "alue") && !back.is_active);
	bf_buf_done(&body);
	bf_arena_done(&arena);
}

/* A price of nothing is not the same as none. */
static void prices_of_nothing(void **state)
{
	struct bf_conf_pricing_override in = {.id = TEXT("p"),
					      .name = TEXT("P"),
					      .scope_kind = BF_PRICE_GLOBAL,
					      .pattern = TEXT("m")};
	struct bf_conf_pricing_override back;
	struct bf_entity e;
	struct bf_arena arena;
	struct bf_buf body;

	(void)state;
	memset(&in.pricing_patch, 0xff, sizeof(in.pricing_patch));
	in.pricing_patch.token_pusd[BF_PRICE_INPUT][BF_RATE_PLAIN] = 0;
	bf_arena_init(&arena, 1 << 16);
	bf_buf_init(&body, 1 << 16);
	assert_int_equal(bf_entity_encode(BF_ENTITY_PRICING_OVERRIDE, &in, &body, &e), 0);
	assert_int_equal(bf_entity_decode(&e, &back, &arena, NULL), 0);
	assert_memory_equal(&back.pricing_patch, &in.pricing_patch, sizeof(in.pricing_patch));
	assert_int_equal(back.scope_kind, BF_PRICE_GLOBAL);
	bf_buf_done(&body);
	bf_arena_done(&arena);
}

static void what_is_none(void **state)
{
	struct bf_conf_virtual_key key = {.own.id = TEXT("k")};
	struct bf_conf_customer back;
	struct bf_entity e = {.type = 99};
	struct bf_err err = {.code = 0};
	struct bf_arena arena;
	struct bf_buf body;

	(void)state;
	bf_arena_init(&arena, 1 << 16);
	bf_buf_init(&body, 4);
	assert_int_equal(bf_entity_encode(99, &key, &body, &e), BF_E_UNKNOWN);
	assert_true(bf_entity_encode(BF_ENTITY_VIRTUAL_KEY, &key, &body, &e) < 0);
	assert_int_equal(bf_entity_decode(&e, &back, &arena, &err), BF_E_UNKNOWN);
	e = (struct bf_entity){.type = BF_ENTITY_CUSTOMER};
	assert_true(bf_entity_decode(&e, &back, &arena, &err) < 0);
	bf_buf_done(&body);
	bf_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(clients_and_providers),
	    cmocka_unit_test(every_type),
	    cmocka_unit_test(a_key_without_its_value),
	    cmocka_unit_test(whose_scope),
	    cmocka_unit_test(a_key_of_the_api),
	    cmocka_unit_test(prices_of_nothing),
	    cmocka_unit_test(what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What clients of the management API write, under arbitrary bytes: the first byte chooses the type,
 * and whether the rest is a new one or a change of one. What is accepted has ids, survives msgpack
 * unchanged and stays what it is when nothing is changed; every refusal says something, at a place
 * that is a JSON pointer.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/schema/config_owners.h"
#include "common/schema/entity_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OBJECT_MAX 1024

static const struct kind {
	const struct bf_table *table;
	const char *some; /* one that is well */
} kinds[] = {
    {&bf_customer_table, "{\"id\":\"i\",\"name\":\"n\"}"},
    {&bf_team_table, "{\"id\":\"i\",\"name\":\"n\",\"customer_id\":\"c\",\"rate_limit\":{"
		     "\"concurrent_max_limit\":1}}"},
    {&bf_virtual_key_table, "{\"id\":\"i\",\"name\":\"n\",\"budgets\":[{\"max_limit\":1,"
			    "\"reset_duration\":\"1d\"}],\"provider_configs\":[{\"provider\":"
			    "\"mock\",\"budget\":{\"max_limit\":1,\"reset_duration\":\"1h\"}}]}"},
    {&bf_rate_limit_table, "{\"id\":\"i\",\"concurrent_max_limit\":1}"},
    {&bf_model_config_table, "{\"id\":\"i\",\"model_name\":\"m\"}"},
    {&bf_provider_limits_table, "{\"name\":\"mock\"}"},
    {&bf_pricing_override_table, "{\"id\":\"i\",\"name\":\"n\",\"pattern\":\"m\","
				 "\"pricing_patch\":{\"input_cost_per_token\":1}}"},
    {&bf_auth_config_table, "{\"is_enabled\":false}"},
    {&bf_api_key_table, "{\"id\":\"i\",\"name\":\"n\"}"},
    {&bf_session_end_table, "{\"id\":\"i\",\"expires_at\":\"2030-01-01T00:00:00Z\"}"},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void require(int condition)
{
	if (!condition)
		abort();
}

static struct bf_conf_provider mock = {.name = {"mock", 4}};
static const struct bf_config config = {.providers = {&mock, 1}, .version = 2};

static int parse(const struct kind *k, struct bf_slice json, const void *before,
		 struct bf_arena *arena, void *object, struct bf_entity_body *body)
{
	int r = bf_entity_parse(k->table, json, before, arena, object, body);

	return r ? r : bf_entity_complete(body, &config, object);
}

static void check_refusal(struct bf_entity_body *body)
{
	struct bf_array parts = bf_entity_parts(body);
	const struct bf_problem_part *items = parts.items;

	require(parts.count > 0);
	for (uint32_t i = 0; i < parts.count; i++) {
		require(items[i].message.len > 0);
		require(items[i].pointer.len == 0 || items[i].pointer.ptr[0] == '/');
	}
}

static void check_object(const struct kind *k, const void *object, struct bf_arena *arena)
{
	_Alignas(16) char back[OBJECT_MAX], again[OBJECT_MAX];
	struct bf_entity_body body;
	struct bf_buf bytes;

	bf_buf_init(&bytes, 16 << 20);
	require(bf_table_encode_mp(k->table, object, 0, &bytes) == 0);
	require(bf_table_decode_mp(k->table, back, bf_buf_slice(&bytes), arena, NULL) == 0);
	require(bf_table_equal(k->table, object, back, 0));
	require(parse(k, BF_SLICE_LIT("{}"), back, arena, again, &body) == 0);
	require(bf_table_equal(k->table, object, again, 0));
	bf_buf_done(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_Alignas(16) char some[OBJECT_MAX], object[OBJECT_MAX];
	const struct kind *k = size ? &kinds[(data[0] >> 1) % KINDS] : kinds;
	bool changes = size && (data[0] & 1);
	struct bf_entity_body body;
	struct bf_arena arena;
	struct bf_slice json = {size ? (const char *)data + 1 : "", size ? size - 1 : 0};

	require(k->table->size <= OBJECT_MAX);
	bf_arena_init(&arena, (size_t)64 << 20);
	require(parse(k, bf_slice_from(k->some), NULL, &arena, some, &body) == 0);
	if (parse(k, json, changes ? some : NULL, &arena, object, &body) < 0)
		check_refusal(&body);
	else
		check_object(k, object, &arena);
	bf_arena_done(&arena);
	return 0;
}

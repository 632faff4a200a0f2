/* Questions about entities: pages, filters, single ones, limits of all owners, quotas; and usage by
 * the meters of the segment. */
#include "tests/unit/writerd/metered.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/snapshot/builder.h"
#include "shm/wall.h"
#include "writerd/reader/reader_entities.h"

#define KEYS 25u

static struct crafted c;
static struct bf_snapshot_blob *base, *overlay;
static struct bf_snapshot snapshot;
static struct bf_buf out;
static char text[1 << 20];
static struct entities_answer answer;

static const uint8_t pepper[BF_SNAPSHOT_PEPPER_LEN] = {3};

static struct bf_conf_budget budgets[] = {{.id = BF_SLICE_INIT("b-day"),
					   .max_limit_nusd = 5000000000,
					   .reset_duration = BF_SLICE_INIT("1d"),
					   .quarter_start_month = 1}};
static struct bf_conf_rate_limit rates[] = {{.id = BF_SLICE_INIT("r-own"),
					     .token_max_limit = 100,
					     .token_reset_duration = BF_SLICE_INIT("1h")}};
static struct bf_conf_provider_config configs[] = {
    {.own = {.id = BF_SLICE_INIT("pc"), .rate_limit = {rates, 1}},
     .provider = BF_SLICE_INIT("openai"),
     .weight_micro = BF_WEIGHT_NONE}};

static void add(struct bf_snapshot_builder *b, uint32_t type, const void *object, uint64_t version,
		uint8_t secret)
{
	struct bf_entity e;
	struct bf_buf body;

	bf_buf_init(&body, 1 << 16);
	assert_int_equal(bf_entity_encode(type, object, &body, &e), 0);
	e.version = version;
	e.created_ms = 1000 - (int64_t)(secret % 4);
	memset(e.secret, secret, sizeof(e.secret));
	assert_int_equal(bf_snapshot_builder_add(b, &e, NULL), 0);
	bf_buf_done(&body);
}

static struct bf_snapshot_blob *end(struct bf_snapshot_builder *b)
{
	struct bf_snapshot_blob *blob;
	int fd = bf_snapshot_builder_finish(b, NULL);

	assert_true(fd >= 0);
	assert_int_equal(bf_snapshot_map(fd, &blob, NULL), 0);
	(void)close(fd);
	bf_snapshot_builder_close(b);
	return blob;
}

static void add_keys(struct bf_snapshot_builder *b)
{
	char id[16], name[16];

	for (unsigned i = 0; i < KEYS; i++) {
		struct bf_conf_virtual_key key = {.is_active = true};

		(void)snprintf(id, sizeof(id), "k%02u", i);
		(void)snprintf(name, sizeof(name), "Key-%u", i);
		key.own.id = bf_slice_from(id);
		key.own.name = bf_slice_from(name);
		key.is_active = i != 5;
		key.expires_at_ms = i == 6 || i == 7 ? 1767225600000 : 0;
		key.delete_after_expire = i == 7;
		if (i < 3)
			key.team_id = BF_SLICE_LIT("blue");
		if (i == 0) {
			key.own.budgets = (struct bf_array){budgets, 1};
			key.provider_configs = (struct bf_array){configs, 1};
		}
		add(b, BF_ENTITY_VIRTUAL_KEY, &key, 7, (uint8_t)(i + 1));
	}
}

static void add_provider(struct bf_snapshot_builder *b)
{
	const struct bf_table *table = bf_entity_def(BF_ENTITY_PROVIDER)->table;
	struct bf_conf_provider_key key = {.id = BF_SLICE_LIT("p1"),
					   .name = BF_SLICE_LIT("first"),
					   .value = BF_SLICE_LIT("a-secret-value")};
	struct bf_conf_provider live;
	struct bf_arena arena;

	bf_arena_init(&arena, 1 << 20);
	memset(&live, 0, sizeof(live));
	assert_int_equal(bf_table_defaults(table, &live, &arena), 0);
	live.name = BF_SLICE_LIT("live");
	live.keys = (struct bf_array){&key, 1};
	add(b, BF_ENTITY_PROVIDER, &live, 1, 0);
	bf_arena_done(&arena);
}

static int setup(void **state)
{
	struct bf_conf_team team = {
	    .own = {.id = BF_SLICE_LIT("blue"), .name = BF_SLICE_LIT("Blue")}};
	struct bf_conf_rate_limit shared = {.id = BF_SLICE_LIT("r-shared"),
					    .request_max_limit = 5,
					    .request_reset_duration = BF_SLICE_LIT("1m")};
	struct bf_snapshot_builder *b;
	struct bf_entity gone = {.type = BF_ENTITY_VIRTUAL_KEY,
				 .flags = BF_ENTITY_DELETED,
				 .version = 8,
				 .id = BF_SLICE_LIT("k24")};

	(void)state;
	crafted_init(&c);
	(void)shm_wall_update(&c.seg, bf_wall_ns(), bf_boot_ns());
	bf_buf_init(&out, sizeof(text));
	assert_int_equal(bf_snapshot_builder_open(&b, false, 1, pepper, NULL), 0);
	add(b, BF_ENTITY_TEAM, &team, 1, 0);
	add(b, BF_ENTITY_RATE_LIMIT, &shared, 1, 0);
	add_keys(b);
	add_provider(b);
	base = end(b);
	assert_int_equal(bf_snapshot_builder_open(&b, true, 1, pepper, NULL), 0);
	assert_int_equal(bf_snapshot_builder_add(b, &gone, NULL), 0);
	overlay = end(b);
	snapshot = (struct bf_snapshot){base, overlay};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_snapshot_unmap(overlay);
	bf_snapshot_unmap(base);
	bf_buf_done(&out);
	crafted_done(&c);
	return 0;
}

static void look_at(const struct bf_snapshot *s, const struct bf_msg_entity_query *q)
{
	bf_buf_clear(&out);
	assert_int_equal(entities_look(s, &c.seg, q, &out, &answer), 0);
	(void)snprintf(text, sizeof(text), "%.*s", BF_SLICE_FMT(bf_buf_slice(&out)));
}

static void look(struct bf_msg_entity_query q)
{
	q.limit = q.limit ? q.limit : 50;
	look_at(&snapshot, &q);
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

static void a_page(void **state)
{
	(void)state;
	look((struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY, .limit = 2, .offset = 1});
	assert_int_equal(answer.http_status, 200);
	assert_int_equal(answer.version, 0);
	assert_int_equal(strncmp(text, "{\"virtual_keys\":[{\"id\":\"k01\"", 27), 0);
	has("\"id\":\"k02\"");
	lacks("\"id\":\"k03\"");
	lacks("\"id\":\"k00\"");
	has("],\"count\":2,\"total_count\":24,\"limit\":2,\"offset\":1}");
	/* Behind the end, and all. */
	look((struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY, .offset = UINT64_MAX});
	has("{\"virtual_keys\":[],\"count\":0,\"total_count\":24,");
	look((struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY, .limit = 1000});
	has("\"count\":24,");
	lacks("k24");
	look((struct bf_msg_entity_query){.type = BF_ENTITY_CUSTOMER});
	has("{\"customers\":[],\"count\":0,\"total_count\":0,");
}

static void filters(void **state)
{
	(void)state;
	look((struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY,
					  .search = BF_SLICE_LIT("kEY-1")});
	has("\"total_count\":11,");
	look((struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY,
					  .team_id = BF_SLICE_LIT("blue")});
	has("\"total_count\":3,");
	look((struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY,
					  .team_id = BF_SLICE_LIT("blue"),
					  .provider = BF_SLICE_LIT("openai")});
	has("\"total_count\":1,");
	look((struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY,
					  .team_id = BF_SLICE_LIT("red")});
	has("\"total_count\":0,");
}

static void one(void **state)
{
	(void)state;
	look(
	    (struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY, .id = BF_SLICE_LIT("k01")});
	assert_int_equal(answer.http_status, 200);
	assert_int_equal(answer.version, 7);
	assert_int_equal(strncmp(text, "{\"virtual_key\":{\"id\":\"k01\",", 27), 0);
	look(
	    (struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY, .id = BF_SLICE_LIT("k24")});
	assert_int_equal(answer.http_status, 404);
	has("\"is_bifrost_error\":true");
	look((struct bf_msg_entity_query){.type = 77});
	assert_int_equal(answer.http_status, 404);
	look((struct bf_msg_entity_query){.type = 0});
	assert_int_equal(answer.http_status, 404);
	look_at(NULL, &(struct bf_msg_entity_query){.type = BF_ENTITY_TEAM, .limit = 1});
	assert_int_equal(answer.http_status, 503);
}

/* A meter of a limit of the key k00. */
static uint32_t open_meter(enum bf_owner owner, const char *owner_id, enum bf_quantity quantity,
			   const char *limit_id, int64_t length_ms, int64_t settled,
			   int64_t counted)
{
	struct bf_limit l = {.quantity = quantity,
			     .owner = owner,
			     .owner_id = bf_slice_from(owner_id),
			     .limit_id = bf_slice_from(limit_id),
			     .window = {.kind = BF_WINDOW_ROLLING, .length_ms = length_ms}};
	uint32_t epoch = bf_limit_epoch(&l, bf_wall_ms()), m;
	bool is_new;

	l.identity = bf_limit_identity(&l);
	assert_int_equal(shm_meter_place(&c.seg, l.identity, &m, &is_new), 0);
	shm_meter_load(&c.seg, m, epoch, counted);
	(void)shm_meter_configure(&c.seg, m, SHM_METER_LIMIT_MAX, false, false, 0);
	shm_meter_open(&c.seg, m, l.identity, quantity);
	shm_meter_set_settled(&c.seg, m, epoch, settled);
	return m;
}

static void usage(void **state)
{
	(void)state;
	look(
	    (struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY, .id = BF_SLICE_LIT("k00")});
	lacks("current_usage");
	(void)open_meter(BF_OWNER_VIRTUAL_KEY, "k00", BF_QUANTITY_NUSD, "b-day", 86400000,
			 1250000000, 1500000000);
	(void)open_meter(BF_OWNER_PROVIDER_CONFIG, "pc", BF_QUANTITY_TOKENS, "r-own", 3600000, 40,
			 42);
	look(
	    (struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY, .id = BF_SLICE_LIT("k00")});
	has("\"current_usage\":1.25,\"held\":0.25,\"window_start\":\"");
	has("\"token_current_usage\":40,\"token_held\":2,");
}

/* The ids of a page of three. */
static void sorted(enum bf_entity_order by, bool descending, uint64_t offset, const char *ids)
{
	char found[32] = "";

	look((struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY,
					  .sort_by = (int32_t)by,
					  .descending = descending,
					  .offset = offset,
					  .limit = 3});
	assert_int_equal(answer.http_status, 200);
	for (const char *at = text; (at = strstr(at, "{\"id\":\"k")); at += 8) {
		size_t len = strlen(found);

		(void)snprintf(found + len, sizeof(found) - len, "%.3s ", at + 7);
	}
	assert_string_equal(found, ids);
	has("\"total_count\":24,\"limit\":3,");
}

/* Names stand by their bytes; what is alike by its id, whatever the direction. */
static void orders(void **state)
{
	(void)state;
	sorted(BF_ORDER_NAME, false, 0, "k00 k01 k10 ");
	sorted(BF_ORDER_NAME, true, 0, "k09 k08 k07 ");
	sorted(BF_ORDER_NAME, false, 22, "k08 k09 ");
	sorted(BF_ORDER_NAME, false, 24, "");
	/* Made at 1000 less the fourth part's rest of the number and one. */
	sorted(BF_ORDER_CREATED_AT, false, 0, "k02 k06 k10 ");
	sorted(BF_ORDER_CREATED_AT, true, 0, "k03 k07 k11 ");
	sorted(BF_ORDER_STATUS, false, 0, "k05 k00 k01 ");
	sorted(BF_ORDER_STATUS, true, 22, "k23 k05 ");
	sorted(BF_ORDER_BUDGET_SPENT, true, 0, "k00 k01 k02 ");
	(void)open_meter(BF_OWNER_VIRTUAL_KEY, "k00", BF_QUANTITY_NUSD, "b-day", 86400000,
			 1250000000, 1500000000);
	sorted(BF_ORDER_BUDGET_SPENT, false, 21, "k22 k23 k00 ");
	sorted(BF_ORDER_BUDGET_SPENT, true, 0, "k00 k01 k02 ");
	has("\"current_usage\":1.25,");
	/* Among those that match. */
	look((struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY,
					  .team_id = BF_SLICE_LIT("blue"),
					  .sort_by = BF_ORDER_NAME,
					  .descending = true,
					  .limit = 10000});
	assert_int_equal(strncmp(text, "{\"virtual_keys\":[{\"id\":\"k02\"", 27), 0);
	has("\"count\":3,\"total_count\":3,\"limit\":10000,");
	look((struct bf_msg_entity_query){.type = BF_ENTITY_TEAM, .sort_by = BF_ORDER_NAME});
	assert_int_equal(answer.http_status, 400);
}

static void limits_of_all(void **state)
{
	(void)state;
	(void)open_meter(BF_OWNER_VIRTUAL_KEY, "k00", BF_QUANTITY_NUSD, "b-day", 86400000, 1, 1);
	look((struct bf_msg_entity_query){.type = 0, .is_sub = true});
	has("{\"budgets\":[{\"id\":\"b-day\",\"max_limit\":5,");
	has("\"current_usage\":0.000000001");
	has("\"owner_type\":\"virtual_key\",\"owner_id\":\"k00\",\"owner_name\":\"Key-0\"}],"
	    "\"count\":1,\"total_count\":1,");
	look((struct bf_msg_entity_query){
	    .type = 0, .is_sub = true, .team_id = BF_SLICE_LIT("blue")});
	has("\"total_count\":0,");
	look((struct bf_msg_entity_query){.type = BF_ENTITY_RATE_LIMIT, .is_sub = true});
	has("{\"rate_limits\":[{\"id\":\"r-shared\"");
	has("\"owner_type\":\"provider_config\",\"owner_id\":\"pc\",\"owner_name\":\"openai\"}],"
	    "\"count\":2,\"total_count\":2,");
	look((struct bf_msg_entity_query){
	    .type = BF_ENTITY_RATE_LIMIT, .is_sub = true, .virtual_key_id = BF_SLICE_LIT("k00")});
	has("\"total_count\":1,");
}

/* Of a provider that is not there no page is shown: it would look as if it had none. */
static void keys_of_providers(void **state)
{
	(void)state;
	look((struct bf_msg_entity_query){
	    .type = BF_ENTITY_PROVIDER, .is_sub = true, .id = BF_SLICE_LIT("nobody")});
	assert_int_equal(answer.http_status, 404);
	has("there is no provider of this name");
	look((struct bf_msg_entity_query){
	    .type = BF_ENTITY_PROVIDER, .is_sub = true, .id = BF_SLICE_LIT("live")});
	assert_int_equal(answer.http_status, 200);
	has("{\"keys\":[{\"provider\":\"live\",\"value_hint\":");
	has("\"total\":1,");
	lacks("a-secret-value");
	look((struct bf_msg_entity_query){.type = BF_ENTITY_PROVIDER, .is_sub = true});
	has("\"total\":1,");
	look((struct bf_msg_entity_query){.type = BF_ENTITY_PROVIDER});
	has("\"count\":1,\"total_count\":1,\"total\":1,");
	lacks("a-secret-value");
	look((struct bf_msg_entity_query){.type = BF_ENTITY_TEAM});
	lacks("\"total\":");
}

static void a_quota(void **state)
{
	char secret[BF_ENTITY_SECRET_LEN];

	(void)state;
	memset(secret, 1, sizeof(secret));
	look((struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY,
					  .secret = {secret, sizeof(secret)}});
	assert_int_equal(answer.http_status, 200);
	has("{\"virtual_key_name\":\"Key-0\",\"is_active\":true,\"expires_at\":null,"
	    "\"budgets\":[{\"id\":\"b-day\"");
	has("\"provider_configs\":[{\"provider\":\"openai\",\"budgets\":[],\"rate_limit\":{");
	lacks("team_id");
	lacks("secret");
	/* Nobody's, one that is gone, and half of one. */
	memset(secret, 99, sizeof(secret));
	look((struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY,
					  .secret = {secret, sizeof(secret)}});
	assert_int_equal(answer.http_status, 401);
	/* Of one that only expired its holder is told so; the other went then. */
	memset(secret, 7, sizeof(secret));
	look((struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY,
					  .secret = {secret, sizeof(secret)}});
	assert_int_equal(answer.http_status, 200);
	has("\"expires_at\":\"2026-01-01T00:00:00.000Z\"");
	memset(secret, 8, sizeof(secret));
	look((struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY,
					  .secret = {secret, sizeof(secret)}});
	assert_int_equal(answer.http_status, 401);
	memset(secret, 25, sizeof(secret));
	look((struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY,
					  .secret = {secret, sizeof(secret)}});
	assert_int_equal(answer.http_status, 401);
	look((struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY, .secret = {secret, 16}});
	assert_int_equal(answer.http_status, 401);
}

static void too_much_for_one_answer(void **state)
{
	struct bf_buf small;

	(void)state;
	bf_buf_init(&small, 100);
	assert_int_equal(
	    entities_look(&snapshot, &c.seg,
			  &(struct bf_msg_entity_query){.type = BF_ENTITY_VIRTUAL_KEY, .limit = 9},
			  &small, &answer),
	    BF_E_LIMIT);
	bf_buf_done(&small);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_page),  TEST(filters),       TEST(one),
	    TEST(usage),   TEST(limits_of_all), TEST(keys_of_providers),
	    TEST(a_quota), TEST(orders),        TEST(too_much_for_one_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Whose rows are: found by the id that a row has, whatever it is. */
#include "tests/unit/writerd/crafted.h"

#include "common/base/macros.h"
#include "writerd/owners.h"
#include "writerd/store_sqlite_search.h"

#define MANY     10000u
#define ID_BYTES 128

static struct bf_conf_team blue = {.own = {.id = {"t-blue", 6}, .name = {"blue", 4}}};
static struct bf_conf_customer acme = {.own = {.id = {"c-acme", 6}, .name = {"acme", 4}}};
static struct bf_conf_virtual_key confs[MANY];
static struct bf_plan_key keys[MANY];
static char ids[MANY][ID_BYTES];
static struct owners owners;

static struct bf_plan plan_of(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		confs[i].own.id = bf_slice_from(ids[i]);
		keys[i] = (struct bf_plan_key){.conf = &confs[i]};
	}
	return (struct bf_plan){.keys = keys, .key_count = count};
}

static struct row row_of(const char *id)
{
	struct row row = {.team_id = {NULL, 0}};

	memcpy(row.virtual_key_id, id, strnlen(id, ROW_KEY_ID_LEN));
	owners_fill(&owners, &row);
	return row;
}

static void a_row_has_the_owners_of_its_key(void **state)
{
	struct bf_plan plan;
	struct row row;

	(void)state;
	(void)snprintf(ids[0], sizeof(ids[0]), "alone");
	(void)snprintf(ids[1], sizeof(ids[1]), "of a team");
	(void)snprintf(ids[2], sizeof(ids[2]), "of a customer");
	plan = plan_of(3);
	keys[1].team_conf = &blue;
	keys[1].customer_conf = &acme;
	keys[2].customer_conf = &acme;
	assert_int_equal(owners_init(&owners, &plan), 0);
	row = row_of("alone");
	assert_int_equal(row.team_id.len + row.customer_id.len, 0);
	row = row_of("of a team");
	assert_true(bf_slice_is(row.team_id, "t-blue") && bf_slice_is(row.team_name, "blue"));
	assert_true(bf_slice_is(row.customer_id, "c-acme") &&
		    bf_slice_is(row.customer_name, "acme"));
	row = row_of("of a customer");
	assert_int_equal(row.team_id.len + row.team_name.len, 0);
	assert_true(bf_slice_is(row.customer_id, "c-acme"));
	row = row_of("of nobody");
	assert_int_equal(row.team_id.len + row.customer_id.len, 0);
	row = row_of("");
	assert_int_equal(row.team_id.len + row.customer_id.len, 0);
	owners_done(&owners);
	/* Before there is a plan, and after it. */
	row = row_of("of a team");
	assert_int_equal(row.team_id.len, 0);
	owners_fill(NULL, &row);
	assert_int_equal(row.team_id.len, 0);
}

/* A row keeps 64 bytes of an id, and no half of a letter. */
static void long_ids(void **state)
{
	struct bf_plan plan;
	char cut[ID_BYTES];

	(void)state;
	memset(ids[0], 'k', 100);
	ids[0][100] = '\0';
	memset(ids[1], 'l', 63);
	(void)snprintf(ids[1] + 63, sizeof(ids[1]) - 63, "\xc3\xa9t\xc3\xa9");
	plan = plan_of(2);
	keys[0].team_conf = &blue;
	keys[1].customer_conf = &acme;
	assert_int_equal(owners_init(&owners, &plan), 0);
	(void)snprintf(cut, sizeof(cut), "%.64s", ids[0]);
	assert_true(bf_slice_is(row_of(cut).team_id, "t-blue"));
	(void)snprintf(cut, sizeof(cut), "%.63s", ids[1]);
	assert_true(bf_slice_is(row_of(cut).customer_id, "c-acme"));
	assert_ptr_equal(owners_find(&owners, row_id_cut(confs[1].own.id)), &keys[1]);
	(void)snprintf(cut, sizeof(cut), "%.63s", ids[0]);
	assert_int_equal(row_of(cut).team_id.len, 0);
	owners_done(&owners);
}

static void each_of_many_is_found(void **state)
{
	struct bf_plan plan;
	struct owners none;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		(void)snprintf(ids[i], sizeof(ids[i]), "vk-%u", i / 2 * 2);
	plan = plan_of(MANY);
	assert_int_equal(owners_init(&owners, &plan), 0);
	assert_in_range(owners.place_count, 2 * MANY, 4 * MANY);
	/* Twice the same: the first. */
	for (uint32_t i = 0; i < MANY; i++)
		assert_ptr_equal(owners_find(&owners, bf_slice_from(ids[i])), &keys[i / 2 * 2]);
	assert_null(owners_find(&owners, BF_SLICE_LIT("vk-1")));
	owners_done(&owners);
	plan = plan_of(0);
	assert_int_equal(owners_init(&none, &plan), 0);
	assert_null(owners_find(&none, BF_SLICE_LIT("vk-1")));
	owners_done(&none);
}

/* ---- in the store */

static void put(struct store *store, uint32_t n, const char *id)
{
	struct shm_usage_record r = crafted_record(n);
	const struct store_item item = {.record = &r};
	struct row_scratch scratch;
	struct bf_err err = {0};
	unsigned inserted = 0;

	memcpy(r.virtual_key_id, id, strnlen(id, sizeof(r.virtual_key_id)));
	row_scratch_init(&scratch);
	if (store_write(store, &item, 1, &scratch, NULL, &inserted, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(inserted, 1);
	row_scratch_done(&scratch);
}

/* How many rows there are, whose member so-and-so says this. */
static void expect(struct search *s, const struct bf_msg_logs_query *q, unsigned rows,
		   const char *says)
{
	struct bf_err err = {0};
	char total[32];
	struct bf_buf out;

	bf_buf_init(&out, SEARCH_MAX_BYTES);
	if (search_run(s, q, &out, &err) < 0 || bf_buf_append(&out, "", 1) < 0)
		fail_msg("%s", err.text);
	(void)snprintf(total, sizeof(total), "\"total_count\":%u", rows);
	if (!strstr(bf_buf_slice(&out).ptr, total) || !strstr(bf_buf_slice(&out).ptr, says))
		fail_msg("not %u rows that say %s: %s", rows, says, bf_buf_slice(&out).ptr);
	bf_buf_done(&out);
}

static void rows_are_found_by_their_owners(void **state)
{
	const struct bf_msg_logs_query any = {
	    .start_ms = BF_LOGS_ANY,
	    .end_ms = BF_LOGS_ANY,
	    .min_latency_us = BF_LOGS_ANY,
	    .max_latency_us = BF_LOGS_ANY,
	    .min_tokens = BF_LOGS_ANY,
	    .max_tokens = BF_LOGS_ANY,
	    .min_cost_nusd = BF_LOGS_ANY,
	    .max_cost_nusd = BF_LOGS_ANY,
	    .limit = 50,
	};
	static struct bf_slice wanted[] = {{"t-blue", 6}, {"c-acme", 6}};
	struct bf_msg_logs_query q = any;
	struct bf_plan plan;
	struct store *store;
	struct search *s;
	struct crafted c;

	(void)state;
	crafted_init(&c);
	store = crafted_store(&c);
	(void)snprintf(ids[0], sizeof(ids[0]), "vk-1");
	(void)snprintf(ids[1], sizeof(ids[1]), "vk-2");
	plan = plan_of(2);
	keys[0].team_conf = &blue;
	keys[0].customer_conf = keys[1].customer_conf = &acme;
	assert_int_equal(owners_init(&owners, &plan), 0);
	store->owners = &owners;
	put(store, 1, "vk-1");
	put(store, 2, "vk-2");
	put(store, 3, "vk-3");
	put(store, 4, "");
	s = search_new(c.path, NULL, NULL);
	q.team_ids = (struct bf_array){wanted, 1};
	expect(s, &q, 1,
	       "\"team_id\":\"t-blue\",\"team_name\":\"blue\",\"customer_id\":\"c-acme\","
	       "\"customer_name\":\"acme\"");
	q = any;
	q.customer_ids = (struct bf_array){wanted, 2};
	expect(s, &q, 2, "\"team_id\":null,\"team_name\":null,\"customer_id\":\"c-acme\"");
	q.team_ids = (struct bf_array){wanted + 1, 1};
	expect(s, &q, 0, "\"logs\":[]");
	expect(s, &any, 4, "\"customer_id\":null,\"customer_name\":null");
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM logs WHERE team_id IS NULL AND "
					    "team_name IS NULL AND customer_id IS NULL"),
			 2);
	search_free(s);
	store->ops->close(store);
	owners_done(&owners);
	crafted_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_row_has_the_owners_of_its_key),
	    cmocka_unit_test(long_ids),
	    cmocka_unit_test(each_of_many_is_found),
	    cmocka_unit_test(rows_are_found_by_their_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

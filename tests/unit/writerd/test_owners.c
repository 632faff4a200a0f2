/* What those are called whose rows are: by the ids that rows have, whatever these are. */
#include "tests/unit/writerd/crafted.h"

#include "common/base/macros.h"
#include "writerd/owners.h"
#include "writerd/store_sqlite_search.h"

#define MANY     10000u
#define ID_BYTES 80

#define SIXTY "sixty bytes of a name that is longer than a record has room "

static struct bf_conf_team teams[] = {
    {.own = {.id = {"t-blue", 6}, .name = {"blue", 4}}},
    {.own = {.id = {"same", 4}, .name = {"a team", 6}}},
};
static struct bf_conf_customer customers[] = {
    {.own = {.id = {"c-acme", 6}, .name = {"acme", 4}}},
    {.own = {.id = {"same", 4}, .name = {"a customer", 10}}},
};
static struct bf_conf_virtual_key keys[MANY];
static char ids[MANY][ID_BYTES];
static struct owners owners;

static struct bf_conf_governance known(uint32_t key_count)
{
	for (uint32_t i = 0; i < key_count; i++)
		keys[i].own = (struct bf_conf_owner){.id = bf_slice_from(ids[i]),
						     .name = bf_slice_from(ids[i])};
	return (struct bf_conf_governance){
	    .teams = {teams, BF_ARRAY_LEN(teams)},
	    .customers = {customers, BF_ARRAY_LEN(customers)},
	    .virtual_keys = {keys, key_count},
	};
}

/* Filled in place. */
static void name_row(struct row *row, const char *key_id, const char *key_name, const char *team,
		     const char *customer)
{
	memset(row, 0, sizeof(*row));
	(void)snprintf(row->virtual_key_id, sizeof(row->virtual_key_id), "%s", key_id);
	(void)snprintf(row->virtual_key_name, sizeof(row->virtual_key_name), "%s", key_name);
	(void)snprintf(row->team_id, sizeof(row->team_id), "%s", team);
	(void)snprintf(row->customer_id, sizeof(row->customer_id), "%s", customer);
	owners_fill(&owners, row);
}

static void a_row_has_the_names_of_its_owners(void **state)
{
	struct bf_conf_governance g = known(0);
	struct row row;

	(void)state;
	assert_int_equal(owners_init(&owners, &g), 0);
	name_row(&row, "", "", "t-blue", "c-acme");
	assert_true(bf_slice_is(row.team_name, "blue") && bf_slice_is(row.customer_name, "acme"));
	name_row(&row, "", "", "same", "same");
	assert_true(bf_slice_is(row.team_name, "a team") &&
		    bf_slice_is(row.customer_name, "a customer"));
	name_row(&row, "", "", "", "c-acme");
	assert_int_equal(row.team_name.len, 0);
	/* Of a plan before this one: its rows stay its own. */
	name_row(&row, "gone", "as it was", "t-gone", "T-BLUE");
	assert_int_equal(row.team_name.len + row.customer_name.len, 0);
	assert_string_equal(row.team_id, "t-gone");
	assert_string_equal(row.customer_id, "T-BLUE");
	assert_string_equal(row.virtual_key_name, "as it was");
	owners_done(&owners);
	/* Before there is a configuration, and after it. */
	name_row(&row, "", "", "t-blue", "");
	assert_int_equal(row.team_name.len, 0);
	owners_fill(NULL, &row);
	assert_int_equal(row.team_name.len, 0);
}

/* The record has 64 bytes of a key's name, and no half of a letter. */
static void names_that_were_cut_are_whole(void **state)
{
	struct bf_conf_governance g;
	struct row row;

	(void)state;
	(void)snprintf(ids[0], sizeof(ids[0]), "k");
	(void)snprintf(ids[1], sizeof(ids[1]), "l");
	g = known(2);
	keys[0].own.name = BF_SLICE_LIT(SIXTY "for it");
	keys[1].own.name = BF_SLICE_LIT(SIXTY "of\xf0\x9f\x99\x82");
	assert_int_equal(owners_init(&owners, &g), 0);
	name_row(&row, "k", SIXTY "for ", "", "");
	assert_string_equal(row.virtual_key_name, SIXTY "for it");
	name_row(&row, "l", SIXTY "of", "", "");
	assert_string_equal(row.virtual_key_name, SIXTY "of\xf0\x9f\x99\x82");
	/* What was not cut, or is called otherwise by now, stays. */
	name_row(&row, "k", "short", "", "");
	assert_string_equal(row.virtual_key_name, "short");
	name_row(&row, "l", SIXTY "for ", "", "");
	assert_string_equal(row.virtual_key_name, SIXTY "for ");
	owners_done(&owners);
}

static void each_of_many_is_found(void **state)
{
	struct bf_conf_governance g;
	struct owners none;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++)
		(void)snprintf(ids[i], sizeof(ids[i]), "vk-%u", i / 2 * 2);
	g = known(MANY);
	assert_int_equal(owners_init(&owners, &g), 0);
	assert_in_range(owners.kinds[BF_OWNER_VIRTUAL_KEY].place_count, 2 * MANY, 4 * MANY);
	/* Twice the same: the first. */
	for (uint32_t i = 0; i < MANY; i++)
		assert_ptr_equal(
		    owners_name(&owners, BF_OWNER_VIRTUAL_KEY, bf_slice_from(ids[i])).ptr,
		    ids[i / 2 * 2]);
	assert_null(owners_name(&owners, BF_OWNER_VIRTUAL_KEY, BF_SLICE_LIT("vk-1")).ptr);
	assert_null(owners_name(&owners, BF_OWNER_TEAM, BF_SLICE_LIT("vk-2")).ptr);
	assert_null(owners_name(&owners, BF_OWNER_PROVIDER, BF_SLICE_LIT("vk-2")).ptr);
	owners_done(&owners);
	g = known(0);
	assert_int_equal(owners_init(&none, &g), 0);
	assert_null(owners_name(&none, BF_OWNER_VIRTUAL_KEY, BF_SLICE_LIT("vk-2")).ptr);
	owners_done(&none);
}

/* ---- in the store */

static void put(struct store *store, uint32_t n, const char *key, const char *team,
		const char *customer)
{
	struct shm_usage_record r = crafted_record(n);
	const struct store_item item = {.record = &r};
	struct row_scratch scratch;
	struct bf_err err = {0};
	unsigned inserted = 0;

	(void)strncpy(r.virtual_key_id, key, sizeof(r.virtual_key_id) - 1);
	(void)strncpy(r.team_id, team, sizeof(r.team_id) - 1);
	(void)strncpy(r.customer_id, customer, sizeof(r.customer_id) - 1);
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
	struct bf_conf_governance g = known(0);
	struct store *store;
	struct search *s;
	struct crafted c;

	(void)state;
	crafted_init(&c);
	store = crafted_store(&c);
	assert_int_equal(owners_init(&owners, &g), 0);
	store->owners = &owners;
	put(store, 1, "vk-1", "t-blue", "c-acme");
	put(store, 2, "vk-2", "", "c-acme");
	put(store, 3, "vk-3", "", "");
	put(store, 4, "", "", "");
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
	    cmocka_unit_test(a_row_has_the_names_of_its_owners),
	    cmocka_unit_test(names_that_were_cut_are_whole),
	    cmocka_unit_test(each_of_many_is_found),
	    cmocka_unit_test(rows_are_found_by_their_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What those are called whose rows are: by the ids that rows have, whatever these are. */
#include "tests/unit/writerd/crafted.h"

#include "common/base/macros.h"
#include "writerd/row/owners.h"
#include "writerd/store/store_sqlite_search.h"

#define MANY     10000u
#define ID_BYTES 80

#define SIXTY "sixty bytes of a name that is longer than a record has room "

static char ids[MANY][ID_BYTES];
static struct entities *known;
static const struct owners owners = {&known};

static void know(uint32_t type, const char *id, const char *name)
{
	struct bf_entity e = {.type = type, .id = bf_slice_from(id), .name = bf_slice_from(name)};
	struct entity *x = entity_new(&e, NULL, 0), *old = NULL;

	assert_non_null(x);
	assert_int_equal(entities_put(known, x, &old), 0);
	entity_free(old);
}

static int setup(void **state)
{
	(void)state;
	if (entities_open(&known) < 0)
		return -1;
	know(BF_ENTITY_TEAM, "t-blue", "blue");
	know(BF_ENTITY_TEAM, "same", "a team");
	know(BF_ENTITY_CUSTOMER, "c-acme", "acme");
	know(BF_ENTITY_CUSTOMER, "same", "a customer");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	entities_close(known);
	known = NULL;
	return 0;
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
	struct row row;

	(void)state;
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
	/* As they are called now. */
	know(BF_ENTITY_TEAM, "t-blue", "navy");
	name_row(&row, "", "", "t-blue", "");
	assert_true(bf_slice_is(row.team_name, "navy"));
	entity_free(entities_take(known, BF_ENTITY_TEAM, BF_SLICE_LIT("t-blue")));
	name_row(&row, "", "", "t-blue", "");
	assert_int_equal(row.team_name.len, 0);
	/* Before there are any. */
	(void)teardown(NULL);
	name_row(&row, "", "", "t-blue", "");
	assert_int_equal(row.team_name.len, 0);
	owners_fill(NULL, &row);
	assert_int_equal(row.team_name.len, 0);
}

/* The record has 64 bytes of a key's name, and no half of a letter. */
static void names_that_were_cut_are_whole(void **state)
{
	struct row row;

	(void)state;
	know(BF_ENTITY_VIRTUAL_KEY, "k", SIXTY "for it");
	know(BF_ENTITY_VIRTUAL_KEY, "l", SIXTY "of\xf0\x9f\x99\x82");
	name_row(&row, "k", SIXTY "for ", "", "");
	assert_string_equal(row.virtual_key_name, SIXTY "for it");
	name_row(&row, "l", SIXTY "of", "", "");
	assert_string_equal(row.virtual_key_name, SIXTY "of\xf0\x9f\x99\x82");
	/* What was not cut, or is called otherwise by now, stays. */
	name_row(&row, "k", "short", "", "");
	assert_string_equal(row.virtual_key_name, "short");
	name_row(&row, "l", SIXTY "for ", "", "");
	assert_string_equal(row.virtual_key_name, SIXTY "for ");
}

static void each_of_many_is_found(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "vk-%u", 2 * i);
		know(BF_ENTITY_VIRTUAL_KEY, ids[i], ids[i]);
	}
	for (uint32_t i = 0; i < MANY; i++)
		assert_true(bf_slice_is(
		    owners_name(&owners, BF_ENTITY_VIRTUAL_KEY, bf_slice_from(ids[i])), ids[i]));
	assert_null(owners_name(&owners, BF_ENTITY_VIRTUAL_KEY, BF_SLICE_LIT("vk-1")).ptr);
	assert_null(owners_name(&owners, BF_ENTITY_TEAM, BF_SLICE_LIT("vk-2")).ptr);
	assert_null(owners_name(&owners, BF_ENTITY_PROVIDER_LIMITS, BF_SLICE_LIT("vk-2")).ptr);
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
	struct store *store;
	struct search *s;
	struct crafted c;

	(void)state;
	crafted_init(&c);
	store = crafted_store(&c);
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
	crafted_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_row_has_the_names_of_its_owners, setup, teardown),
	    cmocka_unit_test_setup_teardown(names_that_were_cut_are_whole, setup, teardown),
	    cmocka_unit_test_setup_teardown(each_of_many_is_found, setup, teardown),
	    cmocka_unit_test_setup_teardown(rows_are_found_by_their_owners, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The table of entities against a plain list: finding, order, replacing, walking while it changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "writerd/entity/entities.h"

static struct entities *t;

static int setup(void **state)
{
	(void)state;
	return entities_open(&t);
}

static int teardown(void **state)
{
	(void)state;
	entities_close(t);
	return 0;
}

static struct entity *make(uint32_t type, const char *id, const char *name, uint8_t secret,
			   uint32_t flags)
{
	struct bf_entity e = {.type = type,
			      .flags = flags,
			      .id = bf_slice_from(id),
			      .name = bf_slice_from(name),
			      .body = BF_SLICE_LIT("body")};

	memset(e.secret, secret, sizeof(e.secret));
	return entity_new(&e, NULL, 0);
}

static struct entity *put(uint32_t type, const char *id, const char *name, uint8_t secret)
{
	struct entity *x = make(type, id, name, secret, 0), *old = NULL;

	assert_non_null(x);
	assert_int_equal(entities_put(t, x, &old), 0);
	entity_free(old);
	return x;
}

static void put_stone(uint32_t type, const char *id)
{
	struct entity *x = make(type, id, "", 0, BF_ENTITY_DELETED), *old = NULL;

	assert_int_equal(entities_put(t, x, &old), 0);
	entity_free(old);
}

#define ID(text) bf_slice_from(text)
#define KEY      BF_ENTITY_VIRTUAL_KEY
#define TEAM     BF_ENTITY_TEAM

static void each_is_found_by_what_it_has(void **state)
{
	const uint8_t secret[32] = {0}, *ones;
	struct entity *a, *b, *team;

	(void)state;
	a = put(KEY, "a", "name a", 1);
	b = put(KEY, "b", "name b", 2);
	team = put(TEAM, "a", "name a", 1);
	ones = a->e.secret;
	assert_ptr_equal(entities_find(t, KEY, ID("a")), a);
	assert_ptr_equal(entities_find(t, TEAM, ID("a")), team);
	assert_null(entities_find(t, BF_ENTITY_CUSTOMER, ID("a")));
	assert_ptr_equal(entities_named(t, KEY, ID("name b")), b);
	assert_ptr_equal(entities_named(t, TEAM, ID("name a")), team);
	/* Teams have no secret, whatever stands there. */
	assert_ptr_equal(entities_with_secret(t, KEY, ones), a);
	assert_null(entities_with_secret(t, TEAM, ones));
	assert_null(entities_with_secret(t, KEY, secret));
	assert_ptr_equal(entities_with_key(t, entity_key(KEY, ID("b"))), b);
	assert_null(entities_with_key(t, entity_key(KEY, ID("c"))));
	assert_int_equal(entities_count(t, KEY), 2);
	assert_int_equal(entities_total(t), 3);
}

static void a_tombstone_is_found_by_its_id_alone(void **state)
{
	(void)state;
	put(KEY, "a", "name", 1);
	put_stone(KEY, "a");
	assert_non_null(entities_find(t, KEY, ID("a")));
	assert_null(entities_live(t, KEY, ID("a")));
	assert_null(entities_named(t, KEY, ID("name")));
	assert_null(entities_next(t, KEY, NULL));
	assert_null(entities_with_key(t, entity_key(KEY, ID("a"))));
	assert_int_equal(entities_count(t, KEY), 0);
	assert_int_equal(entities_total(t), 1);
	put(KEY, "a", "name", 1);
	assert_non_null(entities_live(t, KEY, ID("a")));
}

static void what_is_changed_stays_where_it_was(void **state)
{
	const struct entity *x;
	char order[8] = "";

	(void)state;
	put(KEY, "a", "1", 1);
	put(KEY, "b", "2", 2);
	put(KEY, "c", "3", 3);
	put(KEY, "b", "4", 4);
	for (x = entities_next(t, KEY, NULL); x; x = entities_next(t, KEY, x))
		strncat(order, x->e.id.ptr, 1);
	assert_string_equal(order, "abc");
	assert_null(entities_named(t, KEY, ID("2")));
	assert_non_null(entities_named(t, KEY, ID("4")));
}

static void what_was_taken_out_can_be_put_back(void **state)
{
	struct entity *a = put(KEY, "a", "1", 1), *old = NULL, *again = NULL;

	(void)state;
	assert_int_equal(entities_put(t, make(KEY, "a", "2", 2, 0), &old), 0);
	assert_ptr_equal(old, a);
	assert_int_equal(entities_put(t, old, &again), 0);
	entity_free(again);
	assert_ptr_equal(entities_named(t, KEY, ID("1")), a);
	assert_ptr_equal(entities_take(t, KEY, ID("a")), a);
	assert_null(entities_take(t, KEY, ID("a")));
	assert_int_equal(entities_total(t), 0);
	assert_int_equal(entities_bytes(t), 0);
	entity_free(a);
}

static void two_with_one_secret_know_of_each_other(void **state)
{
	struct entity *a = put(KEY, "a", "1", 7), *b = put(KEY, "b", "2", 7);

	(void)state;
	assert_ptr_equal(entities_other_with_secret(t, a, NULL), b);
	assert_ptr_equal(entities_other_with_secret(t, b, NULL), a);
	assert_null(entities_other_with_secret(t, a, b));
	put_stone(KEY, "b");
	assert_null(entities_other_with_secret(t, a, NULL));
}

/* A walk that goes on while entities are replaced, deleted and made sees each that stays once. */
static void a_walk_survives_changes(void **state)
{
	enum {
		COUNT = 400
	};
	struct entities_walk walk;
	bool seen[COUNT] = {false}, kept[COUNT];
	struct entity *x;
	char id[16];

	(void)state;
	srand(7);
	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(id, sizeof(id), "%d", i);
		put(i % 2 ? KEY : TEAM, id, id, 0);
		kept[i] = true;
	}
	entities_walk_begin(t, &walk);
	while ((x = entities_walk_next(t))) {
		int n = atoi(x->e.id.ptr);

		if (n < COUNT) {
			assert_false(seen[n]);
			seen[n] = true;
		}
		for (int k = 0; k < 3; k++) {
			int victim = k == 0 ? n : rand() % COUNT;

			(void)snprintf(id, sizeof(id), "%d", victim);
			if (victim >= COUNT || rand() % 2) {
				if (victim < COUNT && kept[victim])
					put(victim % 2 ? KEY : TEAM, id, id, 0);
			} else if (kept[victim]) {
				put_stone(victim % 2 ? KEY : TEAM, id);
				kept[victim] = false;
			}
		}
	}
	entities_walk_end(t);
	for (int i = 0; i < COUNT; i++)
		if (kept[i])
			assert_true(seen[i]);
}

static void who_is_made_again_is_seen_once(void **state)
{
	struct entities_walk walk;
	uint32_t seen[3] = {0};
	struct entity *x;

	(void)state;
	put(KEY, "0", "a", 1);
	put(KEY, "1", "b", 2);
	put(KEY, "2", "c", 3);
	entities_walk_begin(t, &walk);
	while ((x = entities_walk_next(t))) {
		uint32_t n = (uint32_t)(x->e.id.ptr[0] - '0');

		assert_int_equal(seen[n]++, 0);
		/* Itself, behind others and in front of them. */
		put_stone(KEY, "0");
		put(KEY, "0", "a", 1);
		put_stone(KEY, "2");
		put(KEY, "2", "c", 3);
	}
	entities_walk_end(t);
	for (int i = 0; i < 3; i++)
		assert_int_equal(seen[i], 1);
	/* The next walk sees all again. */
	entities_walk_begin(t, &walk);
	for (uint32_t n = 0; n < 3; n++)
		assert_non_null(entities_walk_next(t));
	assert_null(entities_walk_next(t));
	entities_walk_end(t);
}

static void many_are_found(void **state)
{
	uint64_t at = 0;
	uint32_t seen = 0;
	char id[16];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(id, sizeof(id), "key-%d", i);
		put(KEY, id, id, (uint8_t)i);
	}
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(id, sizeof(id), "key-%d", i);
		assert_non_null(entities_live(t, KEY, ID(id)));
		assert_non_null(entities_named(t, KEY, ID(id)));
	}
	while (entities_each(t, &at))
		seen++;
	assert_int_equal(seen, 5000);
}

static void references_are_known(void **state)
{
	const uint64_t names[] = {entity_key(TEAM, ID("a")), entity_key(TEAM, ID("b"))};
	const struct bf_entity e = {.type = KEY, .id = ID("k")};
	struct entity *x = entity_new(&e, names, 2);

	(void)state;
	assert_true(entity_names(x, names[1]));
	assert_false(entity_names(x, entity_key(KEY, ID("a"))));
	entity_free(x);
	entity_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(each_is_found_by_what_it_has, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_tombstone_is_found_by_its_id_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_changed_stays_where_it_was, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_was_taken_out_can_be_put_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(two_with_one_secret_know_of_each_other, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(a_walk_survives_changes, setup, teardown),
	    cmocka_unit_test_setup_teardown(who_is_made_again_is_seen_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(many_are_found, setup, teardown),
	    cmocka_unit_test_setup_teardown(references_are_known, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

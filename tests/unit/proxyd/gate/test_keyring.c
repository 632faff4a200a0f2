/* Keys that a worker holds: found, followed when they change, given up when others come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxyd/gate/keyring.h"
#include "proxyd/gate/place.h"
#include "shm/meter.h"
#include "tests/support/snapshot_of.h"

#define KEYS 64u

static struct bf_conf_rate_limit rate = {.id = BF_SLICE_INIT("rl"),
					 .request_max_limit = 5,
					 .request_reset_duration = BF_SLICE_INIT("1h")};
static struct bf_conf_team team = {
    .own = {.id = BF_SLICE_INIT("t"), .name = BF_SLICE_INIT("blue"), .rate_limit_id = {"rl", 2}}};
static struct bf_conf_virtual_key keys[KEYS];
static char names[KEYS][16];

static struct keyring ring;
static struct bf_snapshot_blob *base, *overlaid;
static struct bf_snapshot now;
static uint64_t generation;

/* All keys, of the team. */
static int setup(void **state)
{
	struct bf_snapshot_builder *b = snapshot_of_begin(false, 1);

	(void)state;
	snapshot_of_add(b, BF_ENTITY_RATE_LIMIT, &rate, 1);
	snapshot_of_add(b, BF_ENTITY_TEAM, &team, 1);
	for (unsigned i = 0; i < KEYS; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "sk-bf-%03u", i);
		keys[i] = (struct bf_conf_virtual_key){
		    .own = {.id = bf_slice_from(names[i]), .name = bf_slice_from(names[i])},
		    .value = bf_slice_from(names[i]),
		    .is_active = true,
		    .team_id = BF_SLICE_LIT("t")};
		snapshot_of_add(b, BF_ENTITY_VIRTUAL_KEY, &keys[i], 1);
	}
	base = snapshot_of_end(b);
	now = (struct bf_snapshot){base, NULL};
	generation = 1;
	return keyring_open(&ring);
}

static int teardown(void **state)
{
	(void)state;
	keyring_close(&ring);
	keyring_close(&ring);
	bf_snapshot_unmap(base);
	bf_snapshot_unmap(overlaid);
	base = overlaid = NULL;
	return 0;
}

/* What is in the overlay is in force from here on. */
static void flip(struct bf_snapshot_builder *overlay)
{
	bf_snapshot_unmap(overlaid);
	now.overlay = overlaid = snapshot_of_end(overlay);
	generation++;
}

static struct keyring_key *find(const char *value, int code)
{
	struct keyring_key *key = NULL;

	assert_int_equal(keyring_find(&ring, &now, generation, bf_slice_from(value), &key), code);
	return key;
}

static struct keyring_key *look(const char *value)
{
	return keyring_look(&ring, generation, bf_slice_from(value));
}

static const struct bf_plan_key *plan_of(const struct keyring_key *key)
{
	assert_null(key->broken);
	return &key->plan.keys[0];
}

static void keys_are_found_by_their_values(void **state)
{
	(void)state;
	assert_null(look("sk-bf-001"));
	for (unsigned i = 0; i < KEYS; i++) {
		struct keyring_key *key = find(names[i], 0);

		assert_true(bf_slice_is(plan_of(key)->conf->own.id, names[i]));
		assert_int_equal(key->plan.limit_count, 1);
		assert_int_equal(place_of(&key->plan.limits[0])->meter, SHM_METER_NOWHERE);
		keyring_drop(key);
		assert_ptr_equal(look(names[i]), key);
		keyring_drop(key);
	}
	assert_int_equal(ring.made, KEYS);
	assert_int_equal(ring.count, KEYS);
	for (unsigned i = 0; i < KEYS; i++)
		keyring_drop(find(names[i], 0));
	assert_int_equal(ring.made, KEYS);
}

static void nobody_else_is_found(void **state)
{
	(void)state;
	keyring_drop(find("sk-bf-000", 0));
	(void)find("sk-bf-00", BF_E_UNKNOWN);
	(void)find("sk-bf-0000", BF_E_UNKNOWN);
	(void)find("sk-bf-00a", BF_E_UNKNOWN);
	(void)find("", BF_E_UNKNOWN);
	assert_null(look("sk-bf-00a"));
	assert_null(look(""));
	assert_int_equal(ring.count, 1);
}

/* A flip that concerns others costs a few looks. */
static void what_did_not_change_is_kept(void **state)
{
	struct bf_snapshot_builder *overlay = snapshot_of_begin(true, 1);
	struct keyring_key *key = find("sk-bf-001", 0);

	(void)state;
	snapshot_of_add(overlay, BF_ENTITY_VIRTUAL_KEY, &keys[2], 2);
	flip(overlay);
	assert_null(look("sk-bf-001"));
	assert_ptr_equal(find("sk-bf-001", 0), key);
	assert_ptr_equal(look("sk-bf-001"), key);
	assert_int_equal(ring.made, 1);
	keyring_drop(key);
	keyring_drop(key);
	keyring_drop(key);
}

/* Who was admitted before goes on by what it was admitted by. */
static void what_changed_is_made_anew(void **state)
{
	struct bf_snapshot_builder *overlay = snapshot_of_begin(true, 1);
	struct bf_conf_rate_limit other = rate;
	struct keyring_key *before = find("sk-bf-001", 0), *after;

	(void)state;
	other.request_max_limit = 7;
	snapshot_of_add(overlay, BF_ENTITY_RATE_LIMIT, &other, 2);
	flip(overlay);
	after = find("sk-bf-001", 0);
	assert_ptr_not_equal(after, before);
	assert_int_equal(after->plan.limits[0].max, 7);
	assert_int_equal(before->plan.limits[0].max, 5);
	assert_int_equal(after->plan.limits[0].identity, before->plan.limits[0].identity);
	assert_int_equal(ring.count, 1);
	keyring_drop(before);
	keyring_drop(after);
}

static void deleted_and_rotated_keys_are_gone(void **state)
{
	struct bf_snapshot_builder *overlay = snapshot_of_begin(true, 1);
	const struct bf_entity gone = {.type = BF_ENTITY_VIRTUAL_KEY,
				       .flags = BF_ENTITY_DELETED,
				       .version = 2,
				       .id = keys[1].own.id};
	struct bf_conf_virtual_key rotated = keys[2];

	(void)state;
	keyring_drop(find("sk-bf-001", 0));
	keyring_drop(find("sk-bf-002", 0));
	rotated.value = BF_SLICE_LIT("sk-bf-new");
	assert_int_equal(bf_snapshot_builder_add(overlay, &gone, NULL), 0);
	snapshot_of_add(overlay, BF_ENTITY_VIRTUAL_KEY, &rotated, 2);
	flip(overlay);
	(void)find("sk-bf-001", BF_E_UNKNOWN);
	(void)find("sk-bf-002", BF_E_UNKNOWN);
	assert_int_equal(ring.count, 0);
	assert_int_equal(ring.bytes, 0);
	struct keyring_key *key = find("sk-bf-new", 0);
	assert_true(bf_slice_is(plan_of(key)->conf->own.id, "sk-bf-002"));
	keyring_drop(key);
}

/* Blocked until somebody mends it. */
static void keys_that_name_nobody_are_broken(void **state)
{
	struct bf_snapshot_builder *overlay = snapshot_of_begin(true, 1);
	struct bf_conf_virtual_key lost = keys[1];
	struct bf_conf_team red = team;
	struct keyring_key *key;

	(void)state;
	lost.team_id = BF_SLICE_LIT("red");
	snapshot_of_add(overlay, BF_ENTITY_VIRTUAL_KEY, &lost, 2);
	flip(overlay);
	key = find("sk-bf-001", 0);
	assert_null(keyring_plan_key(key));
	assert_non_null(strstr(key->broken, "no team has the id \"red\""));
	keyring_drop(key);
	keyring_drop(find("sk-bf-001", 0));
	assert_int_equal(ring.made, 1);

	red.own.id = BF_SLICE_LIT("red");
	overlay = snapshot_of_begin(true, 1);
	snapshot_of_add(overlay, BF_ENTITY_VIRTUAL_KEY, &lost, 2);
	snapshot_of_add(overlay, BF_ENTITY_TEAM, &red, 1);
	flip(overlay);
	key = find("sk-bf-001", 0);
	assert_non_null(keyring_plan_key(key));
	assert_int_equal(key->plan.limit_count, 1);
	keyring_drop(key);
}

static void the_least_used_give_way(void **state)
{
	struct keyring_key *held;

	(void)state;
	ring.keys_max = 8;
	held = find(names[0], 0);
	for (unsigned i = 1; i < KEYS; i++) {
		/* In use all the time. */
		keyring_drop(find(names[1], 0));
		keyring_drop(find(names[i], 0));
		assert_true(ring.count <= 8);
	}
	keyring_drop(look(names[1]));
	assert_int_equal(ring.made, KEYS);
	assert_int_equal(ring.evicted, KEYS - 8);
	/* It gave way too, and its holder does not know. */
	assert_null(look(names[0]));
	assert_true(bf_slice_is(plan_of(held)->conf->own.id, names[0]));
	keyring_drop(held);
	ring.bytes_max = 3 * ring.bytes / 8;
	for (unsigned i = 0; i < KEYS; i++)
		keyring_drop(find(names[i], 0));
	assert_true(ring.bytes <= ring.bytes_max && ring.count <= 3 && ring.count > 0);
}

/* Against what must be: any order of uses, flips and bounds. */
static void random_uses(void **state)
{
	unsigned seed = 7;

	(void)state;
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (unsigned)rand_r(&seed) % (KEYS + 8);
		char unknown[24];

		if (rand_r(&seed) % 500 == 0)
			ring.keys_max = 1 + (uint32_t)rand_r(&seed) % KEYS;
		if (rand_r(&seed) % 300 == 0)
			generation++;
		if (rand_r(&seed) % 3000 == 0)
			keyring_flush(&ring);
		(void)snprintf(unknown, sizeof(unknown), "sk-bf-x%u", i);
		if (i >= KEYS) {
			(void)find(unknown, BF_E_UNKNOWN);
			continue;
		}
		struct keyring_key *key = look(names[i]);
		if (!key)
			key = find(names[i], 0);
		assert_true(bf_slice_is(plan_of(key)->conf->own.id, names[i]));
		assert_int_equal(key->refs, 2);
		assert_true(ring.count <= KEYS);
		keyring_drop(key);
	}
}

static void one_without_a_ring(void **state)
{
	struct bf_plan_path path;
	struct bf_entity entity;
	struct keyring_key *key;

	(void)state;
	assert_true(
	    bf_snapshot_find(&now, BF_ENTITY_VIRTUAL_KEY, BF_SLICE_LIT("sk-bf-003"), &entity));
	assert_int_equal(keyring_make(&now, &entity, (struct bf_slice){NULL, 0}, &key), 0);
	path = plan_of(key)->always;
	assert_int_equal(path.count, 1);
	place_of(path.items[0])->meter = 3;
	places_forget(&path);
	assert_int_equal(place_of(path.items[0])->meter, SHM_METER_NOWHERE);
	keyring_drop(key);
	keyring_drop(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(keys_are_found_by_their_values),
	    TEST(nobody_else_is_found),
	    TEST(what_did_not_change_is_kept),
	    TEST(what_changed_is_made_anew),
	    TEST(deleted_and_rotated_keys_are_gone),
	    TEST(keys_that_name_nobody_are_broken),
	    TEST(the_least_used_give_way),
	    TEST(random_uses),
	    TEST(one_without_a_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

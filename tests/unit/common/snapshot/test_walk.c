/*
 * Bases and overlays against a plain list of what should be in force: thousands of random changes,
 * everything looked up in every way after each step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/base/siphash.h"
#include "tests/support/snapshot_of.h"

#define THINGS 160u
#define SCOPES 6u

static const uint32_t types[] = {BF_ENTITY_VIRTUAL_KEY, BF_ENTITY_TEAM, BF_ENTITY_RATE_LIMIT,
				 BF_ENTITY_MODEL_CONFIG};

/* One that may exist. */
struct thing {
	uint32_t type;
	char id[16];
	bool exists, quarantined;
	uint64_t version;
	unsigned scope;    /* of a model config; 0: everybody's */
	unsigned secret;   /* of a key */
	unsigned order;    /* in the base; 0: it is not there */
	unsigned changed;  /* in the overlay; 0: it is not there */
	unsigned of_scope; /* its scope in the base */
};

static struct thing things[THINGS];
static unsigned changes;

static const char *scope_name(unsigned scope)
{
	static const char *const names[SCOPES] = {"", "k-1", "k-2", "k-3", "k-4", "k-5"};

	return names[scope];
}

static void secret_of(unsigned number, uint8_t secret[BF_ENTITY_SECRET_LEN])
{
	memset(secret, 0, BF_ENTITY_SECRET_LEN);
	memcpy(secret, &number, sizeof(number));
	secret[31] = 1;
}

static struct bf_entity entity_of(const struct thing *t)
{
	struct bf_entity e = {.type = t->type,
			      .flags = t->quarantined ? BF_ENTITY_QUARANTINED : 0,
			      .version = t->version,
			      .created_ms = 5,
			      .updated_ms = (int64_t)t->version,
			      .id = bf_slice_from(t->id)};

	if (t->type == BF_ENTITY_VIRTUAL_KEY)
		secret_of(t->secret, e.secret);
	if (!t->exists) {
		e.flags = BF_ENTITY_DELETED;
		return e;
	}
	e.name = BF_SLICE_LIT("a name");
	if (t->type == BF_ENTITY_MODEL_CONFIG)
		e.scope = bf_slice_from(scope_name(t->scope));
	/* Of every length, so that records end at every remainder of 8. */
	e.body = (struct bf_slice){"abcdefghijklmnop", 1 + t->version % 16};
	return e;
}

static void change(struct thing *t)
{
	bool deletes = t->exists && random() % 4 == 0;

	t->exists = !deletes;
	t->version++;
	t->quarantined = random() % 8 == 0;
	if (t->type == BF_ENTITY_MODEL_CONFIG && random() % 3 == 0)
		t->scope = (unsigned)random() % SCOPES;
	if (random() % 2)
		t->secret += 1000;
	if (!t->changed)
		t->changed = ++changes;
}

/* ---- blobs of the list */

static int by_order(const void *a, const void *b)
{
	const struct thing *x = *(const struct thing *const *)a,
			   *y = *(const struct thing *const *)b;

	return x->changed < y->changed ? -1 : 1;
}

static struct bf_snapshot_blob *make_base(uint64_t id)
{
	struct bf_snapshot_builder *b = snapshot_of_begin(false, id);
	struct bf_err err;

	changes = 0;
	for (unsigned i = 0; i < THINGS; i++) {
		struct bf_entity e = entity_of(&things[i]);

		things[i].order = things[i].exists ? i + 1 : 0;
		things[i].of_scope = things[i].scope;
		things[i].changed = 0;
		if (things[i].exists)
			assert_int_equal(bf_snapshot_builder_add(b, &e, &err), 0);
	}
	return snapshot_of_end(b);
}

static struct bf_snapshot_blob *make_overlay(uint64_t id)
{
	struct bf_snapshot_builder *b = snapshot_of_begin(true, id);
	const struct thing *sorted[THINGS];
	unsigned count = 0;
	struct bf_err err;

	for (unsigned i = 0; i < THINGS; i++)
		if (things[i].changed)
			sorted[count++] = &things[i];
	qsort(sorted, count, sizeof(sorted[0]), by_order);
	for (unsigned i = 0; i < count; i++) {
		struct bf_entity e = entity_of(sorted[i]);

		assert_int_equal(bf_snapshot_builder_add(b, &e, &err), 0);
	}
	return snapshot_of_end(b);
}

/* ---- what is right */

static void expect(const struct bf_entity *got, const struct thing *t)
{
	struct bf_entity want = entity_of(t);

	assert_int_equal(got->type, want.type);
	assert_int_equal(got->flags, want.flags);
	assert_int_equal(got->version, want.version);
	assert_int_equal(got->created_ms, want.created_ms);
	assert_int_equal(got->updated_ms, want.updated_ms);
	assert_true(bf_slice_eq(got->id, want.id) && bf_slice_eq(got->name, want.name) &&
		    bf_slice_eq(got->scope, want.scope) && bf_slice_eq(got->body, want.body));
	assert_memory_equal(got->secret, want.secret, sizeof(want.secret));
}

static void check_finds(const struct bf_snapshot *s)
{
	uint8_t secret[BF_ENTITY_SECRET_LEN];
	struct bf_entity e;

	for (unsigned i = 0; i < THINGS; i++) {
		const struct thing *t = &things[i];

		assert_int_equal(bf_snapshot_find(s, t->type, bf_slice_from(t->id), &e), t->exists);
		if (t->exists)
			expect(&e, t);
		assert_false(bf_snapshot_find(s, BF_ENTITY_CUSTOMER, bf_slice_from(t->id), &e));
		if (t->type != BF_ENTITY_VIRTUAL_KEY)
			continue;
		secret_of(t->secret, secret);
		assert_int_equal(bf_snapshot_find_secret(s, t->type, secret, &e), t->exists);
		if (t->exists)
			expect(&e, t);
		/* Those of before and after. */
		secret_of(t->secret + 1000, secret);
		assert_false(bf_snapshot_find_secret(s, t->type, secret, &e));
		if (t->secret >= 1000) {
			secret_of(t->secret - 1000, secret);
			assert_false(bf_snapshot_find_secret(s, t->type, secret, &e));
		}
		assert_false(bf_snapshot_find_secret(s, BF_ENTITY_TEAM, secret, &e));
	}
}

/* The order in which they are given, of a type or of a scope of it. */
static unsigned in_order(uint32_t type, int scope, const struct thing **ret)
{
	const struct thing *fresh[THINGS];
	unsigned count = 0, news = 0;

	for (unsigned i = 0; i < THINGS; i++) {
		const struct thing *t = &things[i];
		bool was = t->order && (scope < 0 || t->of_scope == (unsigned)scope);

		if (!t->exists || t->type != type || (scope >= 0 && t->scope != (unsigned)scope))
			continue;
		if (was)
			ret[count++] = t;
		else
			fresh[news++] = t;
	}
	qsort(fresh, news, sizeof(fresh[0]), by_order);
	memcpy(ret + count, fresh, news * sizeof(fresh[0]));
	return count + news;
}

static void check_walks(const struct bf_snapshot *s)
{
	const struct thing *want[THINGS];
	struct bf_entity e;

	for (size_t k = 0; k < BF_ARRAY_LEN(types); k++) {
		struct bf_snapshot_cursor cursor = {0};
		unsigned count = in_order(types[k], -1, want);

		for (unsigned i = 0; i < count; i++) {
			assert_true(bf_snapshot_next(s, types[k], &cursor, &e));
			expect(&e, want[i]);
		}
		assert_false(bf_snapshot_next(s, types[k], &cursor, &e));
		assert_false(bf_snapshot_next(s, types[k], &cursor, &e));
		assert_int_equal(bf_snapshot_live(s, types[k]), count);
	}
	for (unsigned scope = 0; scope < SCOPES; scope++) {
		struct bf_snapshot_cursor cursor = {0};
		unsigned count = in_order(BF_ENTITY_MODEL_CONFIG, (int)scope, want);
		struct bf_slice name = bf_slice_from(scope_name(scope));

		for (unsigned i = 0; i < count; i++) {
			assert_true(
			    bf_snapshot_next_of(s, BF_ENTITY_MODEL_CONFIG, name, &cursor, &e));
			expect(&e, want[i]);
		}
		assert_false(bf_snapshot_next_of(s, BF_ENTITY_MODEL_CONFIG, name, &cursor, &e));
		assert_false(bf_snapshot_next_of(s, BF_ENTITY_TEAM, name, &cursor, &e));
	}
}

/* What all requests depend on, in this test's own words. */
static uint64_t common_state(void)
{
	static const uint8_t key[16] = "of this test";
	uint64_t sum = 0;

	for (unsigned i = 0; i < THINGS; i++) {
		const struct thing *t = &things[i];
		char text[64];
		int n;

		if (!t->exists || t->type == BF_ENTITY_VIRTUAL_KEY || t->type == BF_ENTITY_TEAM ||
		    (t->type == BF_ENTITY_MODEL_CONFIG && t->scope))
			continue;
		n = snprintf(text, sizeof(text), "%u/%s/%u/%d", (unsigned)t->type, t->id,
			     (unsigned)t->version, t->quarantined);
		sum ^= bf_siphash(key, text, (size_t)n);
	}
	return sum;
}

#define STATES_MAX 4096u

static struct {
	uint64_t state, told;
} states[STATES_MAX];
static unsigned state_count;

static void check_common(const struct bf_snapshot *s)
{
	uint64_t state = common_state(), told = bf_snapshot_common(s);

	for (unsigned i = 0; i < state_count; i++)
		assert_int_equal(states[i].state == state, states[i].told == told);
	if (state_count < STATES_MAX) {
		states[state_count].state = state;
		states[state_count++].told = told;
	}
}

static void check(const struct bf_snapshot *s)
{
	check_finds(s);
	check_walks(s);
	check_common(s);
}

static void random_changes(void **state)
{
	uint64_t id = 0;

	(void)state;
	srandom(7);
	for (unsigned i = 0; i < THINGS; i++) {
		things[i] = (struct thing){.type = types[i % BF_ARRAY_LEN(types)],
					   .exists = i % 3 != 0,
					   .version = 1,
					   .scope = i % SCOPES,
					   .secret = i};
		(void)snprintf(things[i].id, sizeof(things[i].id), "thing-%u", i / 2);
	}
	for (unsigned round = 0; round < 40; round++) {
		struct bf_snapshot_blob *base = make_base(++id);
		struct bf_snapshot s = {.base = base};

		check(&s);
		for (unsigned step = 0; step < 12; step++) {
			for (long k = random() % 12; k >= 0; k--)
				change(&things[random() % THINGS]);
			struct bf_snapshot_blob *overlay = make_overlay(id);

			s.overlay = overlay;
			assert_int_equal(bf_snapshot_base_id(overlay), id);
			check(&s);
			bf_snapshot_unmap(overlay);
		}
		bf_snapshot_unmap(base);
	}
}

/* Nothing there, in one or in both. */
static void empty_ones(void **state)
{
	struct bf_snapshot_blob *base, *overlay;
	const uint8_t secret[BF_ENTITY_SECRET_LEN] = {1};

	(void)state;
	for (unsigned i = 0; i < THINGS; i++)
		things[i].exists = false;
	base = make_base(9);
	overlay = make_overlay(9);
	struct bf_snapshot s = {.base = base};
	struct bf_entity e;

	check_walks(&s);
	s.overlay = overlay;
	check_walks(&s);
	assert_false(bf_snapshot_find(&s, BF_ENTITY_TEAM, BF_SLICE_LIT("x"), &e));
	assert_false(bf_snapshot_find(&s, BF_ENTITY_TEAM, BF_SLICE_LIT(""), &e));
	assert_false(bf_snapshot_find_secret(&s, BF_ENTITY_VIRTUAL_KEY, secret, &e));
	assert_int_equal(bf_snapshot_common(&s), 0);
	bf_snapshot_unmap(overlay);
	bf_snapshot_unmap(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(random_changes),
	    cmocka_unit_test(empty_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

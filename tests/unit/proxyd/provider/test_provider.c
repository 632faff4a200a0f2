/* Sets of providers from snapshots: who is shared, who is closed and when, one that cannot be
 * opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/schema/model_catalog.h"
#include "proxyd/provider/provider.h"
#include "tests/support/snapshot_of.h"
#include "tests/unit/proxyd/harness.h"

static struct harness h;
static struct bf_snapshot_blob *blob;
static struct bf_arena arena;

static struct bf_conf_provider a_provider(const char *name, const char *url)
{
	static struct bf_conf_provider_key key = {.id = BF_SLICE_INIT("k"),
						  .name = BF_SLICE_INIT("k"),
						  .value = BF_SLICE_INIT("secret"),
						  .enabled = true};
	static struct bf_slice models[] = {BF_SLICE_INIT("m")};
	struct bf_conf_provider p;

	key.models = (struct bf_array){models, 1};
	if (bf_table_defaults(bf_entity_def(BF_ENTITY_PROVIDER)->table, &p, &arena) < 0)
		fail_msg("no defaults");
	p.name = bf_slice_from(name);
	p.keys = (struct bf_array){&key, 1};
	p.network_config.base_url = bf_slice_from(url);
	return p;
}

/* "one" as it is in a version, and "two" unless it is gone. */
static struct bf_snapshot snapshot(uint64_t version, const char *url, bool two)
{
	struct bf_snapshot_builder *b = snapshot_of_begin(false, version);
	const struct bf_conf_provider one = a_provider("one", url);
	const struct bf_conf_provider other = a_provider("two", "http://127.0.0.1:9");

	snapshot_of_add(b, BF_ENTITY_PROVIDER, &one, version);
	if (two)
		snapshot_of_add(b, BF_ENTITY_PROVIDER, &other, 1);
	bf_snapshot_unmap(blob);
	blob = snapshot_of_end(b);
	return (struct bf_snapshot){blob, NULL};
}

/* "one", whose keys name "m", with a list of these models, each behind a word (NULL: none). */
static struct bf_snapshot snapshot_with(uint64_t version, const char *a, const char *b)
{
	struct bf_snapshot_builder *builder = snapshot_of_begin(false, version);
	struct bf_conf_provider one = a_provider("one", "http://127.0.0.1:8");
	struct bf_slice names[2] = {bf_slice_from(a ? a : ""), bf_slice_from(b ? b : "")};
	const struct bf_model_catalog list = {.provider = one.name, .models = {names, 2}};
	const struct bf_model_catalog nobodys = {.provider = BF_SLICE_LIT("gone"),
						 .models = {names, 2}};
	struct bf_conf_provider_key keys[2] = {*(struct bf_conf_provider_key *)one.keys.items};

	keys[1] = keys[0];
	keys[1].id = keys[1].name = BF_SLICE_LIT("any");
	keys[1].models = (struct bf_array){NULL, 0};
	one.keys = (struct bf_array){keys, 2};
	snapshot_of_add(builder, BF_ENTITY_PROVIDER, &one, 1);
	if (a) {
		snapshot_of_add(builder, BF_ENTITY_MODEL_CATALOG, &list, version);
		snapshot_of_add(builder, BF_ENTITY_MODEL_CATALOG, &nobodys, version);
	}
	bf_snapshot_unmap(blob);
	blob = snapshot_of_end(builder);
	return (struct bf_snapshot){blob, NULL};
}

static struct provider_set *set_of(const struct bf_snapshot *s, const struct provider_set *before)
{
	struct provider_set *set = NULL;
	struct bf_err err = {0};

	if (provider_set_make(&h.w, s, before, &set, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(set->mark, provider_set_mark(s));
	return set;
}

static uint32_t open_ones(void)
{
	uint32_t n = 0;

	for (const struct bf_list *it = h.net.open.next; it != &h.net.open; it = it->next)
		n++;
	return n - 1; /* the harness has its own */
}

static int open_house(void **state)
{
	(void)state;
	harness_open(&h, NULL);
	bf_arena_init(&arena, 1 << 20);
	return 0;
}

static int close_house(void **state)
{
	(void)state;
	harness_close(&h);
	bf_arena_done(&arena);
	bf_snapshot_unmap(blob);
	blob = NULL;
	return 0;
}

static void those_that_are_as_they_were_are_shared(void **state)
{
	struct bf_snapshot s = snapshot(1, "http://127.0.0.1:8", true);
	struct provider_set *first = set_of(&s, NULL), *next;
	struct bf_entity e;

	(void)state;
	assert_true(bf_snapshot_find(&s, BF_ENTITY_PROVIDER, BF_SLICE_LIT("one"), &e));
	assert_int_equal(first->items[0]->mark, bf_snapshot_mark(&s, &e));
	assert_int_equal(first->count, 2);
	assert_int_equal(first->confs.count, 2);
	assert_true(bf_slice_is(first->items[0]->conf->name, "one"));
	assert_non_null(catalog_find(&first->catalog, BF_SLICE_LIT("two"), BF_SLICE_LIT("m")));
	uint64_t mark = first->mark;
	s = snapshot(2, "http://127.0.0.1:7", true);
	assert_int_not_equal(provider_set_mark(&s), mark);
	assert_int_equal(bf_snapshot_sum(&s, BF_ENTITY_TEAM), 0);
	next = set_of(&s, first);
	assert_ptr_not_equal(next->items[0], first->items[0]);
	assert_ptr_equal(next->items[1], first->items[1]);
	assert_int_equal(next->items[1]->refs, 2);
	assert_int_equal(open_ones(), 3);
	provider_set_drop(first);
	harness_turns(&h, 1);
	assert_int_equal(open_ones(), 2);
	assert_int_equal(next->items[1]->refs, 1);
	provider_set_drop(next);
	harness_turns(&h, 1);
	assert_int_equal(open_ones(), 0);
}

static bool knows(const struct provider_set *set, const char *model)
{
	return catalog_first(&set->catalog, bf_slice_from(model)) != NULL;
}

static void lists_of_models_come_and_go_with_snapshots(void **state)
{
	struct bf_snapshot s = snapshot_with(1, NULL, NULL);
	struct provider_set *none = set_of(&s, NULL), *some, *others;

	(void)state;
	assert_true(knows(none, "m"));
	assert_false(knows(none, "n"));
	s = snapshot_with(2, "n", "vendor/o");
	assert_int_not_equal(provider_set_mark(&s), none->mark);
	some = set_of(&s, none);
	/* The provider itself is as it was, with its connections. */
	assert_ptr_equal(some->items[0], none->items[0]);
	assert_int_equal(some->count, 1);
	assert_true(knows(some, "m") && knows(some, "n") && knows(some, "vendor/o"));
	s = snapshot_with(3, "p", "n");
	others = set_of(&s, some);
	assert_true(knows(others, "p") && knows(others, "n") && !knows(others, "vendor/o"));
	/* The snapshot is gone: what holds the set before still finds its names. */
	assert_true(knows(some, "vendor/o"));
	assert_false(knows(none, "n"));
	provider_set_drop(none);
	provider_set_drop(some);
	provider_set_drop(others);
	harness_turns(&h, 1);
	assert_int_equal(open_ones(), 0);
}

static void who_holds_a_set_keeps_what_is_in_it(void **state)
{
	struct bf_snapshot s = snapshot(1, "http://127.0.0.1:8", true);
	struct provider_set *held = set_of(&s, NULL), *next;

	(void)state;
	(void)provider_set_hold(held);
	s = snapshot(2, "http://127.0.0.1:8", false);
	next = set_of(&s, held);
	provider_set_drop(held); /* in force no more */
	harness_turns(&h, 1);
	assert_null(provider_find(next, BF_SLICE_LIT("two")));
	assert_true(bf_slice_is(provider_find(held, BF_SLICE_LIT("two"))->conf->name, "two"));
	/* It is not closed from within what its last holder does. */
	provider_set_drop(held);
	assert_int_equal(open_ones(), 3);
	harness_turns(&h, 1);
	assert_int_equal(open_ones(), 1);
	provider_set_drop(next);
	provider_set_drop(NULL);
}

static const struct exchange_outcome *told;

static void hear(struct exchange *x, const struct exchange_outcome *outcome)
{
	static struct exchange_outcome copy;

	(void)x;
	copy = *outcome;
	told = &copy;
}

static void one_that_cannot_be_opened_refuses_its_own_calls(void **state)
{
	static const struct exchange_sink sink = {.on_done = hear};
	struct bf_snapshot s = snapshot(1, "https://127.0.0.1:8:9/", true);
	struct provider_set *set = set_of(&s, NULL);
	struct exchange x = {.worker = &h.w, .sink = &sink};

	(void)state;
	assert_int_equal(set->count, 2);
	assert_int_equal(set->items[1]->broken.code, 0);
	assert_int_not_equal(set->items[0]->broken.code, 0);
	set->items[0]->ops->start(set->items[0], &x);
	assert_int_equal(told->http_status, 503);
	assert_string_equal(told->error_type, "provider_unusable");
	assert_int_equal(provider_net_connections(&h.net), 0);
	provider_set_drop(set);
}

static void names_of_hosts_come_and_go(void **state)
{
	struct bf_addr addrs[BF_RESOLVE_ADDRS];
	struct bf_snapshot s;
	struct provider_set *set = NULL;
	char url[64];

	(void)state;
	/* Many more than a resolver knows at once. */
	for (unsigned i = 1; i <= BF_RESOLVE_NAMES_MAX + 8; i++) {
		struct provider_set *next;

		(void)snprintf(url, sizeof(url), "http://host-%u.test", i);
		s = snapshot(i, url, false);
		next = set_of(&s, set);
		assert_int_equal(next->items[0]->broken.code, 0);
		provider_set_drop(set);
		harness_turns(&h, 1);
		set = next;
	}
	assert_int_equal(bf_resolve_known(h.net.resolver, BF_SLICE_LIT("host-1.test"), 80, addrs),
			 0);
	provider_set_drop(set);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_house, close_house)
	const struct CMUnitTest tests[] = {
	    TEST(those_that_are_as_they_were_are_shared),
	    TEST(lists_of_models_come_and_go_with_snapshots),
	    TEST(who_holds_a_set_keeps_what_is_in_it),
	    TEST(one_that_cannot_be_opened_refuses_its_own_calls),
	    TEST(names_of_hosts_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The catalogue: pairs once, first of the file first, what is known besides behind them, and the
 * largest configuration in no time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "proxyd/provider/catalog.h"
#include "proxyd/provider/provider.h"

static const struct provider_ops plain = {.name = "plain"};
static const struct provider_ops with_default = {.name = "d", .default_model = "def"};

static const char *provider_of(const struct catalog *c, const char *model)
{
	const struct catalog_entry *e = catalog_first(c, bf_slice_from(model));

	return e ? e->provider->name.ptr : "-";
}

static bool has(const struct catalog *c, const char *provider, const char *model)
{
	return catalog_find(c, bf_slice_from(provider), bf_slice_from(model)) != NULL;
}

static void the_first_of_the_file_wins(void **state)
{
	struct bf_slice one[] = {{"x", 1}, {"y", 1}}, two[] = {{"z", 1}, {"y", 1}, {"def", 3}};
	struct bf_conf_provider_key keys[2] = {
	    {.models = {one, 2}, .enabled = true},
	    {.models = {two, 3}, .enabled = true},
	};
	struct bf_conf_provider conf[2] = {
	    {.name = BF_SLICE_LIT("a"), .keys = {&keys[0], 1}},
	    {.name = BF_SLICE_LIT("b"), .keys = {&keys[1], 1}},
	};
	struct provider first = {.ops = &with_default, .conf = &conf[0]};
	struct provider second = {.ops = &plain, .conf = &conf[1]};
	struct provider *const providers[2] = {&first, &second};
	struct catalog c;

	(void)state;
	assert_int_equal(catalog_open(&c, providers, NULL, 2), 0);
	assert_int_equal(c.count, 6);
	assert_string_equal(provider_of(&c, "x"), "a");
	assert_string_equal(provider_of(&c, "y"), "a");
	assert_string_equal(provider_of(&c, "z"), "b");
	/* A model that only the code knows does not catch bare names. */
	assert_string_equal(provider_of(&c, "def"), "b");
	assert_string_equal(provider_of(&c, "w"), "-");
	assert_true(has(&c, "b", "y"));
	assert_true(has(&c, "a", "def"));
	assert_false(has(&c, "b", "x"));
	assert_false(has(&c, "c", "x"));
	catalog_close(&c);
}

static void an_empty_one_knows_nothing(void **state)
{
	struct catalog c = {0};

	(void)state;
	catalog_close(&c);
	assert_int_equal(catalog_open(&c, NULL, NULL, 0), 0);
	assert_string_equal(provider_of(&c, "x"), "-");
	assert_false(has(&c, "a", "x"));
	catalog_close(&c);
}

/* 64 providers x 256 keys x 1024 models, all alike: 16 million names. All-pairs would take hours.
 */
static void the_largest_file_is_no_trouble(void **state)
{
	static struct bf_slice models[1024];
	static char names[1024][32];
	static struct bf_conf_provider_key keys[256];
	static struct bf_conf_provider conf[64];
	static struct provider each[64];
	struct provider *providers[64];
	static char provider_names[64][8];
	struct catalog c;

	(void)state;
	for (int i = 0; i < 1024; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "model-%d", i);
		models[i] = bf_slice_from(names[i]);
	}
	for (int i = 0; i < 256; i++)
		keys[i] =
		    (struct bf_conf_provider_key){.models = {models, 1024}, .enabled = i % 64 == 0};
	for (int i = 0; i < 64; i++) {
		(void)snprintf(provider_names[i], sizeof(provider_names[i]), "p%d", i);
		conf[i] = (struct bf_conf_provider){.name = bf_slice_from(provider_names[i]),
						    .keys = {keys, 256}};
		each[i] = (struct provider){.ops = &plain, .conf = &conf[i]};
		providers[i] = &each[i];
	}
	clock_t start = clock();
	assert_int_equal(catalog_open(&c, providers, NULL, 64), 0);
	assert_true(clock() - start < 20 * CLOCKS_PER_SEC);
	assert_int_equal(c.count, 64 * 1024);
	assert_string_equal(provider_of(&c, "model-1023"), "p0");
	assert_true(has(&c, "p63", "model-0"));
	catalog_close(&c);
}

/* ---- lists of what providers have besides */

static const struct provider_ops custom = {.name = "custom"};

static struct bf_array slices(struct bf_slice *items, uint32_t count)
{
	return (struct bf_array){items, count};
}

static struct bf_slice star[] = {BF_SLICE_INIT("*")};

static void who_names_a_model_comes_before_who_has_it_besides(void **state)
{
	struct bf_slice named[] = {BF_SLICE_INIT("x")},
			of_a[] = {BF_SLICE_INIT("l"), BF_SLICE_INIT("x"), BF_SLICE_INIT("def")};
	struct bf_slice of_b[] = {BF_SLICE_INIT("m"), BF_SLICE_INIT("l"), BF_SLICE_INIT("x")};
	struct bf_conf_provider_key any = {.models = slices(star, 1), .enabled = true};
	struct bf_conf_provider_key both[] = {{.models = slices(named, 1), .enabled = true}, any};
	struct bf_conf_provider conf[] = {
	    {.name = BF_SLICE_LIT("a"), .keys = {&any, 1}},
	    {.name = BF_SLICE_LIT("b"), .keys = {both, 2}},
	};
	struct provider a = {.ops = &with_default, .conf = &conf[0]};
	struct provider b = {.ops = &plain, .conf = &conf[1]};
	struct provider *const providers[] = {&a, &b};
	const struct bf_array lists[] = {slices(of_a, 3), slices(of_b, 3)};
	static const char *const order[] = {"a/def", "b/x", "a/l", "a/x", "b/m", "b/l"};
	struct catalog c;

	(void)state;
	assert_int_equal(catalog_open(&c, providers, lists, 2), 0);
	assert_int_equal(c.count, 6);
	for (uint32_t i = 0; i < c.count; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "%.*s/%.*s",
			       BF_SLICE_FMT(c.entries[i].provider->name),
			       BF_SLICE_FMT(c.entries[i].model));
		assert_string_equal(text, order[i]);
	}
	/* A key names it, though another provider has it first. */
	assert_string_equal(provider_of(&c, "x"), "b");
	assert_string_equal(provider_of(&c, "l"), "a");
	assert_string_equal(provider_of(&c, "m"), "b");
	/* What the code alone knew is known to all now. */
	assert_string_equal(provider_of(&c, "def"), "a");
	assert_true(has(&c, "a", "x"));
	catalog_close(&c);
}

/* Which of "one", "two", "v/Three" are known of a provider with these keys, by their initials. */
static const char *known(const char *provider, struct bf_conf_provider_key *keys, uint32_t count,
			 bool keyless)
{
	static char text[8];
	struct bf_slice list[] = {BF_SLICE_INIT("one"), BF_SLICE_INIT("two"),
				  BF_SLICE_INIT("v/Three")};
	struct bf_conf_provider conf = {.name = bf_slice_from(provider),
					.keys = {keys, count},
					.custom_provider_config.is_key_less = keyless};
	struct provider p = {.ops = &custom, .conf = &conf};
	struct provider *const providers[] = {&p};
	const struct bf_array lists[] = {slices(list, 3)};
	const struct key_set usable = provider_keys_usable(&conf);
	const struct provider_key_pin any = {.id = {NULL, 0}};
	struct key_set keys_of;
	struct catalog c;
	size_t at = 0;

	assert_int_equal(catalog_open(&c, providers, lists, 1), 0);
	for (uint32_t i = 0; i < c.count; i++) {
		text[at++] = c.entries[i].model.ptr[0];
		/* Nothing is known that could not be asked. */
		assert_true(provider_key_candidates(&conf, &usable, c.entries[i].model, &any,
						    &keys_of) <= PROVIDER_KEY_NOT_NEEDED);
	}
	text[at] = '\0';
	catalog_close(&c);
	return text;
}

static void only_what_a_key_serves_is_known(void **state)
{
	struct bf_slice one[] = {BF_SLICE_INIT("one")}, zero[] = {BF_SLICE_INIT("zero")};
	struct bf_slice no_one[] = {BF_SLICE_INIT("x"), BF_SLICE_INIT("p/ONE")};
	struct bf_slice no_three[] = {BF_SLICE_INIT("three")};
	struct bf_conf_provider_key all = {.enabled = true};
	struct bf_conf_provider_key off = {.enabled = false};
	struct bf_conf_provider_key unsendable = {.value = BF_SLICE_LIT("a b"), .enabled = true};
	struct bf_conf_provider_key starred = {.models = slices(star, 1), .enabled = true};
	struct bf_conf_provider_key names = {.models = slices(zero, 1), .enabled = true};
	struct bf_conf_provider_key not_one = all, not_three = starred, nothing = all,
				    only_one = all;
	struct bf_conf_provider_key pair[2];

	(void)state;
	not_one.blacklisted_models = slices(no_one, 2);
	not_three.blacklisted_models = slices(no_three, 1);
	nothing.blacklisted_models = slices(star, 1);
	only_one.models = slices(one, 1);
	assert_string_equal(known("p", &all, 1, false), "otv");
	assert_string_equal(known("p", &starred, 1, false), "otv");
	assert_string_equal(known("p", &off, 1, false), "");
	assert_string_equal(known("p", &unsendable, 1, false), "");
	assert_string_equal(known("p", &names, 1, false), "z");
	assert_string_equal(known("p", &only_one, 1, false), "o");
	assert_string_equal(known("p", &nothing, 1, false), "");
	assert_string_equal(known("p", &not_one, 1, false), "tv");
	assert_string_equal(known("p", &not_three, 1, false), "ot");
	/* What one key refuses another one may serve. */
	pair[0] = not_one;
	pair[1] = not_three;
	assert_string_equal(known("p", pair, 2, false), "otv");
	pair[1] = nothing;
	assert_string_equal(known("p", pair, 2, false), "tv");
	/* Who needs no key serves all; who lacks one serves nothing. */
	assert_string_equal(known("mock", NULL, 0, false), "otv");
	assert_string_equal(known("p", NULL, 0, false), "");
	assert_string_equal(known("p", NULL, 0, true), "otv");
}

/* 64 providers x 256 keys that refuse 1024 names x 4096 names, of which each key refuses as many as
 * it can. */
static void the_longest_lists_are_no_trouble(void **state)
{
	static struct bf_slice names[4096];
	static char texts[4096][32];
	static struct bf_conf_provider_key keys[256];
	static struct bf_conf_provider conf[64];
	static struct provider each[64];
	static struct bf_array lists[64];
	static char provider_names[64][8];
	struct provider *providers[64];
	struct catalog c;

	(void)state;
	for (int i = 0; i < 4096; i++) {
		(void)snprintf(texts[i], sizeof(texts[i]), "model-%d", i);
		names[i] = bf_slice_from(texts[i]);
	}
	for (int i = 0; i < 256; i++)
		keys[i] = (struct bf_conf_provider_key){.blacklisted_models = slices(names, 1024),
							.enabled = i % 64 == 0};
	for (int i = 0; i < 64; i++) {
		(void)snprintf(provider_names[i], sizeof(provider_names[i]), "p%d", i);
		conf[i] = (struct bf_conf_provider){.name = bf_slice_from(provider_names[i]),
						    .keys = {keys, 256}};
		each[i] = (struct provider){.ops = &plain, .conf = &conf[i]};
		providers[i] = &each[i];
		lists[i] = slices(names, 4096);
	}
	clock_t start = clock();
	assert_int_equal(catalog_open(&c, providers, lists, 64), 0);
	assert_true(clock() - start < 20 * CLOCKS_PER_SEC);
	assert_int_equal(c.count, 64 * (4096 - 1024));
	assert_string_equal(provider_of(&c, "model-4095"), "p0");
	assert_string_equal(provider_of(&c, "model-1023"), "-");
	catalog_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_first_of_the_file_wins),
	    cmocka_unit_test(an_empty_one_knows_nothing),
	    cmocka_unit_test(the_largest_file_is_no_trouble),
	    cmocka_unit_test(who_names_a_model_comes_before_who_has_it_besides),
	    cmocka_unit_test(only_what_a_key_serves_is_known),
	    cmocka_unit_test(the_longest_lists_are_no_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

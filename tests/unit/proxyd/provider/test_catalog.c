/* The catalogue: pairs once, first of the file first, and the largest configuration in no time. */
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
	assert_int_equal(catalog_open(&c, providers, 2), 0);
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
	assert_int_equal(catalog_open(&c, NULL, 0), 0);
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
	assert_int_equal(catalog_open(&c, providers, 64), 0);
	assert_true(clock() - start < 20 * CLOCKS_PER_SEC);
	assert_int_equal(c.count, 64 * 1024);
	assert_string_equal(provider_of(&c, "model-1023"), "p0");
	assert_true(has(&c, "p63", "model-0"));
	catalog_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_first_of_the_file_wins),
	    cmocka_unit_test(an_empty_one_knows_nothing),
	    cmocka_unit_test(the_largest_file_is_no_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

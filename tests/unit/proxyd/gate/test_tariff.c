/* Models that are remembered: prices, lengths, and what gives way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "proxyd/gate/tariff.h"

static struct bf_conf_pricing_override overrides[] = {
    {.pattern = BF_SLICE_INIT("m"), .pricing_patch = {1000, 2000, BF_PRICE_AS_INPUT}},
};
static const struct bf_conf_governance conf = {.pricing_overrides = {overrides, 1}};
static struct tariff t;

static struct tariff_model *of(const char *provider, const char *model)
{
	return tariff_of(&t, bf_slice_from(provider), bf_slice_from(model));
}

static void a_model_is_remembered(void **state)
{
	(void)state;
	tariff_open(&t, &conf);
	struct tariff_model *m = of("mock", "m");
	assert_ptr_equal(m->price, &overrides[0].pricing_patch);
	m->lengths.count = 5;
	assert_null(of("mock", "other")->price);
	assert_int_equal(of("mock", "other")->lengths.count, 0);
	assert_int_equal(of("other", "m")->lengths.count, 0);
	assert_int_equal(of("mock", "m")->lengths.count, 5);
	/* The border between the two names counts. */
	assert_int_equal(of("moc", "km")->lengths.count, 0);
	assert_int_equal(of("mock", "")->lengths.count, 0);
}

static void long_names_are_priced_and_forgotten(void **state)
{
	char name[300];

	(void)state;
	tariff_open(&t, &conf);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	of("mock", name)->lengths.count = 9;
	assert_int_equal(of("mock", name)->lengths.count, 0);
	assert_ptr_equal(of(name, "m")->price, &overrides[0].pricing_patch);
	/* The longest that fits. */
	name[TARIFF_NAME_MAX - 5] = '\0';
	of("mock", name)->lengths.count = 9;
	assert_int_equal(of("mock", name)->lengths.count, 9);
}

static void invented_names_push_out_the_unused(void **state)
{
	char name[32];

	(void)state;
	tariff_open(&t, &conf);
	of("mock", "used")->lengths.count = 7;
	for (unsigned i = 0; i < 20000; i++) {
		(void)snprintf(name, sizeof(name), "invented-%u", i);
		assert_int_equal(of("mock", name)->lengths.count, 0);
		assert_int_equal(of("mock", "used")->lengths.count, 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_model_is_remembered),
	    cmocka_unit_test(long_names_are_priced_and_forgotten),
	    cmocka_unit_test(invented_names_push_out_the_unused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which names a list denies and allows, in every spelling that a provider might take for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/schema/model_list.h"
#include "common/schema/provider_name.h"

static const struct {
	const char *listed, *provider, *model;
	bool denied, allowed;
} names[] = {
    {"m", "p", "m", true, true},
    {"M-1", "p", "m-1", true, true},
    {"m", "p", "m1", false, false},
    {"m1", "p", "m", false, false},
    {"p/m", "p", "m", true, true},
    {"P/m", "p", "m", true, true},
    {"m", "p", "p/m", true, true},
    {"m", "p", "p/P/p/m", true, true},
    {"p/p/m", "p", "m", true, true},
    {"q/m", "p", "m", false, false}, /* another vendor's */
    {"q/m", "p", "q/m", true, true},
    {"p/q/m", "p", "q/m", true, true},
    {"q/m", "p", "p/p/Q/M", true, true},
    /* A vendor's, where names have vendors; else another model, which is not allowed. */
    {"m", "openrouter", "q/m", true, true},
    {"m", "groq", "r/q/m", true, true},
    {"m", "p", "q/m", true, false},
    {"m", "openai", "q/m", true, false},
    {"m", "openai", "/m", true, false},
    {"q/m", "openrouter", "r/q/m", false, false},
    {"q/m", "p", "q/mm", false, false},
    {"m", "p", "m/q", false, false},
    {"*", "p", "q/m", true, true},
    {"*", "p", "", true, true},
    {"m*", "p", "mm", false, false}, /* no pattern */
    {"m", "p", "", false, false},
    {"m", "p", "q/", false, false},
    {"p/", "p", "m", false, false},
    {"p", "p", "p", true, true},
    {"pm", "p", "m", false, false},
};

static void names_of_models(void **state)
{
	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(names); i++) {
		struct bf_slice items[] = {BF_SLICE_LIT("other"), bf_slice_from(names[i].listed)};
		const struct bf_array list = {items, 2};
		struct bf_slice provider = bf_slice_from(names[i].provider);
		struct bf_slice model = bf_slice_from(names[i].model);

		if (bf_models_deny(&list, provider, model) != names[i].denied ||
		    bf_models_allow(&list, provider, model) != names[i].allowed)
			fail_msg("%s at %s: %s", names[i].listed, names[i].provider,
				 names[i].model);
	}
}

static void an_empty_list_has_nothing(void **state)
{
	const struct bf_array none = {NULL, 0};

	(void)state;
	assert_false(bf_models_deny(&none, BF_SLICE_LIT("p"), BF_SLICE_LIT("m")));
	assert_false(bf_models_allow(&none, BF_SLICE_LIT("p"), BF_SLICE_LIT("m")));
}

static void who_names_vendors(void **state)
{
	(void)state;
	assert_true(bf_provider_names_vendors(BF_SLICE_LIT("openrouter")));
	assert_true(bf_provider_names_vendors(BF_SLICE_LIT("vllm")));
	assert_false(bf_provider_names_vendors(BF_SLICE_LIT("openai")));
	assert_false(bf_provider_names_vendors(BF_SLICE_LIT("of-mine")));
	assert_false(bf_provider_names_vendors((struct bf_slice){NULL, 0}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_of_models),
	    cmocka_unit_test(an_empty_list_has_nothing),
	    cmocka_unit_test(who_names_vendors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a key may do: every combination of lists, providers, models, states and times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "proxyd/gate/decide.h"

static struct bf_slice any[] = {{"*", 1}};
static struct bf_slice four[] = {BF_SLICE_INIT("gpt-4o")};
static struct bf_slice both[] = {BF_SLICE_INIT("other"), BF_SLICE_INIT("OpenAI/GPT-4o")};
static struct bf_slice other[] = {BF_SLICE_INIT("other")};

#define NONE    ((struct bf_array){NULL, 0})
#define LIST(a) ((struct bf_array){a, BF_ARRAY_LEN(a)})

static struct bf_conf_provider_config at(const char *provider, struct bf_array allowed,
					 struct bf_array denied)
{
	return (struct bf_conf_provider_config){.provider = bf_slice_from(provider),
						.allowed_models = allowed,
						.blacklisted_models = denied,
						.key_ids = LIST(any)};
}

static struct bf_conf_virtual_key key_of(struct bf_conf_provider_config *configs, uint32_t count,
					 bool allow_all)
{
	return (struct bf_conf_virtual_key){.own.name = BF_SLICE_LIT("team a"),
					    .is_active = true,
					    .allow_all_providers = allow_all,
					    .provider_configs = {configs, count}};
}

static enum decide_verdict may(const struct bf_conf_virtual_key *key, const char *provider,
			       const char *model)
{
	return decide_target(key, bf_slice_from(provider), bf_slice_from(model));
}

static void without_provider_configs(void **state)
{
	struct bf_conf_virtual_key all = key_of(NULL, 0, true), none = key_of(NULL, 0, false);

	(void)state;
	assert_int_equal(may(&all, "openai", "m"), DECIDE_ALLOWED);
	assert_int_equal(may(&none, "openai", "m"), DECIDE_NO_PROVIDERS);
	assert_null(decide_key_ids(&all, BF_SLICE_LIT("openai")));
}

static void other_providers(void **state)
{
	struct bf_conf_provider_config configs[] = {at("openai", LIST(four), NONE),
						    at("groq", LIST(any), LIST(four))};

	(void)state;
	for (unsigned all = 0; all < 2; all++) {
		struct bf_conf_virtual_key key = key_of(configs, 2, all);

		assert_int_equal(may(&key, "openai", "gpt-4o"), DECIDE_ALLOWED);
		assert_int_equal(may(&key, "openai", "m"), DECIDE_OTHER_MODEL);
		assert_int_equal(may(&key, "groq", "m"), DECIDE_ALLOWED);
		assert_int_equal(may(&key, "groq", "gpt-4o"), DECIDE_MODEL_DENIED);
		/* Those without a config have no restrictions, or are not for it. */
		assert_int_equal(may(&key, "mistral", "gpt-4o"),
				 all ? DECIDE_ALLOWED : DECIDE_OTHER_PROVIDER);
		assert_int_equal(may(&key, "OpenAI", "gpt-4o"),
				 all ? DECIDE_ALLOWED : DECIDE_OTHER_PROVIDER);
		assert_int_equal(may(&key, "", "gpt-4o"),
				 all ? DECIDE_ALLOWED : DECIDE_OTHER_PROVIDER);
	}
}

/* Which lists admit gpt-4o, and which deny it. */
static const struct {
	struct bf_slice *names;
	uint32_t count;
	bool has;
} lists[] = {
    {NULL, 0, false}, {any, 1, true}, {four, 1, true}, {both, 2, true}, {other, 1, false},
};

static void every_pair_of_lists(void **state)
{
	(void)state;
	for (size_t a = 0; a < BF_ARRAY_LEN(lists); a++) {
		for (size_t d = 0; d < BF_ARRAY_LEN(lists); d++) {
			struct bf_conf_provider_config config =
			    at("openai", (struct bf_array){lists[a].names, lists[a].count},
			       (struct bf_array){lists[d].names, lists[d].count});
			struct bf_conf_virtual_key key = key_of(&config, 1, a % 2);
			enum decide_verdict wanted = lists[d].has   ? DECIDE_MODEL_DENIED
						     : lists[a].has ? DECIDE_ALLOWED
								    : DECIDE_OTHER_MODEL;

			if (may(&key, "openai", "gpt-4o") != wanted)
				fail_msg("lists %zu and %zu", a, d);
		}
	}
}

static void keys_of_providers(void **state)
{
	static struct bf_slice ids[] = {BF_SLICE_INIT("k1"), BF_SLICE_INIT("k2")};
	static struct bf_slice ids_any[] = {BF_SLICE_INIT("k1"), {"*", 1}};
	struct bf_conf_provider_config configs[] = {
	    at("a", LIST(any), NONE), at("b", LIST(any), NONE), at("c", LIST(any), NONE)};
	struct bf_conf_virtual_key key = key_of(configs, 3, true);

	(void)state;
	configs[0].key_ids = LIST(ids);
	configs[1].key_ids = LIST(ids_any);
	configs[2].key_ids = NONE;
	assert_ptr_equal(decide_key_ids(&key, BF_SLICE_LIT("a")), &configs[0].key_ids);
	assert_null(decide_key_ids(&key, BF_SLICE_LIT("b")));
	assert_int_equal(decide_key_ids(&key, BF_SLICE_LIT("c"))->count, 0);
	assert_null(decide_key_ids(&key, BF_SLICE_LIT("d")));
}

static void states_of_keys(void **state)
{
	static const struct {
		bool active;
		int64_t expires_ms, now_ms;
		enum decide_state state;
	} cases[] = {
	    {true, 0, 0, DECIDE_IN_FORCE},           {true, 0, INT64_MAX, DECIDE_IN_FORCE},
	    {true, 1000, 999, DECIDE_IN_FORCE},      {true, 1000, 1000, DECIDE_EXPIRED},
	    {true, 1000, INT64_MAX, DECIDE_EXPIRED}, {false, 0, 0, DECIDE_INACTIVE},
	    {false, 1000, 2000, DECIDE_INACTIVE},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		struct bf_conf_virtual_key key = key_of(NULL, 0, true);

		key.is_active = cases[i].active;
		key.expires_at_ms = cases[i].expires_ms;
		assert_int_equal(decide_state(&key, cases[i].now_ms), cases[i].state);
	}
}

static void refusals_name_the_key_and_what_to_mend(void **state)
{
	static const char *const types[DECIDE_COUNT] = {
	    [DECIDE_NO_PROVIDERS] = "provider_blocked",
	    [DECIDE_OTHER_PROVIDER] = "provider_blocked",
	    [DECIDE_MODEL_DENIED] = "model_blocked",
	    [DECIDE_OTHER_MODEL] = "model_blocked",
	    [DECIDE_PROVIDER_KEY] = "provider_key_blocked",
	};
	static const char *const mends[DECIDE_COUNT] = {
	    [DECIDE_NO_PROVIDERS] = "allow_all_providers",
	    [DECIDE_OTHER_PROVIDER] = "provider_configs",
	    [DECIDE_MODEL_DENIED] = "model \"gpt-4o\" of provider \"openai\": it is in "
				    "blacklisted_models",
	    [DECIDE_OTHER_MODEL] = "allowed_models",
	    [DECIDE_PROVIDER_KEY] = "key_ids",
	};
	struct bf_conf_virtual_key key = key_of(NULL, 0, true);
	char text[DECIDE_TEXT];

	(void)state;
	assert_null(decide_type(DECIDE_ALLOWED));
	for (unsigned v = DECIDE_NO_PROVIDERS; v < DECIDE_COUNT; v++) {
		decide_text(&key, BF_SLICE_LIT("openai"), BF_SLICE_LIT("gpt-4o"),
			    (enum decide_verdict)v, text);
		assert_string_equal(decide_type((enum decide_verdict)v), types[v]);
		assert_non_null(strstr(text, "virtual key \"team a\" may not use "));
		assert_non_null(strstr(text, "provider \"openai\""));
		if (!strstr(text, mends[v]))
			fail_msg("%s: %s", mends[v], text);
	}
	key.expires_at_ms = 1767225600000;
	decide_state_text(&key, DECIDE_EXPIRED, text);
	assert_non_null(strstr(text, "\"team a\" expired at 2026-01-01T00:00:00Z"));
	decide_state_text(&key, DECIDE_INACTIVE, text);
	assert_non_null(strstr(text, "\"team a\" is inactive: set its is_active to true"));
}

/* The longest names leave room for what is to be mended. */
static void long_names_are_cut(void **state)
{
	static char name[300];
	struct bf_conf_virtual_key key = key_of(NULL, 0, true);
	char text[DECIDE_TEXT];

	(void)state;
	memset(name, 'n', sizeof(name));
	key.own.name = (struct bf_slice){name, sizeof(name)};
	for (unsigned v = DECIDE_NO_PROVIDERS; v < DECIDE_COUNT; v++) {
		decide_text(&key, (struct bf_slice){name, 32}, key.own.name, (enum decide_verdict)v,
			    text);
		assert_true(strlen(text) < DECIDE_TEXT - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_provider_configs),
	    cmocka_unit_test(other_providers),
	    cmocka_unit_test(every_pair_of_lists),
	    cmocka_unit_test(keys_of_providers),
	    cmocka_unit_test(states_of_keys),
	    cmocka_unit_test(refusals_name_the_key_and_what_to_mend),
	    cmocka_unit_test(long_names_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Choice of keys: who may serve, who does, what a pin allows; and that what one worker learns of a
 * key, the next one knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "proxyd/provider/key.h"
#include "tests/unit/proxyd/harness.h"

static struct bf_slice models_a[] = {{"a", 1}}, models_all[] = {{"*", 1}};

static struct bf_conf_provider_key key(const char *name, int64_t weight)
{
	return (struct bf_conf_provider_key){.id = bf_slice_from(name),
					     .name = bf_slice_from(name),
					     .value = BF_SLICE_LIT("secret"),
					     .weight_micro = weight * 1000000,
					     .enabled = true};
}

static struct bf_conf_provider provider(struct bf_conf_provider_key *keys, uint32_t count)
{
	return (struct bf_conf_provider){
	    .name = BF_SLICE_LIT("p"),
	    .network_config = {.base_url = BF_SLICE_LIT("http://127.0.0.1:1")},
	    .keys = {keys, count}};
}

static enum provider_key_verdict may(const struct bf_conf_provider *p, const char *model,
				     const char *pin_id, const char *pin_name, struct key_set *ret)
{
	const struct provider_key_pin pin = {bf_slice_from(pin_id), bf_slice_from(pin_name)};
	struct key_set usable = provider_keys_usable(p);

	return provider_key_candidates(p, &usable, bf_slice_from(model), &pin, ret);
}

/* Name of the key that is chosen, "-" for none, "" when none is needed. */
static const char *choose(struct bf_conf_provider_key *keys, uint32_t count, const char *model,
			  uint64_t random)
{
	struct bf_conf_provider p = provider(keys, count);
	struct key_set set;
	enum provider_key_verdict verdict = may(&p, model, "", "", &set);
	int i = provider_key_draw(&p, &set, NULL, random);

	assert_int_equal(verdict == PROVIDER_KEY_SOME, i >= 0);
	if (i >= 0)
		return keys[i].name.ptr;
	return verdict == PROVIDER_KEY_NOT_NEEDED ? "" : "-";
}

/* Who admits any model at all, whatever single ones it refuses. */
static void keys_that_admit_any(void **state BF_UNUSED)
{
	struct bf_conf_provider_key keys[] = {key("all", 1),  key("star", 1),  key("one", 1),
					      key("none", 1), key("but", 1),   key("off", 1),
					      key("bad", 1),  key("server", 1)};
	struct bf_conf_provider p = provider(keys, BF_ARRAY_LEN(keys));
	struct key_set set;

	keys[1].models = (struct bf_array){models_all, 1};
	keys[2].models = (struct bf_array){models_a, 1};
	keys[3].blacklisted_models = (struct bf_array){models_all, 1};
	keys[4].blacklisted_models = (struct bf_array){models_a, 1};
	keys[5].enabled = false;
	keys[6].value = BF_SLICE_LIT("a b");
	p.name = BF_SLICE_LIT("vllm");
	keys[7].vllm.url = BF_SLICE_LIT("http://127.0.0.1:2");
	keys[7].vllm.model_name = BF_SLICE_LIT("a");
	assert_int_equal(may(&p, "", "", "", &set), PROVIDER_KEY_SOME);
	for (int i = 0; i < (int)BF_ARRAY_LEN(keys); i++)
		assert_int_equal(key_set_has(&set, i), i == 0 || i == 1 || i == 4);
	assert_true(bf_slice_eq(PROVIDER_KEY_ANY_MODEL, BF_SLICE_LIT("")));
	p.keys = (struct bf_array){&keys[2], 2};
	assert_int_equal(may(&p, "", "", "", &set), PROVIDER_KEY_NONE);
	p.keys = (struct bf_array){NULL, 0};
	assert_int_equal(may(&p, "", "", "", &set), PROVIDER_KEY_NOT_NEEDED);
}

static void keys_that_admit(void **state BF_UNUSED)
{
	struct bf_conf_provider_key k[2] = {key("one", 1), key("two", 1)};

	assert_string_equal(choose(NULL, 0, "a", 0), "");
	k[0].models = (struct bf_array){models_a, 1};
	k[1].enabled = false;
	assert_string_equal(choose(k, 2, "a", 12345), "one");
	assert_string_equal(choose(k, 2, "b", 12345), "-");
	assert_string_equal(choose(k, 2, "A", 0), "one");
	k[0].blacklisted_models = (struct bf_array){models_a, 1};
	assert_string_equal(choose(k, 2, "a", 0), "-");
	k[0].models = (struct bf_array){models_all, 1};
	assert_string_equal(choose(k, 2, "b", 0), "one");
	assert_string_equal(choose(k, 2, "A", 0), "-");
	assert_string_equal(choose(k, 2, "vendor/a", 0), "-");
	k[1].enabled = true;
	k[1].models = (struct bf_array){models_all, 1};
	assert_string_equal(choose(k, 2, "a", 0), "two");
	k[1].blacklisted_models = (struct bf_array){models_all, 1};
	assert_string_equal(choose(k, 2, "a", 0), "-");
	k[1] = key("two", 1);
	k[1].value = BF_SLICE_LIT("a\r\nX: y");
	assert_false(provider_key_is_sendable(&k[1]));
	assert_string_equal(choose(k, 2, "a", 0), "-");
}

/* Which keys are the virtual key's, by id or name; whatever the list says, they must serve. */
static void keys_of_a_list(void **state BF_UNUSED)
{
	static const struct {
		const char *ids[3];
		const char *pin; /* a name; "": none */
		enum provider_key_verdict verdict;
		unsigned keys; /* bits */
	} cases[] = {
	    {{"one"}, "", PROVIDER_KEY_SOME, 1},
	    {{"id-2", "one"}, "", PROVIDER_KEY_SOME, 3},
	    {{"nobody", "three"}, "", PROVIDER_KEY_BLOCKED, 0}, /* three is off */
	    {{NULL}, "", PROVIDER_KEY_BLOCKED, 0},
	    {{"one"}, "one", PROVIDER_KEY_SOME, 1},
	    {{"one"}, "two", PROVIDER_KEY_BLOCKED, 0},
	    {{"id-2"}, "two", PROVIDER_KEY_SOME, 2},
	    {{"three"}, "three", PROVIDER_KEY_PIN_UNFIT, 0},
	    /* Of keys that are not for it, it does not learn whether there are such. */
	    {{"one"}, "three", PROVIDER_KEY_BLOCKED, 0},
	    {{"one"}, "nobody", PROVIDER_KEY_BLOCKED, 0},
	    {{NULL}, "nobody", PROVIDER_KEY_BLOCKED, 0},
	};
	struct bf_conf_provider_key k[3] = {key("one", 1), key("two", 1), key("three", 1)};
	struct bf_conf_provider p = provider(k, 3);
	struct bf_slice ids[3];
	struct key_set usable, set;

	k[1].id = BF_SLICE_LIT("id-2");
	k[2].enabled = false;
	usable = provider_keys_usable(&p);
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		const struct provider_key_pin pin = {.name = bf_slice_from(cases[i].pin)};
		struct bf_array list = {ids, 0};
		while (list.count < 3 && cases[i].ids[list.count]) {
			ids[list.count] = bf_slice_from(cases[i].ids[list.count]);
			list.count++;
		}
		enum provider_key_verdict verdict =
		    provider_key_candidates_of(&p, &usable, &list, BF_SLICE_LIT("m"), &pin, &set);
		if (verdict != cases[i].verdict || set.words[0] != cases[i].keys)
			fail_msg("case %zu: %d %u", i, (int)verdict, (unsigned)set.words[0]);
	}
}

/* No list, or no keys: nothing to restrict. */
static void no_list_of_keys(void **state BF_UNUSED)
{
	struct bf_conf_provider_key k[2] = {key("one", 1), key("two", 1)};
	struct bf_conf_provider p = provider(k, 2);
	const struct provider_key_pin pin = {.name = {NULL, 0}};
	const struct bf_array none = {NULL, 0};
	struct key_set usable = provider_keys_usable(&p), set;

	assert_int_equal(
	    provider_key_candidates_of(&p, &usable, NULL, BF_SLICE_LIT("m"), &pin, &set),
	    PROVIDER_KEY_SOME);
	assert_int_equal(key_set_count(&set), 2);
	p = provider(NULL, 0);
	usable = provider_keys_usable(&p);
	assert_int_equal(
	    provider_key_candidates_of(&p, &usable, &none, BF_SLICE_LIT("m"), &pin, &set),
	    PROVIDER_KEY_NOT_NEEDED);
}

static void a_server_with_one_model(void **state BF_UNUSED)
{
	struct bf_conf_provider_key k[2] = {key("one", 1), key("two", 1)};
	struct bf_conf_provider p = provider(k, 2);
	struct key_set set;

	k[0].vllm.model_name = BF_SLICE_LIT("llama");
	p.name = BF_SLICE_LIT("vllm");
	assert_int_equal(may(&p, "llama", "", "", &set), PROVIDER_KEY_SOME);
	assert_int_equal(key_set_count(&set), 2);
	assert_int_equal(may(&p, "qwen", "", "", &set), PROVIDER_KEY_SOME);
	assert_int_equal(key_set_next(&set, 0), 1);
	assert_int_equal(key_set_next(&set, 2), -1);
	p.name = BF_SLICE_LIT("openai"); /* that block is no business of others */
	assert_int_equal(may(&p, "qwen", "", "", &set), PROVIDER_KEY_SOME);
	assert_int_equal(key_set_count(&set), 2);
}

static void keys_by_weight(void **state BF_UNUSED)
{
	struct bf_conf_provider_key k[3] = {key("one", 1), key("none", 0), key("three", 3)};
	unsigned one = 0, three = 0;

	for (uint64_t r = 0; r < 4000000; r += 1000) {
		const char *name = choose(k, 3, "m", r);
		one += strcmp(name, "one") == 0;
		three += strcmp(name, "three") == 0;
	}
	assert_int_equal(one, 1000);
	assert_int_equal(three, 3000);
	k[0].weight_micro = k[2].weight_micro = 0;
	assert_string_equal(choose(k, 3, "m", 0), "one");
	assert_string_equal(choose(k, 3, "m", 1), "none");
	assert_string_equal(choose(k, 3, "m", 5), "three");
}

static void healthy_ones_first_then_the_coolest(void **state BF_UNUSED)
{
	struct bf_conf_provider_key k[4] = {key("a", 1), key("b", 0), key("c", 9), key("d", 1)};
	struct bf_conf_provider p = provider(k, 4);
	int64_t cooling[KEY_MAX] = {500, 0, 400, 0};
	struct key_set set = {{0}};

	assert_int_equal(provider_key_draw(&p, &set, cooling, 7), -1);
	assert_int_equal(provider_key_draw(&p, &set, NULL, 7), -1);
	for (int i = 0; i < 4; i++)
		key_set_add(&set, i);
	for (uint64_t r = 0; r < 50; r++)
		assert_int_equal(provider_key_draw(&p, &set, cooling, r * 999983), 3);
	cooling[3] = 600; /* then the one of weight 0, the only one that is up */
	assert_int_equal(provider_key_draw(&p, &set, cooling, 12345), 1);
	cooling[1] = 450;
	assert_int_equal(provider_key_draw(&p, &set, cooling, 12345), 2);
	cooling[2] = 900;
	assert_int_equal(provider_key_draw(&p, &set, cooling, 12345), 1);
}

static void pins(void **state BF_UNUSED)
{
	struct bf_conf_provider_key k[3] = {key("one", 1), key("two", 1), key("three", 0)};
	struct bf_conf_provider p = provider(k, 3);
	struct key_set set;

	k[0].id = BF_SLICE_LIT("id-1");
	assert_int_equal(may(&p, "a", "", "three", &set), PROVIDER_KEY_SOME);
	assert_int_equal(key_set_next(&set, 0), 2);
	assert_int_equal(key_set_count(&set), 1);
	assert_int_equal(may(&p, "a", "id-1", "two", &set), PROVIDER_KEY_SOME);
	assert_int_equal(key_set_next(&set, 0), 0);
	assert_int_equal(may(&p, "a", "id-2", "two", &set), PROVIDER_KEY_PIN_UNKNOWN);
	assert_int_equal(may(&p, "a", "one", "", &set), PROVIDER_KEY_PIN_UNKNOWN); /* a name */
	k[1].blacklisted_models = (struct bf_array){models_a, 1};
	assert_int_equal(may(&p, "a", "", "two", &set), PROVIDER_KEY_PIN_UNFIT);
	assert_int_equal(may(&p, "b", "", "two", &set), PROVIDER_KEY_SOME);
	k[1].enabled = false;
	assert_int_equal(may(&p, "b", "", "two", &set), PROVIDER_KEY_PIN_UNFIT);
	assert_int_equal(key_set_count(&set), 0);
	p.keys.count = 0;
	assert_int_equal(may(&p, "b", "", "two", &set), PROVIDER_KEY_PIN_UNKNOWN);
}

static void servers_that_need_no_key(void **state BF_UNUSED)
{
	struct bf_conf_provider_key k[1] = {key("one", 1)};
	struct bf_conf_provider p = provider(k, 1);
	struct key_set set;

	p.custom_provider_config.is_key_less = true;
	assert_int_equal(may(&p, "a", "", "", &set), PROVIDER_KEY_SOME);
	k[0].blacklisted_models = (struct bf_array){models_a, 1};
	assert_int_equal(may(&p, "a", "", "", &set), PROVIDER_KEY_NOT_NEEDED);
	p.custom_provider_config.is_key_less = false;
	assert_int_equal(may(&p, "a", "", "", &set), PROVIDER_KEY_NONE);
	/* Without any: of this machine it needs none; of others its keys are yet to come. */
	p.keys.count = 0;
	assert_int_equal(may(&p, "a", "", "", &set), PROVIDER_KEY_NOT_NEEDED);
	p.network_config.base_url = BF_SLICE_LIT("https://h.test");
	assert_int_equal(may(&p, "a", "", "", &set), PROVIDER_KEY_NONE);
	p.custom_provider_config.is_key_less = true;
	assert_int_equal(may(&p, "a", "", "", &set), PROVIDER_KEY_NOT_NEEDED);
	p.custom_provider_config.is_key_less = false;
	p.name = BF_SLICE_LIT("ollama");
	assert_int_equal(may(&p, "a", "", "", &set), PROVIDER_KEY_NOT_NEEDED);
}

static void sets_hold_256(void **state BF_UNUSED)
{
	struct key_set all = {{0}}, odd = {{0}}, even;
	int n = 0;

	for (int i = -3; i < 300; i++) {
		key_set_add(&all, i);
		if (i & 1)
			key_set_add(&odd, i);
	}
	assert_int_equal(key_set_count(&all), 256);
	even = key_set_minus(&all, &odd);
	for (int i = key_set_next(&even, 0); i >= 0; i = key_set_next(&even, i + 1)) {
		assert_int_equal(i, 2 * n++);
		assert_true(key_set_has(&even, i) && !key_set_has(&odd, i));
	}
	assert_int_equal(n, 128);
	assert_false(key_set_has(&all, -1) || key_set_has(&all, 256));
	assert_int_equal(key_set_next(&odd, 255), 255);
	assert_int_equal(key_set_next(&odd, 256), -1);
}

static struct bf_conf_provider_key shared[2];

static void two_keys(struct bf_config *config)
{
	shared[0] = key("one", 1);
	shared[1] = key("two", 1);
	harness_mock(config)->keys = (struct bf_array){shared, 2};
}

static void another_worker_knows(void **state BF_UNUSED)
{
	const struct shm_key_report limited = {SHM_KEY_RATE_LIMITED, 429, 5000};
	struct bf_conf_provider_key changed[2];
	struct provider_keys mine, yours;
	int64_t cooling[KEY_MAX];
	struct harness h;

	harness_open(&h, two_keys);
	int64_t now = bf_mono_ms();
	const struct bf_conf_provider *p = harness_mock(&h.config);
	assert_int_equal(provider_keys_open(&mine, p, &h.w), 0);
	assert_int_equal(provider_keys_open(&yours, p, &h.w), 0);
	provider_keys_report(&mine, &h.w, 1, &limited, now);
	provider_keys_report(&mine, &h.w, -1, &limited, now);
	provider_keys_report(&mine, &h.w, 2, &limited, now);
	provider_keys_cooling(&yours, &h.w, &yours.usable, now, cooling);
	assert_int_equal(cooling[0], 0);
	assert_int_equal(cooling[1], now + 5000);
	provider_keys_close(&yours);
	/* The same name with another secret is another key; so is the same secret elsewhere. */
	memcpy(changed, shared, sizeof(changed));
	changed[1].value = BF_SLICE_LIT("secret 2");
	harness_mock(&h.config)->keys.items = changed;
	assert_int_equal(provider_keys_open(&yours, p, &h.w), 0);
	assert_int_not_equal(yours.health[1].index, mine.health[1].index);
	assert_int_equal(yours.health[0].index, mine.health[0].index);
	provider_keys_close(&yours);
	harness_mock(&h.config)->name = BF_SLICE_LIT("mock2");
	assert_int_equal(provider_keys_open(&yours, p, &h.w), 0);
	assert_int_not_equal(yours.health[0].index, mine.health[0].index);
	provider_keys_close(&yours);
	provider_keys_close(&mine);
	harness_close(&h);
}

static void no_room_is_counted_and_healthy(void **state BF_UNUSED)
{
	const struct shm_key_report limited = {SHM_KEY_RATE_LIMITED, 429, 5000};
	struct provider_keys keys;
	int64_t cooling[KEY_MAX], now = bf_mono_ms();
	struct harness h;

	harness_open(&h, two_keys);
	for (uint64_t i = 1; i <= 4 * SHM_KEYS; i++)
		(void)shm_key_find(&h.seg, i << 32 | i, now);
	harness_mock(&h.config)->name = BF_SLICE_LIT("mock3");
	assert_int_equal(provider_keys_open(&keys, harness_mock(&h.config), &h.w), 0);
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_KEYS_UNTRACKED), 2);
	provider_keys_report(&keys, &h.w, 0, &limited, now);
	provider_keys_cooling(&keys, &h.w, &keys.usable, now, cooling);
	assert_int_equal(cooling[0], 0);
	provider_keys_close(&keys);
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keys_that_admit_any),
	    cmocka_unit_test(keys_that_admit),
	    cmocka_unit_test(keys_of_a_list),
	    cmocka_unit_test(no_list_of_keys),
	    cmocka_unit_test(a_server_with_one_model),
	    cmocka_unit_test(keys_by_weight),
	    cmocka_unit_test(healthy_ones_first_then_the_coolest),
	    cmocka_unit_test(pins),
	    cmocka_unit_test(servers_that_need_no_key),
	    cmocka_unit_test(sets_hold_256),
	    cmocka_unit_test(another_worker_knows),
	    cmocka_unit_test(no_room_is_counted_and_healthy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

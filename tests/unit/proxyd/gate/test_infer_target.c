/* Whom a request is for: names with and without provider, and fallbacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxyd/gate/infer.h"
#include "proxyd/gate/route.h"
#include "tests/unit/proxyd/harness.h"

static const struct route unified = {.object = SHM_OBJECT_EMBEDDING, .dialect = ERROR_UNIFIED};
static const struct route openai = {.object = SHM_OBJECT_EMBEDDING, .dialect = ERROR_OPENAI};

static struct bf_conf_provider providers[3];

/* mock; a (x, y); openai (y, z). */
static void three_providers(struct bf_config *config)
{
	static struct bf_slice a_models[] = {{"x", 1}, {"y", 1}};
	static struct bf_slice o_models[] = {{"y", 1}, {"z", 1}, {"v/w", 3}};
	static struct bf_conf_provider_key keys[2];

	keys[0] = (struct bf_conf_provider_key){.models = {a_models, 2}, .enabled = true};
	keys[1] = (struct bf_conf_provider_key){.models = {o_models, 3}, .enabled = true};
	providers[0] = *harness_mock(config);
	providers[1] = providers[2] = providers[0];
	providers[1].name = BF_SLICE_LIT("a");
	providers[1].network_config.base_url = BF_SLICE_LIT("http://127.0.0.1:9");
	providers[1].keys = (struct bf_array){&keys[0], 1};
	providers[2].name = BF_SLICE_LIT("openai");
	providers[2].keys = (struct bf_array){&keys[1], 1};
	config->providers = (struct bf_array){providers, 3};
}

static int read_model(struct harness *h, struct exchange **ret_x, const struct route *route,
		      const char *model, const char *more, struct infer_error *e)
{
	static char body[4096];
	struct exchange *x = exchange_new(&h->w);

	assert_non_null(x);
	*ret_x = x;
	memset(e, 0, sizeof(*e));
	(void)snprintf(body, sizeof(body), "{\"input\":\"a\",\"model\":\"%s\"%s}", model, more);
	x->route = route;
	x->body = bf_slice_from(body);
	return infer_read(x, h->w.providers, e);
}

struct name {
	const struct route *route;
	const char *model;
	const char *target; /* or the beginning of the refusal, where is_refused */
	bool is_refused;
};

static const struct name names[] = {
    {&unified, "mock/m", "mock m", false},
    {&unified, "a/b/c", "a b/c", false},
    {&unified, "m\\u006fck\\/q", "mock q", false},
    {&unified, "openai/v/w", "openai v/w", false},
    /* Bare names: the first of the file that lists them. */
    {&unified, "x", "a x", false},
    {&unified, "y", "a y", false},
    {&unified, "z", "openai z", false},
    {&unified, "v/w", "openai v/w", false},
    {&unified, "echo", "provider is required in model field (format: provider/model)", true},
    {&unified, "gpt", "provider is required in model field (format: provider/model)", true},
    {&unified, "no/z",
     "provider is required in model field (format: provider/model); \"no\" is "
     "not a configured provider",
     true},
    {&unified, " a/x", "model must not begin or end with a blank", true},
    {&unified, "a/x ", "model must not begin or end with a blank", true},
    {&unified, "a/ x", "model must not begin or end with a blank", true},
    {&unified, "x ", "model must not begin or end with a blank", true},
    {&unified, "a/", "the model is missing behind the provider (format: provider/model)", true},
    /* The route's own provider takes what has none. */
    {&openai, "x", "openai x", false},
    {&openai, "meta-llama/x", "openai meta-llama/x", false},
    {&openai, "a/x", "a x", false},
};

static void names_of_models(void **state)
{
	struct infer_error e;
	struct exchange *x;
	struct harness h;
	char target[128];

	(void)state;
	harness_open(&h, three_providers);
	for (size_t i = 0; i < BF_ARRAY_LEN(names); i++) {
		int r = read_model(&h, &x, names[i].route, names[i].model, "", &e);
		(void)snprintf(target, sizeof(target), "%.*s %.*s", BF_SLICE_FMT(x->provider),
			       BF_SLICE_FMT(x->model));
		if (names[i].is_refused
			? r == 0 || e.http_status != 400 || strcmp(e.text, names[i].target) != 0
			: r < 0 || strcmp(target, names[i].target) != 0)
			fail_msg("%s: %d %s %s", names[i].model, r, target, e.text);
		if (r == 0) {
			assert_int_equal(x->target_count, 1);
			assert_true(bf_slice_eq(x->targets[0].model, x->model));
			assert_int_equal(x->fallbacks_edit.to, 0);
		}
		exchange_free(x);
	}
	harness_close(&h);
}

/* Without an openai provider its routes ask the catalogue as the others do. */
static void only_a(struct bf_config *config)
{
	three_providers(config);
	config->providers.count = 2;
}

static void a_missing_default_provider(void **state)
{
	struct infer_error e;
	struct exchange *x;
	struct harness h;

	(void)state;
	harness_open(&h, only_a);
	assert_int_equal(read_model(&h, &x, &openai, "y", "", &e), 0);
	assert_true(bf_slice_is(x->provider, "a"));
	exchange_free(x);
	assert_int_equal(read_model(&h, &x, &openai, "z", "", &e), -1);
	assert_int_equal(x->provider.len, 0);
	exchange_free(x);
	harness_close(&h);
}

static void expect_cut(const struct exchange *x, const char *cut)
{
	const struct exchange_edit *e = &x->fallbacks_edit;

	assert_true(bf_slice_is((struct bf_slice){x->body.ptr + e->from, e->to - e->from}, cut));
	assert_int_equal(e->text.len, 0);
}

static void fallbacks_become_targets(void **state)
{
	static const char more[] =
	    ",\"fallbacks\":[\"a/x\",\"nobody/x\",\"a/"
	    "\",\"bare\",5,null,{},[],{\"provider\":\"a\"},"
	    "{\"model\":\"m\"},{\"provider\":1,\"model\":\"m\"},{\"provider\":\"none\",\"model\":"
	    "\"m\"},"
	    "{\"model\":\"\\u006d/2\",\"provider\":\"openai\",\"key_id\":\"k\"},\"mock/a/b\"]";
	static const char *const expected[] = {"mock m", "a x", "openai m/2", "mock a/b"};
	struct infer_error e;
	struct exchange *x;
	struct harness h;
	char target[128];

	(void)state;
	harness_open(&h, three_providers);
	if (read_model(&h, &x, &unified, "mock/m", more, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(x->target_count, 4);
	assert_int_equal(x->target, 0);
	for (size_t i = 0; i < 4; i++) {
		(void)snprintf(target, sizeof(target), "%.*s %.*s",
			       BF_SLICE_FMT(x->targets[i].provider),
			       BF_SLICE_FMT(x->targets[i].model));
		assert_string_equal(target, expected[i]);
	}
	assert_true(bf_slice_is(x->provider, "mock"));
	expect_cut(x, more);
	exchange_free(x);
	assert_int_equal(read_model(&h, &x, &openai, "m", ",\"fallbacks\":null", &e), 0);
	assert_int_equal(x->target_count, 1);
	expect_cut(x, ",\"fallbacks\":null");
	exchange_free(x);
	harness_close(&h);
}

static void too_many_and_wrong_fallbacks(void **state)
{
	static const char *const wrong[] = {",\"fallbacks\":{}", ",\"fallbacks\":\"a/x\"",
					    ",\"fallbacks\":[\"a/\\n\"]",
					    ",\"fallbacks\":[\"a/ x\"]"};
	static const char *const texts[] = {
	    "fallbacks must be an array", "fallbacks must be an array",
	    "a model in fallbacks must not hold control characters",
	    "a model in fallbacks must not begin or end with a blank"};
	struct infer_error e;
	struct exchange *x;
	struct harness h;
	char more[1024];

	(void)state;
	harness_open(&h, three_providers);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(read_model(&h, &x, &unified, "a/x", wrong[i], &e), -1);
		assert_int_equal(e.http_status, 400);
		assert_string_equal(e.text, texts[i]);
		exchange_free(x);
	}
	for (unsigned n = EXCHANGE_TARGETS_MAX - 1; n <= EXCHANGE_TARGETS_MAX; n++) {
		size_t len = (size_t)snprintf(more, sizeof(more), ",\"fallbacks\":[\"a/x\"");
		for (unsigned i = 1; i < n; i++)
			len += (size_t)snprintf(more + len, sizeof(more) - len, ",\"a/x\"");
		(void)snprintf(more + len, sizeof(more) - len, "]");
		int r = read_model(&h, &x, &unified, "a/x", more, &e);
		assert_int_equal(r, n < EXCHANGE_TARGETS_MAX ? 0 : -1);
		if (r == 0)
			assert_int_equal(x->target_count, EXCHANGE_TARGETS_MAX);
		else
			assert_string_equal(e.text, "fallbacks has more than 15 entries");
		exchange_free(x);
	}
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_of_models),
	    cmocka_unit_test(a_missing_default_provider),
	    cmocka_unit_test(fallbacks_become_targets),
	    cmocka_unit_test(too_many_and_wrong_fallbacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Lists of models for whoever manages the gateway: filters, pages, keys, and what sheets tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/proxyd/gate/sheet_in_force.h"

#define NAMED(name) "{\"name\":\"" name "\",\"provider\":\"mock\"}"
#define ACCESSIBLE(name, keys) \
	"{\"name\":\"" name "\",\"provider\":\"mock\",\"accessible_by_keys\":[" keys "]}"

static struct bf_conf_provider_key keys[5];

static void four_keys(struct bf_config *config)
{
	static struct bf_slice models[] = {{"m1", 2}, {"*", 1}, {"a/b c", 5}, {"m1", 2}};
	static struct bf_slice others[] = {{"M1", 2}, {"secret", 6}, {"m3", 2}};
	static struct bf_slice denied[] = {{"secret", 6}};
	static struct bf_slice hidden[] = {{"hidden", 6}};
	static struct bf_slice star[] = {{"*", 1}};

	keys[0] = (struct bf_conf_provider_key){.models = {models, 4}};
	keys[1] =
	    (struct bf_conf_provider_key){.models = {others, 3}, .blacklisted_models = {denied, 1}};
	keys[2] = (struct bf_conf_provider_key){.models = {hidden, 1}};
	keys[3] =
	    (struct bf_conf_provider_key){.models = {hidden, 1}, .blacklisted_models = {star, 1}};
	for (int i = 0; i < 4; i++) {
		static const char *const ids[] = {"k0", "k1", "k2", "k3"};
		static const char *const names[] = {"first", "second", "off", "none"};

		keys[i].id = bf_slice_from(ids[i]);
		keys[i].name = bf_slice_from(names[i]);
		keys[i].value = BF_SLICE_LIT("sk");
		keys[i].enabled = i != 2;
	}
	harness_mock(config)->keys = (struct bf_array){keys, 4};
}

/* What is shown is what was asked for, and nothing is passed over. */
static void filters_and_pages(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, four_keys);
	expect(&h, "/api/models", OK,
	       "{\"models\":[" NAMED("m1") "," NAMED("a/b c") "," NAMED("M1") "," NAMED(
		   "m3") "," NAMED("echo") "],\"total\":5}");
	expect(&h, "/api/models?provider=mock&query=M&limit=1&offset=2", OK,
	       "{\"models\":[" NAMED("m3") "],\"total\":3}");
	expect(&h, "/api/models?query=%2Fb%20c", OK, "[" NAMED("a/b c") "],\"total\":1}");
	expect(&h, "/api/models?offset=9", OK, "{\"models\":[],\"total\":5}");
	expect(&h, "/api/models?provider=other", OK, "{\"models\":[],\"total\":0}");
	expect(&h, "/api/models?limit=0", "HTTP/1.1 400 ", "limit");
	expect(&h, "/api/models?filtered=true", "HTTP/1.1 400 ", "no such parameter");
	harness_close(&h);
}

/* As requests would be served by them. */
static void those_of_keys(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, four_keys);
	expect(&h, "/api/models?keys=k1&limit=2", OK,
	       "{\"models\":[" ACCESSIBLE("m1", "\"k1\"") "," ACCESSIBLE("M1",
									 "\"k1\"") "],"
										   "\"total\":3}");
	expect(&h, "/api/models?query=m1&keys=second,%20k0%20,k9", OK,
	       "{\"models\":[" ACCESSIBLE("m1", "\"k0\",\"k1\"") "," ACCESSIBLE(
		   "M1", "\"k0\",\"k1\"") "],\"total\":2}");
	/* One is off, one admits nothing, one is nobody's. */
	expect(&h, "/api/models?keys=k2,k3,k9", OK, "{\"models\":[],\"total\":0}");
	expect(&h, "/api/models?keys=,%20,", "HTTP/1.1 400 ", "leave it out");
	harness_close(&h);
}

/* What is in a list and no key serves: to be shown only when it is asked for. */
static void unfiltered(void **state)
{
	static struct bf_slice names[] = {{"hidden", 6}, {"m3", 2}, {"secret", 6}, {"new", 3}};
	struct bf_array lists[] = {{names, 4}};
	struct harness h;

	(void)state;
	harness_open(&h, four_keys);
	expect(&h, "/api/models?unfiltered=true&offset=4", OK,
	       "{\"models\":[" NAMED("echo") "],\"total\":5}");
	assert_int_equal(h.w.providers->count, 1);
	h.w.providers->lists = lists;
	expect(&h, "/api/models?unfiltered=false&offset=4", OK, "],\"total\":5}");
	expect(&h, "/api/models?unfiltered=true&offset=4", OK,
	       "{\"models\":[" NAMED("echo") "," NAMED("hidden") "," NAMED("secret") "," NAMED(
		   "new") "],\"total\":8}");
	expect(&h, "/api/models?unfiltered=true&keys=k1&query=e&limit=1&offset=2", OK,
	       "{\"models\":[" NAMED("secret") "],\"total\":4}");
	expect(&h, "/api/models?unfiltered=true&provider=other", OK, "\"total\":0}");
	expect(&h, "/api/models/details?unfiltered=true&query=new", OK,
	       "{\"models\":[" NAMED("new") "],\"total\":1}");
	h.w.providers->lists = NULL;
	harness_close(&h);
}

#define SHEET                                                                               \
	"{\"mock/m1\":{\"mode\":\"chat\",\"base_model\":\"m\",\"context_length\":128000,"   \
	"\"max_input_tokens\":128000,\"max_output_tokens\":16384,\"supports_vision\":true," \
	"\"input_cost_per_token\":1.5e-07,\"output_cost_per_token\":6e-07,"                 \
	"\"cache_read_input_token_cost\":7.5e-08},"                                         \
	"\"m3\":{\"mode\":\"embedding\",\"input_cost_per_token\":2e-08}}"

static void details(void **state)
{
	static struct bf_conf_pricing_override overrides[2];
	struct harness h;

	(void)state;
	harness_open(&h, four_keys);
	for (int i = 0; i < 2; i++) {
		memset(&overrides[i].pricing_patch, 0xff, sizeof(overrides[i].pricing_patch));
		overrides[i].pattern = BF_SLICE_LIT("m1");
	}
	/* For one virtual key: everybody else pays what the sheet says. */
	overrides[0].id = overrides[0].name = BF_SLICE_LIT("of-a-key");
	overrides[0].virtual_key_id = BF_SLICE_LIT("vk");
	overrides[0].pricing_patch.token_pusd[BF_PRICE_OUTPUT][BF_RATE_PLAIN] = 1;
	overrides[1].id = overrides[1].name = BF_SLICE_LIT("ours");
	overrides[1].pricing_patch.token_pusd[BF_PRICE_INPUT][BF_RATE_PLAIN] = 100000;
	overrides[1].pricing_patch.token_pusd[BF_PRICE_OUTPUT][BF_RATE_PLAIN] = 600000;
	h.config.governance.pricing_overrides = (struct bf_array){overrides, 2};
	sheet_in_force(&h, SHEET);
	expect(&h, "/api/models/details?query=m1&limit=1", OK,
	       "{\"models\":[{\"name\":\"m1\",\"provider\":\"mock\",\"context_length\":128000,"
	       "\"max_input_tokens\":128000,\"max_output_tokens\":16384,"
	       "\"input_cost_per_token\":0.00000015,\"output_cost_per_token\":0.0000006,"
	       "\"cache_read_input_token_cost\":0.000000075,"
	       "\"overridden_pricing\":{\"input_cost_per_token\":0.0000001},"
	       "\"applied_override_id\":\"ours\"}],\"total\":2}");
	expect(
	    &h, "/api/models/details?query=m3&keys=k1", OK,
	    "{\"models\":[{\"name\":\"m3\",\"provider\":\"mock\","
	    "\"input_cost_per_token\":0.00000002,\"accessible_by_keys\":[\"k1\"]}],\"total\":1}");
	expect(&h, "/api/models/details?query=echo", OK, "{\"models\":[" NAMED("echo") "],");
	expect(&h, "/api/models/details?limit=101", "HTTP/1.1 400 ", "limit");
	sheet_gone(&h);
}

#define MANY 1024u

static void a_thousand_models(struct bf_config *config)
{
	static struct bf_slice models[MANY];
	static char names[MANY][8];

	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "x%u", i);
		models[i] = bf_slice_from(names[i]);
	}
	four_keys(config);
	keys[0].models = (struct bf_array){models, MANY};
}

/* Whoever asks too much is told how to ask for less. */
static void work_is_bounded(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, a_thousand_models);
	expect(&h, "/api/models?keys=k0", "HTTP/1.1 400 ", "\"type\":\"too_many_models\"");
	expect(&h, "/api/models?keys=k0&query=x7", OK, "\"total\":111}");
	expect(&h, "/api/models?keys=k1", OK, "\"total\":2}");
	expect(&h, "/api/models/details", OK, "\"total\":1027}");
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(filters_and_pages), cmocka_unit_test(those_of_keys),
	    cmocka_unit_test(unfiltered),        cmocka_unit_test(details),
	    cmocka_unit_test(work_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

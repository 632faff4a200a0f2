/* Price sheets: what is read of Bifrost's and LiteLLM's form, what is skipped, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/macros.h"
#include "common/schema/price_sheet.h"

static struct bf_arena arena;
static struct bf_conf_sheet sheet;
static struct bf_err err;

static int setup(void **state)
{
	(void)state;
	bf_arena_init(&arena, 64u << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_arena_done(&arena);
	return 0;
}

static void read_ok(const char *text)
{
	if (bf_price_sheet_read(bf_slice_from(text), &arena, &sheet, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(sheet.models, sheet.entries.count);
}

static const struct bf_conf_sheet_price *at(uint32_t i)
{
	assert_true(i < sheet.entries.count);
	return (const struct bf_conf_sheet_price *)sheet.entries.items + i;
}

static int64_t plain(uint32_t i, enum bf_price_kind kind)
{
	return at(i)->price.token_pusd[kind][BF_RATE_PLAIN];
}

static void an_entry(void **state)
{
	(void)state;
	read_ok("{\"date\": \"2026-01-02\", \"note\": \"check\",\n"
		"\"openai/gpt\": {\"mode\": \"chat\", \"base_model\": \"g\", \"max_tokens\": 7,\n"
		"\"input_cost_per_token\": 1.5e-07, \"output_cost_per_token\": 0.0000006,\n"
		"\"cache_creation_input_token_cost_above_1hr\": 3E-6, \"cost_per_request\": 0.25,\n"
		"\"input_cost_per_token_above_272k_tokens_priority\": 1,\n"
		"\"cache_read_input_token_cost\": null, \"supports_x\": [{}]}}");
	assert_true(bf_slice_is(sheet.date, "2026-01-02"));
	assert_int_equal(sheet.entries.count, 1);
	assert_int_equal(sheet.skipped, 0);
	assert_true(bf_slice_is(at(0)->key, "openai/gpt"));
	assert_true(bf_slice_is(at(0)->provider, "openai"));
	assert_true(bf_slice_is(at(0)->base_model, "g"));
	assert_int_equal(at(0)->mode, BF_PRICE_CHAT);
	assert_int_equal(plain(0, BF_PRICE_INPUT), 150000);
	assert_int_equal(plain(0, BF_PRICE_OUTPUT), 600000);
	assert_int_equal(plain(0, BF_PRICE_CACHE_READ), BF_PRICE_NOT_GIVEN);
	assert_int_equal(at(0)->price.cache_write_1hr_pusd, 3000000);
	assert_int_equal(at(0)->price.request_pusd, 250000000000);
	assert_int_equal(at(0)->price.search_pusd, BF_PRICE_NOT_GIVEN);
	assert_true(at(0)->price.token_pusd[BF_PRICE_INPUT][BF_RATE_ABOVE_272K_PRIORITY] ==
		    1000000000000);
	/* What no key names is not free. */
	assert_int_equal(at(0)->price.token_pusd[BF_PRICE_CACHE_WRITE][BF_RATE_FLEX],
			 BF_PRICE_NOT_GIVEN);
}

static void facts(void **state)
{
	(void)state;
	read_ok("{\"openai/gpt\": {\"mode\": \"chat\", \"base_model\": \"g\", \"max_tokens\": 7,\n"
		"\"context_length\": 1000000000, \"max_input_tokens\": 128000,\n"
		"\"max_output_tokens\": 16384, \"supports_vision\": true,\n"
		"\"supports_assistant_prefill\": true, \"supports_reasoning\": false,\n"
		"\"supports_x\": true},\n"
		"\"odd\": {\"base_model\": \"g\", \"context_length\": 1000000001,\n"
		"\"max_input_tokens\": \"7\", \"max_output_tokens\": -1, \"supports_vision\": 1}}");
	assert_int_equal(at(0)->facts.context_length, 1000000000);
	assert_int_equal(at(0)->facts.max_input_tokens, 128000);
	assert_int_equal(at(0)->facts.max_output_tokens, 16384);
	assert_int_equal(__builtin_popcountll(at(0)->facts.supports), 2);
	assert_string_equal(bf_model_abilities[__builtin_ctzll(at(0)->facts.supports)],
			    "supports_assistant_prefill");
	/* What cannot be used is as if it were not there: prices do not hang on it. */
	assert_int_equal(at(1)->facts.context_length | at(1)->facts.max_input_tokens |
			     at(1)->facts.max_output_tokens | at(1)->facts.supports,
			 0);
}

#define COSTS "\"input_cost_per_token\":1e-6,\"output_cost_per_token\":2e-6"

static void names(void **state)
{
	static const struct {
		const char *key, *members, *found, *provider;
	} cases[] = {
	    {"gpt", "\"litellm_provider\":\"openai\",", "gpt", "openai"},
	    {"gpt", "", "gpt", ""},
	    {"a/b/c", "", "a/b/c", "a"},
	    {"gemini/g", "\"litellm_provider\":\"gemini\",", "gemini/g", "gemini"},
	    {"command", "\"litellm_provider\":\"cohere_chat\",", "command", "cohere"},
	    {"cohere_chat/x", "\"litellm_provider\":\"cohere_chat\",", "cohere/x", "cohere"},
	    {"vertex_ai/claude", "\"litellm_provider\":\"vertex_ai-anthropic_models\",",
	     "vertex/claude", "vertex"},
	    {"fireworks_ai/accounts/x", "\"litellm_provider\":\"fireworks_ai\",",
	     "fireworks/accounts/x", "fireworks"},
	    {"a.claude", "\"litellm_provider\":\"bedrock_converse\",", "a.claude", "bedrock"},
	    /* Bifrost's name wins. */
	    {"x", "\"litellm_provider\":\"openai\",\"provider\":\"azure\",", "x", "azure"},
	    {"openai/x", "\"provider\":\"openrouter\",", "openai/x", "openrouter"},
	    {"t\\u00e4st", "\"provider\":null,", "t\xc3\xa4st", ""},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		(void)snprintf(text, sizeof(text), "{\"%s\":{%s" COSTS "}}", cases[i].key,
			       cases[i].members);
		read_ok(text);
		if (!bf_slice_is(at(0)->key, cases[i].found) ||
		    !bf_slice_is(at(0)->provider, cases[i].provider))
			fail_msg("%s: %.*s of %.*s", text, BF_SLICE_FMT(at(0)->key),
				 BF_SLICE_FMT(at(0)->provider));
		assert_int_equal(at(0)->mode, BF_PRICE_ANY_MODE);
	}
}

/* Neither an error nor a price of nothing. */
static void what_is_skipped(void **state)
{
	(void)state;
	read_ok(
	    "{\"sample_spec\":{\"mode\":\"one of: chat, embedding\",\"input_cost_per_token\":-1},"
	    "\"img\":{\"mode\":\"image_generation\",\"input_cost_per_image\":1},"
	    "\"half\":{\"mode\":\"chat\",\"input_cost_per_token\":1e-6},"
	    "\"none\":{\"mode\":\"chat\"},\"what\":{},"
	    "\"seconds\":{\"mode\":\"chat\",\"input_cost_per_second\":1},"
	    "\"free\":{\"mode\":\"chat\",\"input_cost_per_token\":0,\"output_cost_per_token\":0.0},"
	    "\"e\":{\"mode\":\"embedding\",\"input_cost_per_token\":1e-6},"
	    "\"r\":{\"mode\":\"responses\"," COSTS "},\"c\":{\"mode\":\"completion\"," COSTS "},"
	    "\"based\":{\"mode\":\"chat\",\"base_model\":\"e\"},"
	    "\"paid\":{\"cost_per_request\":0.01}}");
	assert_int_equal(sheet.skipped, 6);
	assert_int_equal(sheet.entries.count, 6);
	assert_true(bf_slice_is(at(0)->key, "free"));
	assert_int_equal(plain(0, BF_PRICE_OUTPUT), 0);
	assert_int_equal(at(1)->mode, BF_PRICE_EMBEDDING);
	assert_int_equal(at(2)->mode, BF_PRICE_RESPONSES);
	assert_int_equal(at(3)->mode, BF_PRICE_COMPLETION);
	read_ok("{}");
	assert_int_equal(sheet.entries.count, 0);
	assert_true(bf_slice_is(sheet.date, ""));
}

/* As programs write floating point: to the nearest of what there is. */
static void numbers(void **state)
{
	static const struct {
		const char *text;
		int64_t pusd;
	} cases[] = {
	    {"1.0500000000000001e-06", 1050000},
	    {"3.2999999999999996e-07", 330000},
	    {"1e-12", 1},
	    {"5e-13", 1},
	    {"1.4e-12", 1},
	    {"1.5e-12", 2},
	    {"0.0", 0},
	    {"0e5", 0},
	    {"1", 1000000000000},
	    {"1e0", 1000000000000},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		(void)snprintf(text, sizeof(text),
			       "{\"m\":{\"input_cost_per_token\":%s,\"output_cost_per_token\":0}}",
			       cases[i].text);
		read_ok(text);
		if (plain(0, BF_PRICE_INPUT) != cases[i].pusd)
			fail_msg("%s", text);
	}
	read_ok("{\"m\":{" COSTS ",\"search_context_cost_per_query\":{\"search_context_size_low\":"
		"0.03,\"search_context_size_medium\":0.035}}}");
	assert_int_equal(at(0)->price.search_pusd, 35000000000);
}

/* Who fills in a form writes 0 where he knows nothing. */
static void zeros_of_who_does_not_know(void **state)
{
	(void)state;
	read_ok("{\"m\":{" COSTS ",\"input_cost_per_token_flex\":0,"
		"\"output_cost_per_token_above_200k_tokens\":0.0,\"input_cost_per_audio_token\":0,"
		"\"output_cost_per_audio_token\":0,\"output_cost_per_reasoning_token\":0e-9,"
		"\"cache_read_input_token_cost\":0,\"cost_per_request\":0}}");
	assert_int_equal(at(0)->price.token_pusd[BF_PRICE_INPUT][BF_RATE_FLEX], BF_PRICE_NOT_GIVEN);
	assert_int_equal(at(0)->price.token_pusd[BF_PRICE_OUTPUT][BF_RATE_ABOVE_200K],
			 BF_PRICE_NOT_GIVEN);
	assert_int_equal(at(0)->price.audio_input_pusd, BF_PRICE_NOT_GIVEN);
	assert_int_equal(at(0)->price.audio_output_pusd, BF_PRICE_NOT_GIVEN);
	assert_int_equal(at(0)->price.reasoning_pusd, BF_PRICE_NOT_GIVEN);
	assert_int_equal(at(0)->price.request_pusd, 0);
	assert_int_equal(plain(0, BF_PRICE_CACHE_READ), 0);
	/* What is free is free at every tier. */
	read_ok("{\"m\":{\"input_cost_per_token\":0,\"output_cost_per_token\":0,"
		"\"input_cost_per_token_flex\":0,\"output_cost_per_reasoning_token\":0}}");
	assert_int_equal(at(0)->price.token_pusd[BF_PRICE_INPUT][BF_RATE_FLEX], 0);
	assert_int_equal(at(0)->price.reasoning_pusd, 0);
	/* A request for nothing, and not a word of its tokens, is no price. */
	read_ok("{\"m\":{\"cost_per_request\":0},\"n\":{\"cost_per_request\":1e-3}}");
	assert_int_equal(sheet.entries.count, 1);
	assert_int_equal(sheet.skipped, 1);
}

/* Who fills in a form writes the price of text once more: in a hurry it is another one. */
static void what_repeats_the_price_of_text(void **state)
{
	(void)state;
	read_ok("{\"m\":{\"input_cost_per_token\":1e-6,\"output_cost_per_token\":2e-6,"
		"\"output_cost_per_token_priority\":6e-6,\"input_cost_per_audio_token\":1e-6,"
		"\"output_cost_per_audio_token\":2e-6,\"output_cost_per_reasoning_token\":2e-6}}");
	assert_int_equal(at(0)->price.audio_input_pusd, BF_PRICE_NOT_GIVEN);
	assert_int_equal(at(0)->price.audio_output_pusd, BF_PRICE_NOT_GIVEN);
	assert_int_equal(at(0)->price.reasoning_pusd, BF_PRICE_NOT_GIVEN);
	read_ok("{\"m\":{\"input_cost_per_token\":1e-6,\"output_cost_per_token\":2e-6,"
		"\"output_cost_per_reasoning_token\":1e-6}}");
	assert_int_equal(at(0)->price.reasoning_pusd, 1000000);
}

static void what_is_refused(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
	    {"", "1:1: error: not JSON"},
	    {"{\"m\":{}", "error: not JSON"},
	    {"{\"p/m\":{\"input_cost_per_token\":4.9e-13,\"output_cost_per_token\":0}}",
	     "1:32: error: entry \"p/m\": input_cost_per_token: is so little that it would count "
	     "as nothing"},
	    {"{\"p/m\":{\"input_cost_per_token\":1e-400}}", "is so little"},
	    {"{\"m\":{},\"m\":{}}", "error: not JSON"},
	    {"[]", "1:1: error: must be a JSON object of models"},
	    {"{\"m\":7}", "1:6: error: entry \"m\": must be an object"},
	    {"{\"m\":\"x\"}", "error: entry \"m\": must be an object"},
	    {"{\"\":{}}", "error: the name of an entry must have from 1 to 256 bytes of text"},
	    {"{\n\"m\":{\"mode\":7}}", "2:13: error: entry \"m\": mode: must be a string"},
	    {"{\"m\":{\"base_model\":[]}}", "entry \"m\": base_model: must be a string"},
	    {"{\"m\":{\"litellm_provider\":1}}", "litellm_provider: must be a string"},
	    {"{\"m\":{\"input_cost_per_token\":\"1e-6\"}}",
	     "entry \"m\": input_cost_per_token: must be a number"},
	    {"{\"m\":{\"input_cost_per_token\":-1e-6}}",
	     "entry \"m\": input_cost_per_token: must be from 0 to 1"},
	    {"{\"m\":{\"output_cost_per_token_flex\":1.1}}",
	     "entry \"m\": output_cost_per_token_flex: must be from 0 to 1"},
	    {"{\"m\":{\"cost_per_request\":1e9}}", "cost_per_request: must be from 0 to 1000"},
	    {"{\"m\":{\"input_cost_per_token\":1e99999}}", "must be from 0 to 1"},
	    {"{\"m\":{\"input_cost_per_token\":true}}", "must be a number"},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		int r = bf_price_sheet_read(bf_slice_from(cases[i].text), &arena, &sheet, &err);

		if (r >= 0 || !strstr(err.text, cases[i].error))
			fail_msg("%s: %s", cases[i].text, r < 0 ? err.text : "was accepted");
	}
}

static void only_so_many(void **state)
{
	struct bf_buf text;

	(void)state;
	bf_buf_init(&text, 16u << 20);
	assert_int_equal(bf_buf_append(&text, "{", 1), 0);
	for (unsigned i = 0; i < BF_SHEET_ENTRIES_MAX; i++)
		assert_int_equal(bf_buf_printf(&text, "%s\"m%u\":{" COSTS "}", i ? "," : "", i), 0);
	size_t len = bf_buf_len(&text);
	assert_int_equal(bf_buf_append(&text, "}", 1), 0);
	assert_int_equal(bf_price_sheet_read(bf_buf_slice(&text), &arena, &sheet, &err), 0);
	assert_int_equal(sheet.entries.count, BF_SHEET_ENTRIES_MAX);
	text.end = text.start + len;
	assert_int_equal(bf_buf_printf(&text, ",\"more\":{}}"), 0);
	assert_true(bf_price_sheet_read(bf_buf_slice(&text), &arena, &sheet, &err) < 0);
	assert_non_null(strstr(err.text, "10000 models"));
	bf_buf_done(&text);
}

/* Without memory it says so, wherever it ran out. */
static void without_memory(void **state)
{
	static const char text[] = "{\"date\":\"d\",\"a/m\":{\"mode\":\"chat\"," COSTS
				   "},\"vertex_ai/m\":{\"base_model\":\"x\"," COSTS "}}";
	bool worked = false;

	(void)state;
	for (size_t room = 64; room < 1u << 20 && !worked; room += 64) {
		struct bf_arena small;

		bf_arena_init(&small, room);
		worked = bf_price_sheet_read(bf_slice_from(text), &small, &sheet, &err) == 0;
		bf_arena_done(&small);
	}
	assert_true(worked);
}

/* The one that is installed. */
static void the_sheet_of_the_house(void **state)
{
	struct bf_buf text;
	char piece[4096];
	FILE *f = fopen(BF_DATA_SHEET, "r");

	(void)state;
	assert_non_null(f);
	bf_buf_init(&text, BF_SHEET_MAX_BYTES);
	for (size_t n; (n = fread(piece, 1, sizeof(piece), f)) > 0;)
		assert_int_equal(bf_buf_append(&text, piece, n), 0);
	(void)fclose(f);
	if (bf_price_sheet_read(bf_buf_slice(&text), &arena, &sheet, &err) < 0)
		fail_msg("%s", err.text);
	assert_in_range(sheet.entries.count, 40, 60);
	assert_int_equal(sheet.skipped, 0);
	assert_int_equal(sheet.date.len, strlen("2025-10-01"));
	for (uint32_t i = 0; i < sheet.entries.count; i++) {
		assert_true(at(i)->provider.len > 0);
		assert_true(at(i)->base_model.len || plain(i, BF_PRICE_INPUT) > 0);
		assert_true(at(i)->base_model.len || at(i)->mode == BF_PRICE_EMBEDDING ||
			    plain(i, BF_PRICE_OUTPUT) >= plain(i, BF_PRICE_INPUT));
	}
	bf_buf_done(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(an_entry),
	    TEST(facts),
	    TEST(names),
	    TEST(what_is_skipped),
	    TEST(numbers),
	    TEST(what_is_refused),
	    TEST(only_so_many),
	    TEST(zeros_of_who_does_not_know),
	    TEST(what_repeats_the_price_of_text),
	    TEST(without_memory),
	    TEST(the_sheet_of_the_house),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which price counts: names, modes, base models, overrides and their scopes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/govern/price_book.h"

#define TEXT(s) BF_SLICE_INIT(s)
#define NONE    BF_PRICE_NOT_GIVEN
#define IN(n)   bf_price_of(n, n, NONE)
#define LIST(of)                       \
	{                              \
		(of), BF_ARRAY_LEN(of) \
	}

static struct bf_arena arena;
static struct bf_config conf;
static struct bf_price_book book;

static int setup(void **state)
{
	(void)state;
	bf_arena_init(&arena, 64u << 20);
	memset(&conf, 0, sizeof(conf));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_arena_done(&arena);
	return 0;
}

static int64_t found_by(struct bf_price_query q)
{
	struct bf_price_found found;
	struct bf_conf_price room;

	if (!bf_price_find(&book, &q, &found))
		return -1;
	return bf_price_found_whole(&found, &room)->token_pusd[BF_PRICE_INPUT][BF_RATE_PLAIN];
}

static int64_t found(const char *provider, const char *model, enum bf_price_mode mode)
{
	return found_by(
	    (struct bf_price_query){.provider = bf_slice_from(provider),
				    .model = bf_slice_from(model),
				    .mode = mode,
				    .names_vendors = strcmp(provider, "openrouter") == 0});
}

static int64_t chat(const char *provider, const char *model)
{
	return found(provider, model, BF_PRICE_CHAT);
}

static void open_with(struct bf_conf_pricing_override *overrides, uint32_t count)
{
	conf.governance.pricing_overrides = (struct bf_array){overrides, count};
	assert_int_equal(bf_price_book_open(&book, &conf, &arena), 0);
}

static void the_most_special_override_counts(void **state)
{
	struct bf_conf_pricing_override items[] = {
	    {.match_type = BF_PRICE_WILDCARD, .pattern = TEXT("*"), .pricing_patch = IN(1)},
	    {.match_type = BF_PRICE_WILDCARD, .pattern = TEXT("gpt-*"), .pricing_patch = IN(2)},
	    {.pattern = TEXT("gpt-5"), .pricing_patch = IN(3)},
	    {.match_type = BF_PRICE_WILDCARD,
	     .provider_id = TEXT("groq"),
	     .pattern = TEXT("gpt*"),
	     .pricing_patch = IN(4)},
	    {.provider_id = TEXT("groq"), .pattern = TEXT("gpt-5"), .pricing_patch = IN(5)},
	    {.pattern = TEXT("gpt-5"), .pricing_patch = IN(6)},
	};

	(void)state;
	open_with(items, BF_ARRAY_LEN(items));
	assert_int_equal(chat("openai", "other"), 1);
	/* Most text before the star, wherever it stands. */
	assert_int_equal(chat("openai", "gpt-4"), 2);
	/* A client's way to write a name makes it no cheaper. */
	assert_int_equal(chat("openai", "GPT-4"), 2);
	assert_int_equal(chat("openai", "Gpt-5"), 3);
	assert_int_equal(chat("openai", "openai/gpt-5"), 3);
	assert_int_equal(chat("openai", "OpenAI/openai/gpt-5"), 3);
	assert_int_equal(chat("openai", "openai/gpt-4"), 2);
	assert_int_equal(chat("openai", "gpt-5"), 3);
	assert_int_equal(chat("groq", "gpt-4"), 4);
	assert_int_equal(chat("groq", "gpt-5"), 5);
	assert_int_equal(chat("Groq", "gpt-5"), 3);
	open_with(items + 2, 4);
	assert_int_equal(chat("openai", "gpt-4"), -1);
	open_with(NULL, 0);
	assert_int_equal(chat("openai", "gpt-5"), -1);
}

static void scopes(void **state)
{
	/* From the least special to the most; each alone wins over those before it. */
	struct bf_conf_pricing_override items[] = {
	    {.pattern = TEXT("m"), .pricing_patch = IN(1)},
	    {.provider_id = TEXT("p"), .pattern = TEXT("m"), .pricing_patch = IN(2)},
	    {.provider_key_id = TEXT("k"), .pattern = TEXT("m"), .pricing_patch = IN(3)},
	    {.virtual_key_id = TEXT("v"), .pattern = TEXT("m"), .pricing_patch = IN(4)},
	    {.virtual_key_id = TEXT("v"),
	     .provider_id = TEXT("p"),
	     .pattern = TEXT("m"),
	     .pricing_patch = IN(5)},
	    {.virtual_key_id = TEXT("v"),
	     .provider_key_id = TEXT("k"),
	     .match_type = BF_PRICE_WILDCARD,
	     .pattern = TEXT("m*"),
	     .pricing_patch = IN(6)},
	};
	struct bf_price_query q = {TEXT("p"), TEXT("m"),     TEXT("v"),
				   TEXT("k"), BF_PRICE_CHAT, false};

	(void)state;
	for (uint32_t n = 1; n <= BF_ARRAY_LEN(items); n++) {
		open_with(items, n);
		assert_int_equal(found_by(q), n);
		assert_int_equal(book.by_provider_key, n >= 3);
		assert_int_equal(book.by_virtual_key, n >= 4);
	}
	q.virtual_key_id = (struct bf_slice)TEXT("w");
	assert_int_equal(found_by(q), 3);
	q.provider_key_id = (struct bf_slice){NULL, 0};
	assert_int_equal(found_by(q), 2);
	q.provider = (struct bf_slice)TEXT("o");
	assert_int_equal(found_by(q), 1);
}

static void request_types(void **state)
{
	static struct bf_slice types[] = {TEXT("embedding"), TEXT("text_completion")};
	struct bf_conf_pricing_override items[] = {
	    {.provider_id = TEXT("p"),
	     .pattern = TEXT("m"),
	     .request_types = LIST(types),
	     .pricing_patch = IN(2)},
	    {.pattern = TEXT("m"), .pricing_patch = IN(1)},
	};

	(void)state;
	open_with(items, 2);
	assert_int_equal(found("p", "m", BF_PRICE_CHAT), 1);
	assert_int_equal(found("p", "m", BF_PRICE_RESPONSES), 1);
	assert_int_equal(found("p", "m", BF_PRICE_EMBEDDING), 2);
	assert_int_equal(found("p", "m", BF_PRICE_COMPLETION), 2);
}

static void patches_lie_over_the_sheet(void **state)
{
	struct bf_conf_sheet_price sheet[] = {
	    {.key = TEXT("p/m"), .provider = TEXT("p"), .price = bf_price_of(10, 20, 5)}};
	struct bf_conf_pricing_override items[] = {
	    {.pattern = TEXT("m"), .pricing_patch = bf_price_of(NONE, 30, NONE)}};
	struct bf_price_query q = {.provider = TEXT("p"), .model = TEXT("m")};
	struct bf_price_found f;
	struct bf_conf_price room;

	(void)state;
	conf.pricing.sheet.entries = (struct bf_array)LIST(sheet);
	open_with(items, 1);
	assert_true(bf_price_find(&book, &q, &f));
	const struct bf_conf_price *price = bf_price_found_whole(&f, &room);
	assert_int_equal(price->token_pusd[BF_PRICE_INPUT][BF_RATE_PLAIN], 10);
	assert_int_equal(price->token_pusd[BF_PRICE_OUTPUT][BF_RATE_PLAIN], 30);
	assert_int_equal(price->token_pusd[BF_PRICE_CACHE_READ][BF_RATE_PLAIN], 5);
	/* Half a price is none. */
	conf.pricing.sheet.entries.count = 0;
	open_with(items, 1);
	assert_false(bf_price_find(&book, &q, &f));
	/* Nothing is copied where nothing is patched. */
	conf.pricing.sheet.entries.count = 1;
	open_with(NULL, 0);
	assert_true(bf_price_find(&book, &q, &f));
	assert_ptr_equal(bf_price_found_whole(&f, &room), &sheet[0].price);
}

/* Model by model; half a price that was fetched is none. */
static void the_fetched_sheet_before_that_of_the_file(void **state)
{
	struct bf_conf_sheet_price file[] = {
	    {.key = TEXT("p/both"), .provider = TEXT("p"), .price = IN(1)},
	    {.key = TEXT("p/old"), .provider = TEXT("p"), .price = IN(2)},
	    {.key = TEXT("p/half"), .provider = TEXT("p"), .price = IN(3)},
	};
	struct bf_conf_sheet_price fetched[] = {
	    {.key = TEXT("both"), .price = IN(4)},
	    {.key = TEXT("p/new"), .provider = TEXT("p"), .price = IN(5)},
	    {.key = TEXT("p/half"), .provider = TEXT("p"), .price = bf_price_of(6, NONE, NONE)},
	    {.key = TEXT("p/third"), .provider = TEXT("p"), .price = bf_price_of(7, NONE, NONE)},
	};
	struct bf_array list = LIST(fetched);
	struct bf_arena room;
	(void)state;

	bf_arena_init(&room, 1 << 20);
	conf.pricing.sheet.entries = (struct bf_array)LIST(file);
	open_with(NULL, 0);
	assert_int_equal(bf_price_index_make(&book.fetched, &list, &room), 0);
	assert_int_equal(found("p", "both", BF_PRICE_CHAT), 4);
	assert_int_equal(found("p", "old", BF_PRICE_CHAT), 2);
	assert_int_equal(found("p", "new", BF_PRICE_CHAT), 5);
	assert_int_equal(found("p", "half", BF_PRICE_CHAT), 3);
	assert_int_equal(found("p", "none", BF_PRICE_CHAT), NONE);
	/* An override may tell the other half. */
	struct bf_price_query q = {.provider = TEXT("p"), .model = TEXT("third")};
	struct bf_price_found f;
	assert_false(bf_price_find(&book, &q, &f));
	assert_ptr_equal(f.base, &fetched[3].price);
	bf_arena_done(&room);
}

static void names_of_the_sheet(void **state)
{
	struct bf_conf_sheet_price sheet[] = {
	    {.key = TEXT("gpt-4o"), .provider = TEXT("openai"), .price = IN(1)},
	    {.key = TEXT("azure/gpt-4o"), .provider = TEXT("azure"), .price = IN(2)},
	    {.key = TEXT("groq/meta/llama"), .provider = TEXT("groq"), .price = IN(3)},
	    {.key = TEXT("openai/o9"), .provider = TEXT("openai"), .price = IN(4)},
	    {.key = TEXT("lonely"), .price = IN(5)},
	    {.key = TEXT("openai/gpt-4o"), .provider = TEXT("openai"), .price = IN(6)},
	};

	(void)state;
	conf.pricing.sheet.entries = (struct bf_array)LIST(sheet);
	open_with(NULL, 0);
	/* The first of two of one name. */
	assert_int_equal(chat("openai", "gpt-4o"), 1);
	assert_int_equal(chat("azure", "gpt-4o"), 2);
	assert_int_equal(chat("groq", "meta/llama"), 3);
	/* In any case, and with the provider's name in front. */
	assert_int_equal(chat("openai", "GPT-4O"), 1);
	assert_int_equal(chat("openai", "openai/gpt-4o"), 1);
	assert_int_equal(chat("groq", "Groq/Meta/Llama"), 3);
	/* Another provider's name in front chooses nothing. */
	assert_int_equal(chat("openai", "azure/gpt-4o"), 1);
	assert_int_equal(chat("openai", "x/azure/gpt-4o"), 1);
	assert_int_equal(chat("mine", "azure/gpt-4o"), 1);
	assert_int_equal(chat("mine", "openai/o9"), 4);
	/* Another provider's model of a key without provider. */
	assert_int_equal(chat("mine", "gpt-4o"), 1);
	assert_int_equal(chat("mine", "lonely"), 5);
	/* With its vendor in the name: the vendor's entry, else without it. */
	assert_int_equal(chat("openrouter", "openai/o9"), 4);
	assert_int_equal(chat("openrouter", "any/lonely"), 5);
	assert_int_equal(chat("openrouter", "openai/gpt-4o"), 6);
	assert_int_equal(chat("mine", "o9"), -1);
	assert_int_equal(chat("mine", "llama"), -1);
	assert_int_equal(chat("openai", ""), -1);
	assert_int_equal(chat("", ""), -1);
	assert_int_equal(chat("openai", "gpt-4o/"), -1);
}

static void modes(void **state)
{
	struct bf_conf_sheet_price sheet[] = {
	    {.key = TEXT("p/m"), .provider = TEXT("p"), .mode = BF_PRICE_CHAT, .price = IN(1)},
	    {.key = TEXT("p/r"), .provider = TEXT("p"), .mode = BF_PRICE_RESPONSES, .price = IN(2)},
	    {.key = TEXT("p/e"), .provider = TEXT("p"), .mode = BF_PRICE_EMBEDDING, .price = IN(3)},
	    {.key = TEXT("p/a"), .provider = TEXT("p"), .mode = BF_PRICE_ANY_MODE, .price = IN(4)},
	    {.key = TEXT("m"), .provider = TEXT("p"), .mode = BF_PRICE_RESPONSES, .price = IN(5)},
	};

	(void)state;
	conf.pricing.sheet.entries = (struct bf_array)LIST(sheet);
	open_with(NULL, 0);
	assert_int_equal(found("p", "m", BF_PRICE_CHAT), 1);
	assert_int_equal(found("p", "m", BF_PRICE_RESPONSES), 5);
	assert_int_equal(found("p", "m", BF_PRICE_COMPLETION), 1);
	assert_int_equal(found("p", "m", BF_PRICE_EMBEDDING), -1);
	assert_int_equal(found("p", "r", BF_PRICE_CHAT), 2);
	assert_int_equal(found("p", "e", BF_PRICE_EMBEDDING), 3);
	assert_int_equal(found("p", "e", BF_PRICE_CHAT), -1);
	for (int mode = 0; mode <= BF_PRICE_EMBEDDING; mode++)
		assert_int_equal(found("p", "a", (enum bf_price_mode)mode), 4);
	sheet[4].mode = BF_PRICE_EMBEDDING;
	open_with(NULL, 0);
	assert_int_equal(found("p", "m", BF_PRICE_RESPONSES), 1);
}

static void base_models(void **state)
{
	struct bf_conf_sheet_price sheet[] = {
	    {.key = TEXT("p/new"),
	     .provider = TEXT("p"),
	     .base_model = TEXT("old"),
	     .price = BF_PRICE_NONE},
	    {.key = TEXT("p/old"), .provider = TEXT("p"), .price = IN(7)},
	    {.key = TEXT("p/dated-1"),
	     .provider = TEXT("p"),
	     .base_model = TEXT("dated"),
	     .price = IN(8)},
	    {.key = TEXT("p/circle"),
	     .provider = TEXT("p"),
	     .base_model = TEXT("circle"),
	     .price = BF_PRICE_NONE},
	};

	(void)state;
	conf.pricing.sheet.entries = (struct bf_array)LIST(sheet);
	open_with(NULL, 0);
	assert_int_equal(chat("p", "new"), 7);
	assert_int_equal(chat("p", "dated-1"), 8);
	assert_int_equal(chat("p", "dated"), 8);
	assert_int_equal(chat("o", "dated"), -1);
	assert_int_equal(chat("p", "circle"), -1);
}

/* The entry whose price counts is also the one that tells what else there is. */
static void the_entry_itself(void **state)
{
	struct bf_conf_sheet_price entries[] = {
	    {.key = TEXT("p/vendor/m"),
	     .provider = TEXT("P"),
	     .mode = BF_PRICE_CHAT,
	     .price = IN(1),
	     .facts.max_output_tokens = 5},
	    {.key = TEXT("alone"), .provider = TEXT("p"), .mode = BF_PRICE_CHAT, .price = IN(2)},
	};
	struct bf_price_query q = {.provider = TEXT("p"), .model = TEXT("vendor/M")};

	(void)state;
	conf.pricing.sheet.entries = (struct bf_array)LIST(entries);
	open_with(NULL, 0);
	assert_int_equal(book.of_file.count, 2);
	assert_int_equal(book.fetched.count, 0);
	assert_ptr_equal(bf_price_entry(&book, &q), &entries[0]);
	assert_true(bf_slice_is(bf_price_entry_model(&entries[0]), "vendor/m"));
	assert_true(bf_slice_is(bf_price_entry_model(&entries[1]), "alone"));
	q.mode = BF_PRICE_EMBEDDING;
	assert_null(bf_price_entry(&book, &q));
}

static void a_large_sheet(void **state)
{
	enum {
		N = BF_SHEET_ENTRIES_MAX
	};
	struct bf_conf_sheet_price *sheet = test_calloc(N, sizeof(*sheet));
	char(*names)[32] = test_calloc(N, sizeof(*names));

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "p%u/model-%u", i % 7, i);
		sheet[i] = (struct bf_conf_sheet_price){.key = bf_slice_from(names[i]),
							.provider = {names[i], 2},
							.price = IN((int64_t)i)};
	}
	conf.pricing.sheet.entries = (struct bf_array){sheet, N};
	open_with(NULL, 0);
	for (unsigned i = 0; i < N; i++) {
		char provider[8];

		(void)snprintf(provider, sizeof(provider), "p%u", i % 7);
		assert_int_equal(chat(provider, names[i] + 3), i);
		assert_int_equal(chat("other", names[i] + 3), -1);
	}
	bf_arena_done(&arena);
	bf_arena_init(&arena, 4096);
	assert_true(bf_price_book_open(&book, &conf, &arena) < 0);
	test_free(names);
	test_free(sheet);
}

static void wildcards(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool fits;
	} cases[] = {
	    {"*", "", true},        {"*", "a", true},          {"a*", "a", true},
	    {"a*", "ba", false},    {"*a", "ba", true},        {"*a", "ab", false},
	    {"a*c", "abbbc", true}, {"A*c", "aBBbC", true},    {"a*c", "ac", true},
	    {"a*c", "acb", false},  {"a*b*c", "a-bb-c", true}, {"a*b*c", "a-c-b", false},
	    {"**a**", "a", true},   {"*ab", "aab", true},      {"*aab", "aaab", true},
	    {"a", "a", true},       {"a", "ab", false},        {"", "", true},
	    {"", "a", false},       {"a?", "ab", false},       {"[a]", "a", false},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		struct bf_conf_pricing_override o = {.match_type = BF_PRICE_WILDCARD,
						     .pattern = bf_slice_from(cases[i].pattern),
						     .pricing_patch = IN(0)};

		open_with(&o, 1);
		if ((chat("p", cases[i].text) >= 0) != cases[i].fits)
			fail_msg("%s over %s", cases[i].pattern, cases[i].text);
		o.match_type = BF_PRICE_EXACT;
		assert_int_equal(chat("p", cases[i].pattern), 0);
	}
}

/* As exact patterns may have it, and as models are written everywhere else. */
static void wildcards_behind_their_provider(void **state)
{
	struct bf_conf_pricing_override items[] = {
	    {.match_type = BF_PRICE_WILDCARD,
	     .pattern = TEXT("OpenAI/gpt-*"),
	     .pricing_patch = IN(1)},
	    {.match_type = BF_PRICE_WILDCARD, .pattern = TEXT("gpt-5*"), .pricing_patch = IN(2)},
	    {.match_type = BF_PRICE_WILDCARD, .pattern = TEXT("groq/*"), .pricing_patch = IN(3)},
	};

	(void)state;
	open_with(items, BF_ARRAY_LEN(items));
	assert_int_equal(chat("openai", "gpt-4o"), 1);
	assert_int_equal(chat("openai", "openai/gpt-4o"), 1);
	/* What is said of the model decides, not how the provider is called. */
	assert_int_equal(chat("openai", "gpt-5-mini"), 2);
	assert_int_equal(chat("groq", "llama"), 3);
	assert_int_equal(chat("openai", "llama"), -1);
	/* There it is the vendor. */
	assert_int_equal(chat("openrouter", "openai/gpt-4o"), 1);
	assert_int_equal(chat("openrouter", "gpt-4o"), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_most_special_override_counts),
	    TEST(scopes),
	    TEST(request_types),
	    TEST(patches_lie_over_the_sheet),
	    TEST(the_fetched_sheet_before_that_of_the_file),
	    TEST(names_of_the_sheet),
	    TEST(modes),
	    TEST(base_models),
	    TEST(the_entry_itself),
	    TEST(a_large_sheet),
	    TEST(wildcards),
	    TEST(wildcards_behind_their_provider),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Lists of models as workers ask for them: whose they are, what may stand in one, how they go. */
#include "tests/unit/writerd/entities_bed.h"

#include "common/schema/model_catalog.h"

#define CATALOG BF_ENTITY_MODEL_CATALOG
#define CREATE  BF_ENTITY_CREATE
#define UPDATE  BF_ENTITY_UPDATE
#define DELETE  BF_ENTITY_DELETE

#define SEALED "encryption_key: 0123456789abcdef\n"
#define MOCK   SEALED "providers: {mock: {}}\n"
#define TWO    SEALED "providers: {mock: {}, ollama: {}}\n"

static struct bed b;
static struct bf_arena arena;

/* What is in force of a provider, with blanks between; "-": nothing. */
static const char *models(const char *provider)
{
	static char text[256];
	struct bf_model_catalog c;
	struct bf_entity e;
	size_t at = 0;

	if (!bed_finds(&b, CATALOG, provider, &e))
		return "-";
	bf_arena_reset(&arena);
	assert_int_equal(bf_entity_decode(&e, &c, &arena, NULL), 0);
	assert_true(bf_slice_is(c.provider, provider));
	text[0] = '\0';
	for (uint32_t i = 0; i < c.models.count; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.*s", i ? " " : "",
				       BF_SLICE_FMT(((struct bf_slice *)c.models.items)[i]));
	return text;
}

static uint64_t version_of(const char *provider)
{
	struct bf_entity e;

	return bed_finds(&b, CATALOG, provider, &e) ? e.version : 0;
}

/* {"models": [...]} of so many names of so many bytes. */
static const char *list_of(uint32_t count, int len)
{
	static char text[1 << 17];
	size_t at = (size_t)snprintf(text, sizeof(text), "{\"models\":[");

	for (uint32_t i = 0; i < count; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s\"%0*u\"", i ? "," : "",
				       len, i);
	(void)snprintf(text + at, sizeof(text) - at, "]}");
	return text;
}

static void a_list_comes_changes_and_goes(void **state)
{
	(void)state;
	bed_open(&b, MOCK);
	bed_ask_well(&b, UPDATE, CATALOG, "mock", "{\"models\":[\"b\",\"a\",\"v/c:d\"]}");
	assert_int_equal(b.status, 200);
	assert_int_equal(b.version, 1);
	assert_non_null(strstr(b.json, "\"message\":\"List of models updated successfully\""));
	assert_non_null(strstr(b.json, "\"model_catalog\":{"));
	assert_string_equal(models("mock"), "b a v/c:d");
	/* The whole list, not what is new in it. */
	bed_ask_well(&b, UPDATE, CATALOG, "mock", "{\"provider\":\"mock\",\"models\":[\"a\"]}");
	assert_string_equal(models("mock"), "a");
	bed_ask_well(&b, UPDATE, CATALOG, "mock", "{}");
	assert_string_equal(models("mock"), "a");
	assert_int_equal(version_of("mock"), 3);
	bed_ask_badly(&b, UPDATE, CATALOG, "mock", "{\"models\":[],\"expected_version\":2}", 409,
		      "version_conflict");
	bed_stop(&b);
	bed_start(&b);
	assert_string_equal(models("mock"), "a");
	bed_ask_well(&b, DELETE, CATALOG, "mock", "");
	assert_string_equal(models("mock"), "-");
	bed_ask_badly(&b, DELETE, CATALOG, "mock", "", 404, "there is no list of models");
	/* Versions go on. */
	bed_ask_well(&b, UPDATE, CATALOG, "mock", "{\"models\":[]}");
	assert_int_equal(version_of("mock"), 5);
	assert_string_equal(models("mock"), "");
	bed_close(&b);
}

static void it_is_of_a_provider_that_there_is(void **state)
{
	(void)state;
	bed_open(&b, MOCK);
	bed_ask_badly(&b, UPDATE, CATALOG, "mocc", "{\"models\":[]}", 400,
		      "no provider has the id \\\"mocc\\\": did you mean \\\"mock\\\"?");
	bed_ask_badly(&b, UPDATE, CATALOG, "mock", "{\"provider\":\"ollama\"}", 400,
		      "is another one than that of the path");
	bed_close(&b);
	bed_open(&b, "config_store: {enabled: false}\n" MOCK);
	bed_ask_badly(&b, UPDATE, CATALOG, "mock", "{\"models\":[]}", 409, "config_store is off");
	bed_close(&b);
}

static void names_are_names(void **state)
{
	static const struct {
		const char *json, *part;
	} bad[] = {
	    {"{\"models\":[\"a\",\"\"]}", "is empty"},
	    {"{\"models\":[\"*\"]}", "stands for all models"},
	    {"{\"models\":[\"a\\nb\"]}", "control characters"},
	    {"{\"models\":[\"a\\u007f\"]}", "control characters"},
	    {"{\"models\":[\" a\"]}", "blank"},
	    {"{\"models\":[\"a \"]}", "blank"},
	    {"{\"models\":[1]}", "models"},
	    {"{\"models\":{\"a\":1}}", "models"},
	    {"{\"models\":[\"a\",\"b\",\"c\",\"b\",\"a\"]}", "\"pointer\":\"/models/3\""},
	    {"{\"modles\":[]}", "modles"},
	};

	(void)state;
	bed_open(&b, MOCK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		bed_ask_badly(&b, UPDATE, CATALOG, "mock", bad[i].json, 400, bad[i].part);
	bed_ask_badly(&b, UPDATE, CATALOG, "mock", list_of(1, BF_CATALOG_NAME_MAX + 1), 400,
		      "longer than 255 bytes");
	assert_string_equal(models("mock"), "-");
	bed_ask_well(&b, UPDATE, CATALOG, "mock", list_of(1, BF_CATALOG_NAME_MAX));
	bed_ask_well(&b, UPDATE, CATALOG, "mock", list_of(BF_MODEL_CATALOG_MAX, 4));
	bed_ask_badly(&b, UPDATE, CATALOG, "mock", list_of(BF_MODEL_CATALOG_MAX + 1, 4), 400,
		      "models");
	assert_int_equal(version_of("mock"), 2);
	bed_close(&b);
}

static void a_provider_takes_its_list_with_it(void **state)
{
	(void)state;
	bed_open(&b, TWO);
	bed_ask_well(&b, UPDATE, CATALOG, "mock", "{\"models\":[\"a\"]}");
	bed_ask_well(&b, UPDATE, CATALOG, "ollama", "{\"models\":[\"b\"]}");
	bed_ask_well(&b, DELETE, BF_ENTITY_PROVIDER, "mock", "");
	assert_string_equal(models("mock"), "-");
	assert_string_equal(models("ollama"), "b");
	bed_ask_badly(&b, DELETE, CATALOG, "mock", "", 404, "not_found");
	/* The file takes one away: it had said it. */
	bed_again(&b, MOCK);
	assert_string_equal(models("ollama"), "-");
	bed_again(&b, TWO);
	assert_string_equal(models("ollama"), "-");
	bed_ask_well(&b, UPDATE, CATALOG, "ollama", "{\"models\":[\"c\"]}");
	bed_again(&b, TWO);
	assert_string_equal(models("ollama"), "c");
	bed_close(&b);
}

static void who_names_the_provider_keeps_both(void **state)
{
	(void)state;
	bed_open(&b, MOCK);
	bed_ask_well(&b, UPDATE, CATALOG, "mock", "{\"models\":[\"a\"]}");
	bed_ask_well(&b, CREATE, BF_ENTITY_VIRTUAL_KEY, "k",
		     "{\"name\":\"k\",\"provider_configs\":[{\"provider\":\"mock\"}]}");
	bed_ask_badly(&b, DELETE, BF_ENTITY_PROVIDER, "mock", "", 409, "in_use");
	assert_string_equal(models("mock"), "a");
	bed_close(&b);
}

static int open_arena(void **state)
{
	(void)state;
	bf_arena_init(&arena, 16 << 20);
	return 0;
}

static int close_arena(void **state)
{
	(void)state;
	bf_arena_done(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_list_comes_changes_and_goes),
	    cmocka_unit_test(it_is_of_a_provider_that_there_is),
	    cmocka_unit_test(names_are_names),
	    cmocka_unit_test(a_provider_takes_its_list_with_it),
	    cmocka_unit_test(who_names_the_provider_keeps_both),
	};

	return cmocka_run_group_tests(tests, open_arena, close_arena);
}

/* Lists of models as providers tell them: what is a list, which names count, and that nothing that
 * is cut or broken passes for one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/schema/model_catalog.h"
#include "proxyd/gate/listing_read.h"

static struct bf_arena scratch, arena;
static struct listing_names list;
static struct bf_err err;

static int setup(void **state BF_UNUSED)
{
	bf_arena_init(&scratch, 32u << 20);
	bf_arena_init(&arena, 32u << 20);
	return 0;
}

static int teardown(void **state BF_UNUSED)
{
	bf_arena_done(&scratch);
	bf_arena_done(&arena);
	return 0;
}

/* From a copy of its own, so that a read beyond it is seen. */
static int reads_bytes(const char *text, size_t len)
{
	char *copy = malloc(len ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, text, len);
	bf_arena_reset(&arena);
	err = (struct bf_err){0};
	r = listing_read(&list, (struct bf_slice){copy, len}, &scratch, &arena, &err);
	bf_arena_reset(&scratch);
	for (uint32_t i = 0; r == 0 && i < list.count; i++)
		list.names[i] = bf_arena_dup(&arena, list.names[i]);
	free(copy);
	assert_int_equal(r < 0, err.text[0] != '\0');
	return r;
}

static void reads(const char *text, const char *names, uint32_t left_out)
{
	char got[1024] = "";

	assert_int_equal(reads_bytes(text, strlen(text)), 0);
	for (uint32_t i = 0; i < list.count; i++) {
		size_t n = strlen(got);

		(void)snprintf(got + n, sizeof(got) - n, "%s%.*s", i ? "|" : "",
			       BF_SLICE_FMT(list.names[i]));
	}
	assert_string_equal(got, names);
	assert_int_equal(list.left_out, left_out);
}

static void refuses(const char *text, int code, const char *why)
{
	assert_int_equal(reads_bytes(text, strlen(text)), code);
	if (!strstr(err.text, why))
		fail_msg("not \"%s\": %s", why, err.text);
}

#define WHOLE                                                                                \
	"{\"object\":\"list\",\"data\":[{\"id\":\"gpt-4o\",\"object\":\"model\"},{\"id\":\"" \
	"a\\u0062c\"}],\"x\":[1,{\"y\":null}]}"

static void lists(void **state BF_UNUSED)
{
	reads("{\"data\":[]}", "", 0);
	reads(WHOLE, "gpt-4o|abc", 0);
	reads(" \r\n{\"data\":[{\"id\":\"b\"},{\"owner\":{\"id\":\"c\"},\"id\":\"a\"}]}\n", "b|a",
	      0);
	reads("{\"data\":[{\"id\":\"org/model:free\"},{\"id\":\"\xc3\xa4 x\"}]}",
	      "org/model:free|\xc3\xa4 x", 0);
	/* A member that stands there twice is what most readers have: the last. */
	reads("{\"data\":7,\"data\":[{\"id\":\"a\",\"id\":\"b\"}]}", "b", 0);
}

static void each_name_counts_once(void **state BF_UNUSED)
{
	reads("{\"data\":[{\"id\":\"a\"},{\"id\":\"b\"},{\"id\":\"a\"},{\"id\":\"\\u0061\"},"
	      "{\"id\":\"A\"}]}",
	      "a|b|A", 0);
}

/* What no request could name is left out, and counted. */
static void names_that_are_none(void **state BF_UNUSED)
{
	char text[1024], name[BF_CATALOG_NAME_MAX + 2];

	reads("{\"data\":[{\"id\":\"\"},{\"id\":\"*\"},{\"id\":\" a\"},{\"id\":\"a \"},"
	      "{\"id\":\"a\\nb\"},{\"id\":\"a\\u0000b\"},{\"id\":\"\x7f\"},{\"id\":7},"
	      "{\"id\":null},{\"id\":[\"a\"]},{\"name\":\"a\"},{},\"a\",[\"id\",\"a\"],3,null,"
	      "{\"id\":\"good\"}]}",
	      "good", 16);
	memset(name, 'n', sizeof(name));
	for (int len = (int)BF_CATALOG_NAME_MAX; len <= (int)BF_CATALOG_NAME_MAX + 1; len++) {
		bool fits = len == (int)BF_CATALOG_NAME_MAX;

		(void)snprintf(text, sizeof(text), "{\"data\":[{\"id\":\"%.*s\"},{\"id\":\"a\"}]}",
			       len, name);
		assert_int_equal(reads_bytes(text, strlen(text)), 0);
		assert_int_equal(list.count, fits ? 2 : 1);
		assert_int_equal(list.left_out, fits ? 0 : 1);
	}
}

static void what_is_no_list(void **state BF_UNUSED)
{
	static const char *const others[] = {
	    "null",
	    "7",
	    "\"data\"",
	    "[]",
	    "[{\"id\":\"a\"}]",
	    "{}",
	    "{\"id\":\"a\"}",
	    "{\"data\":null}",
	    "{\"data\":{}}",
	    "{\"data\":\"a\"}",
	    "{\"Data\":[{\"id\":\"a\"}]}",
	    "{\"models\":[{\"id\":\"a\"}]}",
	    "{\"x\":{\"data\":[{\"id\":\"a\"}]}}",
	};
	static const char *const broken[] = {
	    "",
	    " ",
	    "<html>404</html>",
	    "data: {\"data\":[]}\n\n",
	    "{\"data\":[{\"id\":\"a\"},]}",
	    "{\"data\":[{\"id\":\"a\"}]} x",
	    "{\"data\":[{\"id\":\"\xff\"}]}",
	    "{\"data\":[{\"id\":\"\\ud800\"}]}",
	    "{\"data\":[{'id':'a'}]}",
	    "{\"data\":[{\"id\":\"a\nb\"}]}",
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(others); i++)
		refuses(others[i], BF_E_SYNTAX, "no list of models");
	for (size_t i = 0; i < BF_ARRAY_LEN(broken); i++)
		refuses(broken[i], BF_E_SYNTAX, "not valid JSON");
	refuses("{\"data\":[{\"name\":\"a\"},{\"id\":\"*\"}]}", BF_E_SYNTAX, "none of its entries");
}

static void cut_at_every_byte(void **state BF_UNUSED)
{
	for (size_t len = 0; len < sizeof(WHOLE) - 1; len++) {
		assert_int_equal(reads_bytes(WHOLE, len), BF_E_SYNTAX);
		/* What a provider sent is not told to who asked. */
		assert_null(strstr(err.text, "gpt"));
	}
	assert_int_equal(reads_bytes(WHOLE, sizeof(WHOLE) - 1), 0);
}

/* Any byte in the place of any other: a list, or none, and never more names than there were. */
static void every_byte_otherwise(void **state BF_UNUSED)
{
	static const char bytes[] = "\0\x01 \"\\{}[],:a0-\x7f\x80\xff";
	char text[] = WHOLE;

	for (size_t at = 0; at < sizeof(text) - 1; at++) {
		char was = text[at];

		for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
			text[at] = bytes[i];
			if (reads_bytes(text, sizeof(text) - 1) == 0)
				assert_in_range(list.count + list.left_out, 0, 2);
		}
		text[at] = was;
	}
}

static char *many(uint32_t count, bool alike)
{
	size_t size = (size_t)count * 24 + 64, n = 0;
	char *text = malloc(size);

	assert_non_null(text);
	n += (size_t)snprintf(text, size, "{\"data\":[");
	for (uint32_t i = 0; i < count; i++)
		n += (size_t)snprintf(text + n, size - n, "%s{\"id\":\"m%u\"}", i ? "," : "",
				      alike ? 0 : i);
	(void)snprintf(text + n, size - n, "]}");
	return text;
}

static void as_many_as_can_be_kept(void **state BF_UNUSED)
{
	char *text = many(BF_MODEL_CATALOG_MAX, false);

	assert_int_equal(reads_bytes(text, strlen(text)), 0);
	assert_int_equal(list.count, BF_MODEL_CATALOG_MAX);
	assert_true(bf_slice_is(list.names[0], "m0"));
	assert_true(bf_slice_is(list.names[BF_MODEL_CATALOG_MAX - 1], "m4095"));
	free(text);
	text = many(BF_MODEL_CATALOG_MAX + 1, false);
	refuses(text, BF_E_LIMIT, "it lists 4097 models; at most 4096");
	free(text);
	/* Entries count, not names: the time that a list takes must have a bound. */
	text = many(100000, true);
	refuses(text, BF_E_LIMIT, "it lists 100000 models");
	free(text);
}

static void more_than_is_read(void **state BF_UNUSED)
{
	size_t len = 4u << 20;
	char *text = malloc(len + 1);

	assert_non_null(text);
	for (size_t i = 0; i < len; i++)
		text[i] = i & 1 ? '1' : ',';
	text[0] = '[';
	memcpy(text + len - 2, " ]", 2);
	text[len] = '\0';
	refuses(text, BF_E_LIMIT, "more parts");
	memset(text, '[', len);
	refuses(text, BF_E_LIMIT, "more parts");
	free(text);
}

/* Each allocation fails once. */
static void no_memory(void **state BF_UNUSED)
{
	char *text = many(1000, false);
	struct bf_slice s = bf_slice_from(text);
	size_t failed = 0;

	for (size_t cap = 1024; cap <= 1u << 20; cap *= 2) {
		for (int which = 0; which < 2; which++) {
			struct bf_arena little;
			int r;

			bf_arena_init(&little, cap);
			r = which ? listing_read(&list, s, &little, &arena, &err)
				  : listing_read(&list, s, &scratch, &little, &err);
			assert_true(r == 0 || r == -ENOMEM);
			failed += r < 0;
			bf_arena_done(&little);
			bf_arena_reset(&scratch);
			bf_arena_reset(&arena);
		}
	}
	assert_true(failed >= 4);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lists),
	    cmocka_unit_test(each_name_counts_once),
	    cmocka_unit_test(names_that_are_none),
	    cmocka_unit_test(what_is_no_list),
	    cmocka_unit_test(cut_at_every_byte),
	    cmocka_unit_test(every_byte_otherwise),
	    cmocka_unit_test(as_many_as_can_be_kept),
	    cmocka_unit_test(more_than_is_read),
	    cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

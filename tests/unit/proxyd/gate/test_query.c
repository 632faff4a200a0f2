/* Percent-encoded text, cut and broken in every way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "proxyd/gate/query.h"

struct text {
	const char *in;
	bool plus;
	const char *out; /* NULL: refused */
};

static const struct text texts[] = {
    {"", false, ""},
    {"a/b", false, "a/b"},
    {"a%2Fb%2f", false, "a/b/"},
    {"a+b", false, "a+b"},
    {"a+b", true, "a b"},
    {"%2B+", true, "+ "},
    {"%", false, NULL},
    {"%4", false, NULL},
    {"a%zz", false, NULL},
    {"%4g", false, NULL},
    {"%00", false, NULL},
    {"%ff", false, NULL},
    {"%c3%a4", false, "\xc3\xa4"},
    {"%c3", false, NULL},
    {"\xff", false, NULL},
    {"%25%34%31", false, "%41"},
};

static void decoding(void **state)
{
	struct bf_arena arena;
	struct bf_slice out;

	(void)state;
	bf_arena_init(&arena, 1 << 16);
	for (size_t i = 0; i < BF_ARRAY_LEN(texts); i++) {
		/* Exactly as long as it is: reading beyond would be seen. */
		size_t len = strlen(texts[i].in);
		char *in = malloc(len ? len : 1);
		assert_non_null(in);
		memcpy(in, texts[i].in, len);
		int r = percent_decode((struct bf_slice){in, len}, texts[i].plus, &arena, &out);
		assert_int_equal(r, texts[i].out ? 0 : BF_E_SYNTAX);
		if (r == 0 && !bf_slice_is(out, texts[i].out))
			fail_msg("%s: %.*s", texts[i].in, BF_SLICE_FMT(out));
		free(in);
	}
	bf_arena_done(&arena);
}

struct query {
	const char *query;
	int r;
	const char *value;
};

static const struct query queries[] = {
    {"", 0, ""},
    {"a=1", 1, "1"},
    {"b=2&a=1", 1, "1"},
    {"a=1&a=2", 1, "1"},
    {"ab=2&xa=3&a", 0, ""},
    {"a=&b=1", 1, ""},
    {"&&a=%31&", 1, "1"},
    {"a==", 1, "="},
    {"b=%zz&a=x+y", 1, "x y"},
    {"a=%zz", BF_E_SYNTAX, ""},
};

static void values_of_queries(void **state)
{
	struct exchange x = {0};
	struct bf_slice value;

	(void)state;
	bf_arena_init(&x.arena, 1 << 16);
	for (size_t i = 0; i < BF_ARRAY_LEN(queries); i++) {
		x.query = bf_slice_from(queries[i].query);
		assert_int_equal(query_value(&x, "a", &value), queries[i].r);
		assert_true(bf_slice_is(value, queries[i].value));
	}
	bf_arena_done(&x.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(decoding),
	    cmocka_unit_test(values_of_queries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The attempt trail: always JSON, whatever the keys are called and however many attempts there are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/macros.h"
#include "common/codec/json_tape.h"
#include "proxyd/gate/trail.h"

static char out[sizeof(((struct trail *)0)->text) + 1];

static const char *text(const struct trail *t)
{
	trail_write(t, out);
	return out;
}

static void entries(void **state BF_UNUSED)
{
	struct trail t;

	trail_reset(&t);
	assert_string_equal(text(&t), "[]");
	trail_add(&t, BF_SLICE_LIT("one"), 429, "upstream_rate_limited", 12);
	trail_add(&t, BF_SLICE_LIT("q\"\\\n"), 0, "upstream_timeout", 3000);
	trail_add(&t, (struct bf_slice){NULL, 0}, 0, NULL, 0);
	assert_string_equal(text(&t), "[[\"one\",429,12],[\"q\\u0022\\u005c\\u000a\","
				      "\"upstream_timeout\",3000],[\"\",\"failed\",0]]");
	trail_reset(&t);
	assert_string_equal(text(&t), "[]");
}

static void parses(const struct trail *t, size_t entries_and_rest)
{
	struct bf_arena arena;
	struct bf_json_tape tape;
	struct bf_err err = {0};

	bf_arena_init(&arena, 1 << 20);
	if (bf_json_parse(&tape, bf_slice_from(text(t)), &arena, &bf_json_default_limits, &err) < 0)
		fail_msg("%s: %s", out, err.text);
	assert_int_equal(tape.tokens[0].count, entries_and_rest);
	bf_arena_done(&arena);
}

/* Names of every length, of ordinary, escaped and two-byte characters: as many entries as fit, the
 * rest counted. */
static void any_number_of_any_names(void **state BF_UNUSED)
{
	static const char *const units[] = {"x", "\"", "\xc3\xa4"};

	for (size_t u = 0; u < BF_ARRAY_LEN(units); u++) {
		for (size_t len = 0; len < 60; len++) {
			char name[128] = "";
			struct trail t;
			size_t fit = 0;

			for (size_t i = 0; i < len; i++)
				(void)strcat(name, units[u]);
			trail_reset(&t);
			for (unsigned n = 1; n <= 200; n++) {
				trail_add(&t, bf_slice_from(name), 503, NULL, INT64_MAX);
				fit += t.left_out == 0;
				assert_int_equal(t.left_out, n - fit);
				parses(&t, fit + (t.left_out > 0));
			}
			assert_true(fit > 0 || len > 40);
			assert_non_null(strstr(out, "\"+"));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(entries),
	    cmocka_unit_test(any_number_of_any_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* RFC 3339: forms, days that no calendar has, every cut and every changed byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/base/wall.h"

static void forms(void **state)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1: refused */
	} cases[] = {
	    {"1970-01-01T00:00:00Z", 0},
	    {"1969-12-31T23:59:59Z", -1},
	    {"2026-11-21T10:00:00Z", 1795255200000},
	    {"2026-11-21t10:00:00z", 1795255200000},
	    {"2026-11-21 10:00:00Z", 1795255200000},
	    {"2026-11-21T10:00:00.123456Z", 1795255200123},
	    {"2026-11-21T11:30:00+01:30", 1795255200000},
	    {"2026-11-21T08:00:00-02:00", 1795255200000},
	    {"2026-11-21T11:30:00 01:30", -1},
	    {"2024-02-29T00:00:00Z", 1709164800000},
	    {"2023-02-29T00:00:00Z", -1},
	    {"2100-02-29T00:00:00Z", -1},
	    {"2026-04-31T00:00:00Z", -1},
	    {"2026-11-21T24:00:00Z", -1},
	    {"2026-12-31T23:59:60Z", 1798761600000},
	    {"2026-11-21T10:00:00", -1},
	    {"2026-11-21T10:00:00.Z", -1},
	    {"2026-11-21T10:00:00Zx", -1},
	    {"2026-11-21T10:00:00+24:00", -1},
	    {"2026-11-21", -1},
	    {"9999-12-31T23:59:59Z", 253402300799000},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		int64_t ms = -1;
		int r = bf_wall_parse_ms(bf_slice_from(cases[i].text), &ms);

		if (r == 0 ? ms != cases[i].ms : cases[i].ms != -1)
			fail_msg("%s: %d %lld", cases[i].text, r, (long long)ms);
	}
}

static void cut_and_changed(void **state)
{
	static const char text[] = "2026-11-21T10:00:00.5+01:30";
	char copy[sizeof(text)];
	int64_t ms;

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 1; len++)
		assert_int_not_equal(bf_wall_parse_ms((struct bf_slice){text, len}, &ms), 0);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		for (int byte = 0; byte < 256; byte++) {
			memcpy(copy, text, sizeof(text));
			copy[i] = (char)byte;
			int r = bf_wall_parse_ms((struct bf_slice){copy, sizeof(text) - 1}, &ms);
			/* Only digits, signs and separators make another time. */
			if (r == 0 && byte != text[i] && !strchr("0123456789+-Tt ", byte))
				fail_msg("byte %d at %zu", byte, i);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(forms),
	    cmocka_unit_test(cut_and_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Usual header lines: what is taken, what is left to llhttp, and never a look beyond the section.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "proxyd/head_field.h"

/* A section of its exact size, so that ASan sees a look beyond it. */
static char *section_of(const char *line, size_t len, const char **ret_end)
{
	char *p = malloc(len + 4);

	assert_non_null(p);
	memcpy(p, line, len);
	memcpy(p + len, "\r\n\r\n", 4);
	*ret_end = p + len + 4;
	return p;
}

static void reads_name_and_value(void **state)
{
	static const struct {
		const char *line, *name, *value; /* name NULL: it is unusual */
	} cases[] = {
	    {"Host: a", "Host", "a"},
	    {"x-a_1:b", "x-a_1", "b"},
	    {"A:   b c", "A", "b c"},
	    {"A:", "A", ""},
	    {"A:    ", "A", ""},
	    {"A: 0123456789abcdef", "A", "0123456789abcdef"},
	    {"A: 0123456789abcde~!@#$%^&*()", "A", "0123456789abcde~!@#$%^&*()"},
	    {"", NULL, NULL},
	    {": b", NULL, NULL},
	    {"A", NULL, NULL},
	    {"A: b ", NULL, NULL},
	    {"A : b", NULL, NULL},
	    {"A.b: c", NULL, NULL},
	    {"A: b\tc", NULL, NULL},
	    {"A:\tb", NULL, NULL},
	    {"A: 012345678\x7f", NULL, NULL},
	    {"A: 01234567\x01", NULL, NULL},
	    {"A: caf\xc3\xa9", NULL, NULL},
	    {"A: 0123456789\xff", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		struct exchange_header f;
		const char *end;
		char *p = section_of(cases[i].line, strlen(cases[i].line), &end);
		const char *next = head_field_read(p, end, &f);

		if (!cases[i].name) {
			assert_null(next);
		} else {
			assert_ptr_equal(next, end - 2);
			assert_true(bf_slice_is(f.name, cases[i].name));
			assert_true(bf_slice_is(f.value, cases[i].value));
		}
		free(p);
	}
}

/* Each byte at each place of a value that is as long as a few words. */
static void stops_at_each_unusual_byte(void **state)
{
	(void)state;
	for (size_t at = 0; at < 19; at++) {
		for (int byte = 1; byte < 256; byte++) {
			char line[] = "A:v123456789abcdefghi";
			struct exchange_header f;
			const char *end;

			line[2 + at] = (char)byte;
			char *p = section_of(line, sizeof(line) - 1, &end);
			bool last = 2 + at == sizeof(line) - 2;
			bool usual = (byte >= ' ' && byte < 0x7f) && !(last && byte == ' ');
			/* A section has no CR there; what is behind it is another line. */
			if (byte != '\r')
				assert_int_equal(head_field_read(p, end, &f) != NULL, usual);
			free(p);
		}
	}
}

static void tells_framing(void **state)
{
	static const struct {
		const char *name, *value;
		bool framing;
	} cases[] = {
	    {"Connection", "keep-alive", false},
	    {"connection", "Keep-Alive", false},
	    {"Connection", "close", true},
	    {"Connection", "keep-alive, x", true},
	    {"CONNECTION", "", true},
	    {"Upgrade", "h2c", true},
	    {"Proxy-Connection", "close", true},
	    {"Transfer-Encoding", "chunked", true},
	    {"Content-Length", "1", false},
	    {"Host", "a", false},
	    {"Upgrada", "a", false},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		const struct exchange_header f = {bf_slice_from(cases[i].name),
						  bf_slice_from(cases[i].value)};
		assert_int_equal(head_field_is_framing(&f), cases[i].framing);
	}
}

static void reads_lengths(void **state)
{
	static const char *const unusual[] = {"",    "+1",  "-1", "0x1",
					      "1 2", "1,1", "a",  "1234567890123456789"};
	uint64_t n = 7;

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(unusual); i++)
		assert_false(head_field_length(bf_slice_from(unusual[i]), &n));
	assert_int_equal(n, 7);
	assert_true(head_field_length(BF_SLICE_LIT("0"), &n));
	assert_int_equal(n, 0);
	assert_true(head_field_length(BF_SLICE_LIT("007"), &n));
	assert_int_equal(n, 7);
	assert_true(head_field_length(BF_SLICE_LIT("999999999999999999"), &n));
	assert_int_equal(n, 999999999999999999);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_name_and_value),
	    cmocka_unit_test(stops_at_each_unusual_byte),
	    cmocka_unit_test(tells_framing),
	    cmocka_unit_test(reads_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

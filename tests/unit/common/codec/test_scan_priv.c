/* The scan of strings: each form against the plain loop, every byte at every place, at every
 * length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/codec/scan_priv.h"

typedef const char *(*scan_fn)(const char *p, const char *end, unsigned *io_high);

static void check(scan_fn scan, const char *p, size_t len)
{
	unsigned high = 0, want_high = 0;
	const char *want = bf_scan_bytes(p, p + len, &want_high);

	assert_ptr_equal(scan(p, p + len, &high), want);
	/* A byte above 0x7f before the place must be told; one behind it may be. */
	assert_true((high & 0x80) || !(want_high & 0x80));
	if (want == p + len)
		assert_int_equal(high & 0x80, want_high & 0x80);
}

static void check_all(scan_fn scan)
{
	for (size_t len = 0; len <= 150; len++) {
		char *text = malloc(len ? len : 1);
		assert_non_null(text);
		memset(text, 'a', len);
		check(scan, text, len);
		for (size_t at = 0; at < len; at++)
			for (unsigned byte = 0; byte < 256; byte++) {
				text[at] = (char)byte;
				check(scan, text, len);
				if (at > 0) {
					text[at - 1] = '\xc3';
					check(scan, text, len);
					text[at - 1] = 'a';
				}
				text[at] = 'a';
			}
		free(text);
	}
}

static void test_words(void **state)
{
	(void)state;
	check_all(bf_scan_words);
}

static void test_fastest(void **state)
{
	(void)state;
	check_all(bf_scan_plain);
}

/* The quote that ends plain ASCII within 15 bytes, or NULL: never another place. */
static void check_short(const char *p, size_t len)
{
	unsigned high = 0;
	const char *end = bf_scan_bytes(p, p + len, &high), *found = bf_scan_short(p, p + len);

	if (found) {
		assert_ptr_equal(found, end);
		assert_int_equal(*found, '"');
		assert_false(high & 0x80);
	} else {
		/* What it leaves to others is long, near the end, or no plain string. */
		assert_true(len < 16 || end - p >= 16 || *end != '"' || high & 0x80);
	}
}

static void test_short(void **state)
{
	(void)state;
	for (size_t len = 0; len <= 40; len++) {
		char *text = malloc(len ? len : 1);
		assert_non_null(text);
		memset(text, 'a', len);
		check_short(text, len);
		for (size_t at = 0; at < len; at++)
			for (unsigned byte = 0; byte < 256; byte++) {
				text[at] = (char)byte;
				check_short(text, len);
				for (size_t quote = 0; quote < len; quote++) {
					char kept = text[quote];
					text[quote] = '"';
					check_short(text, len);
					text[quote] = kept;
				}
				text[at] = 'a';
			}
		free(text);
	}
}

static void test_masks_agree(void **state)
{
	char text[BF_SCAN_BLOCK], copy[BF_SCAN_BLOCK];

	(void)state;
	for (unsigned byte = 0; byte < 256; byte++)
		for (size_t at = 0; at < BF_SCAN_BLOCK; at++) {
			unsigned high = 0;
			memset(text, 'b', sizeof(text));
			text[at] = (char)byte;
			uint64_t want = (uint64_t)bf_scan_special((unsigned char)byte) << at;
			assert_true(bf_scan_mask(text, &high) == want);
			assert_int_equal(high & 0x80, byte & 0x80);
			assert_true(bf_scan_mask_bytes(text, &high) == want);
			/* What lies beyond the end is special too. */
			const char *block = bf_scan_block(text, text + at, copy);
			assert_true(bf_scan_mask(block, &high) == bf_scan_from(at));
		}
	assert_true(bf_scan_from(BF_SCAN_BLOCK) == 0);
	assert_true(bf_scan_block(text, text + sizeof(text), copy) == text);
}

static void test_marks_agree(void **state)
{
	char text[BF_SCAN_BLOCK];

	(void)state;
	for (unsigned byte = 0; byte < 256; byte++)
		for (size_t at = 0; at < BF_SCAN_BLOCK; at++) {
			memset(text, 'b', sizeof(text));
			text[at] = (char)byte;
			struct bf_scan_marks m = bf_scan_mark(text), w = bf_scan_mark_bytes(text);
			assert_true(m.quote == w.quote && m.slash == w.slash);
			assert_true(m.control == w.control && m.bracket == w.bracket);
			assert_true(m.foreign == w.foreign && m.high == w.high);
			assert_true(m.quote == (uint64_t)(byte == '"') << at);
			assert_true(m.bracket ==
				    (uint64_t)(byte && strchr("{}[]", (int)byte) != NULL) << at);
		}
}

static void test_plain_loop(void **state)
{
	unsigned high = 0;
	static const char text[] = "ab\xc3\xa4\x7f !\"";

	(void)state;
	assert_ptr_equal(bf_scan_bytes(text, text + sizeof(text) - 1, &high),
			 text + sizeof(text) - 2);
	assert_true(high & 0x80);
	for (int c = 0; c < 256; c++)
		assert_int_equal(!!bf_scan_special((unsigned char)c),
				 c < 0x20 || c == '"' || c == '\\');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain_loop),  cmocka_unit_test(test_words),
	    cmocka_unit_test(test_fastest),     cmocka_unit_test(test_short),
	    cmocka_unit_test(test_masks_agree), cmocka_unit_test(test_marks_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

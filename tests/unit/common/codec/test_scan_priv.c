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
	for (size_t len = 0; len <= 70; len++) {
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

/* As a scan, from a place in the text that a scan before may have reached. */
static const char *scan_blocks(const char *p, const char *end, unsigned *io_high)
{
	struct bf_scan_block b;
	uint64_t high = 0;

	bf_scan_block_at(&b, p, end);
	const char *found = bf_scan_next(&b, p, end, &high);
	*io_high |= (unsigned)high;
	return found < end ? found : end;
}

static void check_blocks(const char *p, size_t len)
{
	unsigned high = 0, want_high = 0;
	const char *want = bf_scan_bytes(p, p + len, &want_high);

	assert_ptr_equal(scan_blocks(p, p + len, &high), want);
	assert_true((high & 0x80) || !(want_high & 0x80));
}

static void test_blocks(void **state)
{
	(void)state;
	for (size_t len = 0; len <= 150; len++) {
		char *text = malloc(len ? len : 1);
		assert_non_null(text);
		memset(text, 'a', len);
		check_blocks(text, len);
		for (size_t at = 0; at < len; at++)
			for (unsigned byte = 0; byte < 256; byte++) {
				text[at] = (char)byte;
				check_blocks(text, len);
				text[at] = 'a';
			}
		free(text);
	}
}

/* Every special byte of a text, one after the other, from every first byte on. */
static void test_blocks_go_on(void **state)
{
	char text[400];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * i % 37 == 0 ? '"'
				 : i % 61 == 0   ? '\\'
				 : i % 90 == 0   ? 1
						 : 'x');
	for (size_t from = 0; from < sizeof(text); from++) {
		const char *end = text + sizeof(text), *p = text + from, *q = p;
		struct bf_scan_block b;
		bf_scan_block_at(&b, text, end);
		while (q < end) {
			uint64_t high = 0;
			unsigned unused = 0;
			const char *found = bf_scan_next(&b, p, end, &high);
			q = bf_scan_bytes(p, end, &unused);
			assert_ptr_equal(found < end ? found : end, q);
			assert_true(high == 0);
			p = q + 1;
		}
	}
}

static void test_masks_agree(void **state)
{
	char text[BF_SCAN_BLOCK];
	uint64_t high, want_high;

	(void)state;
	for (unsigned byte = 0; byte < 256; byte++)
		for (size_t at = 0; at < BF_SCAN_BLOCK; at++) {
			memset(text, 'b', sizeof(text));
			text[at] = (char)byte;
			uint64_t want = bf_scan_mask_bytes(text, &want_high);
			assert_true(bf_scan_mask(text, &high) == want);
			assert_true(high == want_high);
			assert_true(want == (uint64_t)bf_scan_special((unsigned char)byte) << at);
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
	    cmocka_unit_test(test_plain_loop),   cmocka_unit_test(test_words),
	    cmocka_unit_test(test_fastest),      cmocka_unit_test(test_blocks),
	    cmocka_unit_test(test_blocks_go_on), cmocka_unit_test(test_masks_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

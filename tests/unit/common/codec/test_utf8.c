/* UTF-8: every 1- and 2-byte text, every scalar value, and a bad byte at every place of a block,
 * against a plain model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/codec/utf8.h"

/* The definition, one code point at a time: decode, then refuse what is not the shortest form of a
 * scalar value. */
static size_t model_prefix(const unsigned char *p, size_t len)
{
	size_t at = 0;

	while (at < len) {
		unsigned lead = p[at];
		size_t n = lead < 0x80             ? 1
			   : (lead & 0xe0) == 0xc0 ? 2
			   : (lead & 0xf0) == 0xe0 ? 3
			   : (lead & 0xf8) == 0xf0 ? 4
						   : 0;
		static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
		if (n == 0 || n > len - at)
			return at;
		uint32_t cp = n == 1 ? lead : lead & (0x7fu >> n);
		for (size_t i = 1; i < n; i++) {
			if ((p[at + i] & 0xc0) != 0x80)
				return at;
			cp = cp << 6 | (p[at + i] & 0x3f);
		}
		if (cp < least[n] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
			return at;
		at += n;
	}
	return at;
}

static void check(const unsigned char *bytes, size_t len)
{
	/* A heap copy of the exact size lets ASan see a read past the end. */
	unsigned char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	size_t got = bf_utf8_valid_prefix((const char *)copy, len);
	size_t want = model_prefix(copy, len);
	if (got != want)
		fail_msg("%zu bytes from %02x %02x: %zu, should be %zu", len, bytes[0],
			 len > 1 ? bytes[1] : 0, got, want);
	free(copy);
}

static void test_all_short_texts(void **state)
{
	unsigned char b[4] = {0};

	(void)state;
	check(b, 0);
	for (unsigned i = 0; i < 0x10000; i++) {
		b[0] = (unsigned char)(i >> 8);
		b[1] = (unsigned char)i;
		check(b, 1);
		check(b, 2);
	}
}

static void test_all_scalar_values(void **state)
{
	char out[4];

	(void)state;
	for (uint32_t cp = 0; cp <= 0x110000; cp++) {
		size_t n = bf_utf8_encode(cp, out);
		bool scalar = cp <= 0x10ffff && (cp < 0xd800 || cp > 0xdfff);
		assert_true((n > 0) == scalar);
		if (n == 0)
			continue;
		assert_int_equal(bf_utf8_valid_prefix(out, n), n);
		assert_int_equal(model_prefix((unsigned char *)out, n), n);
		assert_int_equal(bf_utf8_valid_prefix(out, n - 1), 0);
	}
	assert_int_equal(bf_utf8_encode(UINT32_MAX, out), 0);
}

/* Each sequence, good or bad, at each offset of a text that spans several blocks, cut at each
 * length. */
static void test_sequences_at_every_offset(void **state)
{
	static const char *const sequences[] = {
	    "\xc2\x80",
	    "\xdf\xbf",
	    "\xe0\xa0\x80",
	    "\xef\xbf\xbf",
	    "\xed\x9f\xbf",
	    "\xf0\x90\x80\x80",
	    "\xf4\x8f\xbf\xbf",
	    "\x80",
	    "\xbf",
	    "\xc0\x80",
	    "\xc1\xbf",
	    "\xe0\x9f\xbf",
	    "\xed\xa0\x80",
	    "\xf0\x8f\xbf\xbf",
	    "\xf4\x90\x80\x80",
	    "\xf5\x80\x80\x80",
	    "\xff",
	    "\xc2",
	    "\xe2\x82",
	    "\xf0\x9f\x98",
	    "\xe2\x82\xac\x80",
	    "\xc3\xa4\xc3\xa4",
	    "\xf0\x9f\x98\x80\xf0\x9f\x98\x80",
	};
	static const char *const fillers[] = {"a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
	unsigned char text[128];

	(void)state;
	for (size_t f = 0; f < sizeof(fillers) / sizeof(fillers[0]); f++)
		for (size_t s = 0; s < sizeof(sequences) / sizeof(sequences[0]); s++)
			for (size_t offset = 0; offset < 52; offset++) {
				size_t unit = strlen(fillers[f]), n = strlen(sequences[s]), len = 0;
				memset(text, 'x', offset % unit);
				for (len = offset % unit; len + unit <= offset; len += unit)
					memcpy(text + len, fillers[f], unit);
				memcpy(text + len, sequences[s], n);
				for (len += n; len + unit <= 70; len += unit)
					memcpy(text + len, fillers[f], unit);
				check(text, len);
				check(text, len - 1);
				check(text, offset + n);
			}
}

static void test_one_mutated_byte(void **state)
{
	static const char text[] =
	    "Шлюз \xf0\x9f\x98\x80 网关检查密钥, plain ASCII in between, and more: äöüß €";
	unsigned char copy[sizeof(text)];

	(void)state;
	for (size_t at = 0; at < sizeof(text) - 1; at++)
		for (unsigned byte = 0; byte < 256; byte++) {
			memcpy(copy, text, sizeof(text));
			copy[at] = (unsigned char)byte;
			check(copy, sizeof(text) - 1);
		}
	for (size_t len = 0; len < sizeof(text); len++)
		check((const unsigned char *)text, len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_short_texts),
	    cmocka_unit_test(test_all_scalar_values),
	    cmocka_unit_test(test_sequences_at_every_offset),
	    cmocka_unit_test(test_one_mutated_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

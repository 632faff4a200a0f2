/* Line framing: any byte anywhere, whole and cut at every place, against a reading by single bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "proxyd/head_scan.h"

#define SECTION_MAX 256u
#define TEXT(s)     s, sizeof(s) - 1

static const char section[] = "POST /v1/chat/completions HTTP/1.1\r\n"
			      "Host: a\r\n"
			      "X:\r\n"
			      "1: a name may begin with a digit\r\n"
			      "X-Long: the quick brown fox jumps over the lazy dog\tand on\r\n"
			      "\r\n"
			      "{\"a\":\r\n1}";

/* Feeds pieces of at most step bytes, each in memory of its own size. */
static struct head_scan scan(const char *bytes, size_t len, size_t step)
{
	struct head_scan s;
	size_t at = 0;

	head_scan_request(&s);
	while (at < len && s.state != HEAD_SCAN_END && s.state != HEAD_SCAN_BAD) {
		size_t n = BF_MIN(step, len - at);
		char *piece = malloc(n);
		assert_non_null(piece);
		memcpy(piece, bytes + at, n);
		at += head_scan_feed(&s, piece, n);
		free(piece);
	}
	assert_int_equal(s.scanned, at);
	return s;
}

static void same(const struct head_scan *a, const struct head_scan *b)
{
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->scanned, b->scanned);
	assert_int_equal(a->lines, b->lines);
	assert_int_equal(a->blanks, b->blanks);
	assert_ptr_equal(a->reason, b->reason);
}

static void whole(void **state BF_UNUSED)
{
	struct head_scan s = scan(section, sizeof(section) - 1, SIZE_MAX);

	assert_int_equal(s.state, HEAD_SCAN_END);
	assert_int_equal(s.lines, 5);
	assert_string_equal(section + s.scanned, "{\"a\":\r\n1}");
}

static void any_byte_anywhere(void **state BF_UNUSED)
{
	const size_t steps[] = {2, 3, 7, 8, 9, 16, SIZE_MAX};
	char text[SECTION_MAX];
	size_t len = sizeof(section) - 1;

	for (size_t at = 0; at < len; at++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			memcpy(text, section, len);
			text[at] = (char)byte;
			struct head_scan expected = scan(text, len, 1);
			for (size_t i = 0; i < BF_ARRAY_LEN(steps); i++) {
				struct head_scan s = scan(text, len, steps[i]);
				same(&s, &expected);
			}
		}
	}
}

static void cut_anywhere(void **state BF_UNUSED)
{
	struct head_scan expected = scan(section, sizeof(section) - 1, 1);

	for (size_t cut = 1; cut < expected.scanned; cut++) {
		struct head_scan s;
		head_scan_request(&s);
		assert_int_equal(head_scan_feed(&s, section, cut), cut);
		(void)head_scan_feed(&s, section + cut, sizeof(section) - 1 - cut);
		same(&s, &expected);
	}
}

static void refuses(void **state BF_UNUSED)
{
	static const struct {
		const char *text;
		size_t len;
		const char *reason;
	} bad[] = {
	    {TEXT("GET / HTTP/1.1\nHost: a\r\n\r\n"), "line ended by a lone LF"},
	    {TEXT("GET / HTTP/1.1\rHost: a\r\n\r\n"), "CR that is not followed by LF"},
	    {TEXT("GET / HTTP/1.1\r\n folded: a\r\n\r\n"), "folded header line"},
	    {TEXT("GET / HTTP/1.1\r\n\tfolded: a\r\n\r\n"), "folded header line"},
	    {TEXT("GET / HTTP/1.1\r\n: a\r\n\r\n"), "header without a name"},
	    {TEXT("GET / HTTP/1.1\r\n\nA: a\r\n\r\n"), "line ended by a lone LF"},
	    {TEXT("GET / HTTP/1.1\r\n\0: a\r\n\r\n"), "NUL in the header section"},
	    {TEXT("GET / HTTP/1.1\r\nA: a long value with\0 in it\r\n\r\n"),
	     "NUL in the header section"},
	    {TEXT("GET / HTTP/1.1\r\nA: a long value with\n in it\r\n\r\n"),
	     "line ended by a lone LF"},
	    {TEXT("\x16\x03\x01\x02\x00"), "this is not an HTTP request"},
	    {TEXT("\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n"), "empty lines before the request line"},
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(bad); i++) {
		struct head_scan s = scan(bad[i].text, bad[i].len, SIZE_MAX);
		assert_int_equal(s.state, HEAD_SCAN_BAD);
		assert_string_equal(s.reason, bad[i].reason);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(whole),
	    cmocka_unit_test(any_byte_anywhere),
	    cmocka_unit_test(cut_anywhere),
	    cmocka_unit_test(refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Text for people: nothing of another process may steer a terminal. */
#include "ctl/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/macros.h"

static void prints(struct bf_slice text, const char *expected)
{
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);

	assert_non_null(f);
	ctl_print_text(f, text);
	(void)fclose(f);
	assert_string_equal(out, expected);
	assert_int_equal(len, strlen(expected));
	free(out);
}

static void test_plain_text_stays(void **state BF_UNUSED)
{
	prints(BF_SLICE_LIT("proxyd.0 ~"), "proxyd.0 ~");
	prints(BF_SLICE_LIT("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
	prints((struct bf_slice){NULL, 0}, "");
}

static void test_control_characters_do_not(void **state BF_UNUSED)
{
	prints(BF_SLICE_LIT("\x1b[2Jx\r\n\t\x7f\0y"), "?[2Jx?????y");
	/* CSI as one character (U+009B) */
	prints(BF_SLICE_LIT("a\xc2\x9b"
			    "2J"),
	       "a?2J");
	prints(BF_SLICE_LIT("\xc2\x80\xc2\x85n\xc2\x9f"), "??n?");
	prints(BF_SLICE_LIT("a\xc2\xa0z"), "a\xc2\xa0z");
	/* Not UTF-8: nothing above ASCII can be trusted. */
	prints(BF_SLICE_LIT("\xff\x9bz\xc3\xbc"), "??z??");
	for (unsigned c = 0; c < 0x20; c++) {
		char byte = (char)c;
		prints((struct bf_slice){&byte, 1}, "?");
	}
}

static void test_ages(void **state BF_UNUSED)
{
	static const struct {
		int64_t ms;
		const char *text;
	} list[] = {{-1, "-"},
		    {0, "0ms"},
		    {999, "999ms"},
		    {1000, "1s"},
		    {59999, "59s"},
		    {60000, "1m0s"},
		    {3599999, "59m59s"},
		    {3600000, "1h0m"},
		    {86399999, "23h59m"},
		    {86400000, "1d0h"},
		    {90000000000, "1041d16h"},
		    {INT64_MAX, "106751991167d7h"}};
	char text[32];

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++)
		assert_string_equal(ctl_format_age(list[i].ms, text), list[i].text);
}

static void test_buffers_are_emptied(void **state BF_UNUSED)
{
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);
	struct bf_buf buf;

	bf_buf_init(&buf, 100);
	ctl_print_buf(f, &buf);
	assert_int_equal(bf_buf_append(&buf, "ab\0c", 4), 0);
	ctl_print_buf(f, &buf);
	ctl_print_buf(f, &buf);
	(void)fclose(f);
	assert_int_equal(len, 4);
	assert_memory_equal(out, "ab\0c", 4);
	free(out);
	bf_buf_done(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain_text_stays),
	    cmocka_unit_test(test_control_characters_do_not),
	    cmocka_unit_test(test_ages),
	    cmocka_unit_test(test_buffers_are_emptied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

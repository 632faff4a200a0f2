/* Requests fed in pieces of every size, by length and chunked; what is not HTTP is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "common/base/macros.h"
#include "tests/support/mockllm/http_in.h"

#define HEAD "POST /v1/x?a=b HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer sk-1\r\n"

static const struct {
	const char *text, *body;
	size_t behind; /* bytes of the next request */
	bool close;
} rows[] = {
    {HEAD "Content-Length: 5\r\n\r\nhello", "hello", 0, false},
    {HEAD "content-length:5 \r\nConnection: close\r\n\r\nhello", "hello", 0, true},
    {HEAD "Content-Length: 0\r\n\r\nPOST", "", 4, false},
    {HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\nPO", "hello", 2,
     false},
    {HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", 0, false},
    {"POST /v1/x HTTP/1.0\r\nAuthorization: bearer sk-1\r\n\r\n", "", 0, true},
};

static void check(size_t row, const struct http_in *in, const char *data)
{
	assert_true(in->whole);
	assert_int_equal(in->close, rows[row].close);
	assert_int_equal(in->line_method, 4);
	assert_true(bf_slice_is((struct bf_slice){data + in->path, in->path_bytes}, "/v1/x"));
	assert_true(bf_slice_is((struct bf_slice){data + in->bearer, in->bearer_bytes}, "sk-1"));
	assert_true(bf_slice_is((struct bf_slice){data + in->head_bytes, http_in_body_len(in)},
				rows[row].body));
}

static void test_in_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(rows); i++) {
		size_t len = strlen(rows[i].text), whole = len - rows[i].behind;

		for (size_t step = 1; step <= len; step++) {
			struct http_in in = {0};
			char *data = strdup(rows[i].text);
			size_t have = 0;
			int r = 0;

			while (r == 0 && have < len) {
				have = BF_MIN(have + step, len);
				r = http_in_read(&in, data, have);
				assert_int_equal(r, have >= whole);
			}
			assert_int_equal(in.scanned, whole);
			check(i, &in, data);
			free(data);
		}
	}
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
	    "\x16\x03\x01\r\n\r\n",
	    "POST /v1/x\r\n\r\n",
	    "POST /v1/x HTTP/2.0\r\n\r\n",
	    "POST /v1/x HTTP/1.1\r\nno colon\r\n\r\n",
	    "POST /v1/x HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
	    "POST /v1/x HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
	    "POST /v1/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n\r\n",
	    "POST /v1/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(texts); i++) {
		struct http_in in = {0};
		char *data = strdup(texts[i]);

		if (http_in_read(&in, data, strlen(data)) >= 0)
			fail_msg("%s", texts[i]);
		free(data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_in_pieces),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What the generator sends: exact sizes, valid JSON, holes, and any part of it again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/codec/json_tape.h"
#include "tests/support/loadgen/message.h"

static struct options chat(void)
{
	return (struct options){.host = "127.0.0.1",
				.port = "80",
				.path = "/v1/chat/completions",
				.body_bytes = 1024,
				.model = "openai/m",
				.user_prefix = "P"};
}

static struct bf_slice body_of(const struct message *m)
{
	struct bf_slice text = bf_buf_slice(&m->text);
	const char *end = memmem(text.ptr, text.len, "\r\n\r\n", 4);

	assert_non_null(end);
	return (struct bf_slice){end + 4, text.len - (size_t)(end + 4 - text.ptr)};
}

static void check_json(struct bf_slice body)
{
	struct bf_arena arena;
	struct bf_json_tape tape;
	struct bf_err err;

	bf_arena_init(&arena, 64u << 20);
	if (bf_json_parse(&tape, body, &arena, &bf_json_default_limits, &err) != 0)
		fail_msg("%s", err.text);
	bf_arena_done(&arena);
}

static void test_sizes(void **state)
{
	static const char *const paths[] = {"/v1/chat/completions", "/v1/completions",
					    "/v1/embeddings", "/v1/responses"};

	(void)state;
	for (size_t p = 0; p < BF_ARRAY_LEN(paths); p++) {
		for (uint64_t size = 300; size < 600; size++) {
			struct options o = chat();
			struct message m;
			struct bf_err err;

			o.path = paths[p];
			o.body_bytes = size;
			o.stream = o.usage = size & 1;
			assert_int_equal(message_build(&m, &o, &err), 0);
			assert_int_equal(body_of(&m).len, size);
			assert_int_equal(m.hole_count, 1);
			check_json(body_of(&m));
			message_done(&m);
		}
	}
}

static void test_head(void **state)
{
	struct options o = chat();
	struct message m;
	struct bf_err err;

	(void)state;
	o.request_ids = true;
	o.headers[0] = "Authorization: Bearer k";
	o.header_count = 1;
	assert_int_equal(message_build(&m, &o, &err), 0);
	assert_int_equal(bf_buf_append(&m.text, "", 1), 0);
	assert_non_null(strstr(m.text.data, "\r\nContent-Length: 1024\r\n\r\n{"));
	assert_non_null(strstr(m.text.data, "\r\nAuthorization: Bearer k\r\n"));
	assert_non_null(strstr(m.text.data, "\r\nX-Request-Id: P-0000000000\r\n"));
	assert_int_equal(m.hole_count, 2);
	message_done(&m);
}

/* Whatever was sent already, the parts are the rest. */
static void test_parts(void **state)
{
	struct options o = chat();
	char want[4096], got[4096], digits[MESSAGE_DIGITS];
	struct message m;
	struct bf_err err;
	size_t len;

	(void)state;
	o.request_ids = true;
	assert_int_equal(message_build(&m, &o, &err), 0);
	message_digits(1234567, digits);
	len = bf_buf_len(&m.text);
	memcpy(want, m.text.data, len);
	for (uint32_t i = 0; i < m.hole_count; i++)
		memcpy(want + m.holes[i], "0001234567", MESSAGE_DIGITS);
	for (size_t sent = 0; sent < len; sent++) {
		struct iovec parts[MESSAGE_PARTS];
		int n = message_parts(&m, digits, sent, parts);
		size_t at = 0;

		for (int i = 0; i < n; i++) {
			memcpy(got + at, parts[i].iov_base, parts[i].iov_len);
			at += parts[i].iov_len;
		}
		assert_int_equal(at, len - sent);
		assert_memory_equal(got, want + sent, at);
	}
	message_done(&m);
}

static void test_no_such_file(void **state)
{
	struct options o = chat();
	struct message m;
	struct bf_err err;

	(void)state;
	o.body_file = "/nowhere/at/all";
	assert_true(message_build(&m, &o, &err) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_head),
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_no_such_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

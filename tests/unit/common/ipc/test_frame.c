/* The header of a control frame: every cut, every byte changed, every flag, every endpoint. */
#include "common/ipc/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/macros.h"

#define SUPERVISOR BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0)
#define WORKER     BF_ENDPOINT(BF_ROLE_PROXYD, 3)

static const uint8_t golden[] = {1,    0,    8,    0, 0, 4, 3, 8,    0x78,
				 0x56, 0x34, 0x12, 2, 0, 0, 0, 0x81, 0xc0};

/* A heap copy of the exact size, so that the sanitizer sees a read past the end. */
static int decode_copy(const uint8_t *bytes, size_t len, int fd, struct bf_frame *ret_frame)
{
	char *copy = malloc(len ? len : 1);
	struct bf_frame f = {.type = 0};

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	int r = bf_frame_decode((struct bf_slice){copy, len}, fd, &f, NULL);
	if (r == 0) {
		assert_ptr_equal(f.body.ptr, copy + BF_FRAME_HEADER_SIZE);
		assert_int_equal(f.body.len, len - BF_FRAME_HEADER_SIZE);
	}
	free(copy);
	if (ret_frame)
		*ret_frame = f;
	return r;
}

static void test_golden_bytes(void **state BF_UNUSED)
{
	struct bf_frame f = {
	    .type = 8, .source = SUPERVISOR, .target = WORKER, .request = 0x12345678, .fd = -1};
	uint8_t header[BF_FRAME_HEADER_SIZE];

	f.body = (struct bf_slice){"\x81\xc0", 2};
	bf_frame_encode_header(&f, header);
	assert_memory_equal(header, golden, sizeof(header));

	assert_int_equal(decode_copy(golden, sizeof(golden), -1, &f), 0);
	assert_int_equal(f.flags, 0);
	assert_int_equal(f.type, 8);
	assert_int_equal(f.source, SUPERVISOR);
	assert_int_equal(f.target, WORKER);
	assert_int_equal(f.request, 0x12345678);
	assert_int_equal(f.fd, -1);
}

static void test_every_truncation_and_excess(void **state BF_UNUSED)
{
	uint8_t longer[sizeof(golden) + 1] = {0};

	for (size_t len = 0; len < sizeof(golden); len++)
		assert_int_equal(decode_copy(golden, len, -1, NULL), BF_E_SYNTAX);
	memcpy(longer, golden, sizeof(golden));
	assert_int_equal(decode_copy(longer, sizeof(longer), -1, NULL), BF_E_SYNTAX);
	assert_int_equal(bf_frame_decode((struct bf_slice){NULL, 0}, -1, NULL, NULL), BF_E_SYNTAX);
}

/* Whatever decodes must say exactly what the bytes say. */
static void test_every_byte_mutated(void **state BF_UNUSED)
{
	unsigned accepted = 0;

	for (size_t at = 0; at < BF_FRAME_HEADER_SIZE; at++) {
		for (unsigned value = 0; value < 256; value++) {
			uint8_t bytes[sizeof(golden)], again[BF_FRAME_HEADER_SIZE];
			struct bf_frame f;
			memcpy(bytes, golden, sizeof(golden));
			bytes[at] = (uint8_t)value;
			int r = decode_copy(bytes, sizeof(bytes), -1, &f);
			if (at == 0)
				assert_int_equal(r, value == 1 ? 0 : BF_E_VERSION);
			if (at == 12)
				assert_int_equal(r, value == 2 ? 0 : BF_E_SYNTAX);
			if (at == 14 && value)
				assert_int_equal(r, BF_E_LIMIT);
			if (r != 0)
				continue;
			accepted++;
			bf_frame_encode_header(&f, again);
			assert_memory_equal(again, bytes, sizeof(again));
		}
	}
	assert_true(accepted > 1500);
}

/* Written from the description in frame.h, not from the code. */
static bool flags_are_legal(unsigned flags, uint32_t request, int fd)
{
	bool reply = flags & 1, more = flags & 2, error = flags & 4, cancel = flags & 8,
	     with_fd = flags & 16;

	if (flags > 31 || with_fd != (fd >= 0))
		return false;
	if ((more || error) && !reply)
		return false;
	if (cancel && reply)
		return false;
	if (error && more)
		return false;
	return request != 0 || (!reply && !cancel);
}

static void test_every_flag(void **state BF_UNUSED)
{
	static const uint32_t requests[] = {0, 1, UINT32_MAX};
	static const int fds[] = {-1, 0, 9};

	for (unsigned flags = 0; flags < 256; flags++) {
		for (size_t i = 0; i < 9; i++) {
			struct bf_frame f = {.flags = (uint8_t)flags,
					     .type = 1,
					     .source = SUPERVISOR,
					     .target = WORKER,
					     .request = requests[i / 3]};
			uint8_t bytes[BF_FRAME_HEADER_SIZE];
			bf_frame_encode_header(&f, bytes);
			int r = decode_copy(bytes, sizeof(bytes), fds[i % 3], &f);
			bool legal = flags_are_legal(flags, requests[i / 3], fds[i % 3]);
			assert_int_equal(r, legal ? 0 : BF_E_SYNTAX);
			if (r == 0)
				assert_int_equal(f.fd, fds[i % 3]);
		}
	}
}

static void test_every_role(void **state BF_UNUSED)
{
	for (unsigned role = 0; role < 64; role++) {
		struct bf_frame f = {
		    .type = 1, .source = BF_ENDPOINT(role, 1), .target = WORKER, .fd = -1};
		uint8_t bytes[BF_FRAME_HEADER_SIZE];
		int want = role >= 1 && role <= 7 ? 0 : BF_E_SYNTAX;
		bf_frame_encode_header(&f, bytes);
		assert_int_equal(decode_copy(bytes, sizeof(bytes), -1, NULL), want);
		f.target = f.source;
		f.source = WORKER;
		bf_frame_encode_header(&f, bytes);
		assert_int_equal(decode_copy(bytes, sizeof(bytes), -1, NULL), want);
	}
}

static void test_body_limit(void **state BF_UNUSED)
{
	struct bf_frame f = {.type = 1, .source = SUPERVISOR, .target = WORKER, .fd = -1};
	size_t size = BF_FRAME_MAX + 1;
	uint8_t *bytes = calloc(1, size);

	assert_non_null(bytes);
	f.body = (struct bf_slice){"", BF_FRAME_MAX_BODY};
	bf_frame_encode_header(&f, bytes);
	assert_int_equal(decode_copy(bytes, BF_FRAME_MAX, -1, NULL), 0);
	f.body.len++;
	bf_frame_encode_header(&f, bytes);
	assert_int_equal(decode_copy(bytes, size, -1, NULL), BF_E_LIMIT);
	free(bytes);
}

static void test_errors_tell_what_is_wrong(void **state BF_UNUSED)
{
	uint8_t bytes[sizeof(golden)];
	struct bf_err err = {0};
	struct bf_frame f;

	memcpy(bytes, golden, sizeof(golden));
	bytes[0] = 2;
	(void)bf_frame_decode((struct bf_slice){(char *)bytes, sizeof(bytes)}, -1, &f, &err);
	assert_int_equal(err.code, BF_E_VERSION);
	assert_non_null(strstr(err.text, "version 2"));
	assert_null(strchr(err.text, '\n'));
}

static void test_every_endpoint(void **state BF_UNUSED)
{
	for (unsigned e = 0; e <= 0xffff; e++) {
		char text[24];
		uint16_t back = 0;
		unsigned role = e >> 10;
		int r =
		    bf_endpoint_parse(bf_slice_from(bf_endpoint_format((uint16_t)e, text)), &back);
		assert_int_equal(r, role >= 1 && role <= 7 ? 0 : BF_E_UNKNOWN);
		if (r == 0)
			assert_int_equal(back, e);
	}
}

static void test_endpoint_texts(void **state BF_UNUSED)
{
	static const char *const bad[] = {
	    "",           ".",          "proxyd",      "proxyd.",
	    "proxyd.-1",  "proxyd.01",  "proxyd.1024", "proxyd.99999999999",
	    "proxyd.1x",  "proxyd.1.1", "writerd.0",   "writerd.",
	    "Writerd",    "writerd ",   "none",        "none.0",
	    "unknown.3",  "ctl",        "proxyd. 1",   "proxyd.+1",
	    "supervisord"};
	char text[24];
	uint16_t e = 0;

	assert_string_equal(bf_endpoint_format(WORKER, text), "proxyd.3");
	assert_string_equal(bf_endpoint_format(BF_ENDPOINT(BF_ROLE_PROXYD, 0), text), "proxyd.0");
	assert_string_equal(bf_endpoint_format(SUPERVISOR, text), "supervisor");
	assert_string_equal(bf_endpoint_format(BF_ENDPOINT(BF_ROLE_WRITERD, 0), text), "writerd");
	assert_string_equal(bf_endpoint_format(BF_ENDPOINT(BF_ROLE_WRITERD, 1), text), "writerd.1");
	assert_string_equal(bf_endpoint_format(BF_ENDPOINT(BF_ROLE_CTL, 1023), text), "ctl.1023");
	assert_string_equal(bf_endpoint_format(BF_ENDPOINT(63, 5), text), "unknown.5");
	for (size_t i = 0; i < BF_ARRAY_LEN(bad); i++)
		assert_int_equal(bf_endpoint_parse(bf_slice_from(bad[i]), &e), BF_E_UNKNOWN);
	assert_int_equal(bf_endpoint_parse((struct bf_slice){"writerd\0", 8}, &e), BF_E_UNKNOWN);
	assert_int_equal(bf_endpoint_parse((struct bf_slice){NULL, 0}, &e), BF_E_UNKNOWN);
	assert_string_equal(bf_role_name(BF_ROLE_COUNT), "unknown");
	assert_string_equal(bf_role_name(BF_ROLE_CLUSTERD), "clusterd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_golden_bytes),
	    cmocka_unit_test(test_every_truncation_and_excess),
	    cmocka_unit_test(test_every_byte_mutated),
	    cmocka_unit_test(test_every_flag),
	    cmocka_unit_test(test_every_role),
	    cmocka_unit_test(test_body_limit),
	    cmocka_unit_test(test_errors_tell_what_is_wrong),
	    cmocka_unit_test(test_every_endpoint),
	    cmocka_unit_test(test_endpoint_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

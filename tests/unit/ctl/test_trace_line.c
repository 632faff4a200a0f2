/* One traced frame as text and as JSON. */
#include "ctl/trace_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/codec/json_tape.h"
#include "tests/support/messages_sample.h"

#define WHEN INT64_C(1700000000123456789)

typedef int writer(const struct bf_msg_traced *t, struct bf_arena *arena, struct bf_buf *out);

static void line_of(const struct bf_msg_traced *t, writer *write, char *out, size_t size)
{
	struct bf_arena arena;
	struct bf_buf buf;

	bf_arena_init(&arena, 1 << 20);
	bf_buf_init(&buf, 1 << 20);
	assert_int_equal(write(t, &arena, &buf), 0);
	assert_true(bf_buf_len(&buf) < size);
	memcpy(out, bf_buf_slice(&buf).ptr, bf_buf_len(&buf));
	out[bf_buf_len(&buf)] = '\0';
	/* One line, ended. */
	assert_ptr_equal(strchr(out, '\n'), out + bf_buf_len(&buf) - 1);
	bf_buf_done(&buf);
	bf_arena_done(&arena);
}

/* The bytes of a frame as it passed. */
static size_t frame_bytes(uint16_t type, uint8_t more_flags, char *out, size_t size)
{
	struct bf_frame f = sample_frame(type);
	struct bf_buf body;

	bf_buf_init(&body, BF_FRAME_MAX_BODY);
	assert_int_equal(bf_msg_encode(type, sample_message(type), &body), 0);
	f.body = bf_buf_slice(&body);
	f.flags |= more_flags;
	assert_true(BF_FRAME_HEADER_SIZE + f.body.len <= size);
	bf_frame_encode_header(&f, (uint8_t *)out);
	if (f.body.len)
		memcpy(out + BF_FRAME_HEADER_SIZE, f.body.ptr, f.body.len);
	size_t len = BF_FRAME_HEADER_SIZE + f.body.len;
	bf_buf_done(&body);
	return len;
}

static void test_text(void **state BF_UNUSED)
{
	char bytes[512], line[1024];
	struct bf_msg_traced t = {.wall_ns = WHEN, .frame = {bytes, 0}};

	t.frame.len = frame_bytes(BF_MSG_RESTART, 0, bytes, sizeof(bytes));
	line_of(&t, ctl_trace_text, line, sizeof(line));
	assert_string_equal(line,
			    "2023-11-14T22:13:20.123456Z ctl.0 > supervisor restart #7 15 bytes "
			    "{\"name\":\"proxyd.1\"}\n");

	t.frame.len = frame_bytes(BF_MSG_DIAG, BF_FRAME_MORE, bytes, sizeof(bytes));
	line_of(&t, ctl_trace_text, line, sizeof(line));
	assert_string_equal(
	    line, "2023-11-14T22:13:20.123456Z supervisor > ctl.0 diag #7 reply more 38 bytes "
		  "{\"is_error\":true,\"text\":\"a.yaml:1:2: error: no\"}\n");

	t.frame.len = frame_bytes(BF_MSG_STOP, 0, bytes, sizeof(bytes));
	line_of(&t, ctl_trace_text, line, sizeof(line));
	assert_string_equal(line,
			    "2023-11-14T22:13:20.123456Z supervisor > reader stop #7 0 bytes\n");
}

static void parse_json(const char *line, struct bf_arena *arena, struct bf_json_tape *tape)
{
	assert_int_equal(
	    bf_json_parse(tape, bf_slice_from(line), arena, &bf_json_default_limits, NULL), 0);
}

static void test_json_of_every_type(void **state BF_UNUSED)
{
	char bytes[1024], line[2048];
	struct bf_arena arena;

	bf_arena_init(&arena, 1 << 20);
	for (uint16_t type = 1; type < BF_MSG_TYPE_MAX; type++) {
		struct bf_msg_traced t = {.wall_ns = WHEN, .frame = {bytes, 0}};
		struct bf_json_tape tape;
		struct bf_slice name;
		if (!bf_msg_def(type))
			continue;
		t.has_fd = bf_msg_def(type)->with_fd;
		t.frame.len = frame_bytes(type, 0, bytes, sizeof(bytes));
		line_of(&t, ctl_trace_json, line, sizeof(line));
		parse_json(line, &arena, &tape);
		assert_int_equal(
		    bf_json_string(&tape, bf_json_member(&tape, 0, "type"), &arena, &name), 0);
		assert_true(bf_slice_is(name, bf_msg_def(type)->name));
		uint32_t body = bf_json_member(&tape, 0, "body");
		assert_int_equal(tape.tokens[body].type,
				 sample_message(type) ? BF_JSON_OBJECT : BF_JSON_NULL);
		uint32_t flags = bf_json_member(&tape, 0, "flags");
		assert_int_equal(tape.tokens[flags].count, (bf_msg_def(type)->is_reply ? 1u : 0u) +
							       (type == BF_MSG_ERROR ? 1u : 0u) +
							       (t.has_fd ? 1u : 0u));
		bf_arena_reset(&arena);
	}
	bf_arena_done(&arena);
}

/* What the supervisor refused is traced too, so anything may come. */
static void test_frames_that_cannot_be_read(void **state BF_UNUSED)
{
	char bytes[512], line[2048];
	struct bf_msg_traced t = {.wall_ns = WHEN, .frame = {bytes, 0}};
	size_t whole = frame_bytes(BF_MSG_CHILD, 0, bytes, sizeof(bytes));

	for (size_t len = 0; len < whole; len++) {
		t.frame.len = len;
		line_of(&t, ctl_trace_text, line, sizeof(line));
		assert_non_null(strstr(line, "malformed frame of "));
		line_of(&t, ctl_trace_json, line, sizeof(line));
		assert_non_null(strstr(line, "\"malformed\":"));
	}
	t.frame.len = whole;
	bytes[BF_FRAME_HEADER_SIZE] = '\xc1';
	line_of(&t, ctl_trace_text, line, sizeof(line));
	assert_non_null(strstr(line, " child #7 reply "));
	assert_non_null(strstr(line, "bytes \"child"));
	bytes[2] = 14;
	line_of(&t, ctl_trace_text, line, sizeof(line));
	assert_non_null(strstr(line, " type 14 #7 "));
	t.wall_ns = -5;
	line_of(&t, ctl_trace_text, line, sizeof(line));
	assert_int_equal(strncmp(line, "-5ns ", 5), 0);
}

static void test_descriptor(void **state BF_UNUSED)
{
	char bytes[512], line[2048];
	struct bf_msg_traced t = {.wall_ns = WHEN, .frame = {bytes, 0}, .has_fd = true};

	t.frame.len = frame_bytes(BF_MSG_STOP, BF_FRAME_FD, bytes, sizeof(bytes));
	line_of(&t, ctl_trace_text, line, sizeof(line));
	assert_non_null(strstr(line, "stop #7 fd 0 bytes"));
}

static void test_frame_longer_than_a_trace(void **state BF_UNUSED)
{
	static char bytes[BF_FRAME_MAX];
	struct bf_frame f = sample_frame(BF_MSG_STATUS);
	struct bf_msg_traced t = {.wall_ns = WHEN, .frame = {bytes, BF_TRACED_MAX_BYTES}};
	char line[512];

	f.body = (struct bf_slice){bytes, BF_FRAME_MAX_BODY};
	bf_frame_encode_header(&f, (uint8_t *)bytes);
	line_of(&t, ctl_trace_text, line, sizeof(line));
	assert_non_null(strstr(line, "status #7 reply 65520 bytes \"too long for a trace\"\n"));
	line_of(&t, ctl_trace_json, line, sizeof(line));
	assert_non_null(strstr(line, "\"length\":65520,\"body\":\"too long for a trace\"}"));
}

static void test_line_that_does_not_fit(void **state BF_UNUSED)
{
	char bytes[512];
	struct bf_msg_traced t = {.wall_ns = WHEN, .frame = {bytes, 0}};
	struct bf_arena arena;

	t.frame.len = frame_bytes(BF_MSG_CHILD, 0, bytes, sizeof(bytes));
	static writer *const writers[] = {ctl_trace_text, ctl_trace_json};
	bf_arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < BF_ARRAY_LEN(writers); i++) {
		char whole[1024];
		line_of(&t, writers[i], whole, sizeof(whole));
		for (size_t room = 0; room <= strlen(whole); room++) {
			struct bf_buf buf;
			bf_buf_init(&buf, room);
			assert_int_equal(writers[i](&t, &arena, &buf),
					 room < strlen(whole) ? BF_E_LIMIT : 0);
			bf_buf_done(&buf);
			bf_arena_reset(&arena);
		}
	}
	bf_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_json_of_every_type),
	    cmocka_unit_test(test_frames_that_cannot_be_read),
	    cmocka_unit_test(test_descriptor),
	    cmocka_unit_test(test_frame_longer_than_a_trace),
	    cmocka_unit_test(test_line_that_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

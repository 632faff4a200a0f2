/* Refusals: every member where it belongs, nothing where nothing is known, texts of any bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/codec/json_tape.h"
#include "common/codec/problem.h"

static struct bf_buf out;

static int setup(void **state)
{
	(void)state;
	bf_buf_init(&out, 1 << 16);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_buf_done(&out);
	return 0;
}

static void expect(const struct bf_problem *p, const char *json)
{
	assert_int_equal(bf_problem_write(p, &out), 0);
	assert_int_equal(bf_buf_len(&out), strlen(json));
	assert_memory_equal(bf_buf_slice(&out).ptr, json, strlen(json));
}

static void what_is_known_is_said(void **state)
{
	const struct bf_problem_part parts[] = {
	    {BF_SLICE_LIT("/name"), BF_SLICE_LIT("is taken")},
	    {BF_SLICE_LIT(""), BF_SLICE_LIT("and more")},
	};

	(void)state;
	expect(&(struct bf_problem){.http_status = 409,
				    .type = "conflict",
				    .message = BF_SLICE_LIT("no"),
				    .param = BF_SLICE_LIT("name"),
				    .instance = BF_SLICE_LIT("team/blue"),
				    .parts = parts,
				    .part_count = 2,
				    .version = 7},
	       "{\"type\":\"conflict\",\"is_bifrost_error\":true,\"status_code\":409,"
	       "\"error\":{\"type\":\"conflict\",\"message\":\"no\",\"param\":\"name\"},"
	       "\"detail\":{\"type\":\"conflict\",\"title\":\"Conflict\",\"status\":409,"
	       "\"detail\":\"no\",\"instance\":\"team/blue\",\"version\":7,\"errors\":["
	       "{\"pointer\":\"/name\",\"message\":\"is taken\"},"
	       "{\"pointer\":\"\",\"message\":\"and more\"}]}}");
}

static void what_is_not_known_is_left_out(void **state)
{
	(void)state;
	expect(&(struct bf_problem){.http_status = 503,
				    .type = "busy",
				    .message = BF_SLICE_LIT("wait")},
	       "{\"type\":\"busy\",\"is_bifrost_error\":true,\"status_code\":503,"
	       "\"error\":{\"type\":\"busy\",\"message\":\"wait\"},"
	       "\"detail\":{\"type\":\"busy\",\"title\":\"Service Unavailable\",\"status\":503,"
	       "\"detail\":\"wait\"}}");
}

static void any_text_leaves_it_whole(void **state)
{
	struct bf_json_tape tape;
	struct bf_arena arena;

	(void)state;
	assert_int_equal(
	    bf_problem_write(&(struct bf_problem){.http_status = 400,
						  .type = "invalid_request",
						  .message = BF_SLICE_LIT("a\"\\\n\x01\xff"),
						  .param = BF_SLICE_LIT("\"")},
			     &out),
	    0);
	bf_arena_init(&arena, 1 << 20);
	assert_int_equal(
	    bf_json_parse(&tape, bf_buf_slice(&out), &arena, &bf_json_default_limits, NULL), 0);
	bf_arena_done(&arena);
}

static void no_room_is_told(void **state)
{
	const struct bf_problem p = {
	    .http_status = 400, .type = "invalid_request", .message = BF_SLICE_LIT("no")};
	struct bf_buf small;

	(void)state;
	for (size_t room = 0; room < 64; room++) {
		bf_buf_init(&small, room);
		assert_int_equal(bf_problem_write(&p, &small), BF_E_LIMIT);
		bf_buf_done(&small);
	}
}

static void titles(void **state)
{
	(void)state;
	assert_string_equal(bf_problem_title(404), "Not Found");
	assert_string_equal(bf_problem_title(418), "Error");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(what_is_known_is_said),    TEST(what_is_not_known_is_left_out),
	    TEST(any_text_leaves_it_whole), TEST(no_room_is_told),
	    cmocka_unit_test(titles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Records, honest and hostile, to rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/codec/utf8.h"
#include "common/govern/plan.h"
#include "writerd/row/row.h"

static const struct bf_slice none = {NULL, 0};

static struct shm_usage_record honest(void)
{
	struct shm_usage_record r = {
	    .started_wall_ns = INT64_C(1700000000123456789),
	    .latency_us = 1500,
	    .first_byte_us = 250,
	    .cost_nusd = 42,
	    .prompt_tokens = 7,
	    .completion_tokens = 5,
	    .cached_tokens = 3,
	    .http_status = 200,
	    .status = SHM_USAGE_SUCCESS,
	    .object_type = 1,
	    .worker = 2,
	    .attempts = 3,
	    .provider = "mock",
	    .model = "m-1",
	    .key_name = "first",
	    .key_id = "k-1",
	    .stop_reason = "stop",
	    .request_id = "mine",
	    .parent_id = "parent",
	    .fallback_index = 2,
	    .attempt_trail = "[[\"first\",200,12]]",
	};

	for (uint8_t i = 0; i < 16; i++)
		r.id[i] = (uint8_t)(0x10 + i);
	return r;
}

static void an_honest_record(void **state)
{
	struct shm_usage_record r = honest();
	struct row_scratch scratch;
	struct row row;

	(void)state;
	row_scratch_init(&scratch);
	row_render(&r, BF_SLICE_LIT("[1]"), none, &scratch, &row);
	assert_string_equal(row.id, "10111213-1415-1617-1819-1a1b1c1d1e1f");
	assert_string_equal(row.timestamp, "2023-11-14T22:13:20.123Z");
	assert_string_equal(row.object_type, "chat.completion");
	assert_string_equal(row.status, "success");
	assert_string_equal(row.provider, "mock");
	assert_string_equal(row.model, "m-1");
	assert_string_equal(row.key_name, "first");
	assert_string_equal(row.key_id, "k-1");
	assert_string_equal(row.stop_reason, "stop");
	assert_string_equal(row.request_id, "mine");
	assert_string_equal(row.parent_id, "parent");
	assert_string_equal(row.attempt_trail, "[[\"first\",200,12]]");
	assert_int_equal(row.fallback_index, 2);
	assert_int_equal(row.number_of_retries, 2);
	assert_int_equal(row.total_tokens, 12);
	assert_int_equal(row.cached_tokens, 3);
	assert_int_equal(row.cost_nusd, 42);
	assert_int_equal(row.worker, 2);
	assert_string_equal(row.error_details, "");
	assert_true(bf_slice_is(row.input, "[1]"));
	assert_null(row.output.ptr);
	assert_false(row.stream || row.crashed || row.estimated || row.truncated ||
		     row.client_gone);
	row_scratch_done(&scratch);
}

static void flags_become_columns(void **state)
{
	struct shm_usage_record r = honest();
	struct row_scratch scratch;
	struct row row;

	(void)state;
	row_scratch_init(&scratch);
	for (unsigned bit = 0; bit < 5; bit++) {
		r.flags = 1u << bit;
		row_render(&r, none, none, &scratch, &row);
		assert_int_equal(row.stream, bit == 0);
		assert_int_equal(row.crashed, bit == 1);
		assert_int_equal(row.estimated, bit == 2);
		assert_int_equal(row.truncated, bit == 3);
		assert_int_equal(row.client_gone, bit == 4);
	}
	r.flags = SHM_USAGE_STREAM;
	row_render(&r, none, none, &scratch, &row);
	assert_string_equal(row.object_type, "chat.completion");
	row_scratch_done(&scratch);
}

static const char *class_of(uint8_t status, uint16_t http_status, const char *type)
{
	static struct row row;
	struct shm_usage_record r = honest();
	struct row_scratch scratch;

	r.status = status;
	r.http_status = http_status;
	memcpy(r.error_type, type, strlen(type));
	row_scratch_init(&scratch);
	row_render(&r, none, none, &scratch, &row);
	row_scratch_done(&scratch);
	return row.error_type;
}

static void classes_of_errors(void **state)
{
	(void)state;
	assert_null(class_of(SHM_USAGE_SUCCESS, 200, ""));
	assert_null(class_of(SHM_USAGE_SUCCESS, 500, "upstream_timeout"));
	assert_string_equal(class_of(SHM_USAGE_ERROR, 504, "upstream_timeout"), "provider_timeout");
	assert_string_equal(class_of(SHM_USAGE_ERROR, 429, ""), "provider_rate_limited");
	assert_string_equal(class_of(SHM_USAGE_ERROR, 0, "worker_crashed"), "bifrost_internal");
	assert_string_equal(class_of(SHM_USAGE_ERROR, 0, ""), "_OTHER");
	/* As long as its field, without an end. */
	assert_string_equal(class_of(SHM_USAGE_ERROR, 502, "0123456789abcdef0123456789abcdef"),
			    "provider_server_error");
}

/* The mark is about what is kept: nothing kept, nothing cut. */
static void cut_contents_are_marked(void **state)
{
	struct shm_usage_record r = honest();
	struct row_scratch scratch;
	struct row row;

	(void)state;
	row_scratch_init(&scratch);
	row_render(&r, BF_SLICE_LIT("[1]"), BF_SLICE_LIT("[2]"), &scratch, &row);
	assert_false(row.content_truncated);
	r.flags = SHM_USAGE_CONTENT_CUT;
	row_render(&r, BF_SLICE_LIT("[1"), none, &scratch, &row);
	assert_true(row.content_truncated && !row.truncated);
	row_render(&r, none, BF_SLICE_LIT("[2"), &scratch, &row);
	assert_true(row.content_truncated);
	row_render(&r, none, none, &scratch, &row);
	assert_false(row.content_truncated);
	row_scratch_done(&scratch);
}

/* Every byte of the record set: texts without an end, numbers beyond their range. */
static void a_record_of_ones(void **state)
{
	struct shm_usage_record r;
	struct row_scratch scratch;
	struct row row;

	(void)state;
	memset(&r, 0xff, sizeof(r));
	row_scratch_init(&scratch);
	row_render(&r, none, none, &scratch, &row);
	assert_string_equal(row.id, "ffffffff-ffff-ffff-ffff-ffffffffffff");
	assert_string_equal(row.timestamp, "1970-01-01T00:00:00.000Z");
	assert_string_equal(row.status, "error");
	assert_string_equal(row.object_type, "unknown");
	assert_int_equal(row.latency_us, 0);
	assert_int_equal(row.cost_nusd, 0);
	assert_int_equal(row.prompt_tokens, INT64_MAX);
	assert_int_equal(row.total_tokens, INT64_MAX);
	assert_int_equal(row.number_of_retries, (int64_t)UINT32_MAX - 1);
	assert_true(bf_utf8_valid(row.error_details, strlen(row.error_details)));
	row_scratch_done(&scratch);
}

/* A record has room for whole ids: all of it may be used, and nothing beside it is. */
static void owners_fill_their_fields(void **state)
{
	struct shm_usage_record r = honest();
	struct row_scratch scratch;
	struct row row;

	(void)state;
	row_scratch_init(&scratch);
	row_render(&r, none, none, &scratch, &row);
	assert_string_equal(row.virtual_key_id, "");
	assert_string_equal(row.team_id, "");
	assert_string_equal(row.customer_id, "");
	memset(r.virtual_key_id, 'k', sizeof(r.virtual_key_id));
	memset(r.virtual_key_name, 'n', sizeof(r.virtual_key_name));
	memset(r.team_id, 't', sizeof(r.team_id));
	memset(r.customer_id, 'c', sizeof(r.customer_id));
	row_render(&r, none, none, &scratch, &row);
	assert_int_equal(strspn(row.virtual_key_id, "k"), ROW_OWNER_ID_LEN);
	assert_int_equal(strlen(row.virtual_key_id), ROW_OWNER_ID_LEN);
	assert_int_equal(strspn(row.team_id, "t"), ROW_OWNER_ID_LEN);
	assert_int_equal(strlen(row.team_id), ROW_OWNER_ID_LEN);
	assert_int_equal(strspn(row.customer_id, "c"), ROW_OWNER_ID_LEN);
	assert_int_equal(strlen(row.customer_id), ROW_OWNER_ID_LEN);
	assert_int_equal(strlen(row.virtual_key_name), sizeof(r.virtual_key_name));
	assert_int_equal(row.team_name.len + row.customer_name.len, 0);
	row_scratch_done(&scratch);
}

static void the_ends_of_time(void **state)
{
	char out[ROW_TIME_LEN + 1];

	(void)state;
	assert_string_equal(row_time(0, out), "1970-01-01T00:00:00.000Z");
	assert_string_equal(row_time(-1, out), "1970-01-01T00:00:00.000Z");
	assert_string_equal(row_time(INT64_MIN, out), "1970-01-01T00:00:00.000Z");
	assert_string_equal(row_time(INT64_MAX, out), "2262-04-11T23:47:16.000Z");
	assert_string_equal(row_time(INT64_C(999999999), out), "1970-01-01T00:00:00.999Z");
	assert_string_equal(row_time(INT64_C(1709164800000000000), out),
			    "2024-02-29T00:00:00.000Z");
}

/* A field that is full to the last byte may end within a character. */
static void a_torn_character_is_left_out(void **state)
{
	static const char *const chars[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
	struct row_scratch scratch;
	struct row row;

	(void)state;
	row_scratch_init(&scratch);
	for (size_t c = 0; c < 3; c++) {
		size_t len = strlen(chars[c]);

		for (size_t cut = 0; cut <= len; cut++) {
			struct shm_usage_record r = honest();
			char body[64] = "x";

			memset(r.model, 'a', sizeof(r.model));
			memcpy(r.model + sizeof(r.model) - cut, chars[c], cut);
			memcpy(body + 1, chars[c], cut);
			row_render(&r, (struct bf_slice){body, 1 + cut}, none, &scratch, &row);
			assert_int_equal(strlen(row.model), cut == len ? 96 : 96 - cut);
			assert_int_equal(row.input.len, cut == len ? 1 + len : 1);
			assert_true(bf_utf8_valid(row.model, strlen(row.model)));
		}
	}
	row_scratch_done(&scratch);
}

static void nul_bytes_leave_bodies(void **state)
{
	struct shm_usage_record r = honest();
	struct row_scratch scratch;
	struct row row;

	(void)state;
	row_scratch_init(&scratch);
	for (unsigned mask = 0; mask < 64; mask++) {
		char body[6], want[7] = "";
		size_t n = 0;

		for (unsigned i = 0; i < 6; i++) {
			body[i] = mask >> i & 1 ? '\0' : (char)('a' + i);
			if (body[i])
				want[n++] = body[i];
		}
		row_render(&r, (struct bf_slice){body, 6}, (struct bf_slice){body, 6}, &scratch,
			   &row);
		assert_non_null(row.input.ptr);
		assert_true(bf_slice_is(row.input, want));
		assert_true(bf_slice_is(row.output, want));
	}
	row_scratch_done(&scratch);
}

static void errors_become_json(void **state)
{
	struct shm_usage_record r = honest();
	struct row_scratch scratch;
	struct row row;

	(void)state;
	row_scratch_init(&scratch);
	memcpy(r.error_type, "upstream", 9);
	memcpy(r.error_text, "say \"no\"\n", 10);
	r.status = SHM_USAGE_ERROR;
	row_render(&r, none, none, &scratch, &row);
	assert_string_equal(row.error_details,
			    "{\"type\":\"upstream\",\"message\":\"say \\\"no\\\"\\n\"}");
	assert_string_equal(row.status, "error");
	/* The longest form: every byte needs six. */
	memset(r.error_type, 1, sizeof(r.error_type));
	memset(r.error_text, 1, sizeof(r.error_text));
	row_render(&r, none, none, &scratch, &row);
	assert_int_equal(strlen(row.error_details),
			 strlen("{\"type\":\"\",\"message\":\"\"}") + 6 * (32 + 120));
	row_scratch_done(&scratch);
}

static void a_refusal_names_who_refused(void **state)
{
	struct shm_usage_record r = honest();
	struct row_scratch scratch;
	struct row row;

	(void)state;
	row_scratch_init(&scratch);
	r.status = SHM_USAGE_ERROR;
	r.http_status = 429;
	r.flags = SHM_USAGE_REFUSED;
	r.attempts = 0;
	memcpy(r.error_type, "request_limited", 15);
	memset(&r.refusal, 0, sizeof(r.refusal));
	r.refusal.blame = (struct shm_usage_blame){.owner = BF_OWNER_TEAM + 1,
						   .quantity = BF_QUANTITY_REQUESTS,
						   .owner_id = "t\"1",
						   .limit_id = "rl-1"};
	memcpy(r.refusal.text, "no more", 7);
	row_render(&r, none, none, &scratch, &row);
	assert_string_equal(row.error_details,
			    "{\"type\":\"request_limited\",\"message\":\"no more\","
			    "\"refused_by\":{\"owner\":\"team\",\"owner_id\":\"t\\\"1\","
			    "\"limit_id\":\"rl-1\",\"quantity\":\"requests\"}}");
	assert_string_equal(row.error_type, "policy_rate_limited");
	assert_string_equal(row.attempt_trail, "");
	assert_int_equal(row.number_of_retries, 0);
	/* Nobody in particular. */
	memset(&r.refusal.blame, 0, sizeof(r.refusal.blame));
	row_render(&r, none, none, &scratch, &row);
	assert_string_equal(row.error_details,
			    "{\"type\":\"request_limited\",\"message\":\"no more\","
			    "\"refused_by\":{}}");
	/* A wild one, the longest form. */
	memset(r.error_type, 1, sizeof(r.error_type));
	memset(&r.refusal, 1, sizeof(r.refusal));
	row_render(&r, none, none, &scratch, &row);
	assert_true(strlen(row.error_details) > 6 * (32 + 184 + 64 + 64));
	memset(&r.refusal, 0xff, sizeof(r.refusal));
	row_render(&r, none, none, &scratch, &row);
	assert_true(bf_utf8_valid(row.error_details, strlen(row.error_details)));
	row_scratch_done(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_honest_record),
	    cmocka_unit_test(flags_become_columns),
	    cmocka_unit_test(classes_of_errors),
	    cmocka_unit_test(cut_contents_are_marked),
	    cmocka_unit_test(a_record_of_ones),
	    cmocka_unit_test(the_ends_of_time),
	    cmocka_unit_test(owners_fill_their_fields),
	    cmocka_unit_test(a_torn_character_is_left_out),
	    cmocka_unit_test(nul_bytes_leave_bodies),
	    cmocka_unit_test(errors_become_json),
	    cmocka_unit_test(a_refusal_names_who_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Header lines and words about limits. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxyd/gate/limits_text.h"

static struct bf_limit limit_of(enum bf_quantity quantity, int64_t max)
{
	return (struct bf_limit){
	    .quantity = quantity,
	    .owner = BF_OWNER_VIRTUAL_KEY,
	    .max = max,
	    .window = {.kind = BF_WINDOW_ROLLING, .length_ms = 60000},
	    .reset = BF_SLICE_LIT("1m"),
	    .owner_name = BF_SLICE_LIT("team a"),
	    .limit_id = BF_SLICE_LIT("rl"),
	};
}

static void waits_are_whole_seconds(void **state)
{
	struct bf_limit limit = limit_of(BF_QUANTITY_REQUESTS, 1);

	(void)state;
	assert_int_equal(limits_text_retry_s(&limit, 60000), 60);
	assert_int_equal(limits_text_retry_s(&limit, 59999), 60);
	assert_int_equal(limits_text_retry_s(&limit, 59000), 59);
	assert_int_equal(limits_text_retry_s(&limit, 1500), 2);
	assert_int_equal(limits_text_retry_s(&limit, 500), 1);
	assert_int_equal(limits_text_retry_s(&limit, 1), 1);
	limit.endless = true;
	assert_int_equal(limits_text_retry_s(&limit, INT64_MAX), 1);
}

static struct bf_limit limit;
static struct limits_refusal no;

static void refuse(int64_t max, int64_t used, int64_t amount, int64_t now_ms)
{
	const struct limits_state told = {max, used, amount};

	no = (struct limits_refusal){0};
	limits_text_refusal(&limit, &told, 60000 - now_ms, &no);
}

static void refusals_name_key_limit_and_window(void **state)
{
	(void)state;
	limit = limit_of(BF_QUANTITY_REQUESTS, 100);
	refuse(100, 100, 1, 30000);
	assert_int_equal(no.http_status, 429);
	assert_string_equal(no.type, "request_limited");
	assert_int_equal(no.retry_after_s, 30);
	assert_string_equal(no.text, "virtual key \"team a\": request limit exceeded: 100/100 "
				     "requests per 1m");
	limit = limit_of(BF_QUANTITY_TOKENS, 1000);
	refuse(1000, 990, 50, 0);
	assert_int_equal(no.http_status, 429);
	assert_string_equal(no.type, "token_limited");
	assert_string_equal(no.text,
			    "virtual key \"team a\": token limit exceeded: 990/1000 tokens "
			    "used or reserved per 1m, this request may take 50");
	limit = limit_of(BF_QUANTITY_NUSD, INT64_C(10000000000));
	refuse(INT64_C(10000000000), INT64_C(9999900000), INT64_C(1234567890), 0);
	assert_int_equal(no.http_status, 402);
	assert_string_equal(no.type, "budget_exceeded");
	assert_string_equal(no.text, "virtual key \"team a\": budget exceeded: $9.9999 of $10.0000 "
				     "used or reserved per 1m, this request may cost $1.2346");
	limit = limit_of(BF_QUANTITY_CONCURRENT, 5);
	limit.endless = true;
	limit.reset.len = 0;
	refuse(5, 8, 1, 0);
	assert_int_equal(no.http_status, 429);
	assert_string_equal(no.type, "rate_limited");
	assert_int_equal(no.retry_after_s, 1);
	assert_string_equal(no.text, "virtual key \"team a\": too many requests at once: 8/5");
}

/* Waiting helps nobody who asks for more than there ever is. */
static void what_can_never_be_is_told(void **state)
{
	(void)state;
	limit = limit_of(BF_QUANTITY_TOKENS, 7);
	refuse(1000, 0, 1001, 0);
	assert_int_equal(no.http_status, 429);
	assert_int_equal(no.retry_after_s, 0);
	assert_string_equal(no.text,
			    "virtual key \"team a\": token limit exceeded: this request may take "
			    "1001 tokens and the limit is 1000 per 1m: lower max_tokens or shorten "
			    "the prompt");
	refuse(1000, 1000, 1000, 0);
	assert_int_equal(no.retry_after_s, 60);
	limit = limit_of(BF_QUANTITY_NUSD, 7);
	refuse(1000000, 0, 1200000, 0);
	assert_int_equal(no.http_status, 402);
	assert_int_equal(no.retry_after_s, 0);
	assert_string_equal(no.text,
			    "virtual key \"team a\": budget exceeded: this request may cost "
			    "$0.0012 and the limit is $0.0010 per 1m: lower max_tokens or shorten "
			    "the prompt");
	limit = limit_of(BF_QUANTITY_REQUESTS, 7);
	refuse(0, 2, 1, 0);
	assert_int_equal(no.retry_after_s, 0);
	assert_non_null(strstr(no.text, "request limit exceeded: 2/0 requests per 1m"));
}

/* A maximum that was lowered, an answer longer than its client allowed; streams ask for nothing. */
static void what_was_used_is_told_as_it_is(void **state)
{
	(void)state;
	limit = limit_of(BF_QUANTITY_TOKENS, 7);
	refuse(1000, 5011, 0, 0);
	assert_string_equal(no.text, "virtual key \"team a\": token limit exceeded: 5011/1000 "
				     "tokens used or reserved per 1m");
	assert_int_equal(no.retry_after_s, 60);
	/* The longest there is fits. */
	limit.owner_name = BF_SLICE_LIT(
	    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
	    "5678901234567890123456789");
	refuse(INT64_MAX - 1, INT64_MAX, INT64_MAX - 1, 0);
	assert_non_null(strstr(no.text, ", this request may take 9223372036854775806"));
	refuse(INT64_MAX - 1, 0, INT64_MAX, 0);
	assert_non_null(strstr(no.text, "shorten the prompt"));
}

static void lines_are(const char *expected, const struct limits_left *requests,
		      const struct limits_left *tokens)
{
	char out[LIMITS_TEXT_LINES_MAX];
	struct bf_slice lines = limits_text_lines(out, requests, tokens);

	assert_int_equal(lines.len, strlen(expected));
	assert_memory_equal(lines.ptr, expected, lines.len);
}

static void lines_tell_both(void **state)
{
	struct bf_limit r = limit_of(BF_QUANTITY_REQUESTS, 100),
			t = limit_of(BF_QUANTITY_TOKENS, INT64_C(1) << 61);
	const struct limits_left none = {0}, requests = {&r, 100, -3, 12401},
				 tokens = {&t, INT64_C(1) << 61, INT64_C(1) << 61, 60000},
				 late = {&r, 100, 7, -5};

	(void)state;
	lines_are("", &none, &none);
	lines_are("x-ratelimit-limit-requests: 100\r\nx-ratelimit-remaining-requests: 0\r\n"
		  "x-ratelimit-reset-requests: 12.5s\r\n",
		  &requests, &none);
	lines_are("x-ratelimit-limit-requests: 100\r\nx-ratelimit-remaining-requests: 7\r\n"
		  "x-ratelimit-reset-requests: 0s\r\n"
		  "x-ratelimit-limit-tokens: 2305843009213693952\r\n"
		  "x-ratelimit-remaining-tokens: 2305843009213693952\r\n"
		  "x-ratelimit-reset-tokens: 60s\r\n",
		  &late, &tokens);
	/* The longest there is. */
	char out[LIMITS_TEXT_LINES_MAX];
	const struct limits_left most = {&r, INT64_MAX, INT64_MAX, INT64_MAX - 99};
	struct bf_slice lines = limits_text_lines(out, &most, &most);
	assert_true(lines.ptr >= out && lines.len <= sizeof(out));
	assert_memory_equal(lines.ptr, "x-ratelimit-limit-requests: 9223372036854775807\r\n", 49);
}

static void numbers_are_right(void **state)
{
	char expected[LIMITS_TEXT_LINES_MAX];
	const struct bf_limit r = limit_of(BF_QUANTITY_REQUESTS, 1);
	const struct limits_left none = {0};

	(void)state;
	for (int64_t n = 0; n < 30000; n += n < 1100 ? 1 : 97) {
		const struct limits_left left = {&r, n, n * 1000003, n * 100};

		(void)snprintf(expected, sizeof(expected),
			       "x-ratelimit-limit-requests: %" PRId64
			       "\r\nx-ratelimit-remaining-requests: %" PRId64
			       "\r\nx-ratelimit-reset-requests: %" PRId64 "%.*s%.*ss\r\n",
			       n, n * 1000003, n / 10, n % 10 ? 1 : 0, ".", n % 10 ? 1 : 0,
			       &"0123456789"[n % 10]);
		lines_are(expected, &left, &none);
	}
}

static void ours_replace_theirs(void **state)
{
	struct bf_arena arena;

	(void)state;
	bf_arena_init(&arena, 1 << 16);
#define MERGED(theirs, ours, expected) \
	assert_true(bf_slice_is(       \
	    limits_text_merge(&arena, BF_SLICE_LIT(theirs), BF_SLICE_LIT(ours)), expected))
	MERGED("", "", "");
	MERGED("a: b\r\n", "", "a: b\r\n");
	MERGED("", "o: 1\r\n", "o: 1\r\n");
	MERGED("a: b\r\n", "o: 1\r\n", "a: b\r\no: 1\r\n");
	MERGED("x-ratelimit-limit-tokens: 5\r\na: b\r\nX-RateLimit-Other: 6\r\nx-ratelimit: 7\r\n",
	       "o: 1\r\n", "a: b\r\nx-ratelimit: 7\r\no: 1\r\n");
	/* Told twice is told once. */
	MERGED("x-ratelimit-a: 5\r\n", "x-ratelimit-a: 6\r\n", "x-ratelimit-a: 6\r\n");
	bf_arena_done(&arena);
	bf_arena_init(&arena, 0);
	MERGED("a: b\r\n", "o: 1\r\n", "a: b\r\n");
	bf_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(waits_are_whole_seconds),
	    cmocka_unit_test(refusals_name_key_limit_and_window),
	    cmocka_unit_test(what_can_never_be_is_told),
	    cmocka_unit_test(what_was_used_is_told_as_it_is),
	    cmocka_unit_test(lines_tell_both),
	    cmocka_unit_test(numbers_are_right),
	    cmocka_unit_test(ours_replace_theirs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

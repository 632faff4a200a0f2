/* Query strings of /api/logs: what is taken, and what is refused by name. */
#include "proxyd/gate/logs_query.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/macros.h"

#define NOW INT64_C(1763721600000) /* 2025-11-21T10:40:00Z */

static struct bf_arena arena;
static struct bf_msg_logs_query q;
static struct bf_err err;

static int setup(void **state)
{
	(void)state;
	bf_arena_init(&arena, 1 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_arena_done(&arena);
	return 0;
}

/* From a heap copy of the exact size. */
static int parse(const char *text)
{
	size_t len = strlen(text);
	char *copy = malloc(len ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, text, len);
	err = (struct bf_err){0};
	r = logs_query_parse((struct bf_slice){copy, len}, NOW, &arena, &q, &err);
	free(copy);
	return r;
}

static void must(const char *text)
{
	if (parse(text) < 0)
		fail_msg("%s: %s", text, err.text);
}

static struct bf_slice item(const struct bf_array *a, uint32_t i)
{
	assert_true(i < a->count);
	return ((const struct bf_slice *)a->items)[i];
}

static void nothing_given(void **state)
{
	static const char *const texts[] = {"", "&", "&&&"};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(texts); i++) {
		must(texts[i]);
		assert_int_equal(q.limit, 50);
		assert_int_equal(q.offset, 0);
		assert_int_equal(q.start_ms, BF_LOGS_ANY);
		assert_int_equal(q.max_cost_nusd, BF_LOGS_ANY);
		assert_int_equal(q.sort_by, BF_LOGS_BY_TIMESTAMP);
		assert_false(q.ascending);
		assert_int_equal(q.providers.count + q.models.count + q.id.len, 0);
	}
}

static void everything_given(void **state)
{
	(void)state;
	must("providers=openai,groq&providers=mock&models=a%2Fb&status=error&stop_reasons=stop,"
	     "length&error_types=provider_timeout&objects=chat.completion&parent_request_id=p%20q&"
	     "request_id=r%2f1&selected_key_"
	     "ids=k1&virtual_key_ids=vk-a,vk-b&team_ids=blue,red&customer_ids=acme&"
	     "start_time=1700000000&end_time=1700000000500&min_latency=1.5&max_latency=2000&"
	     "min_tokens=0&max_tokens=9&min_cost=0.000001&max_cost=2&content_search=a+b%25%c3%a9&"
	     "limit=1000&offset=7&sort_by=cost&order=asc");
	assert_int_equal(q.providers.count, 3);
	assert_true(bf_slice_is(item(&q.providers, 2), "mock"));
	assert_true(bf_slice_is(item(&q.models, 0), "a/b"));
	assert_true(bf_slice_is(item(&q.status, 0), "error"));
	assert_true(bf_slice_is(item(&q.stop_reasons, 1), "length"));
	assert_true(bf_slice_is(item(&q.error_types, 0), "provider_timeout"));
	assert_true(bf_slice_is(item(&q.objects, 0), "chat.completion"));
	assert_true(bf_slice_is(q.parent_request_id, "p q"));
	assert_true(bf_slice_is(q.request_id, "r/1"));
	assert_true(bf_slice_is(item(&q.selected_key_ids, 0), "k1"));
	assert_true(bf_slice_is(item(&q.virtual_key_ids, 1), "vk-b"));
	assert_true(bf_slice_is(item(&q.team_ids, 1), "red"));
	assert_true(bf_slice_is(item(&q.customer_ids, 0), "acme"));
	assert_int_equal(q.start_ms, 1700000000000);
	assert_int_equal(q.end_ms, 1700000000500);
	assert_int_equal(q.min_latency_us, 1500);
	assert_int_equal(q.max_latency_us, 2000000);
	assert_int_equal(q.min_tokens, 0);
	assert_int_equal(q.max_tokens, 9);
	assert_int_equal(q.min_cost_nusd, 1000);
	assert_int_equal(q.max_cost_nusd, 2000000000);
	assert_true(bf_slice_is(q.content_search, "a b%\xc3\xa9"));
	assert_int_equal(q.limit, 1000);
	assert_int_equal(q.offset, 7);
	assert_int_equal(q.sort_by, BF_LOGS_BY_COST);
	assert_true(q.ascending);
	must("period=24h&end_time=1763721600");
	assert_int_equal(q.start_ms, NOW - 86400000);
}

static void refused_by_name(void **state)
{
	static const char *const texts[][2] = {
	    {"provider=x", "provider: no such"},
	    {"=x", ": no such"},
	    {"user_ids=x", "user_ids: no such"},
	    {"limit", "limit: must be"},
	    {"limit=0", "limit: must be"},
	    {"limit=1001", "limit: must be"},
	    {"limit=-1", "limit: must be"},
	    {"limit=1&limit=2", "limit: is given twice"},
	    {"offset=x", "offset: must be"},
	    {"offset=9223372036854775808", "offset: must be"},
	    {"sort_by=id", "sort_by: must be"},
	    {"order=up", "order: must be"},
	    {"status=failed", "status: must be"},
	    {"providers=", "providers: holds an empty"},
	    {"providers=a,", "providers: holds an empty"},
	    {"providers=a,,b", "providers: holds an empty"},
	    {"models=%", "models: is not"},
	    {"models=%4", "models: is not"},
	    {"models=%zz", "models: is not"},
	    {"models=a%00b", "models: is not"},
	    {"models=%ff", "models: is not"},
	    {"models=%ed%a0%80", "models: is not"},
	    {"content_search=", "content_search: is empty"},
	    {"start_time=yesterday", "start_time: is no time"},
	    {"end_time=-1", "end_time: is no time"},
	    {"period=0s", "period: is no duration"},
	    {"period=24", "period: is no duration"},
	    {"period=99999d", "period: is no duration"},
	    {"start_time=1&period=1h", "period: and start_time"},
	    {"min_latency=fast", "min_latency: must be"},
	    {"min_latency=-1", "min_latency: must be"},
	    {"max_tokens=1.5", "max_tokens: must be"},
	    {"min_cost=1e3", "min_cost: must be"},
	    {"max_cost=9223372036854", "max_cost: must be"},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(texts); i++) {
		if (parse(texts[i][0]) == 0)
			fail_msg("%s was taken", texts[i][0]);
		if (!strstr(err.text, texts[i][1]))
			fail_msg("%s: %s", texts[i][0], err.text);
		assert_null(strchr(err.text, '\n'));
	}
}

static void bounds_of_lists_and_texts(void **state)
{
	char text[2048] = "models=a";
	size_t n = strlen(text);

	(void)state;
	for (unsigned i = 1; i < BF_LOGS_MAX_VALUES; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, ",a");
	must(text);
	assert_int_equal(q.models.count, BF_LOGS_MAX_VALUES);
	(void)snprintf(text + n, sizeof(text) - n, "&models=b");
	assert_true(parse(text) < 0);
	assert_non_null(strstr(err.text, "more than 32"));
	n = (size_t)snprintf(text, sizeof(text), "content_search=");
	memset(text + n, 'x', BF_LOGS_MAX_TEXT);
	text[n + BF_LOGS_MAX_TEXT] = '\0';
	must(text);
	memset(text + n, 'x', BF_LOGS_MAX_TEXT + 1);
	text[n + BF_LOGS_MAX_TEXT + 1] = '\0';
	assert_true(parse(text) < 0);
}

/* A query cut anywhere is taken or refused, never read beyond. */
static int id_of(const char *text)
{
	return logs_id_parse(bf_slice_from(text), NOW, &arena, &q);
}

static void one_row(void **state)
{
	static const char *const bad[] = {"",    "a/b", "a b", "a%20b",   "%",
					  "a%0", "%zz", "%00", "\xc3\xa4"};
	char longest[2 * LOGS_ID_MAX];

	(void)state;
	assert_int_equal(id_of("01890000-0000-7000-8000-00000000ABCD"), 0);
	assert_true(bf_slice_is(q.id, "01890000-0000-7000-8000-00000000abcd"));
	assert_int_equal(q.limit, 50);
	assert_int_equal(id_of("A+b%2fc%25"), 0);
	assert_true(bf_slice_is(q.id, "A+b/c%"));
	for (size_t i = 0; i < BF_ARRAY_LEN(bad); i++)
		assert_int_equal(id_of(bad[i]), BF_E_SYNTAX);
	memset(longest, 'x', sizeof(longest));
	longest[LOGS_ID_MAX] = '\0';
	assert_int_equal(id_of(longest), 0);
	longest[LOGS_ID_MAX] = 'x';
	longest[LOGS_ID_MAX + 1] = '\0';
	assert_int_equal(id_of(longest), BF_E_SYNTAX);
}

static void every_cut(void **state)
{
	static const char whole[] = "providers=a%2Cb,c&start_time=2026-11-21T10:00:00.5%2B01:00&"
				    "min_cost=0.5&content_search=%25&order=desc";
	char text[sizeof(whole)];

	(void)state;
	for (size_t len = 0; len < sizeof(whole); len++) {
		memcpy(text, whole, len);
		text[len] = '\0';
		(void)parse(text);
	}
	must(whole);
}

static void memory_that_is_out(void **state)
{
	(void)state;
	for (size_t room = 0; room < 600; room += 8) {
		struct bf_arena little;
		int r;

		bf_arena_init(&little, room);
		r = logs_query_parse(BF_SLICE_LIT("models=a,b&content_search=xyz"), NOW, &little,
				     &q, &err);
		assert_true(r == 0 || r == -ENOMEM);
		bf_arena_done(&little);
	}
}

static void times(void **state)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1: refused */
	} cases[] = {
	    {"0", 0},
	    {"1700000000", 1700000000000},
	    {"99999999999", 99999999999000},
	    {"100000000000", 100000000000},
	    {"253402300800000", -1},
	    {"99999999999999999999", -1},
	    {"1970-01-01T00:00:00Z", 0},
	    {"1969-12-31T23:59:59Z", -1},
	    {"2026-11-21T10:00:00Z", 1795255200000},
	    {"2026-11-21t10:00:00z", 1795255200000},
	    {"2026-11-21 10:00:00Z", 1795255200000},
	    {"2026-11-21T10:00:00.123456Z", 1795255200123},
	    {"2026-11-21T10:00:00.5Z", 1795255200500},
	    {"2026-11-21T11:30:00+01:30", 1795255200000},
	    {"2026-11-21T11:30:00 01:30", 1795255200000},
	    {"2026-11-21T08:00:00-02:00", 1795255200000},
	    {"2024-02-29T00:00:00Z", 1709164800000},
	    {"2023-02-29T00:00:00Z", -1},
	    {"2100-02-29T00:00:00Z", -1},
	    {"2026-04-31T00:00:00Z", -1},
	    {"2026-13-01T00:00:00Z", -1},
	    {"2026-00-01T00:00:00Z", -1},
	    {"2026-11-21T24:00:00Z", -1},
	    {"2026-11-21T23:60:00Z", -1},
	    {"2026-12-31T23:59:60Z", 1798761600000},
	    {"2026-11-21T10:00:00", -1},
	    {"2026-11-21T10:00:00.Z", -1},
	    {"2026-11-21T10:00:00Zx", -1},
	    {"2026-11-21T10:00:00+24:00", -1},
	    {"2026-11-21", -1},
	    {"9999-12-31T23:59:59Z", 253402300799000},
	    {"", -1},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		int64_t ms = -1;
		int r = logs_time_parse(bf_slice_from(cases[i].text), &ms);

		if (r == 0 ? ms != cases[i].ms : cases[i].ms != -1)
			fail_msg("%s: %d %lld", cases[i].text, r, (long long)ms);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(nothing_given),
	    TEST(everything_given),
	    TEST(one_row),
	    TEST(refused_by_name),
	    TEST(bounds_of_lists_and_texts),
	    TEST(every_cut),
	    TEST(memory_that_is_out),
	    TEST(times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

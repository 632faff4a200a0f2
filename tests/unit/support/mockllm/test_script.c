/* Scripts: every key, what holds when nothing is said, and what must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "tests/support/mockllm/script.h"

static struct script parse(const char *text)
{
	struct script s;
	struct bf_err err;

	if (script_parse(bf_slice_from(text), &script_default, &s, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	return s;
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		size_t offset;
		int64_t value;
	} rows[] = {
	    {"m;status=503", offsetof(struct script, status), 503},
	    {"m;retry_after=0", offsetof(struct script, retry_after_s), 0},
	    {"m;n=7", offsetof(struct script, events), 7},
	    {"m;size=100", offsetof(struct script, size_bytes), 100},
	    {"m;event_bytes=300", offsetof(struct script, event_bytes), 300},
	    {"m;interval_ms=5", offsetof(struct script, interval_ms), 5},
	    {"m;latency_ms=6", offsetof(struct script, latency_ms), 6},
	    {"m;trickle=1", offsetof(struct script, trickle_bytes), 1},
	    {"m;stall_at=0", offsetof(struct script, stall_at), 0},
	    {"m;cut=11", offsetof(struct script, cut), 11},
	    {"m;rst=12", offsetof(struct script, rst), 12},
	    {"m;halfclose=13", offsetof(struct script, halfclose), 13},
	    {"m;fail_first=2", offsetof(struct script, fail_first), 2},
	    {"m;done=0", offsetof(struct script, done), 0},
	    {"m;garbage=1", offsetof(struct script, garbage), 1},
	    {"m;headers=endless", offsetof(struct script, endless), 1},
	    {"m;chunked=0", offsetof(struct script, chunked), 0},
	    {"m;echo=1", offsetof(struct script, echo), 1},
	    {"m;body=text", offsetof(struct script, body), SCRIPT_BODY_TEXT},
	    {"m;body=empty", offsetof(struct script, body), SCRIPT_BODY_EMPTY},
	    {"m;usage=none", offsetof(struct script, usage), SCRIPT_USAGE_NONE},
	    {"m;usage=wrong", offsetof(struct script, usage), SCRIPT_USAGE_WRONG},
	    {"m;usage=late", offsetof(struct script, usage), SCRIPT_USAGE_LATE},
	    {"m;usage=string", offsetof(struct script, usage), SCRIPT_USAGE_STRING},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(rows); i++) {
		struct script s = parse(rows[i].text), want = script_default;
		int64_t value;

		memcpy(&value, (char *)&s + rows[i].offset, sizeof(value));
		if (value != rows[i].value)
			fail_msg("%s: %lld", rows[i].text, (long long)value);
		/* And nothing else. */
		memcpy((char *)&want + rows[i].offset, &value, sizeof(value));
		assert_memory_equal(&s, &want, sizeof(s));
	}
}

static void test_nothing_said(void **state)
{
	static const char *const texts[] = {"", "m", "gpt-4o", "m;", "m;;", "a=b"};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(texts); i++) {
		struct script s = parse(texts[i]);

		assert_memory_equal(&s, &script_default, sizeof(s));
	}
}

static void test_several(void **state)
{
	struct script s =
	    parse("m;words=30/4;keys=sk-a:500,sk-b:429;deny=sk-c;limit=sk-d,sk-e;cut=9");

	(void)state;
	assert_int_equal(s.prompt_tokens, 30);
	assert_int_equal(s.events, 4);
	assert_int_equal(s.cut, 9);
	assert_int_equal(s.key_count, 5);
	assert_true(bf_slice_is(s.keys[0].key, "sk-a") && s.keys[0].status == 500);
	assert_true(bf_slice_is(s.keys[1].key, "sk-b") && s.keys[1].status == 429);
	assert_true(bf_slice_is(s.keys[2].key, "sk-c") && s.keys[2].status == 401);
	assert_true(bf_slice_is(s.keys[4].key, "sk-e") && s.keys[4].status == 429);
	assert_int_equal(parse("m;words=30").prompt_tokens, 30);
}

static void test_over_a_base(void **state)
{
	struct script base = parse("m;n=3;latency_ms=9"), s;
	struct bf_err err;

	(void)state;
	assert_int_equal(script_parse(BF_SLICE_LIT("m;n=4"), &base, &s, &err), 0);
	assert_int_equal(s.events, 4);
	assert_int_equal(s.latency_ms, 9);
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
	    "m;cutt=1",    "m;cut",         "m;cut=",      "m;cut=-1",
	    "m;cut=1x",    "m;status=1000", "m;done=2",    "m;usage=maybe",
	    "m;body=xml",  "m;headers=2",   "m;words=x/1", "m;words=1/",
	    "m;keys=sk-a", "m;keys=sk-a:x", "m;keys=:401", "m;n=4;oops=1",
	    "m;cut=1 ",    "m; cut=1",      "m;deny=,",    "m;deny=1,2,3,4,5,6,7,8,9",
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(texts); i++) {
		struct script s;
		struct bf_err err = {0};

		if (script_parse(bf_slice_from(texts[i]), &script_default, &s, &err) !=
			BF_E_SYNTAX ||
		    !err.text[0])
			fail_msg("%s was taken", texts[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_numbers), cmocka_unit_test(test_nothing_said),
	    cmocka_unit_test(test_several), cmocka_unit_test(test_over_a_base),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

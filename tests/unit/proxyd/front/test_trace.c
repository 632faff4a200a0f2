/* Trace Context: what is gone on with, what is replaced, what is passed on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxyd/front/trace.h"

#define ID   "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

static uint8_t seed[TRACE_RANDOM_LEN] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
					 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24};

#define OUR_SPAN  "1112131415161718"
#define OUR_TRACE "00-0102030405060708090a0b0c0d0e0f10-" OUR_SPAN "-00"

static struct exchange_header header(const char *name, const char *value)
{
	return (struct exchange_header){bf_slice_from(name), bf_slice_from(value)};
}

static void parents(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"00-" ID "-" SPAN "-01", "00-" ID "-" OUR_SPAN "-01"},
	    {"00-" ID "-" SPAN "-00", "00-" ID "-" OUR_SPAN "-00"},
	    {"00-" ID "-" SPAN "-ff", "00-" ID "-" OUR_SPAN "-03"},
	    /* Later versions: as far as 00 reaches. */
	    {"01-" ID "-" SPAN "-01", "00-" ID "-" OUR_SPAN "-01"},
	    {"cc-" ID "-" SPAN "-01-what-the-future-will-be-like", "00-" ID "-" OUR_SPAN "-01"},
	    {"cc-" ID "-" SPAN "-01.what", OUR_TRACE},
	    {"00-" ID "-" SPAN "-01-more", OUR_TRACE},
	    {"00-" ID "-" SPAN "-01x", OUR_TRACE},
	    {"ff-" ID "-" SPAN "-01", OUR_TRACE},
	    {"0-" ID "-" SPAN "-01", OUR_TRACE},
	    {"00_" ID "-" SPAN "-01", OUR_TRACE},
	    {"00-" ID "_" SPAN "-01", OUR_TRACE},
	    {"00-" ID "-" SPAN "_01", OUR_TRACE},
	    {"00-" ID "-" SPAN "-0", OUR_TRACE},
	    {"00-" ID "-" SPAN "-0x", OUR_TRACE},
	    {"00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01", OUR_TRACE},
	    {"00-00000000000000000000000000000000-" SPAN "-01", OUR_TRACE},
	    {"00-" ID "-0000000000000000-01", OUR_TRACE},
	    {"00-4bf92f3577b34da6a3ce929d0e0e473g-" SPAN "-01", OUR_TRACE},
	    {"", OUR_TRACE},
	    {"00", OUR_TRACE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct exchange_header h[] = {header("Host", "a"),
					      header("TraceParent", cases[i].in)};
		struct trace t;
		trace_take(h, 2, seed, &t);
		if (strcmp(t.parent, cases[i].out) != 0)
			fail_msg("%s: %s, not %s", cases[i].in, t.parent, cases[i].out);
		assert_int_equal(t.state_len, 0);
	}
}

/* Every cut of a valid one, and every byte of it broken, is malformed. */
static void cut_and_broken(void **state)
{
	static const char good[] = "00-" ID "-" SPAN "-01";
	char text[sizeof(good)];
	struct trace t;

	(void)state;
	for (size_t i = 0; i < sizeof(good) - 1; i++) {
		struct exchange_header h = {BF_SLICE_LIT("traceparent"), {good, i}};
		trace_take(&h, 1, seed, &t);
		assert_string_equal(t.parent, OUR_TRACE);
		memcpy(text, good, sizeof(good));
		text[i] = '~';
		h.value = (struct bf_slice){text, sizeof(good) - 1};
		trace_take(&h, 1, seed, &t);
		assert_string_equal(t.parent, OUR_TRACE);
	}
}

static void absent_doubled_and_zero(void **state)
{
	static const uint8_t zero[TRACE_RANDOM_LEN];
	struct exchange_header h[] = {header("traceparent", "00-" ID "-" SPAN "-01"),
				      header("traceparent", "00-" ID "-" SPAN "-01"),
				      header("tracestate", "a=1")};
	struct trace t;

	(void)state;
	trace_take(NULL, 0, seed, &t);
	assert_string_equal(t.parent, OUR_TRACE);
	trace_take(h, 3, seed, &t);
	assert_string_equal(t.parent, OUR_TRACE);
	assert_int_equal(t.state_len, 0);
	trace_take(NULL, 0, zero, &t);
	assert_string_equal(t.parent, "00-00000000000000000000000000000001-0000000000000001-00");
}

static void check_state(const char *first, const char *second, const char *want)
{
	struct exchange_header h[] = {header("tracestate", first),
				      header("traceparent", "00-" ID "-" SPAN "-01"),
				      header("TRACESTATE", second)};
	struct trace t;

	trace_take(h, 3, seed, &t);
	if (t.state_len != strlen(want) || memcmp(t.state, want, t.state_len) != 0)
		fail_msg("%s | %s: %.*s, not %s", first, second, (int)t.state_len, t.state, want);
}

static void states_keep_their_order(void **state)
{
	struct exchange_header alone = header("tracestate", "a=1");
	struct trace t;

	(void)state;
	check_state("a=1", "b=2", "a=1,b=2");
	check_state(" rojo=00f067aa0ba902b7 ,\tcongo=t61rcWkgMzE", "",
		    "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
	check_state(",,a=1,, ,", "", "a=1");
	check_state("t@v=x y", "", "t@v=x y");
	check_state("", "", "");
	/* One that cannot be right: none at all. */
	check_state("a=1", "b", "");
	check_state("a=1,=2", "", "");
	check_state("a=1=2", "", "");
	check_state("a=\x80", "", "");
	check_state("a b=1", "", "");
	trace_take(&alone, 1, seed, &t);
	assert_int_equal(t.state_len, 0);
}

static void states_are_bounded(void **state)
{
	char many[4096] = "", want[4096] = "", text[700];
	size_t len = 0;

	(void)state;
	for (int i = 0; i < 40; i++) {
		len += (size_t)snprintf(many + len, sizeof(many) - len, "%sk%d=v", i ? "," : "", i);
		if (i == 31)
			(void)strcpy(want, many);
	}
	check_state(many, "z=1", want);
	/* 512 bytes fit, 513 do not; and nothing behind what did not fit. */
	memset(text, 'x', sizeof(text));
	memcpy(text, "a=", 2);
	text[512] = '\0';
	check_state(text, "b=2", text);
	text[512] = 'x';
	text[513] = '\0';
	check_state(text, "b=2", "");
	check_state("b=2", text, "b=2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parents),
	    cmocka_unit_test(cut_and_broken),
	    cmocka_unit_test(absent_doubled_and_zero),
	    cmocka_unit_test(states_keep_their_order),
	    cmocka_unit_test(states_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

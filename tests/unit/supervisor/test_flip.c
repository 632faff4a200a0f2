/* Flips: the cases that people meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flip_world.h"

static void test_nobody_serves(void **state)
{
	struct world w;

	(void)state;
	begin_world(&w, 41);
	/* An overlay of nothing. */
	assert_true(happens(&w, OVERLAY));
	assert_int_equal(w.refused, 1);
	assert_true(happens(&w, BASE));
	assert_int_equal(w.header, 41);
	assert_true(happens(&w, OVERLAY));
	assert_int_equal(w.header, 42);
	assert_int_equal(w.taken, 1);
}

static void test_silent_worker_is_killed(void **state)
{
	struct world w;

	(void)state;
	serving(&w, 0);
	assert_true(happens(&w, OVERLAY));
	assert_true(happens(&w, 0 * EVENTS_OF_A_PROC + TAKES));
	assert_int_equal(w.header, 1);
	assert_true(happens(&w, TIME));
	assert_true(w.procs[1].killed && !w.procs[0].killed && !w.procs[READER].killed);
	assert_int_equal(w.header, 2);
	assert_int_equal(w.taken, 2);
	/* What it says before it dies, and its death, change nothing. */
	assert_true(happens(&w, 1 * EVENTS_OF_A_PROC + DIES));
	assert_int_equal(w.header, 2);
}

/* The supervisor itself was stopped: answers wait unread. */
static void test_own_hole_kills_nobody(void **state)
{
	struct flip_orders out = {.count = 0};
	struct world w;

	(void)state;
	serving(&w, 0);
	assert_true(happens(&w, OVERLAY));
	w.now_ms = w.f.deadline_mono_ms + FLIP_LATE_MS + 1;
	flip_late(&w.f, w.now_ms, &out);
	assert_int_equal(out.count, 0);
	flip_late(&w.f, w.now_ms + FLIP_GRACE_MS - 1, &out);
	assert_int_equal(out.count, 0);
	flip_late(&w.f, w.now_ms + FLIP_GRACE_MS, &out);
	assert_int_equal(out.items[0].kind, FLIP_KILL_SILENT);
}

static void test_refusal_keeps_the_old(void **state)
{
	struct world w;

	(void)state;
	serving(&w, 0);
	assert_true(happens(&w, BASE) && happens(&w, OVERLAY));
	assert_true(happens(&w, 0 * EVENTS_OF_A_PROC + TAKES));
	assert_true(happens(&w, 1 * EVENTS_OF_A_PROC + REFUSES));
	assert_int_equal(w.header, 1);
	assert_int_equal(w.refused, 1);
	assert_int_equal(w.kills, 0);
	/* The number that was refused is not used again; the base in force is told again to whoever
	 * was told the other one. */
	assert_true(happens(&w, OVERLAY));
	settle(&w);
	assert_int_equal(w.header, 3);
	assert_int_equal(w.now_base, 1);
}

static void test_who_comes_during_a_flip(void **state)
{
	struct world w;

	(void)state;
	serving(&w, 0);
	assert_true(happens(&w, 0 * EVENTS_OF_A_PROC + DIES));
	assert_true(happens(&w, BASE) && happens(&w, OVERLAY));
	assert_true(happens(&w, 0 * EVENTS_OF_A_PROC + STARTS));
	/* First what is in force. */
	assert_int_equal(w.procs[0].question, 1);
	assert_true(happens(&w, 1 * EVENTS_OF_A_PROC + TAKES));
	/* It did not serve, so nobody waited. */
	assert_int_equal(w.header, 2);
	assert_true(happens(&w, 0 * EVENTS_OF_A_PROC + TAKES));
	assert_int_equal(w.procs[0].question, 2);
	/* One that refuses what is in force is replaced. */
	assert_true(happens(&w, 0 * EVENTS_OF_A_PROC + REFUSES));
	assert_true(w.procs[0].killed);
	assert_int_equal(w.header, 2);
}

static void test_new_writer_during_a_flip(void **state)
{
	struct world w;

	(void)state;
	serving(&w, 0);
	assert_true(happens(&w, OVERLAY));
	assert_true(happens(&w, WRITER_DIES));
	/* The new one gives all it has, and waits for its turn. */
	assert_true(happens(&w, BASE) && happens(&w, OVERLAY));
	assert_int_equal(w.header, 1);
	settle(&w);
	assert_int_equal(w.header, 3);
	assert_int_equal(w.taken, 2);
	assert_int_equal(w.now_base, 2);
	/* A second one without a base of its own must wait. */
	assert_true(happens(&w, OVERLAY));
	assert_true(happens(&w, WRITER_DIES));
	assert_true(happens(&w, OVERLAY));
	assert_int_equal(w.refused, 1);
}

static void test_requests_are_never_0(void **state)
{
	(void)state;
	assert_int_equal(flip_request(0), 1);
	assert_int_equal(flip_request(UINT32_MAX), 1);
	assert_int_equal(flip_request(UINT64_C(0xfffffffe)), UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nobody_serves),
	    cmocka_unit_test(test_silent_worker_is_killed),
	    cmocka_unit_test(test_own_hole_kills_nobody),
	    cmocka_unit_test(test_refusal_keeps_the_old),
	    cmocka_unit_test(test_who_comes_during_a_flip),
	    cmocka_unit_test(test_new_writer_during_a_flip),
	    cmocka_unit_test(test_requests_are_never_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

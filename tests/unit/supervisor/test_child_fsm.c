/* The life of a process: every state with every event, and what must hold for all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/child_fsm.h"

static const struct child_limits limits = {.ready_ms = 1000, .drain_ms = 90000, .stop_ms = 5000};

/* The table as the design says it, written down a second time: next state and actions. */
static const struct {
	enum child_state next;
	unsigned actions;
} expected[CHILD_STATE_COUNT][CHILD_EVENT_COUNT] = {
#define KILL   (CHILD_CLOSE_CHANNEL | CHILD_DO_KILL)
#define GONE   (CHILD_CLOSE_CHANNEL | CHILD_TELL_GONE)
#define BROKEN (CHILD_CLOSE_CHANNEL | CHILD_TELL_BROKEN)
    [CHILD_STARTING] =
	{
	    [CHILD_EV_STARTING] = {CHILD_STARTING, 0},
	    [CHILD_EV_READY] = {CHILD_READY, CHILD_TELL_READY},
	    [CHILD_EV_DRAINED] = {CHILD_STOPPING, BROKEN},
	    [CHILD_EV_CLOSED] = {CHILD_STOPPING, CHILD_CLOSE_CHANNEL},
	    [CHILD_EV_DRAIN] = {CHILD_STOPPING, CHILD_SEND_STOP},
	    [CHILD_EV_STOP] = {CHILD_STOPPING, CHILD_SEND_STOP},
	    [CHILD_EV_KILL] = {CHILD_KILLED, KILL},
	    [CHILD_EV_STALLED] = {CHILD_STARTING, 0},
	    [CHILD_EV_TIMEOUT] = {CHILD_KILLED, KILL},
	    [CHILD_EV_REAPED] = {CHILD_GONE, GONE},
	},
    [CHILD_READY] =
	{
	    [CHILD_EV_STARTING] = {CHILD_STOPPING, BROKEN | CHILD_TELL_LEFT},
	    [CHILD_EV_READY] = {CHILD_STOPPING, BROKEN | CHILD_TELL_LEFT},
	    [CHILD_EV_DRAINED] = {CHILD_STOPPING, BROKEN | CHILD_TELL_LEFT},
	    [CHILD_EV_CLOSED] = {CHILD_STOPPING, CHILD_CLOSE_CHANNEL | CHILD_TELL_LEFT},
	    [CHILD_EV_DRAIN] = {CHILD_DRAINING, CHILD_SEND_DRAIN | CHILD_TELL_LEFT},
	    [CHILD_EV_STOP] = {CHILD_STOPPING, CHILD_SEND_STOP | CHILD_TELL_LEFT},
	    [CHILD_EV_KILL] = {CHILD_KILLED, KILL | CHILD_TELL_LEFT},
	    [CHILD_EV_STALLED] = {CHILD_KILLED, KILL | CHILD_TELL_LEFT},
	    [CHILD_EV_TIMEOUT] = {CHILD_READY, 0},
	    [CHILD_EV_REAPED] = {CHILD_GONE, GONE | CHILD_TELL_LEFT},
	},
    [CHILD_DRAINING] =
	{
	    [CHILD_EV_STARTING] = {CHILD_STOPPING, BROKEN},
	    [CHILD_EV_READY] = {CHILD_STOPPING, BROKEN},
	    [CHILD_EV_DRAINED] = {CHILD_STOPPING, 0},
	    [CHILD_EV_CLOSED] = {CHILD_STOPPING, CHILD_CLOSE_CHANNEL},
	    [CHILD_EV_DRAIN] = {CHILD_DRAINING, 0},
	    [CHILD_EV_STOP] = {CHILD_STOPPING, CHILD_SEND_STOP},
	    [CHILD_EV_KILL] = {CHILD_KILLED, KILL},
	    [CHILD_EV_STALLED] = {CHILD_KILLED, KILL},
	    [CHILD_EV_TIMEOUT] = {CHILD_STOPPING, CHILD_SEND_STOP},
	    [CHILD_EV_REAPED] = {CHILD_GONE, GONE},
	},
    [CHILD_STOPPING] =
	{
	    [CHILD_EV_STARTING] = {CHILD_STOPPING, 0},
	    [CHILD_EV_READY] = {CHILD_STOPPING, 0},
	    [CHILD_EV_DRAINED] = {CHILD_STOPPING, 0},
	    [CHILD_EV_CLOSED] = {CHILD_STOPPING, CHILD_CLOSE_CHANNEL},
	    [CHILD_EV_DRAIN] = {CHILD_STOPPING, 0},
	    [CHILD_EV_STOP] = {CHILD_STOPPING, 0},
	    [CHILD_EV_KILL] = {CHILD_KILLED, KILL},
	    [CHILD_EV_STALLED] = {CHILD_KILLED, KILL},
	    [CHILD_EV_TIMEOUT] = {CHILD_KILLED, KILL},
	    [CHILD_EV_REAPED] = {CHILD_GONE, GONE},
	},
    [CHILD_KILLED] =
	{
	    [CHILD_EV_STARTING] = {CHILD_KILLED, 0},
	    [CHILD_EV_READY] = {CHILD_KILLED, 0},
	    [CHILD_EV_DRAINED] = {CHILD_KILLED, 0},
	    [CHILD_EV_CLOSED] = {CHILD_KILLED, 0},
	    [CHILD_EV_DRAIN] = {CHILD_KILLED, 0},
	    [CHILD_EV_STOP] = {CHILD_KILLED, 0},
	    [CHILD_EV_KILL] = {CHILD_KILLED, 0},
	    [CHILD_EV_STALLED] = {CHILD_KILLED, 0},
	    [CHILD_EV_TIMEOUT] = {CHILD_KILLED, CHILD_TELL_STUCK | CHILD_DO_KILL},
	    [CHILD_EV_REAPED] = {CHILD_GONE, GONE},
	},
    [CHILD_GONE] =
	{
	    [CHILD_EV_STARTING] = {CHILD_GONE, 0},
	    [CHILD_EV_READY] = {CHILD_GONE, 0},
	    [CHILD_EV_DRAINED] = {CHILD_GONE, 0},
	    [CHILD_EV_CLOSED] = {CHILD_GONE, 0},
	    [CHILD_EV_DRAIN] = {CHILD_GONE, 0},
	    [CHILD_EV_STOP] = {CHILD_GONE, 0},
	    [CHILD_EV_KILL] = {CHILD_GONE, 0},
	    [CHILD_EV_STALLED] = {CHILD_GONE, 0},
	    [CHILD_EV_TIMEOUT] = {CHILD_GONE, 0},
	    [CHILD_EV_REAPED] = {CHILD_GONE, 0},
	},
};

static struct child_fsm in_state(enum child_state state)
{
	return (struct child_fsm){.state = state, .deadline_mono_ms = 77};
}

static void test_every_state_with_every_event(void **state)
{
	(void)state;
	for (int s = 0; s < CHILD_STATE_COUNT; s++) {
		for (int e = 0; e < CHILD_EVENT_COUNT; e++) {
			struct child_fsm f = in_state((enum child_state)s);
			unsigned actions = child_fsm_feed(&f, (enum child_event)e, 100, &limits);

			assert_int_equal(f.state, expected[s][e].next);
			assert_int_equal(actions, expected[s][e].actions);
		}
	}
}

static void test_only_the_reaper_makes_it_gone(void **state)
{
	(void)state;
	for (int s = 0; s < CHILD_GONE; s++) {
		for (int e = 0; e < CHILD_EVENT_COUNT; e++) {
			struct child_fsm f = in_state((enum child_state)s);
			unsigned actions = child_fsm_feed(&f, (enum child_event)e, 100, &limits);

			assert_int_equal(f.state == CHILD_GONE, e == CHILD_EV_REAPED);
			assert_int_equal((actions & CHILD_TELL_GONE) != 0, e == CHILD_EV_REAPED);
		}
	}
}

static void test_whoever_served_is_told_to_have_left_once(void **state)
{
	(void)state;
	for (int s = 0; s < CHILD_STATE_COUNT; s++) {
		for (int e = 0; e < CHILD_EVENT_COUNT; e++) {
			struct child_fsm f = in_state((enum child_state)s);
			unsigned actions = child_fsm_feed(&f, (enum child_event)e, 100, &limits);
			int left = s == CHILD_READY && f.state != CHILD_READY;

			assert_int_equal((actions & CHILD_TELL_LEFT) != 0, left);
		}
	}
}

/* Whatever it does or does not say, time alone gets rid of it: no state waits for ever but READY.
 */
static void test_every_state_but_ready_has_a_deadline(void **state)
{
	(void)state;
	for (int e = 0; e < CHILD_EVENT_COUNT; e++) {
		struct child_fsm f;

		child_fsm_init(&f, 0, &limits);
		assert_int_equal(f.deadline_mono_ms, 1000);
		(void)child_fsm_feed(&f, (enum child_event)e, 10, &limits);
		if (f.state == CHILD_READY || f.state == CHILD_GONE)
			assert_int_equal(f.deadline_mono_ms, CHILD_NO_DEADLINE);
		else
			assert_in_range((uintmax_t)f.deadline_mono_ms, 11, 1000000);
	}
}

static void test_timeouts_alone_lead_to_a_kill(void **state)
{
	static const enum child_event first[] = {CHILD_EV_DRAIN, CHILD_EV_STOP, CHILD_EV_CLOSED,
						 CHILD_EV_KILL};

	(void)state;
	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		struct child_fsm f = in_state(CHILD_READY);
		unsigned seen = child_fsm_feed(&f, first[i], 0, &limits);
		int64_t now = 0;

		for (int step = 0; step < 4; step++) {
			now = f.deadline_mono_ms;
			assert_true(now != CHILD_NO_DEADLINE);
			seen |= child_fsm_feed(&f, CHILD_EV_TIMEOUT, now, &limits);
		}
		assert_int_equal(f.state, CHILD_KILLED);
		assert_true(seen & CHILD_DO_KILL);
		assert_true(seen & CHILD_TELL_STUCK);
	}
}

static void test_deadlines(void **state)
{
	struct child_fsm f = in_state(CHILD_READY);

	(void)state;
	(void)child_fsm_feed(&f, CHILD_EV_DRAIN, 10, &limits);
	assert_int_equal(f.deadline_mono_ms, 90010);
	(void)child_fsm_feed(&f, CHILD_EV_DRAIN, 500, &limits);
	assert_int_equal(f.deadline_mono_ms, 90010);
	(void)child_fsm_feed(&f, CHILD_EV_TIMEOUT, 90010, &limits);
	assert_int_equal(f.deadline_mono_ms, 95010);
	(void)child_fsm_feed(&f, CHILD_EV_CLOSED, 91000, &limits);
	assert_int_equal(f.deadline_mono_ms, 95010);
	(void)child_fsm_feed(&f, CHILD_EV_TIMEOUT, 95010, &limits);
	assert_int_equal(f.deadline_mono_ms, 95010 + CHILD_REAP_MS);
	(void)child_fsm_feed(&f, CHILD_EV_REAPED, 95020, &limits);
	assert_int_equal(f.deadline_mono_ms, CHILD_NO_DEADLINE);
}

/* Who says that it goes on gets as long again, as often as it says so. */
static void test_a_start_may_take_long(void **state)
{
	struct child_fsm f;

	(void)state;
	child_fsm_init(&f, 10, &limits);
	assert_int_equal(f.deadline_mono_ms, 1010);
	for (int64_t now = 900; now < 100000; now += 900) {
		assert_int_equal(child_fsm_feed(&f, CHILD_EV_STARTING, now, &limits), 0);
		assert_int_equal(f.deadline_mono_ms, now + 1000);
	}
	(void)child_fsm_feed(&f, CHILD_EV_READY, 100000, &limits);
	assert_int_equal(f.deadline_mono_ms, CHILD_NO_DEADLINE);
}

static void test_names(void **state)
{
	(void)state;
	for (int s = 0; s < CHILD_STATE_COUNT; s++)
		assert_non_null(child_states[s].name);
	for (int e = 0; e < CHILD_EVENT_COUNT; e++)
		assert_non_null(child_event_name((enum child_event)e));
	assert_string_equal(child_states[CHILD_READY].name, "ready");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_state_with_every_event),
	    cmocka_unit_test(test_only_the_reaper_makes_it_gone),
	    cmocka_unit_test(test_whoever_served_is_told_to_have_left_once),
	    cmocka_unit_test(test_every_state_but_ready_has_a_deadline),
	    cmocka_unit_test(test_timeouts_alone_lead_to_a_kill),
	    cmocka_unit_test(test_deadlines),
	    cmocka_unit_test(test_a_start_may_take_long),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

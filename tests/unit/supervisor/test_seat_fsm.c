/* Seats: every state with every event, and a walk over everything that can happen to one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/seat_fsm.h"

/* What a seat holds, as seat.c would keep it. */
struct model {
	enum seat_state state;
	bool coming, serving, pausing, trial;
	bool old_told, in_told; /* were told to leave */
};

/* Does what the machine says, and asserts what may never be. */
static void act(struct model *m, enum seat_event event)
{
	unsigned actions = seat_fsm_feed(&m->state, event);

	if (actions & SEAT_DISARM)
		m->pausing = false;
	if (actions & SEAT_STOP_IN)
		m->in_told = true;
	if (actions & SEAT_STOP_OLD)
		m->old_told = true;
	if (actions & SEAT_PROMOTE) {
		assert_true(m->coming);
		m->coming = m->in_told = m->old_told = false;
		m->serving = true;
	}
	if (actions & (SEAT_ROLL_OK | SEAT_ROLL_FAIL))
		m->trial = false;
	if (actions & (SEAT_SPAWN | SEAT_SPAWN_NEW)) {
		/* Never a second one on its way, never a start while a pause runs. */
		assert_false(m->coming);
		assert_false(m->pausing);
		m->coming = true;
	}
	if (actions & SEAT_ARM) {
		assert_false(m->pausing);
		assert_false(m->coming);
		assert_false(m->serving);
		m->pausing = true;
	}
}

/* May this event happen to a seat that looks like this? Fills next. */
static bool happens(const struct model *m, enum seat_event event, struct model *next)
{
	*next = *m;
	switch (event) {
	case SEAT_EV_START:
		return m->state == SEAT_STOPPED;
	case SEAT_EV_READY:
		return m->coming && !m->in_told;
	case SEAT_EV_LOST_IN:
		next->coming = next->in_told = false;
		return m->coming;
	case SEAT_EV_LOST:
		next->serving = next->old_told = false;
		return m->serving;
	case SEAT_EV_TIMER:
		next->pausing = false;
		return m->pausing;
	case SEAT_EV_OVERLAP:
	case SEAT_EV_SWAP:
		next->trial = true;
		return !m->trial && m->state != SEAT_STOPPED && m->state != SEAT_CLOSED &&
		       m->state != SEAT_ROLLING && m->state != SEAT_CHANGING &&
		       m->state != SEAT_TRYING;
	case SEAT_EV_CLOSE:
		return true;
	case SEAT_EVENT_COUNT:
		break;
	}
	return false;
}

static void check(const struct model *m)
{
	/* A seat that shall run waits for something: a process, or a pause. */
	if (m->state != SEAT_STOPPED && m->state != SEAT_CLOSED)
		assert_true(m->coming || m->serving || m->pausing);
	assert_int_equal(m->state == SEAT_BACKOFF, m->pausing);
	if (m->state == SEAT_READY)
		assert_true(m->serving && !m->coming && !m->trial);
	if (m->state == SEAT_ROLLING)
		assert_true(m->serving && m->coming && m->trial);
	if (m->state == SEAT_TRYING)
		assert_true(m->coming && !m->serving && m->trial);
	if (m->state == SEAT_CHANGING)
		assert_true((m->serving && m->old_told) || (m->coming && m->in_told));
	if (m->state == SEAT_CLOSED) {
		assert_false(m->pausing);
		assert_false(m->trial);
		assert_true(!m->serving || m->old_told);
		assert_true(!m->coming || m->in_told);
	}
}

#define MAX_SEEN 4096

static struct model seen[MAX_SEEN];
static size_t seen_count;

static bool add(const struct model *m)
{
	for (size_t i = 0; i < seen_count; i++) {
		if (memcmp(&seen[i], m, sizeof(*m)) == 0)
			return false;
	}
	assert_true(seen_count < MAX_SEEN);
	seen[seen_count++] = *m;
	return true;
}

/* All that can be reached, by breadth. */
static void test_every_path(void **state)
{
	struct model first;
	unsigned states_met = 0;

	(void)state;
	memset(&first, 0, sizeof(first));
	first.state = SEAT_STOPPED;
	seen_count = 0;
	(void)add(&first);
	for (size_t i = 0; i < seen_count; i++) {
		states_met |= 1u << seen[i].state;
		check(&seen[i]);
		for (int e = 0; e < SEAT_EVENT_COUNT; e++) {
			struct model next;

			memset(&next, 0, sizeof(next));
			if (!happens(&seen[i], (enum seat_event)e, &next))
				continue;
			act(&next, (enum seat_event)e);
			(void)add(&next);
		}
	}
	assert_int_equal(states_met, (1u << SEAT_STATE_COUNT) - 1);
	assert_in_range(seen_count, SEAT_STATE_COUNT, MAX_SEEN);
}

/* Events that cannot happen, or come late, change nothing and start nothing. */
static void test_every_state_survives_every_event(void **state)
{
	(void)state;
	for (int s = 0; s < SEAT_STATE_COUNT; s++) {
		for (int e = 0; e < SEAT_EVENT_COUNT; e++) {
			enum seat_state now = (enum seat_state)s;
			unsigned actions = seat_fsm_feed(&now, (enum seat_event)e);

			assert_true(now == (enum seat_state)s ||
				    (seat_states[s].next & (1u << now)));
			/* Only one start per step. */
			assert_int_not_equal(actions & (SEAT_SPAWN | SEAT_SPAWN_NEW),
					     SEAT_SPAWN | SEAT_SPAWN_NEW);
			if (s == SEAT_CLOSED)
				assert_int_equal(now, SEAT_CLOSED);
		}
	}
}

static void test_a_crash_restarts(void **state)
{
	enum seat_state s = SEAT_STOPPED;

	(void)state;
	assert_int_equal(seat_fsm_feed(&s, SEAT_EV_START), SEAT_SPAWN);
	assert_int_equal(seat_fsm_feed(&s, SEAT_EV_READY), SEAT_PROMOTE);
	assert_int_equal(seat_fsm_feed(&s, SEAT_EV_LOST), SEAT_ARM);
	assert_int_equal(seat_fsm_feed(&s, SEAT_EV_TIMER), SEAT_SPAWN);
	assert_int_equal(seat_fsm_feed(&s, SEAT_EV_LOST_IN), SEAT_ARM);
	assert_int_equal(s, SEAT_BACKOFF);
}

static void test_a_failed_successor_leaves_the_old_one(void **state)
{
	enum seat_state s = SEAT_READY;

	(void)state;
	assert_int_equal(seat_fsm_feed(&s, SEAT_EV_OVERLAP), SEAT_SPAWN_NEW);
	assert_int_equal(seat_fsm_feed(&s, SEAT_EV_LOST_IN), SEAT_ROLL_FAIL);
	assert_int_equal(s, SEAT_READY);
}

static void test_a_failed_swap_goes_back(void **state)
{
	enum seat_state s = SEAT_READY;

	(void)state;
	assert_int_equal(seat_fsm_feed(&s, SEAT_EV_SWAP), SEAT_STOP_OLD);
	assert_int_equal(seat_fsm_feed(&s, SEAT_EV_LOST), SEAT_SPAWN_NEW);
	assert_int_equal(seat_fsm_feed(&s, SEAT_EV_LOST_IN), SEAT_ROLL_FAIL | SEAT_ARM);
	assert_int_equal(seat_fsm_feed(&s, SEAT_EV_TIMER), SEAT_SPAWN);
}

static void test_names(void **state)
{
	(void)state;
	for (int s = 0; s < SEAT_STATE_COUNT; s++)
		assert_non_null(seat_states[s].name);
	for (int e = 0; e < SEAT_EVENT_COUNT; e++)
		assert_non_null(seat_event_name((enum seat_event)e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_path),
	    cmocka_unit_test(test_every_state_survives_every_event),
	    cmocka_unit_test(test_a_crash_restarts),
	    cmocka_unit_test(test_a_failed_successor_leaves_the_old_one),
	    cmocka_unit_test(test_a_failed_swap_goes_back),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

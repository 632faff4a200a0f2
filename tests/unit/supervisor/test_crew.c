/* Seats and processes with real forks: this program is its own children. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

static struct world w;

static struct seat *seat_of(const char *name)
{
	uint16_t endpoint = 0;

	assert_int_equal(bf_endpoint_parse(bf_slice_from(name), &endpoint), 0);
	return crew_seat(&w.crew, endpoint);
}

static pid_t pid_of(const char *name)
{
	const struct seat *seat = seat_of(name);

	return seat->serving ? seat->serving->pid : 0;
}

static void begin(uint32_t workers)
{
	world_init(&w, workers);
	assert_int_equal(crew_init(&w.crew, &w.slices, workers), 0);
}

static void start(uint32_t workers)
{
	begin(workers);
	crew_start(&w.crew);
	WORLD_UNTIL(&w, world_all_ready(&w));
}

static int teardown(void **state)
{
	(void)state;
	world_done(&w);
	return 0;
}

static void test_all_become_ready_and_leave_in_order(void **state)
{
	(void)state;
	start(3);
	assert_int_equal(w.ready, 7);
	assert_int_equal(crew_living(&w.crew, 0), 3);
	assert_ptr_equal(crew_find(&w.crew, BF_ENDPOINT(BF_ROLE_WRITERD, 0)),
			 seat_of("writerd")->serving);
	assert_null(crew_find(&w.crew, BF_ENDPOINT(BF_ROLE_PROXYD, 3)));
	assert_string_equal(seat_state_text(seat_of("proxyd.1")), "ready");
	w.crew.closing = true;
	for (uint8_t order = 0; order < PLAN_STOP_ORDERS; order++) {
		assert_true(crew_close(&w.crew, order) > 0);
		WORLD_UNTIL(&w, crew_living(&w.crew, order) == 0);
	}
	assert_int_equal(world_notes(&w, "proxyd.0 drain"), 1);
	assert_int_equal(world_notes(&w, "proxyd.0 stop"), 0);
	assert_int_equal(world_notes(&w, "writerd.0 stop"), 1);
	assert_int_equal(w.gone, 7);
	/* Nothing comes back. */
	world_run(&w, 300);
	assert_true(bf_list_empty(&w.crew.children));
}

static void test_death_is_followed_in_order(void **state)
{
	struct shm_slot_info info;
	pid_t before[3];
	uint32_t slot;

	(void)state;
	start(2);
	before[0] = pid_of("proxyd.1");
	before[1] = pid_of("writerd");
	before[2] = pid_of("clusterd");
	slot = seat_of("proxyd.0")->serving->proc_slot;
	(void)kill(pid_of("proxyd.0"), SIGKILL);
	WORLD_UNTIL(&w, w.gone >= 1);
	assert_int_equal(w.gone, 1);
	/* Rings: the slot waits for the writer, which was told. A sibling took the listener. */
	shm_slot_info(&w.segment.shm, slot, &info);
	assert_int_equal(info.state, SHM_SLOT_DEAD);
	WORLD_UNTIL(&w, world_notes(&w, "writerd.0 proc_dead") == 1);
	WORLD_UNTIL(&w, world_notes(&w, "proxyd.1 adopt") >= 1);
	WORLD_UNTIL(&w, world_all_ready(&w));
	WORLD_UNTIL(&w, world_notes(&w, "proxyd.1 release") == world_notes(&w, "proxyd.1 adopt"));
	assert_int_equal(pid_of("proxyd.1"), before[0]);
	assert_int_equal(pid_of("writerd"), before[1]);
	assert_int_equal(pid_of("clusterd"), before[2]);
	assert_string_equal(seat_of("proxyd.0")->last_exit, "signal 9 (KILL)");
	assert_int_equal(seat_of("proxyd.0")->restart.starts, 2);
}

static void test_slots_without_rings_are_free_at_once(void **state)
{
	uint32_t unused;

	(void)state;
	start(1);
	unused = identity_count(&w.segment.shm, SHM_SLOT_FREE);
	(void)kill(pid_of("clusterd"), SIGKILL);
	WORLD_UNTIL(&w, w.gone == 1);
	WORLD_UNTIL(&w, world_all_ready(&w));
	assert_int_equal(identity_count(&w.segment.shm, SHM_SLOT_FREE), unused);
	assert_int_equal(identity_count(&w.segment.shm, SHM_SLOT_DEAD), 0);
}

static void test_crash_loop_backs_off_alone(void **state)
{
	struct seat *bad;
	pid_t steady;

	(void)state;
	begin(2);
	bad = seat_of("proxyd.1");
	(void)close(bad->config_fd);
	bad->config_fd = config_of("crash");
	crew_start(&w.crew);
	WORLD_UNTIL(&w, pid_of("proxyd.0") != 0);
	steady = pid_of("proxyd.0");
	WORLD_UNTIL(&w, restart_is_loop(&bad->restart));
	assert_int_equal(pid_of("proxyd.0"), steady);
	assert_int_equal(w.crew.adopt.carrier[1], 0);
	assert_int_equal(bad->exit_code, 3);
	WORLD_UNTIL(&w, bad->state == SEAT_BACKOFF);
	assert_true(bad->pause_until_mono_ms > 0);
	assert_string_equal(seat_state_text(bad), "backoff");
}

static void test_never_ready_is_killed(void **state)
{
	struct seat *seat;

	(void)state;
	begin(1);
	seat = seat_of("proxyd.0");
	(void)close(seat->config_fd);
	seat->config_fd = config_of("mute");
	w.conf.ready_timeout_ms = 150;
	seat_feed(seat, SEAT_EV_START);
	WORLD_UNTIL(&w, w.gone >= 1);
	assert_non_null(strstr(seat->last_exit, "did not become ready"));
	assert_non_null(strstr(seat->last_exit, "signal 9"));
}

static void test_ready_twice_costs_the_channel(void **state)
{
	(void)state;
	begin(1);
	(void)close(seat_of("discoveryd")->config_fd);
	seat_of("discoveryd")->config_fd = config_of("twice");
	crew_start(&w.crew);
	WORLD_UNTIL(&w, w.gone >= 1);
	assert_string_equal(seat_of("discoveryd")->last_exit, "exit 0: it said READY twice");
}

static void test_roll_starts_the_successor_first(void **state)
{
	struct bf_err err = {0};
	pid_t old;

	(void)state;
	start(2);
	old = pid_of("proxyd.0");
	assert_int_equal(crew_roll(seat_of("proxyd.0"), -1, &err), 0);
	assert_int_equal(crew_roll(seat_of("proxyd.0"), -1, &err), BF_E_STATE);
	assert_int_equal(pid_of("proxyd.0"), old);
	WORLD_UNTIL(&w, w.rolled_ok == 1);
	assert_int_not_equal(pid_of("proxyd.0"), old);
	WORLD_UNTIL(&w, w.gone == 1);
	assert_int_equal(world_notes(&w, "proxyd.0 drain"), 1);
	assert_int_equal(seat_of("proxyd.0")->state, SEAT_READY);
	assert_int_equal(w.rolled_failed, 0);
}

/* The successor is ready and the predecessor was told to let nobody in; one turn of the loop at a
 * time, so that it is seen however long this process sleeps in between. */
static void until_closing(const struct seat *seat)
{
	int64_t end = bf_mono_ms() + 60000;

	while (!seat->closing) {
		assert_true(bf_mono_ms() < end);
		(void)ev_run(w.loop, EVRUN_NOWAIT);
		(void)usleep(200);
	}
}

/* Over when the predecessor lets nobody in any more, though it has requests to finish; one that
 * does not say so is waited for a while. */
static void test_roll_waits_for_the_door(void **state)
{
	struct bf_err err = {0};
	int drains = config_of("drains"), open = config_of("open");
	struct seat *seat;
	int64_t begun;

	(void)state;
	start(1);
	seat = seat_of("proxyd.0");
	w.conf.drain_timeout_ms = 60000;
	assert_int_equal(crew_roll(seat, drains, &err), 0);
	WORLD_UNTIL(&w, w.rolled_ok == 1 && w.gone == 1);
	assert_int_equal(crew_roll(seat, open, &err), 0);
	until_closing(seat);
	ev_timer_stop(w.loop, &seat->closing_wait); /* it says so itself */
	WORLD_UNTIL(&w, w.rolled_ok == 2);
	assert_int_equal(seat_leaving(seat), 1);
	assert_int_equal(world_notes(&w, "proxyd.0 drain"), 2);
	begun = bf_mono_ms();
	assert_int_equal(crew_roll(seat, -1, &err), 0);
	until_closing(seat);
	assert_int_equal(w.rolled_ok, 2);
	assert_int_equal(crew_roll(seat, -1, &err), BF_E_STATE);
	WORLD_UNTIL(&w, w.rolled_ok == 3);
	assert_true(bf_mono_ms() - begun >= SEAT_CLOSING_MS);
	assert_int_equal(seat_leaving(seat), 2);
	/* Nor is one waited for that dies. */
	assert_int_equal(crew_roll(seat, -1, &err), 0);
	until_closing(seat);
	ev_timer_stop(w.loop, &seat->closing_wait);
	(void)kill(seat->closing->pid, SIGKILL);
	WORLD_UNTIL(&w, w.rolled_ok == 4);
	assert_int_equal(w.rolled_failed, 0);
	(void)close(drains);
	(void)close(open);
}

static void test_roll_that_fails_changes_nothing(void **state)
{
	struct bf_err err = {0};
	int bad = config_of("crash");
	pid_t old;

	(void)state;
	start(2);
	old = pid_of("proxyd.0");
	assert_int_equal(crew_roll(seat_of("proxyd.0"), bad, &err), 0);
	WORLD_UNTIL(&w, w.rolled_failed == 1);
	assert_int_equal(pid_of("proxyd.0"), old);
	assert_int_equal(world_notes(&w, "proxyd.0 drain"), 0);
	/* The configuration in force is still the good one. */
	(void)kill(old, SIGKILL);
	WORLD_UNTIL(&w, w.gone == 2);
	WORLD_UNTIL(&w, world_all_ready(&w));
	(void)close(bad);
}

static void test_swap_that_fails_goes_back(void **state)
{
	struct bf_err err = {0};
	int bad = config_of("crash");

	(void)state;
	start(1);
	assert_int_equal(crew_roll(seat_of("writerd"), bad, &err), 0);
	WORLD_UNTIL(&w, w.rolled_failed == 1);
	WORLD_UNTIL(&w, world_all_ready(&w));
	assert_int_equal(world_notes(&w, "writerd.0 stop"), 1);
	assert_int_equal(world_notes(&w, "writerd.0 hello"), 2);
	(void)close(bad);
}

/* The running process dies while its successor is on its way: the successor serves. */
static void test_death_during_a_roll(void **state)
{
	struct bf_err err = {0};
	pid_t old;

	(void)state;
	start(2);
	old = pid_of("proxyd.0");
	assert_int_equal(crew_roll(seat_of("proxyd.0"), -1, &err), 0);
	(void)kill(old, SIGKILL);
	WORLD_UNTIL(&w, w.rolled_ok == 1 && w.gone == 1);
	WORLD_UNTIL(&w, world_all_ready(&w));
	assert_int_not_equal(pid_of("proxyd.0"), old);
}

static void test_predecessors_are_bounded(void **state)
{
	struct bf_err err = {0};
	int deaf = config_of("deaf");

	(void)state;
	start(1);
	w.conf.drain_timeout_ms = 60000;
	for (unsigned i = 0; i <= CREW_MAX_LEAVING; i++) {
		assert_int_equal(crew_roll(seat_of("proxyd.0"), deaf, &err), 0);
		WORLD_UNTIL(&w, w.rolled_ok == i + 1);
	}
	/* The first one obeyed; those after it do not hear. */
	WORLD_UNTIL(&w, seat_leaving(seat_of("proxyd.0")) == CREW_MAX_LEAVING);
	assert_int_equal(crew_roll(seat_of("proxyd.0"), deaf, &err), BF_E_FULL);
	assert_non_null(strstr(err.text, "still finish"));
	(void)close(deaf);
}

static void test_without_slots_workers_wait(void **state)
{
	uint32_t taken[SHM_PROC_SLOTS], n = 0;
	struct seat *seat;

	(void)state;
	begin(1);
	while (identity_count(&w.segment.shm, SHM_SLOT_FREE) > IDENTITY_RESERVE) {
		int slot = shm_slot_assign(&w.segment.shm, BF_ROLE_PROXYD, 0);

		assert_true(slot >= 0);
		taken[n++] = (uint32_t)slot;
	}
	crew_start(&w.crew);
	seat = seat_of("proxyd.0");
	/* The others start from the reserve. */
	WORLD_UNTIL(&w, pid_of("writerd") && pid_of("clusterd") && pid_of("discoveryd"));
	assert_true(seat->no_slot);
	assert_non_null(strstr(seat->last_exit, "no free process slot"));
	for (uint32_t i = 0; i < n; i++) {
		shm_slot_dead(&w.segment.shm, taken[i]);
		assert_int_equal(shm_slot_free(&w.segment.shm, taken[i]), 0);
	}
	crew_slots_freed(&w.crew);
	WORLD_UNTIL(&w, world_all_ready(&w));
	assert_false(seat->no_slot);
}

static void test_deaf_child_is_stopped_then_killed(void **state)
{
	struct seat *seat;

	(void)state;
	begin(1);
	w.conf.drain_timeout_ms = 100;
	seat = seat_of("proxyd.0");
	(void)close(seat->config_fd);
	seat->config_fd = config_of("deaf");
	crew_start(&w.crew);
	WORLD_UNTIL(&w, world_all_ready(&w));
	w.crew.closing = true;
	(void)crew_close(&w.crew, 0);
	WORLD_UNTIL(&w, w.gone == 1);
	assert_non_null(strstr(seat->last_exit, "signal 9"));
}

static void test_killing_all_at_once(void **state)
{
	(void)state;
	start(2);
	w.crew.closing = true;
	for (uint8_t order = 0; order < PLAN_STOP_ORDERS; order++) {
		(void)crew_close(&w.crew, order);
		crew_feed(&w.crew, order, CHILD_EV_KILL, "enough");
	}
	WORLD_UNTIL(&w, w.gone == 6);
	assert_non_null(strstr(seat_of("clusterd")->last_exit, "enough"));
}

static void test_a_stranger_is_not_reaped(void **state)
{
	(void)state;
	start(1);
	assert_false(crew_reaped(&w.crew, 999999, 0));
	assert_true(child_accepts(seat_of("proxyd.0")->serving));
	seat_of("proxyd.0")->serving->stalled = true;
	assert_false(child_accepts(seat_of("proxyd.0")->serving));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_all_become_ready_and_leave_in_order, teardown),
	    cmocka_unit_test_teardown(test_death_is_followed_in_order, teardown),
	    cmocka_unit_test_teardown(test_slots_without_rings_are_free_at_once, teardown),
	    cmocka_unit_test_teardown(test_crash_loop_backs_off_alone, teardown),
	    cmocka_unit_test_teardown(test_never_ready_is_killed, teardown),
	    cmocka_unit_test_teardown(test_ready_twice_costs_the_channel, teardown),
	    cmocka_unit_test_teardown(test_roll_starts_the_successor_first, teardown),
	    cmocka_unit_test_teardown(test_roll_waits_for_the_door, teardown),
	    cmocka_unit_test_teardown(test_roll_that_fails_changes_nothing, teardown),
	    cmocka_unit_test_teardown(test_swap_that_fails_goes_back, teardown),
	    cmocka_unit_test_teardown(test_death_during_a_roll, teardown),
	    cmocka_unit_test_teardown(test_predecessors_are_bounded, teardown),
	    cmocka_unit_test_teardown(test_without_slots_workers_wait, teardown),
	    cmocka_unit_test_teardown(test_deaf_child_is_stopped_then_killed, teardown),
	    cmocka_unit_test_teardown(test_killing_all_at_once, teardown),
	    cmocka_unit_test_teardown(test_a_stranger_is_not_reaped, teardown),
	};

	fake_child_main();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

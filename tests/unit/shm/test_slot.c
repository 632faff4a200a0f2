/* Process slots: every arrow, every arrow that is none, and who may do what. */
#include "fixture.h"

#include "shm/health.h"
#include "shm/parts.h"

static enum shm_slot_state state_of(struct fixture *f, uint32_t p)
{
	struct shm_slot_info i;

	shm_slot_info(&f->seg, p, &i);
	return i.state;
}

static void life_of_a_slot(void **state)
{
	struct fixture *f = *state;
	struct shm_slot_info i;
	int p = shm_slot_assign(&f->seg, 3, 7);

	assert_int_equal(p, 1);
	shm_slot_info(&f->seg, 1, &i);
	assert_int_equal(i.state, SHM_SLOT_ASSIGNED);
	assert_int_equal(i.pid, 0);
	shm_slot_set_pid(&f->seg, 1, 4242);
	shm_slot_info(&f->seg, 1, &i);
	assert_int_equal(i.pid, 4242);
	assert_int_equal(shm_slot_enter(&f->seg, 1, 4243, 5, 6), BF_E_STATE); /* somebody else's */
	assert_int_equal(shm_slot_enter(&f->seg, 1, 4242, 5, 6), 0);
	assert_int_equal(shm_slot_enter(&f->seg, 1, 4242, 5, 6), BF_E_STATE);
	shm_slot_beat(&f->seg, 1, 99);
	shm_slot_info(&f->seg, 1, &i);
	assert_int_equal(i.state, SHM_SLOT_LIVE);
	assert_int_equal(i.role, 3);
	assert_int_equal(i.index, 7);
	assert_int_equal(i.incarnation, 1);
	assert_int_equal(i.started_wall_ns, 5);
	assert_int_equal(i.heartbeat_mono_ns, 99);
	assert_int_equal(shm_slot_free(&f->seg, 1), BF_E_STATE); /* it lives */
	shm_slot_dead(&f->seg, 1);
	shm_slot_dead(&f->seg, 1);
	assert_int_equal(state_of(f, 1), SHM_SLOT_DEAD);
	assert_int_equal(shm_slot_enter(&f->seg, 1, 4242, 5, 6), BF_E_STATE);
	assert_int_equal(shm_slot_free(&f->seg, 1), 0);
	assert_int_equal(shm_slot_free(&f->seg, 1), BF_E_STATE);
	assert_int_equal(shm_slot_assign(&f->seg, 4, 0), 1);
	shm_slot_info(&f->seg, 1, &i);
	assert_int_equal(i.incarnation, 2);
	assert_int_equal(i.pid, 0);
	assert_int_equal(i.heartbeat_mono_ns, 0);
}

static void child_faster_than_its_parent(void **state)
{
	struct fixture *f = *state;
	struct shm_slot_info i;

	assert_int_equal(shm_slot_assign(&f->seg, 3, 7), 1);
	assert_int_equal(shm_slot_enter(&f->seg, 1, 55, 5, 6), 0);
	shm_slot_set_pid(&f->seg, 1, 55);
	shm_slot_info(&f->seg, 1, &i);
	assert_int_equal(i.pid, 55);
}

static void dead_before_it_lived(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(shm_slot_assign(&f->seg, 3, 7), 1);
	assert_int_equal(shm_slot_free(&f->seg, 1), BF_E_STATE);
	shm_slot_dead(&f->seg, 1);
	assert_int_equal(shm_slot_free(&f->seg, 1), 0);
}

static void all_slots_taken(void **state)
{
	struct fixture *f = *state;

	for (int i = 1; i < (int)SHM_PROC_SLOTS; i++)
		assert_int_equal(shm_slot_assign(&f->seg, 3, 7), i);
	assert_int_equal(shm_slot_assign(&f->seg, 3, 7), -1);
	shm_slot_dead(&f->seg, 30);
	assert_int_equal(shm_slot_assign(&f->seg, 3, 7), -1); /* dead is not free */
	assert_int_equal(shm_slot_free(&f->seg, 30), 0);
	assert_int_equal(shm_slot_assign(&f->seg, 3, 7), 30);
}

static void new_supervisor_finds_nobody_alive(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(shm_slot_assign(&f->seg, 3, 7), 1);
	assert_int_equal(shm_slot_assign(&f->seg, 3, 8), 2);
	shm_slot_dead(&f->seg, 2);
	assert_int_equal(shm_slot_free(&f->seg, 2), 0);
	shm_slot_all_dead(&f->seg);
	assert_int_equal(state_of(f, 0), SHM_SLOT_DEAD);
	assert_int_equal(state_of(f, 1), SHM_SLOT_DEAD);
	assert_int_equal(state_of(f, 2), SHM_SLOT_FREE);
}

static void out_of_range(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(shm_slot_enter(&f->seg, SHM_PROC_SLOTS, 1, 1, 1), BF_E_STATE);
	assert_int_equal(shm_slot_enter(&f->seg, UINT32_MAX, 1, 1, 1), BF_E_STATE);
	assert_int_equal(shm_slot_free(&f->seg, SHM_PROC_SLOTS), BF_E_STATE);
	assert_string_equal(shm_slot_state_name(SHM_SLOT_LIVE), "live");
	assert_string_equal(shm_slot_state_name(SHM_SLOT_STATE_COUNT), "unknown");
}

static void impossible_states_are_found(void **state)
{
	struct fixture *f = *state;
	struct bf_err err;

	f->seg.map->slots[9].state = 1 << 8 | 77; /* mo: one thread here */
	assert_int_equal(shm_segment_valid(&f->seg, &err), BF_E_CORRUPT);
	assert_non_null(strstr(err.text, "process slot 9"));
	f->seg.map->slots[9].state = SHM_SLOT_LIVE; /* mo: held, but never assigned */
	assert_int_equal(shm_segment_valid(&f->seg, &err), BF_E_CORRUPT);
}

static void health_of_the_living(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(shm_slot_assign(&f->seg, 3, 7), 1);
	assert_int_equal(shm_slot_enter(&f->seg, 1, 5, 1, 1), 0);
	shm_health_set(&f->seg, 0, SHM_H_STORE_FAILING, true);
	shm_health_set(&f->seg, 1, SHM_H_CHILD_MISSING, true);
	shm_health_set(&f->seg, 1, SHM_H_STORE_FAILING, true);
	assert_int_equal(shm_health_all(&f->seg),
			 UINT64_C(1) << SHM_H_STORE_FAILING | UINT64_C(1) << SHM_H_CHILD_MISSING);
	shm_health_set(&f->seg, 0, SHM_H_STORE_FAILING, false);
	assert_int_equal(shm_health_all(&f->seg),
			 UINT64_C(1) << SHM_H_STORE_FAILING | UINT64_C(1) << SHM_H_CHILD_MISSING);
	shm_slot_dead(&f->seg, 1);
	assert_int_equal(shm_health_all(&f->seg), 0);
	assert_int_equal(shm_slot_free(&f->seg, 1), 0);
	assert_int_equal(shm_slot_assign(&f->seg, 3, 7), 1);
	assert_int_equal(shm_slot_enter(&f->seg, 1, 5, 1, 1), 0);
	assert_int_equal(shm_health_all(&f->seg), 0); /* the next holder inherits no reasons */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FIXTURE_TEST(life_of_a_slot),
	    FIXTURE_TEST(child_faster_than_its_parent),
	    FIXTURE_TEST(dead_before_it_lived),
	    FIXTURE_TEST(all_slots_taken),
	    FIXTURE_TEST(new_supervisor_finds_nobody_alive),
	    FIXTURE_TEST(out_of_range),
	    FIXTURE_TEST(impossible_states_are_found),
	    FIXTURE_TEST(health_of_the_living),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

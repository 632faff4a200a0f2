/* A look before an admission: the same answer, and nothing written. */
#include "fixture.h"

#include "shm/inflight.h"
#include "shm/meter.h"
#include "shm/meter_word.h"

static struct shm_meter_want wants[4];

static int look_setup(void **state)
{
	int r = fixture_setup(state);
	struct fixture *f = *state;

	for (uint32_t k = 0; k < 4; k++) {
		uint32_t config =
		    shm_meter_configure(&f->seg, 10 + k, 10 * (k + 1), false, true, 7);
		wants[k] = (struct shm_meter_want){
		    .meter = 10 + k, .config = config, .epoch = 7, .amount = 5};
	}
	return r;
}

#define LOOK_TEST(fn) cmocka_unit_test_setup_teardown(fn, look_setup, fixture_teardown)

static enum shm_meter_verdict look(const struct fixture *f, unsigned *which, int64_t *room)
{
	struct shm_segment ro;
	enum shm_meter_verdict v;

	/* A map that cannot be written: the proof that it only reads. */
	assert_int_equal(shm_segment_attach(f->fd, true, NULL, &ro, NULL), 0);
	v = shm_meter_look(&ro, wants, 4, which, room);
	shm_segment_detach(&ro);
	return v;
}

static void room_of_each_want(void **state)
{
	struct fixture *f = *state;
	int64_t room[4];
	unsigned which = 9;

	assert_int_equal(look(f, &which, room), SHM_METER_OK);
	for (int k = 0; k < 4; k++)
		assert_int_equal(room[k], 10 * (k + 1));
	wants[1].amount = 20;
	assert_int_equal(look(f, &which, NULL), SHM_METER_OK);
	wants[1].amount = 21;
	assert_int_equal(look(f, &which, NULL), SHM_METER_REFUSED);
	assert_int_equal(which, 1);
	/* The first that says no is told; the rooms of all. */
	wants[3].amount = 41;
	assert_int_equal(look(f, &which, room), SHM_METER_REFUSED);
	assert_int_equal(which, 1);
	assert_int_equal(room[3], 40);
}

static void room_follows_what_is_held(void **state)
{
	struct fixture *f = *state;
	struct shm_usage_record r = fixture_record(1);
	struct shm_meter_writer w;
	int64_t room[4], more[4] = {5, 0, 0, 0}, all[4] = {30, 0, 5, 5};
	unsigned which = 9;
	int entry = shm_inflight_begin(&f->seg, f->p, &r);

	shm_meter_enter(&w, &f->seg, f->p);
	assert_int_equal(shm_meter_admit(&w, entry, wants, 4, &which), SHM_METER_OK);
	assert_int_equal(shm_meter_extend(&w, entry, more, NULL, &which), SHM_METER_OK);
	assert_int_equal(look(f, &which, room), SHM_METER_REFUSED);
	assert_int_equal(which, 0);
	assert_int_equal(room[0], 0);
	assert_int_equal(room[1], 15);
	shm_meter_closing(&w, entry, all);
	shm_meter_close(&w, entry);
	assert_int_equal(look(f, &which, room), SHM_METER_REFUSED);
	assert_int_equal(room[0], -20); /* so much more was used than is allowed */
	assert_int_equal(room[1], 20);
	/* The next window is empty, and looking does not turn it. */
	wants[0].epoch = 8;
	assert_int_equal(look(f, &which, room), SHM_METER_OK);
	assert_int_equal(room[0], 10);
	wants[0].epoch = 7;
	assert_int_equal(look(f, &which, room), SHM_METER_REFUSED);
}

static void other_nodes_and_grants_count(void **state)
{
	struct fixture *f = *state;
	int64_t room[4];
	unsigned which = 9;

	shm_meter_set_remote(&f->seg, 10, 7, 4);
	shm_meter_set_remote(&f->seg, 11, 6, 4);
	wants[2].config = shm_meter_configure(&f->seg, 12, 30, true, false, 0);
	shm_meter_set_allowance(&f->seg, 12, 7, 12);
	assert_int_equal(look(f, &which, room), SHM_METER_OK);
	assert_int_equal(room[0], 6);
	assert_int_equal(room[1], 20);
	assert_int_equal(room[2], 12);
}

/* Also where it is more than the limit; an older window's does not count. */
static void what_was_missed_counts(void **state)
{
	struct fixture *f = *state;
	int64_t room[4];
	unsigned which = 9;

	shm_meter_set_missed(&f->seg, 10, 7, 4);
	shm_meter_set_missed(&f->seg, 11, 6, 4);
	assert_int_equal(look(f, &which, room), SHM_METER_OK);
	assert_int_equal(room[0], 6);
	assert_int_equal(room[1], 20);
	shm_meter_set_missed(&f->seg, 10, 7, 14);
	assert_int_equal(look(f, &which, room), SHM_METER_REFUSED);
	assert_int_equal(room[0], -4);
}

static void stale_and_changing(void **state)
{
	struct fixture *f = *state;
	int64_t room[4];
	unsigned which = 9;

	(void)shm_meter_configure(&f->seg, 12, 33, false, false, 0);
	assert_int_equal(shm_meter_limit(&f->seg, 12), 33);
	assert_int_equal(look(f, &which, room), SHM_METER_STALE);
	assert_int_equal(which, 2);
	assert_int_equal(room[3], 40);
	/* A setter died in the middle, and the want was looked up then. */
	atomic_fetch_add(&f->seg.map->meters[12].config, 1);
	wants[2].config = shm_meter_config(&f->seg, 12);
	assert_int_equal(look(f, &which, room), SHM_METER_BUSY);
	assert_int_equal(which, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LOOK_TEST(room_of_each_want),
	    LOOK_TEST(room_follows_what_is_held),
	    LOOK_TEST(other_nodes_and_grants_count),
	    LOOK_TEST(what_was_missed_counts),
	    LOOK_TEST(stale_and_changing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

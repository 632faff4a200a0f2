/* The directory of meters: searches, places, lives of a place, deaths in between, and who still
 * names a meter. */
#include "fixture.h"

#include "shm/inflight.h"
#include "shm/meter.h"
#include "shm/meter_word.h"

#define FAR UINT64_C(0xabcdef0000000000)

static uint32_t open_meter(struct fixture *f, uint64_t identity, int64_t limit)
{
	uint32_t m = SHM_METER_NOWHERE;
	bool fresh = false;

	assert_int_equal(shm_meter_place(&f->seg, identity, &m, &fresh), 0);
	if (fresh)
		shm_meter_load(&f->seg, m, 7, 0);
	if (!shm_meter_configured(&f->seg, m, limit, false))
		(void)shm_meter_configure(&f->seg, m, limit, false, false, 0);
	shm_meter_open(&f->seg, m, identity, SHM_METER_REQUESTS);
	return m;
}

static int64_t value_of(struct fixture *f, uint32_t m)
{
	struct shm_meter_info info;

	assert_true(shm_meter_read(&f->seg, m, &info));
	return info.value;
}

static void found_only_once_it_is_open(void **state)
{
	struct fixture *f = *state;
	uint32_t m, again, config = 0;
	bool fresh;

	assert_int_equal(shm_meter_find(&f->seg, FAR | 9), SHM_METER_NOWHERE);
	assert_int_equal(shm_meter_place(&f->seg, FAR | 9, &m, &fresh), 0);
	assert_true(fresh);
	assert_int_equal(m, 9);
	assert_int_equal(shm_meter_find(&f->seg, FAR | 9), SHM_METER_NOWHERE);
	/* Whoever began it died: the next one finds it as it was. */
	assert_int_equal(shm_meter_place(&f->seg, FAR | 9, &again, &fresh), 0);
	assert_true(fresh);
	assert_int_equal(again, m);
	shm_meter_load(&f->seg, m, 5, 33);
	(void)shm_meter_configure(&f->seg, m, 100, false, false, 0);
	assert_int_equal(shm_meter_find(&f->seg, FAR | 9), SHM_METER_NOWHERE);
	shm_meter_open(&f->seg, m, FAR | 9, SHM_METER_TOKENS);
	assert_int_equal(shm_meter_find(&f->seg, FAR | 9), m);
	assert_int_equal(shm_meter_resolve(&f->seg, FAR | 9, &config), m);
	assert_int_equal(config, shm_meter_config(&f->seg, m));
	assert_int_equal(shm_meter_identity(&f->seg, m), FAR | 9);
	assert_int_equal(shm_meter_quantity(&f->seg, m), SHM_METER_TOKENS);
	assert_int_equal(value_of(f, m), 33);
	assert_int_equal(shm_meter_place(&f->seg, FAR | 9, &again, &fresh), 0);
	assert_false(fresh);
	assert_int_equal(again, m);
}

static void neighbours_share_a_chain(void **state)
{
	struct fixture *f = *state;
	uint32_t m[SHM_METER_PROBES], extra;
	bool fresh;

	/* The last places of the table, so that the chain goes round. */
	for (uint64_t i = 0; i < SHM_METER_PROBES; i++)
		m[i] = open_meter(f, (i + 1) << 32 | (SHM_METERS - 30), 10);
	for (uint64_t i = 0; i < SHM_METER_PROBES; i++) {
		assert_int_equal(m[i], (SHM_METERS - 30 + i) % SHM_METERS);
		assert_int_equal(shm_meter_find(&f->seg, (i + 1) << 32 | (SHM_METERS - 30)), m[i]);
	}
	assert_int_equal(shm_meter_place(&f->seg, FAR | (SHM_METERS - 30), &extra, &fresh),
			 BF_E_FULL);
	assert_int_equal(shm_meter_find(&f->seg, FAR | (SHM_METERS - 30)), SHM_METER_NOWHERE);
	/* One in the middle goes: those behind it are found as before, and its place is next. */
	shm_meter_retire(&f->seg, m[20]);
	assert_int_equal(shm_meter_collect(&f->seg), 0);
	assert_int_equal(shm_meter_find(&f->seg, UINT64_C(64) << 32 | (SHM_METERS - 30)), m[63]);
	assert_int_equal(shm_meter_place(&f->seg, FAR | (SHM_METERS - 30), &extra, &fresh), 0);
	assert_int_equal(extra, m[20]);
}

static void the_end_of_a_chain_is_cut(void **state)
{
	struct fixture *f = *state;
	uint32_t m[5];

	for (uint64_t i = 0; i < 5; i++)
		m[i] = open_meter(f, (i + 1) << 32 | 100, 10);
	for (int i = 1; i < 4; i++)
		shm_meter_retire(&f->seg, m[i]);
	assert_int_equal(shm_meter_collect(&f->seg), 0);
	assert_int_equal(atomic_load(&f->seg.map->meters[103].owner), 1);
	shm_meter_retire(&f->seg, m[4]);
	assert_int_equal(shm_meter_collect(&f->seg), 0);
	for (int i = 1; i < 5; i++)
		assert_int_equal(atomic_load(&f->seg.map->meters[100 + i].owner), 0);
	assert_int_equal(shm_meter_find(&f->seg, UINT64_C(1) << 32 | 100), m[0]);
}

static void what_was_never_used_takes_no_memory(void **state)
{
	struct fixture *f = *state;
	size_t before;

	(void)open_meter(f, FAR | 5, 10);
	before = fixture_touched(f);
	for (uint64_t i = 1; i < 200; i++)
		assert_int_equal(shm_meter_find(&f->seg, FAR | i * 4096), SHM_METER_NOWHERE);
	for (uint32_t i = 1; i < 200; i++)
		assert_int_equal(shm_meter_identity(&f->seg, i * 4096), 0);
	assert_int_equal(shm_meter_next(&f->seg, 0), 5);
	assert_int_equal(shm_meter_next(&f->seg, 6), SHM_METER_NOWHERE);
	assert_int_equal(fixture_touched(f), before);
}

static void a_retired_meter_may_come_back(void **state)
{
	struct fixture *f = *state;
	struct shm_usage_record r = fixture_record(1);
	struct shm_meter_want want = {.epoch = 7, .amount = 4};
	struct shm_meter_writer w;
	uint32_t again;
	unsigned which;
	bool fresh;
	int entry = shm_inflight_begin(&f->seg, f->p, &r);

	want.meter = open_meter(f, FAR | 77, 10);
	want.config = shm_meter_config(&f->seg, want.meter);
	shm_meter_enter(&w, &f->seg, f->p);
	assert_int_equal(shm_meter_admit(&w, entry, &want, 1, &which), SHM_METER_OK);
	shm_meter_retire(&f->seg, want.meter);
	shm_meter_retire(&f->seg, want.meter);
	assert_int_equal(shm_meter_find(&f->seg, FAR | 77), SHM_METER_NOWHERE);
	assert_int_equal(shm_meter_look(&f->seg, &want, 1, &which, NULL), SHM_METER_STALE);
	/* It is held: neither freed nor forgotten. */
	assert_int_equal(shm_meter_collect(&f->seg), 1);
	assert_int_equal(shm_meter_identity(&f->seg, want.meter), FAR | 77);
	assert_int_equal(shm_meter_quantity(&f->seg, want.meter), SHM_METER_REQUESTS);
	assert_int_equal(shm_meter_place(&f->seg, FAR | 77, &again, &fresh), 0);
	assert_false(fresh);
	assert_int_equal(again, want.meter);
	assert_int_equal(value_of(f, again), 4);
	shm_meter_open(&f->seg, again, FAR | 77, SHM_METER_REQUESTS);
	assert_int_equal(shm_meter_find(&f->seg, FAR | 77), again);
	assert_int_equal(shm_meter_collect(&f->seg), 0);
	assert_int_equal(shm_meter_find(&f->seg, FAR | 77), again);
}

static void named_by_a_record_is_not_free(void **state)
{
	struct fixture *f = *state;
	uint32_t m = open_meter(f, FAR | 8, 10), other = open_meter(f, FAR | 9, 10);
	struct shm_usage_record r = fixture_record(1);

	r.meter_count = 1;
	r.meters[0] = m;
	r.meters[1] = other; /* beyond the count */
	assert_int_equal(shm_usage_push(&f->seg, f->p, &r), 0);
	shm_meter_retire(&f->seg, m);
	shm_meter_retire(&f->seg, other);
	assert_int_equal(shm_meter_collect(&f->seg), 1);
	assert_int_equal(shm_meter_identity(&f->seg, m), FAR | 8);
	assert_int_equal(shm_meter_identity(&f->seg, other), 0);
	shm_usage_release(&f->seg, f->p, 1);
	assert_int_equal(shm_meter_collect(&f->seg), 0);
	assert_int_equal(shm_meter_identity(&f->seg, m), 0);
	assert_int_equal(shm_meter_quantity(&f->seg, m), 0);
}

static void the_next_owner_of_a_place_knows_nothing_of_the_last(void **state)
{
	struct fixture *f = *state;
	uint32_t m = open_meter(f, FAR | 8, 10), old = shm_meter_config(&f->seg, m), config;
	struct shm_meter_info info;
	struct shm_meter_want want = {.meter = m, .config = old, .epoch = 7, .amount = 1};
	unsigned which;

	shm_meter_set_remote(&f->seg, m, 7, 9);
	shm_meter_set_missed(&f->seg, m, 7, 9);
	shm_meter_set_settled(&f->seg, m, 7, 9);
	shm_meter_retire(&f->seg, m);
	assert_int_equal(shm_meter_collect(&f->seg), 0);
	assert_int_equal(open_meter(f, (FAR | 8) + (UINT64_C(1) << 32), 10), m);
	assert_int_equal(shm_meter_find(&f->seg, FAR | 8), SHM_METER_NOWHERE);
	assert_int_equal(shm_meter_resolve(&f->seg, FAR | 8, &config), SHM_METER_NOWHERE);
	assert_int_equal(shm_meter_look(&f->seg, &want, 1, &which, NULL), SHM_METER_STALE);
	want.config = shm_meter_config(&f->seg, m);
	want.amount = 10;
	assert_int_equal(shm_meter_look(&f->seg, &want, 1, &which, NULL), SHM_METER_OK);
	assert_true(shm_meter_read(&f->seg, m, &info));
	assert_int_equal(info.settled, 0);
}

static void never_opened_and_not_wanted_any_more(void **state)
{
	struct fixture *f = *state;
	uint32_t m;
	bool fresh;

	assert_int_equal(shm_meter_place(&f->seg, FAR | 3, &m, &fresh), 0);
	shm_meter_retire(&f->seg, m);
	assert_int_equal(shm_meter_identity(&f->seg, m), 0);
	assert_int_equal(atomic_load(&f->seg.map->meters[m].owner), 0);
	assert_int_equal(shm_meter_place(&f->seg, FAR | 3, &m, &fresh), 0);
	shm_meter_free(&f->seg, m);
	assert_int_equal(shm_meter_next(&f->seg, 0), SHM_METER_NOWHERE);
}

/* A configuration cut off between any two of its stores is not taken for a whole one. */
static void half_configured_is_not_configured(void **state)
{
	struct fixture *f = *state;
	uint32_t m = open_meter(f, FAR | 3, 10);

	assert_true(shm_meter_configured(&f->seg, m, 10, false));
	assert_false(shm_meter_configured(&f->seg, m, 11, false));
	assert_false(shm_meter_configured(&f->seg, m, 10, true));
	atomic_fetch_add(&f->seg.map->meters[m].config, 1);
	assert_false(shm_meter_configured(&f->seg, m, 10, false));
	(void)shm_meter_configure(&f->seg, m, 10, false, false, 0);
	assert_true(shm_meter_configured(&f->seg, m, 10, false));
}

/* Many lives of many identities on few chains, against a plain list of who is open. */
static void random_lives_agree_with_a_list(void **state)
{
	struct fixture *f = *state;
	bool open[120] = {false}, full = false;
	uint64_t random = 88172645463325252u;

	for (int step = 0; step < 20000; step++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		uint64_t i = random % 120, identity = (i + 1) << 32 | (500 + i % 3 * 10);
		uint32_t m = shm_meter_find(&f->seg, identity);

		assert_int_equal(m != SHM_METER_NOWHERE, open[i]);
		if (open[i]) {
			assert_int_equal(shm_meter_identity(&f->seg, m), identity);
			shm_meter_retire(&f->seg, m);
			open[i] = false;
		} else {
			bool fresh;
			int r = shm_meter_place(&f->seg, identity, &m, &fresh);
			full |= r == BF_E_FULL;
			if (r == 0) {
				(void)open_meter(f, identity, 10);
				open[i] = true;
			}
		}
		if (random % 50 == 0)
			assert_int_equal(shm_meter_collect(&f->seg), 0);
	}
	assert_true(full);
}

static void a_word_that_nobody_moved_is_turned(void **state)
{
	struct fixture *f = *state;
	uint32_t m = open_meter(f, FAR | 3, 10), half = METER_EPOCHS / 2;
	struct shm_meter_info info;

	(void)shm_meter_configure(&f->seg, m, 10, false, true, 100);
	shm_meter_set_settled(&f->seg, m, 100, 6);
	shm_meter_set_missed(&f->seg, m, 100, 5);
	assert_false(shm_meter_janitor(&f->seg, m, 100));
	assert_false(shm_meter_janitor(&f->seg, m, 100 + half));
	assert_false(shm_meter_janitor(&f->seg, m, 100 - METER_AHEAD));
	assert_true(shm_meter_read(&f->seg, m, &info));
	assert_int_equal(info.epoch, 100);
	assert_int_equal(info.settled, 6);
	assert_int_equal(info.missed, 5);
	assert_true(shm_meter_janitor(&f->seg, m, 101 + half));
	assert_true(shm_meter_read(&f->seg, m, &info));
	assert_int_equal(info.epoch, 101 + half);
	assert_int_equal(info.settled_epoch, 101 + half);
	assert_int_equal(info.settled, 0);
	assert_int_equal(info.missed, 0);
	assert_false(shm_meter_janitor(&f->seg, m, 101 + half));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FIXTURE_TEST(found_only_once_it_is_open),
	    FIXTURE_TEST(neighbours_share_a_chain),
	    FIXTURE_TEST(the_end_of_a_chain_is_cut),
	    FIXTURE_TEST(what_was_never_used_takes_no_memory),
	    FIXTURE_TEST(a_retired_meter_may_come_back),
	    FIXTURE_TEST(named_by_a_record_is_not_free),
	    FIXTURE_TEST(the_next_owner_of_a_place_knows_nothing_of_the_last),
	    FIXTURE_TEST(never_opened_and_not_wanted_any_more),
	    FIXTURE_TEST(half_configured_is_not_configured),
	    FIXTURE_TEST(random_lives_agree_with_a_list),
	    FIXTURE_TEST(a_word_that_nobody_moved_is_turned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Meters alone: room, windows, late settlements, configuration, and long random plays against a
 * reference that knows nothing of words and tags. Kills are the business of the stress programs. */
#include "fixture.h"

#include "shm/inflight.h"
#include "shm/meter.h"
#include "shm/meter_word.h"

static struct shm_meter_writer writer;
static uint32_t config;

static int meter_setup(void **state)
{
	int r = fixture_setup(state);
	struct fixture *f = *state;

	for (uint64_t i = 0; i < 16; i++) {
		struct shm_usage_record record = fixture_record(i);
		assert_int_equal(shm_inflight_begin(&f->seg, f->p, &record), (int)i);
	}
	shm_meter_enter(&writer, &f->seg, f->p);
	config = shm_meter_configure(&f->seg, 1, 100, false, true, 50);
	return r;
}

#define METER_TEST(fn) cmocka_unit_test_setup_teardown(fn, meter_setup, fixture_teardown)

static enum shm_meter_verdict admit(int entry, uint32_t m, uint32_t epoch, int64_t amount)
{
	const struct shm_meter_want want = {
	    .meter = m, .config = config, .epoch = epoch, .amount = amount};
	unsigned which = 99;

	return shm_meter_admit(&writer, entry, &want, 1, &which);
}

static void settle(int entry, int64_t actual)
{
	shm_meter_closing(&writer, entry, &actual);
	shm_meter_close(&writer, entry);
}

static int64_t value_of(struct fixture *f, uint32_t m)
{
	struct shm_meter_info info;

	assert_true(shm_meter_read(&f->seg, m, &info));
	return info.value;
}

static void the_last_unit_is_given_and_no_more(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(admit(0, 1, 50, 99), SHM_METER_OK);
	assert_int_equal(admit(1, 1, 50, 2), SHM_METER_REFUSED);
	assert_int_equal(admit(1, 1, 50, 1), SHM_METER_OK);
	assert_int_equal(admit(2, 1, 50, 1), SHM_METER_REFUSED);
	assert_int_equal(admit(2, 1, 50, 0), SHM_METER_OK);
	assert_int_equal(value_of(f, 1), 100);
	settle(0, 0);
	assert_int_equal(value_of(f, 1), 1);
	settle(1, 5); /* more than was reserved */
	assert_int_equal(value_of(f, 1), 5);
}

static void all_or_nothing(void **state)
{
	struct fixture *f = *state;
	struct shm_meter_want wants[SHM_METERS_PER_REQUEST];
	unsigned which = 0;

	for (uint32_t k = 0; k < SHM_METERS_PER_REQUEST; k++) {
		uint32_t c = shm_meter_configure(&f->seg, 10 + k, k == 39 ? 4 : 10, false, true, 7);
		wants[k] =
		    (struct shm_meter_want){.meter = 10 + k, .config = c, .epoch = 7, .amount = 5};
	}
	assert_int_equal(shm_meter_admit(&writer, 3, wants, 40, &which), SHM_METER_REFUSED);
	assert_int_equal(which, 39);
	for (uint32_t k = 0; k < 40; k++)
		assert_int_equal(value_of(f, 10 + k), 0);
	assert_int_equal(shm_meter_admit(&writer, 3, wants, 39, &which), SHM_METER_OK);
	for (uint32_t k = 0; k < 39; k++)
		assert_int_equal(value_of(f, 10 + k), 5);
}

static void a_new_window_begins_empty_and_late_settlements_are_dropped(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(admit(0, 1, 50, 100), SHM_METER_OK);
	assert_int_equal(admit(1, 1, 51, 70), SHM_METER_OK);
	assert_int_equal(value_of(f, 1), 70);
	settle(0, 3);
	assert_int_equal(value_of(f, 1), 70);
	/* A worker whose clock is behind charges the window that is. */
	assert_int_equal(admit(2, 1, 50, 40), SHM_METER_REFUSED);
	assert_int_equal(admit(2, 1, 50, 30), SHM_METER_OK);
	assert_int_equal(value_of(f, 1), 100);
	settle(2, 10);
	assert_int_equal(value_of(f, 1), 80);
}

static void epochs_come_round(void **state)
{
	struct fixture *f = *state;

	config = shm_meter_configure(&f->seg, 1, 100, false, true, METER_EPOCHS - 1);
	assert_int_equal(admit(0, 1, METER_EPOCHS - 1, 60), SHM_METER_OK);
	assert_int_equal(admit(1, 1, 0, 60), SHM_METER_OK);
	assert_int_equal(value_of(f, 1), 60);
	assert_int_equal(admit(2, 1, METER_EPOCHS - 1, 60), SHM_METER_REFUSED);
}

/* Who slept between its clock and the word must not begin an old window again. */
static void a_window_far_ahead_is_left_only_by_who_looked_at_its_clock_again(void **state)
{
	struct fixture *f = *state;
	struct shm_meter_info info;

	assert_int_equal(admit(0, 1, 50 + METER_AHEAD + 1, 60), SHM_METER_OK);
	assert_int_equal(admit(1, 1, 50, 1), SHM_METER_BUSY);
	assert_int_equal(value_of(f, 1), 60);
	/* Others went on meanwhile: another look. */
	assert_int_equal(admit(2, 1, 50 + METER_AHEAD + 1, 7), SHM_METER_OK);
	assert_int_equal(admit(1, 1, 50, 1), SHM_METER_BUSY);
	assert_int_equal(value_of(f, 1), 67);
	/* Nobody did: the word is of a clock that was wrong. */
	assert_int_equal(admit(1, 1, 50, 1), SHM_METER_OK);
	assert_int_equal(value_of(f, 1), 1);
	assert_true(shm_meter_read(&f->seg, 1, &info) && info.epoch == 50);
	/* Sixteen windows ahead it goes on as before. */
	assert_int_equal(admit(3, 1, 50 + METER_AHEAD, 5), SHM_METER_OK);
	assert_int_equal(admit(4, 1, 50, 5), SHM_METER_OK);
	assert_int_equal(value_of(f, 1), 10);
}

static void an_old_configuration_is_stale(void **state)
{
	struct fixture *f = *state;
	uint32_t old = config;

	assert_int_equal(admit(0, 1, 50, 60), SHM_METER_OK);
	config = shm_meter_configure(&f->seg, 1, 40, false, false, 0);
	assert_int_equal(value_of(f, 1), 60); /* not clipped */
	assert_int_equal(admit(1, 1, 50, 1), SHM_METER_REFUSED);
	config = old;
	assert_int_equal(admit(1, 1, 50, 1), SHM_METER_STALE);
	settle(0, 10);
	config = shm_meter_config(&f->seg, 1);
	assert_int_equal(admit(1, 1, 50, 30), SHM_METER_OK);
}

static void another_owner_never_sees_the_old_ones_settlement(void **state)
{
	struct fixture *f = *state;
	uint32_t next;

	assert_int_equal(admit(0, 1, 50, 60), SHM_METER_OK);
	next = shm_meter_next_epoch(&f->seg, 1);
	config = shm_meter_configure(&f->seg, 1, 100, false, true, next);
	assert_int_equal(value_of(f, 1), 0);
	assert_int_equal(admit(1, 1, next, 100), SHM_METER_OK);
	settle(0, 0);
	assert_int_equal(value_of(f, 1), 100);
}

static void other_nodes_and_grants_bound_what_is_left(void **state)
{
	struct fixture *f = *state;

	shm_meter_set_remote(&f->seg, 1, 50, 60);
	assert_int_equal(admit(0, 1, 50, 41), SHM_METER_REFUSED);
	assert_int_equal(admit(0, 1, 50, 40), SHM_METER_OK);
	assert_int_equal(admit(1, 1, 51, 100), SHM_METER_OK); /* theirs is of the old window */
	config = shm_meter_configure(&f->seg, 1, 1000, true, false, 0);
	assert_int_equal(admit(2, 1, 51, 1), SHM_METER_REFUSED); /* no grant */
	shm_meter_set_allowance(&f->seg, 1, 51, 150);
	assert_int_equal(admit(2, 1, 51, 50), SHM_METER_OK);
	assert_int_equal(admit(3, 1, 51, 1), SHM_METER_REFUSED);
	assert_int_equal(admit(3, 1, 52, 1), SHM_METER_REFUSED); /* grants die with their window */
}

/* Said again it changes nothing; a configuration keeps it; it ends with its window. */
static void what_was_missed_bounds_what_is_left(void **state)
{
	struct fixture *f = *state;
	struct shm_meter_info info;
	int64_t more = 10;
	unsigned which;

	shm_meter_set_missed(&f->seg, 1, 50, 60);
	shm_meter_set_missed(&f->seg, 1, 50, 60);
	assert_int_equal(admit(0, 1, 50, 41), SHM_METER_REFUSED);
	assert_int_equal(admit(0, 1, 50, 35), SHM_METER_OK);
	assert_int_equal(shm_meter_extend(&writer, 0, &more, NULL, &which), SHM_METER_REFUSED);
	assert_true(shm_meter_read(&f->seg, 1, &info));
	assert_int_equal(info.value, 35);
	assert_int_equal(shm_meter_counted(&info, 50), 95);
	assert_int_equal(shm_meter_counted(&info, 51), 0);
	assert_true(shm_meter_configured(&f->seg, 1, 100, false));
	config = shm_meter_configure(&f->seg, 1, 100, true, false, 0);
	shm_meter_set_allowance(&f->seg, 1, 50, 98);
	assert_int_equal(admit(1, 1, 50, 4), SHM_METER_REFUSED);
	assert_int_equal(admit(1, 1, 50, 3), SHM_METER_OK);
	config = shm_meter_configure(&f->seg, 1, 100, false, false, 0);
	assert_int_equal(admit(2, 1, 50, 3), SHM_METER_REFUSED);
	assert_int_equal(admit(2, 1, 50, 2), SHM_METER_OK);
	assert_int_equal(admit(3, 1, 51, 100), SHM_METER_OK);
}

/* Less than nothing missed: what the meter counted is forgiven, and what it holds is not. */
static void what_was_forgiven_is_to_be_had_again(void **state)
{
	struct fixture *f = *state;
	struct shm_meter_info info;
	int64_t actual = 70, more = 5;
	unsigned which;

	assert_int_equal(admit(0, 1, 50, 80), SHM_METER_OK);
	shm_meter_closing(&writer, 0, &actual);
	shm_meter_close(&writer, 0);
	assert_int_equal(admit(1, 1, 50, 30), SHM_METER_OK);
	assert_int_equal(admit(2, 1, 50, 1), SHM_METER_REFUSED);
	for (int times = 0; times < 2; times++)
		shm_meter_set_missed(&f->seg, 1, 50, -70);
	shm_meter_set_resets(&f->seg, 1, 50, 1);
	assert_true(shm_meter_read(&f->seg, 1, &info));
	assert_int_equal(shm_meter_counted(&info, 50), 30);
	assert_int_equal(info.resets, 1);
	assert_int_equal(info.resets_epoch, 50);
	assert_int_equal(admit(2, 1, 50, 71), SHM_METER_REFUSED);
	assert_int_equal(admit(2, 1, 50, 66), SHM_METER_OK);
	assert_int_equal(shm_meter_extend(&writer, 2, &more, NULL, &which), SHM_METER_REFUSED);
	more = 4;
	assert_int_equal(shm_meter_extend(&writer, 2, &more, NULL, &which), SHM_METER_OK);
	/* A configuration keeps it, and it ends with its window. */
	config = shm_meter_configure(&f->seg, 1, 101, false, false, 0);
	assert_int_equal(admit(3, 1, 50, 2), SHM_METER_REFUSED);
	assert_int_equal(admit(3, 1, 50, 1), SHM_METER_OK);
	shm_meter_set_missed(&f->seg, 1, 50, -SHM_METER_LIMIT_MAX);
	assert_int_equal(admit(4, 1, 50, SHM_METER_AMOUNT_MAX), SHM_METER_OK);
	assert_int_equal(admit(5, 1, 51, 102), SHM_METER_REFUSED);
	assert_int_equal(admit(5, 1, 51, 101), SHM_METER_OK);
}

/* Who knows that a limit was lowered need not wait until the meter says so. */
static void a_lowered_limit_is_that_at_once(void **state)
{
	struct fixture *f = *state;
	struct shm_meter_want want = {
	    .meter = 1, .config = config, .epoch = 50, .amount = 60, .lowered = true, .most = 50};
	int64_t more = 11, most = 50, room;
	unsigned which;

	assert_int_equal(shm_meter_look(&f->seg, &want, 1, &which, &room), SHM_METER_REFUSED);
	assert_int_equal(room, 50);
	assert_int_equal(shm_meter_admit(&writer, 0, &want, 1, &which), SHM_METER_REFUSED);
	want.amount = 40;
	assert_int_equal(shm_meter_admit(&writer, 0, &want, 1, &which), SHM_METER_OK);
	assert_int_equal(shm_meter_extend(&writer, 0, &more, &most, &which), SHM_METER_REFUSED);
	more = 10;
	assert_int_equal(shm_meter_extend(&writer, 0, &more, &most, &which), SHM_METER_OK);
	/* Nobody else's business, and never more than the meter says. */
	assert_int_equal(admit(1, 1, 50, 50), SHM_METER_OK);
	want.amount = 1;
	want.most = 1000;
	assert_int_equal(shm_meter_admit(&writer, 2, &want, 1, &which), SHM_METER_REFUSED);
}

static void a_reservation_grows_in_mid_stream(void **state)
{
	struct fixture *f = *state;
	int64_t more = 30;
	unsigned which;

	assert_int_equal(admit(0, 1, 50, 60), SHM_METER_OK);
	assert_int_equal(shm_meter_extend(&writer, 0, &more, NULL, &which), SHM_METER_OK);
	assert_int_equal(value_of(f, 1), 90);
	assert_int_equal(shm_meter_extend(&writer, 0, &more, NULL, &which), SHM_METER_REFUSED);
	assert_int_equal(value_of(f, 1), 90);
	(void)shm_meter_configure(&f->seg, 1, 200, false, false, 0);
	assert_int_equal(shm_meter_extend(&writer, 0, &more, NULL, &which), SHM_METER_OK);
	assert_int_equal(value_of(f, 1), 120);
	settle(0, 7);
	assert_int_equal(value_of(f, 1), 7);
}

/* What a sweep reads: a row is charged what its meters are, whichever step was the last. */
static void charges_follow_the_state(void **state)
{
	struct fixture *f = *state;
	int64_t charged[SHM_METERS_PER_REQUEST], actual = 70;
	struct shm_meter_writer next;
	enum shm_meter_state s;

	assert_int_equal(shm_meter_charges(&writer, 0, &s, charged), 0);
	assert_int_equal(s, SHM_METER_NONE);
	assert_int_equal(admit(0, 1, 50, 60), SHM_METER_OK);
	assert_int_equal(shm_meter_charges(&writer, 0, &s, charged), 1);
	assert_int_equal(s, SHM_METER_HELD);
	assert_int_equal(charged[0], 60);
	shm_meter_closing(&writer, 0, &actual);
	assert_int_equal(shm_meter_charges(&writer, 0, &s, charged), 1);
	assert_int_equal(s, SHM_METER_CLOSING);
	assert_int_equal(charged[0], 70);
	assert_int_equal(value_of(f, 1), 60);
	/* Its writer is dead: the next one finishes. */
	shm_meter_enter(&next, &f->seg, f->p);
	assert_int_equal(shm_meter_charges(&next, 0, &s, charged), 1);
	assert_int_equal(s, SHM_METER_SETTLED);
	assert_int_equal(charged[0], 70);
	assert_int_equal(value_of(f, 1), 70);
}

static void what_is_shown_is_what_was_folded(void **state)
{
	struct fixture *f = *state;
	struct shm_meter_info info;

	shm_meter_set_settled(&f->seg, 1, 50, 12);
	assert_int_equal(admit(0, 1, 50, 60), SHM_METER_OK);
	assert_true(shm_meter_read(&f->seg, 1, &info));
	assert_int_equal(info.settled, 12);
	assert_int_equal(info.settled_epoch, 50);
	assert_int_equal(info.epoch, 50);
	assert_int_equal(info.limit, 100);
	assert_int_equal(info.value, 60);
}

static void garbage_in_the_words_hurts_nobody(void **state)
{
	struct fixture *f = *state;
	struct shm_meter *m = &f->seg.map->meters[1];

	/* A writer that does not exist, and a progress word that nobody of ours wrote. */
	atomic_store(&m->word.hi, meter_hi(50, 200, 77));
	assert_int_equal(admit(0, 1, 50, 10), SHM_METER_OK);
	atomic_store(&f->seg.map->slots[f->p].progress, UINT64_MAX);
	shm_meter_enter(&writer, &f->seg, f->p);
	assert_int_equal(admit(1, 1, 50, 10), SHM_METER_OK);
	assert_int_equal(value_of(f, 1), 20);
}

/* ---- random plays */

#define PLAY_METERS  4
#define PLAY_ENTRIES 12

struct reference {
	int64_t value[PLAY_METERS], limit[PLAY_METERS];
	uint32_t epoch[PLAY_METERS];
	struct {
		bool held;
		unsigned n;
		uint32_t m[PLAY_METERS], epoch[PLAY_METERS];
		int64_t amount[PLAY_METERS];
	} e[PLAY_ENTRIES];
};

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s >> 8;
}

static void reference_turn(struct reference *r, uint32_t m, uint32_t now)
{
	if (now > r->epoch[m]) {
		r->epoch[m] = now;
		r->value[m] = 0;
	}
}

static bool reference_fits(const struct reference *r, const struct shm_meter_want *wants,
			   unsigned n, uint32_t base)
{
	for (unsigned k = 0; k < n; k++) {
		uint32_t m = wants[k].meter - base;
		int64_t value = wants[k].epoch > r->epoch[m] ? 0 : r->value[m];
		if (value + wants[k].amount > r->limit[m])
			return false;
	}
	return true;
}

static void play_admit(struct fixture *f, struct reference *r, int i, uint32_t now, uint64_t *s)
{
	struct shm_meter_want wants[PLAY_METERS];
	unsigned n = 0, which;

	for (uint32_t m = 0; m < PLAY_METERS; m++) {
		if (next_random(s) % 3)
			wants[n++] =
			    (struct shm_meter_want){.meter = 20 + m,
						    .config = shm_meter_config(&f->seg, 20 + m),
						    .epoch = now,
						    .amount = (int64_t)(next_random(s) % 40)};
	}
	bool fits = reference_fits(r, wants, n, 20);
	enum shm_meter_verdict v = shm_meter_admit(&writer, i, wants, n, &which);
	assert_int_equal(v, fits ? SHM_METER_OK : SHM_METER_REFUSED);
	/* A refused request has turned the windows of the meters before the one that said no. */
	for (unsigned k = 0; k < (fits ? n : which); k++)
		reference_turn(r, wants[k].meter - 20, now);
	r->e[i].held = fits;
	r->e[i].n = fits ? n : 0;
	for (unsigned k = 0; fits && k < n; k++) {
		uint32_t m = wants[k].meter - 20;
		r->e[i].m[k] = m;
		r->e[i].epoch[k] = r->epoch[m];
		r->e[i].amount[k] = wants[k].amount;
		r->value[m] += wants[k].amount;
	}
}

static void play_settle(struct reference *r, int i, uint64_t *s)
{
	int64_t actual[PLAY_METERS];

	for (unsigned k = 0; k < r->e[i].n; k++) {
		uint32_t m = r->e[i].m[k];
		actual[k] = (int64_t)(next_random(s) % 50);
		if (r->e[i].epoch[k] == r->epoch[m])
			r->value[m] += actual[k] - r->e[i].amount[k];
	}
	shm_meter_closing(&writer, i, actual);
	shm_meter_close(&writer, i);
	r->e[i].held = false;
}

static void play(struct fixture *f, uint64_t seed)
{
	struct reference r = {.limit = {100, 60, 200, 30}};
	uint32_t now = 5;

	for (uint32_t m = 0; m < PLAY_METERS; m++) {
		r.epoch[m] = now;
		(void)shm_meter_configure(&f->seg, 20 + m, r.limit[m], false, true, now);
	}
	for (int step = 0; step < 3000; step++) {
		int i = (int)(next_random(&seed) % PLAY_ENTRIES);
		/* Clocks step forward, and a little back. */
		if (next_random(&seed) % 40 == 0)
			now += (uint32_t)(next_random(&seed) % 3);
		uint32_t seen = now - (uint32_t)(next_random(&seed) % 2);
		if (r.e[i].held)
			play_settle(&r, i, &seed);
		else
			play_admit(f, &r, i, seen, &seed);
		for (uint32_t m = 0; m < PLAY_METERS; m++)
			assert_int_equal(value_of(f, 20 + m), r.value[m]);
	}
	for (int i = 0; i < PLAY_ENTRIES; i++) {
		if (r.e[i].held)
			play_settle(&r, i, &seed);
	}
}

static void random_plays_agree_with_a_reference(void **state)
{
	for (uint64_t seed = 1; seed <= 60; seed++)
		play(*state, seed * UINT64_C(0x9e3779b97f4a7c15));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    METER_TEST(the_last_unit_is_given_and_no_more),
	    METER_TEST(all_or_nothing),
	    METER_TEST(a_new_window_begins_empty_and_late_settlements_are_dropped),
	    METER_TEST(epochs_come_round),
	    METER_TEST(a_window_far_ahead_is_left_only_by_who_looked_at_its_clock_again),
	    METER_TEST(an_old_configuration_is_stale),
	    METER_TEST(another_owner_never_sees_the_old_ones_settlement),
	    METER_TEST(other_nodes_and_grants_bound_what_is_left),
	    METER_TEST(what_was_missed_bounds_what_is_left),
	    METER_TEST(what_was_forgiven_is_to_be_had_again),
	    METER_TEST(a_lowered_limit_is_that_at_once),
	    METER_TEST(a_reservation_grows_in_mid_stream),
	    METER_TEST(charges_follow_the_state),
	    METER_TEST(what_is_shown_is_what_was_folded),
	    METER_TEST(garbage_in_the_words_hurts_nobody),
	    METER_TEST(random_plays_agree_with_a_reference),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

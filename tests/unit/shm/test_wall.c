/* The clock of windows: steps ahead and back, corrections, a person's word, and random walks of the
 * wall clock. */
#include "fixture.h"

#include "shm/wall.h"

#define MS   INT64_C(1000000)
#define S    (1000 * MS)
#define HOUR (3600 * S)
#define WALL (INT64_C(1764000000) * S)

static const int64_t lengths_ms[] = {1000,     30000,     60000,      3600000,    7200000,
				     86400000, 604800000, 2419200000, 31536000000};
#define LENGTHS (sizeof(lengths_ms) / sizeof(lengths_ms[0]))

/* Once a second from boot 100 s on, with the wall clock `ahead` of where it was at the start. */
static struct shm_wall at(struct fixture *f, int64_t second, int64_t ahead)
{
	int64_t boot = (100 + second) * S;

	return shm_wall_update(&f->seg, WALL + second * S + ahead, boot);
}

/* How far windows of this length are ahead of a clock that never jumped. */
static int64_t lead_ms(const struct shm_wall *w, int64_t length_ms)
{
	return shm_wall_ms(w, 100 * S, length_ms) - WALL / MS;
}

static void taken_as_it_is_at_first(void **state)
{
	struct fixture *f = *state;
	struct shm_wall w = at(f, 0, 0), again = shm_wall_read(&f->seg);

	for (unsigned i = 0; i < LENGTHS; i++) {
		assert_int_equal(lead_ms(&w, lengths_ms[i]), 0);
		assert_false(shm_wall_frozen(&w, lengths_ms[i]));
	}
	assert_int_equal(w.ahead_ns, 0);
	assert_memory_equal(&w, &again, sizeof(w));
}

static void small_steps_ahead_are_followed(void **state)
{
	struct fixture *f = *state;
	struct shm_wall w = at(f, 0, 0);

	w = at(f, 1, SHM_WALL_FOLLOW_MS * MS);
	for (unsigned i = 0; i < LENGTHS; i++)
		assert_int_equal(lead_ms(&w, lengths_ms[i]), SHM_WALL_FOLLOW_MS);
	assert_int_equal(w.ahead_ns, 0);
}

static void a_jump_ahead_moves_only_longer_windows(void **state)
{
	struct fixture *f = *state;
	struct shm_wall w = at(f, 0, 0);

	for (int64_t second = 1; second < 100; second++) {
		w = at(f, second, HOUR);
		for (unsigned i = 0; i < LENGTHS; i++) {
			bool longer = lengths_ms[i] >= 3600000;
			assert_int_equal(lead_ms(&w, lengths_ms[i]), longer ? 3600000 : 0);
			assert_int_equal(shm_wall_frozen(&w, lengths_ms[i]), !longer);
		}
		assert_int_equal(w.ahead_ns, HOUR);
	}
	/* It was a mistake: the wall clock comes back. The short ones never left. */
	w = at(f, 100, 0);
	assert_int_equal(w.ahead_ns, -HOUR + SHM_WALL_SLEW_MS * (S / 1000));
	assert_int_equal(lead_ms(&w, 60000), 0);
	assert_false(shm_wall_frozen(&w, 60000));
	assert_int_equal(lead_ms(&w, 3600000), 3600000 - SHM_WALL_SLEW_MS);
	for (int64_t second = 101; second < 101 + 3600000 / SHM_WALL_SLEW_MS; second++)
		w = at(f, second, 0);
	assert_int_equal(lead_ms(&w, 3600000), 0);
}

static void a_second_jump_does_not_undo_the_first(void **state)
{
	struct fixture *f = *state;
	struct shm_wall w = at(f, 0, 0);

	w = at(f, 1, HOUR);
	w = at(f, 2, 30 * HOUR);
	assert_int_equal(lead_ms(&w, 60000), 0);
	assert_int_equal(lead_ms(&w, 7200000), 3600000);
	assert_int_equal(lead_ms(&w, 604800000), 30 * 3600000);
	assert_true(shm_wall_frozen(&w, 7200000));
}

static void accepted_by_a_person(void **state)
{
	struct fixture *f = *state;
	struct shm_wall w = at(f, 0, 0);

	w = at(f, 1, 400 * 24 * HOUR);
	assert_true(shm_wall_frozen(&w, 31536000000));
	shm_wall_accept(&f->seg, WALL + 2 * S + 400 * 24 * HOUR, 102 * S);
	w = shm_wall_read(&f->seg);
	for (unsigned i = 0; i < LENGTHS; i++) {
		assert_int_equal(lead_ms(&w, lengths_ms[i]), INT64_C(400) * 24 * 3600000);
		assert_false(shm_wall_frozen(&w, lengths_ms[i]));
	}
	/* Back, too: a person knows what he does. */
	shm_wall_accept(&f->seg, WALL + 3 * S, 103 * S);
	w = shm_wall_read(&f->seg);
	assert_int_equal(lead_ms(&w, 1000), 0);
}

static void a_step_back_is_slewed(void **state)
{
	struct fixture *f = *state;
	struct shm_wall w = at(f, 0, 0);

	for (int64_t second = 1; second <= 20; second++) {
		w = at(f, second, -S);
		assert_int_equal(lead_ms(&w, 1000), -SHM_WALL_SLEW_MS * second);
		assert_int_equal(w.ahead_ns, 0);
	}
	w = at(f, 21, -S);
	assert_int_equal(lead_ms(&w, 1000), -1000);
}

static void a_clock_that_is_behind_is_told(void **state)
{
	struct fixture *f = *state;
	struct shm_wall w = at(f, 0, 0);

	assert_false(shm_wall_behind(&w, 1000));
	w = at(f, 1, -100 * S);
	assert_int_equal(w.ahead_ns / 1000000, -100000 + SHM_WALL_SLEW_MS);
	for (unsigned i = 0; i < LENGTHS; i++)
		assert_true(shm_wall_behind(&w, lengths_ms[i]));
	/* Ahead for some, behind for others: what stands still for good is told. */
	shm_wall_accept(&f->seg, WALL + 2 * S, 102 * S);
	w = at(f, 3, HOUR);
	w = at(f, 4, HOUR / 2);
	assert_true(shm_wall_frozen(&w, 1000));
	assert_true(shm_wall_behind(&w, 3600000));
	assert_true(w.ahead_ns > 0);
}

/* However often it is asked, windows lose at most half of the time that went by. */
static void asking_often_does_not_turn_time_back(void **state)
{
	struct fixture *f = *state;
	int64_t last = 0;

	(void)at(f, 0, 0);
	for (int64_t i = 1; i <= 1000; i++) {
		int64_t boot = 100 * S + i * MS, now;
		struct shm_wall w = shm_wall_update(&f->seg, WALL - HOUR + i * MS, boot);

		now = shm_wall_ms(&w, boot, 1000);
		assert_true(now >= last);
		last = now;
	}
	/* The boot clock itself never goes back; if it did, nothing happens. */
	(void)shm_wall_update(&f->seg, WALL - HOUR, 50 * S);
	struct shm_wall w = shm_wall_read(&f->seg);
	assert_true(shm_wall_ms(&w, 101 * S, 1000) >= last);
}

static void small_slews_are_followed_to_the_nanosecond(void **state)
{
	struct fixture *f = *state;
	int64_t drift = 0;

	(void)at(f, 0, 0);
	for (int64_t second = 1; second < 500; second++) {
		drift += second % 3 ? 500000 : -700000; /* as adjtime does */
		struct shm_wall w = at(f, second, drift);
		for (unsigned c = 0; c < SHM_WALL_CLASSES; c++)
			assert_int_equal(w.offset_ns[c], w.wall_ns);
	}
}

static int64_t jump(uint64_t *random)
{
	static const int64_t sizes[] = {MS,      10 * MS, S,         10 * S,
					300 * S, HOUR,    30 * HOUR, 2000 * HOUR};
	int64_t size;

	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	if (*random >> 60)
		return 0;
	size = sizes[(*random >> 8) % 8];
	return (int64_t)((*random >> 16) % (uint64_t)size) * (*random & 1 ? 1 : -1);
}

/* Whatever the wall clock does: no time of windows goes back by more than one slew step between two
 * looks, nor at all between two updates; none steps ahead by more than its windows are long. */
static void random_walks(void **state)
{
	struct fixture *f = *state;
	uint64_t random = UINT64_C(0x9e3779b97f4a7c15);
	int64_t ahead = 0, updated[LENGTHS] = {0}, shown[LENGTHS] = {0};

	(void)at(f, 0, 0);
	for (int64_t second = 1; second < 200000; second++) {
		struct shm_wall w = shm_wall_read(&f->seg);
		int64_t boot = (100 + second) * S;

		for (unsigned i = 0; i < LENGTHS; i++)
			shown[i] = shm_wall_ms(&w, boot, lengths_ms[i]);
		ahead += jump(&random);
		w = at(f, second, ahead);
		for (unsigned i = 0; i < LENGTHS; i++) {
			int64_t t = shm_wall_ms(&w, boot, lengths_ms[i]);
			int64_t most = lengths_ms[i] > 1000 ? lengths_ms[i] : 1000;
			assert_true(t >= shown[i] - SHM_WALL_SLEW_MS);
			assert_true(t <= shown[i] + most);
			assert_true(t >= updated[i]);
			updated[i] = t;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FIXTURE_TEST(taken_as_it_is_at_first),
	    FIXTURE_TEST(small_steps_ahead_are_followed),
	    FIXTURE_TEST(a_jump_ahead_moves_only_longer_windows),
	    FIXTURE_TEST(a_second_jump_does_not_undo_the_first),
	    FIXTURE_TEST(accepted_by_a_person),
	    FIXTURE_TEST(a_step_back_is_slewed),
	    FIXTURE_TEST(a_clock_that_is_behind_is_told),
	    FIXTURE_TEST(asking_often_does_not_turn_time_back),
	    FIXTURE_TEST(small_slews_are_followed_to_the_nanosecond),
	    FIXTURE_TEST(random_walks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Usage ring and overflow: bounds, order, wrap, pages given back, and words a hostile producer
 * wrote. */
#include "fixture.h"

#include "shm/parts.h"

#define ALL ((uint64_t)SHM_USAGE_RING_RECORDS + SHM_USAGE_OVERFLOW_RECORDS)

static void push(struct fixture *f, uint64_t n)
{
	struct shm_usage_record r = fixture_record(n);

	assert_int_equal(shm_usage_push(&f->seg, f->p, &r), 0);
}

/* Takes up to max records, which must be first, first + 1, ...; returns how many. */
static size_t take(struct fixture *f, uint64_t first, size_t max)
{
	const struct shm_usage_record *records[300];
	size_t n = shm_usage_peek(&f->seg, f->p, records, max < 300 ? max : 300);

	for (size_t i = 0; i < n; i++)
		assert_int_equal(fixture_number(records[i]), first + i);
	shm_usage_release(&f->seg, f->p, n);
	return n;
}

static void empty_ring(void **state)
{
	struct fixture *f = *state;
	const struct shm_usage_record *records[1];

	assert_int_equal(shm_usage_peek(&f->seg, f->p, records, 1), 0);
	assert_int_equal(shm_usage_waiting(&f->seg, f->p), 0);
	assert_int_equal(shm_usage_room(&f->seg, f->p), ALL);
	shm_usage_release(&f->seg, f->p, 5);
	assert_int_equal(shm_usage_room(&f->seg, f->p), ALL);
}

static void full_is_refused_and_nothing_is_lost(void **state)
{
	struct fixture *f = *state;
	struct shm_usage_record r = fixture_record(ALL);
	uint64_t got = 0;

	for (uint64_t i = 0; i < ALL; i++) {
		assert_int_equal(shm_usage_room(&f->seg, f->p), ALL - i);
		push(f, i);
	}
	assert_int_equal(shm_usage_room(&f->seg, f->p), 0);
	assert_int_equal(shm_usage_push(&f->seg, f->p, &r), BF_E_FULL);
	assert_int_equal(shm_usage_waiting(&f->seg, f->p), ALL);
	assert_int_equal(shm_usage_overflow_waiting(&f->seg, f->p), SHM_USAGE_OVERFLOW_RECORDS);
	while (got < ALL)
		got += take(f, got, 300);
	assert_int_equal(take(f, got, 300), 0);
}

/* What may be lost never takes what is kept for what may not, nor the large ring. */
static void spare_records_leave_room(void **state)
{
	struct fixture *f = *state;
	uint64_t n = 0;
	struct shm_usage_record r = fixture_record(n);

	while (shm_usage_push_spare(&f->seg, f->p, 0, &r))
		r = fixture_record(++n);
	assert_int_equal(n, SHM_USAGE_RING_RECORDS / 2);
	assert_int_equal(take(f, 0, 1), 1);
	assert_false(shm_usage_push_spare(&f->seg, f->p, ALL - n + 1, &r));
	assert_true(shm_usage_push_spare(&f->seg, f->p, ALL - n, &r));
	for (uint64_t i = n + 1; i <= ALL; i++)
		push(f, i);
	while (shm_usage_waiting(&f->seg, f->p) > 1) {
		const struct shm_usage_record *oldest;

		assert_false(shm_usage_push_spare(&f->seg, f->p, 0, &r));
		assert_int_equal(shm_usage_peek(&f->seg, f->p, &oldest, 1), 1);
		shm_usage_release(&f->seg, f->p, 1);
	}
}

static void order_holds_across_both_rings(void **state)
{
	struct fixture *f = *state;
	uint64_t pushed = 0, got = 0;
	unsigned seed = 1;

	/* Bursts longer than the ring, drained at another pace: spilling starts and ends many
	 * times, both rings wrap. */
	for (int round = 0; round < 400; round++) {
		seed = seed * 1103515245u + 12345u;
		for (unsigned n = (seed >> 16) % 2500; n > 0; n--)
			push(f, pushed++);
		for (unsigned n = (seed >> 8) % 12; n > 0; n--)
			got += take(f, got, 1 + (seed >> 4) % 300);
		if (round % 50 == 49) {
			while (got < pushed)
				got += take(f, got, 300);
		}
	}
	while (got < pushed)
		got += take(f, got, 300);
	assert_true(pushed > 3 * SHM_USAGE_OVERFLOW_RECORDS);
	assert_int_equal(shm_usage_waiting(&f->seg, f->p), 0);
	assert_int_equal(shm_segment_valid(&f->seg, NULL), 0);
}

static void spilling_goes_on_until_the_overflow_is_empty(void **state)
{
	struct fixture *f = *state;
	uint64_t n = 0, got = 0;

	while (n < SHM_USAGE_RING_RECORDS + 5)
		push(f, n++);
	while (got < SHM_USAGE_RING_RECORDS)
		got += take(f, got, 256);
	assert_int_equal(got, SHM_USAGE_RING_RECORDS);
	push(f, n++);
	assert_int_equal(shm_usage_overflow_waiting(&f->seg, f->p), 6);
	got += take(f, got, 6);
	push(f, n++);
	assert_int_equal(shm_usage_overflow_waiting(&f->seg, f->p), 0);
	assert_int_equal(take(f, got, 300), 1);
}

static void drained_overflow_is_given_back(void **state)
{
	struct fixture *f = *state;
	size_t full;
	uint64_t n = 0, got = 0;

	while (n < SHM_USAGE_RING_RECORDS + 20000)
		push(f, n++);
	full = fixture_touched(f);
	assert_true(full > (size_t)20000 * SHM_USAGE_RECORD_BYTES);
	while (got < n)
		got += take(f, got, 300);
	assert_true(fixture_touched(f) <
		    (size_t)6 * SHM_CHUNK_BYTES + SHM_USAGE_RING_RECORDS * SHM_USAGE_RECORD_BYTES);
	/* and the places can be used again */
	while (n < 2 * (SHM_USAGE_RING_RECORDS + 20000))
		push(f, n++);
	while (got < n)
		got += take(f, got, 300);
}

static void peek_again_finds_the_same(void **state)
{
	struct fixture *f = *state;
	const struct shm_usage_record *a[8], *b[8];

	for (uint64_t i = 0; i < 8; i++)
		push(f, i);
	assert_int_equal(shm_usage_peek(&f->seg, f->p, a, 8), 8);
	assert_int_equal(shm_usage_peek(&f->seg, f->p, b, 8), 8);
	assert_memory_equal(a, b, sizeof(a));
	shm_usage_release(&f->seg, f->p, 3);
	assert_int_equal(shm_usage_peek(&f->seg, f->p, b, 8), 5);
	assert_ptr_equal(b[0], a[3]);
}

/* A consumer killed between its two stores leaves head ahead of freed: repair, and also the next
 * release, catch up. */
static void half_a_release_is_caught_up(void **state)
{
	struct fixture *f = *state;
	struct shm_desk *d = &f->seg.map->desks[f->p];
	struct shm_ring_view ring = shm_usage_ring_view(&f->seg, f->p);

	for (uint64_t i = 0; i < SHM_USAGE_RING_RECORDS; i++)
		push(f, i);
	d->usage.head += 10; /* mo: one thread here */
	assert_int_equal(shm_ring_room(&ring), 0);
	assert_int_equal(shm_segment_valid(&f->seg, NULL), 0);
	shm_ring_repair(&ring);
	assert_int_equal(shm_ring_room(&ring), 10);
	d->usage.head += 10; /* mo: one thread here */
	assert_int_equal(take(f, 20, 1), 1);
	assert_int_equal(shm_ring_room(&ring), 21);
}

static void wild_words_do_not_leave_the_ring(void **state)
{
	struct fixture *f = *state;
	struct shm_desk *d = &f->seg.map->desks[f->p];
	const struct shm_usage_record *records[4000];
	const uint64_t wild[] = {UINT64_MAX, UINT64_MAX / 2, 1ull << 40, 12345};
	struct bf_err err;

	push(f, 0);
	for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		const char *start = (const char *)f->seg.map->stores[f->p].usage;
		size_t n;

		d->usage.tail = wild[i]; /* mo: one thread here */
		n = shm_usage_peek(&f->seg, f->p, records, 4000);
		assert_true(n <= SHM_USAGE_RING_RECORDS);
		for (size_t k = 0; k < n; k++) {
			assert_true((const char *)records[k] >= start);
			assert_true((const char *)(records[k] + 1) <=
				    start + sizeof(f->seg.map->stores[0].usage));
		}
		assert_int_equal(shm_segment_valid(&f->seg, &err), BF_E_CORRUPT);
		assert_non_null(strstr(err.text, "usage ring of process slot 0"));
		assert_non_null(strstr(err.text, "remove the segment file"));
	}
	d->usage.tail = 0; /* mo: one thread here */
	d->usage.head = 3; /* mo: one thread here */
	assert_int_equal(shm_segment_valid(&f->seg, &err), BF_E_CORRUPT);
	(void)shm_usage_peek(&f->seg, f->p, records, 4000);
	shm_usage_release(&f->seg, f->p, 4000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FIXTURE_TEST(empty_ring),
	    FIXTURE_TEST(full_is_refused_and_nothing_is_lost),
	    FIXTURE_TEST(spare_records_leave_room),
	    FIXTURE_TEST(order_holds_across_both_rings),
	    FIXTURE_TEST(spilling_goes_on_until_the_overflow_is_empty),
	    FIXTURE_TEST(drained_overflow_is_given_back),
	    FIXTURE_TEST(peek_again_finds_the_same),
	    FIXTURE_TEST(half_a_release_is_caught_up),
	    FIXTURE_TEST(wild_words_do_not_leave_the_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

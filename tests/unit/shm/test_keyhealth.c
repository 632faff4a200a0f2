/* Key health: what a report changes, who finds what, places that are full or long unused, and
 * garbage, which is a healthy key. */
#include "fixture.h"

#include <stdlib.h>

#include "shm/keyhealth.h"

#define NOW INT64_C(1000000)

static void report(struct fixture *f, struct shm_key_ref *ref, enum shm_key_outcome outcome,
		   int http_status, int64_t cool_ms, int64_t now)
{
	const struct shm_key_report r = {outcome, http_status, cool_ms};

	shm_key_report(&f->seg, ref, &r, now);
}

static void two_workers_see_one_key(void **state)
{
	struct fixture *f = *state;
	struct shm_key_ref a = shm_key_find(&f->seg, 77, NOW), b = shm_key_find(&f->seg, 77, NOW);
	struct shm_key_ref other = shm_key_find(&f->seg, 77 + SHM_KEYS, NOW);

	assert_int_equal(a.index, 77);
	assert_int_equal(b.index, a.index);
	assert_int_equal(other.index, 78); /* the same home: the next place */
	report(f, &a, SHM_KEY_RATE_LIMITED, 429, 5000, NOW);
	assert_false(shm_key_is_up(&f->seg, &b, NOW));
	assert_true(shm_key_is_up(&f->seg, &other, NOW));
	assert_int_equal(shm_key_cooling_until(&f->seg, &b, NOW), NOW + 5000);
	assert_false(shm_key_is_up(&f->seg, &b, NOW + 4999));
	assert_true(shm_key_is_up(&f->seg, &b, NOW + 5000));
}

static void what_reports_change(void **state)
{
	struct fixture *f = *state;
	struct shm_key_ref k = shm_key_find(&f->seg, 5, NOW);
	struct shm_key_info info;

	assert_true(shm_key_info(&f->seg, &k, NOW, &info));
	assert_int_equal(info.failures + info.http_status, 0);
	assert_int_equal(info.ok_mono_ms, 0);
	report(f, &k, SHM_KEY_FAILED, 503, 9000, NOW);
	report(f, &k, SHM_KEY_FAILED, 0, 0, NOW);
	assert_true(shm_key_info(&f->seg, &k, NOW, &info));
	assert_int_equal(info.failures, 2);
	assert_int_equal(info.http_status, 0);
	assert_true(shm_key_is_up(&f->seg, &k, NOW)); /* the provider's fault, not the key's */
	report(f, &k, SHM_KEY_REFUSED, 401, 60000, NOW);
	assert_false(shm_key_is_up(&f->seg, &k, NOW));
	report(f, &k, SHM_KEY_OK, 200, 0, NOW + 7);
	assert_true(shm_key_info(&f->seg, &k, NOW + 7, &info));
	assert_int_equal(info.failures, 0);
	assert_int_equal(info.http_status, 200);
	assert_int_equal(info.ok_mono_ms, NOW + 7);
	/* A call that began before the refusal may end well after it: the refusal stands. */
	assert_int_equal(info.cooling_until_mono_ms, NOW + 60000);
	report(f, &k, SHM_KEY_OK, 200, 0, NOW + 7 + SHM_KEY_OK_MS - 1);
	assert_true(shm_key_info(&f->seg, &k, NOW + 9, &info));
	assert_int_equal(info.ok_mono_ms,
			 NOW + 7); /* told roughly, so that the line stays shared */
}

static void cooling_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct shm_key_ref k = shm_key_find(&f->seg, 5, NOW);

	report(f, &k, SHM_KEY_RATE_LIMITED, 429, INT64_MAX, NOW);
	assert_int_equal(shm_key_cooling_until(&f->seg, &k, NOW), NOW + SHM_KEY_COOL_MAX);
	report(f, &k, SHM_KEY_RATE_LIMITED, 429, -5, NOW);
	assert_int_equal(shm_key_cooling_until(&f->seg, &k, NOW), NOW + SHM_KEY_COOL_MAX);
	report(f, &k, SHM_KEY_RATE_LIMITED, 429, 1, NOW);
	assert_int_equal(shm_key_cooling_until(&f->seg, &k, NOW), NOW + 1);
}

static void a_full_neighbourhood_has_no_room(void **state)
{
	struct fixture *f = *state;
	struct shm_key_ref k;
	struct shm_key_info info;

	for (uint64_t i = 0; i < SHM_KEY_PROBES; i++)
		assert_int_equal(shm_key_find(&f->seg, 9 + (i + 1) * SHM_KEYS, NOW).index,
				 (int)(9 + i));
	k = shm_key_find(&f->seg, 9, NOW);
	assert_int_equal(k.index, -1);
	report(f, &k, SHM_KEY_RATE_LIMITED, 429, 5000, NOW);
	assert_int_equal(k.index, -1);
	assert_true(shm_key_is_up(&f->seg, &k, NOW));
	assert_false(shm_key_info(&f->seg, &k, NOW, &info));
	/* the last places lead round to the first */
	assert_int_equal(shm_key_find(&f->seg, SHM_KEYS - 1, NOW).index, SHM_KEYS - 1);
	assert_int_equal(shm_key_find(&f->seg, 2 * SHM_KEYS - 1, NOW).index, 0);
}

static void unused_for_a_day_is_taken_over(void **state)
{
	struct fixture *f = *state;
	int64_t late = NOW + SHM_KEY_IDLE_MS;
	struct shm_key_ref first, fresh, again;

	for (uint64_t i = 0; i < SHM_KEY_PROBES; i++)
		first = shm_key_find(&f->seg, 9 + (i + 1) * SHM_KEYS, NOW);
	assert_int_equal(shm_key_find(&f->seg, 9, late).index, -1);
	report(f, &first, SHM_KEY_FAILED, 500, 0, late); /* used: stays */
	fresh = shm_key_find(&f->seg, 9, late + 1);
	assert_int_equal(fresh.index, 9);
	assert_int_equal(shm_key_find(&f->seg, 9, late + 1).index, 9);
	report(f, &fresh, SHM_KEY_RATE_LIMITED, 429, 5000, late + 1);
	/* Who held the place finds another, and is not cooled by its successor. */
	again = (struct shm_key_ref){9 + SHM_KEYS, 9};
	assert_true(shm_key_is_up(&f->seg, &again, late + 1));
	report(f, &again, SHM_KEY_OK, 200, 0, late + 1);
	assert_int_equal(again.index, 10);
	assert_false(shm_key_is_up(&f->seg, &fresh, late + 1));
	/* A reader whose clock is a little behind takes nothing over. */
	assert_int_equal(shm_key_find(&f->seg, 9 + 70 * SHM_KEYS, late + 1).index, 11);
	assert_int_equal(shm_key_find(&f->seg, 9 + 71 * SHM_KEYS, late - 30000).index, -1);
}

static void garbage_is_healthy(void **state)
{
	struct fixture *f = *state;
	uint8_t *bytes = (uint8_t *)f->seg.map->keys;
	unsigned seed = 1;

	for (int round = 0; round < 300; round++) {
		for (size_t i = 0; i < sizeof(f->seg.map->keys); i++) {
			seed = seed * 1103515245u + 12345u;
			bytes[i] = round == 0 ? 0xff : (uint8_t)(seed >> 16);
		}
		for (uint64_t key = 1; key < 64; key++) {
			struct shm_key_ref ref = shm_key_find(&f->seg, key * 997, NOW);
			int64_t until = shm_key_cooling_until(&f->seg, &ref, NOW);

			assert_true(ref.index >= 0); /* wild times are long ago: there is room */
			assert_int_equal(until, 0);
			report(f, &ref, SHM_KEY_RATE_LIMITED, 429, 10, NOW);
			assert_int_equal(shm_key_cooling_until(&f->seg, &ref, NOW), NOW + 10);
		}
		/* the words alone, under a name that stands */
		struct shm_key_ref ref = shm_key_find(&f->seg, 31337, NOW);
		memset(bytes + (size_t)ref.index * 64 + 8, round, 56);
		assert_true(shm_key_cooling_until(&f->seg, &ref, NOW) <=
			    NOW + SHM_KEY_COOL_MAX + 60000);
	}
	assert_int_equal(shm_segment_valid(&f->seg, NULL), 0);
}

static void wild_references_touch_nothing(void **state)
{
	struct fixture *f = *state;
	struct shm_key_ref wild[] = {{0, 3}, {7, (int32_t)SHM_KEYS}, {7, INT32_MAX}, {7, -7}};
	struct shm_key_ref zero = shm_key_find(&f->seg, 0, NOW);

	assert_int_equal(zero.identity, 1);
	for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++)
		assert_int_equal(shm_key_cooling_until(&f->seg, &wild[i], NOW), 0);
	report(f, &wild[0], SHM_KEY_RATE_LIMITED, 429, 10, NOW);
	assert_int_equal(wild[0].index, 3);
	report(f, &wild[2], SHM_KEY_RATE_LIMITED, 429, 10, NOW);
	assert_int_equal(wild[2].index, 7);
}

static void each_segment_has_its_secret(void **state)
{
	struct fixture *f = *state;
	static const uint8_t zero[16];
	uint8_t first[16];

	memcpy(first, shm_segment_secret(&f->seg), sizeof(first));
	assert_memory_not_equal(first, zero, sizeof(first));
	assert_int_equal(fixture_teardown(state), 0);
	assert_int_equal(fixture_setup(state), 0);
	f = *state;
	assert_memory_not_equal(first, shm_segment_secret(&f->seg), sizeof(first));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FIXTURE_TEST(two_workers_see_one_key),
	    FIXTURE_TEST(what_reports_change),
	    FIXTURE_TEST(cooling_is_bounded),
	    FIXTURE_TEST(a_full_neighbourhood_has_no_room),
	    FIXTURE_TEST(unused_for_a_day_is_taken_over),
	    FIXTURE_TEST(garbage_is_healthy),
	    FIXTURE_TEST(wild_references_touch_nothing),
	    FIXTURE_TEST(each_segment_has_its_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

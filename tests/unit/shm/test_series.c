/* Counters by name: one place for a name whoever asks and whoever is killed, a bound, sums over the
 * lives of slots. */
#include "fixture.h"

#include <pthread.h>
#include <stdlib.h>

#include "shm/series.h"

static struct shm_series_name name_of(const char *provider, const char *model)
{
	struct shm_series_name n = {.model = ""};

	memcpy(n.provider, provider, strlen(provider));
	memcpy(n.model, model, strlen(model));
	return n;
}

static uint32_t find(struct fixture *f, const char *provider, const char *model, uint32_t method)
{
	struct shm_series_name n = name_of(provider, model);

	return shm_series_find(&f->seg, &n, method, true);
}

static void add(struct fixture *f, uint32_t p, uint32_t s, bool is_ok, int64_t input_tokens)
{
	const struct shm_series_row row = {is_ok, 1, input_tokens, 2 * input_tokens};

	shm_series_add(&f->seg, p, s, &row);
}

static void names_have_places(void **state)
{
	struct fixture *f = *state;
	struct shm_series_name n = name_of("openai", "gpt"), got;
	uint32_t s, method;

	assert_int_equal(shm_series_find(&f->seg, &n, 2, false), SHM_SERIES_REST);
	s = shm_series_find(&f->seg, &n, 2, true);
	assert_int_not_equal(s, SHM_SERIES_REST);
	assert_int_equal(shm_series_find(&f->seg, &n, 2, false), s);
	assert_true(shm_series_name(&f->seg, s, &got, &method));
	assert_memory_equal(&got, &n, sizeof(n));
	assert_int_equal(method, 2);
	assert_false(shm_series_name(&f->seg, SHM_SERIES_REST, &got, &method));
	/* Each part counts, and where one ends. */
	assert_int_not_equal(find(f, "openai", "gpt", 3), s);
	assert_int_not_equal(find(f, "openai", "gpu", 2), s);
	assert_int_not_equal(find(f, "openaj", "gpt", 2), s);
	assert_int_not_equal(find(f, "12345678", "x", 2), find(f, "12345678x", "", 2));
	/* Every byte of the longest ones does. */
	memset(&n, 'm', sizeof(n));
	s = shm_series_find(&f->seg, &n, 2, true);
	for (size_t i = 0; i < sizeof(n); i++) {
		((char *)&n)[i] ^= 1;
		assert_int_equal(shm_series_find(&f->seg, &n, 2, false), SHM_SERIES_REST);
		((char *)&n)[i] ^= 1;
	}
	assert_int_equal(shm_series_find(&f->seg, &n, 2, false), s);
}

/* Once full, known names keep their places and new ones have none. */
static void a_full_table(void **state)
{
	struct fixture *f = *state;
	uint32_t first[64], used = 0, method;
	struct shm_series_name got;
	char model[16];

	for (unsigned i = 0; i < 20000; i++) {
		(void)snprintf(model, sizeof(model), "m-%u", i);
		uint32_t s = find(f, "p", model, 1);
		if (i < 64) {
			assert_int_not_equal(s, SHM_SERIES_REST);
			first[i] = s;
		}
	}
	for (uint32_t s = 0; s < SHM_SERIES; s++)
		used += shm_series_name(&f->seg, s, &got, &method);
	assert_int_equal(used, SHM_SERIES_REST);
	for (unsigned i = 0; i < 64; i++) {
		(void)snprintf(model, sizeof(model), "m-%u", i);
		assert_int_equal(find(f, "p", model, 1), first[i]);
	}
	assert_int_equal(find(f, "p", "too late", 1), SHM_SERIES_REST);
}

static void sums_over_the_lives_of_slots(void **state)
{
	struct fixture *f = *state;
	uint32_t s = find(f, "p", "m", 1);
	int other = shm_slot_assign(&f->seg, 2, 1);

	assert_int_equal(other, 1);
	add(f, 0, s, true, 5);
	add(f, 1, s, true, 2);
	add(f, 0, s, false, INT64_C(1) << 40);
	add(f, 0, SHM_SERIES_REST, true, 0);
	shm_slot_dead(&f->seg, 0);
	assert_int_equal(shm_slot_free(&f->seg, 0), 0);
	assert_int_equal(shm_series_sum(&f->seg, s, SHM_SERIES_OK), 2);
	assert_int_equal(shm_slot_assign(&f->seg, 2, 0), 0);
	add(f, 0, s, true, 0);
	assert_int_equal(shm_series_sum(&f->seg, s, SHM_SERIES_OK), 3);
	assert_int_equal(shm_series_sum(&f->seg, s, SHM_SERIES_FAILED), 1);
	assert_int_equal(shm_series_sum(&f->seg, s, SHM_SERIES_ATTEMPTS), 4);
	assert_int_equal(shm_series_sum(&f->seg, s, SHM_SERIES_INPUT), (INT64_C(1) << 40) + 7);
	assert_int_equal(shm_series_sum(&f->seg, s, SHM_SERIES_OUTPUT), (INT64_C(1) << 41) + 14);
	assert_int_equal(shm_series_sum(&f->seg, SHM_SERIES_REST, SHM_SERIES_OK), 1);
}

/* Killed after the place was taken, with any part of the text written: not shown until the next one
 * with that name comes. */
static void killed_before_its_text(void **state)
{
	struct fixture *f = *state;
	struct shm_series_name n = name_of("openai", "gpt-of-many-letters"), got;
	uint32_t s = shm_series_find(&f->seg, &n, 2, true), method;
	struct shm_series_place *place = &f->seg.map->series_places[s];

	for (size_t written = 0; written <= SHM_SERIES_TEXT_WORDS; written++) {
		atomic_store_explicit(&place->named, 0, memory_order_relaxed);
		atomic_store_explicit(&place->method, 0, memory_order_relaxed);
		for (size_t i = written; i < SHM_SERIES_TEXT_WORDS; i++)
			atomic_store_explicit(&place->text[i], 0, memory_order_relaxed);
		assert_false(shm_series_name(&f->seg, s, &got, &method));
		assert_int_equal(shm_series_find(&f->seg, &n, 2, written % 2), s);
		assert_true(shm_series_name(&f->seg, s, &got, &method));
		assert_memory_equal(&got, &n, sizeof(n));
	}
}

#define THREADS 3
#define ROUNDS  20000

struct racer {
	struct fixture *f;
	uint32_t p;
};

/* Each walks the same names from another one on, so that they meet. */
static void *race(void *ctx)
{
	const struct racer *r = ctx;
	char model[16];

	for (unsigned i = 0; i < ROUNDS; i++) {
		(void)snprintf(model, sizeof(model), "m-%u", (i / 3 + r->p) % 300);
		add(r->f, r->p, find(r->f, "p", model, 1), true, 1);
	}
	return NULL;
}

static void workers_at_once(void **state)
{
	static struct shm_series_name names[SHM_SERIES];
	struct racer racers[THREADS];
	pthread_t threads[THREADS];
	int64_t sum = 0;
	uint32_t n = 0, method;

	for (uint32_t i = 0; i < THREADS; i++) {
		racers[i] = (struct racer){*state, i};
		if (i > 0)
			assert_int_equal(shm_slot_assign(&racers[i].f->seg, 2, i), i);
	}
	for (uint32_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	for (uint32_t i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	for (uint32_t s = 0; s < SHM_SERIES; s++) {
		sum += shm_series_sum(&racers[0].f->seg, s, SHM_SERIES_OK);
		if (!shm_series_name(&racers[0].f->seg, s, &names[n], &method))
			continue;
		for (uint32_t k = 0; k < n; k++)
			assert_memory_not_equal(&names[k], &names[n], sizeof(names[n]));
		n++;
	}
	assert_int_equal(sum, THREADS * ROUNDS);
	assert_true(n > 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FIXTURE_TEST(names_have_places),
	    FIXTURE_TEST(a_full_table),
	    FIXTURE_TEST(sums_over_the_lives_of_slots),
	    FIXTURE_TEST(killed_before_its_text),
	    FIXTURE_TEST(workers_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

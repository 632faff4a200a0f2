/* Metric shards: sums that never step back over the lives of a slot, retiring that may be repeated.
 */
#include "fixture.h"

#include "shm/metrics.h"
#include "shm/parts.h"

static void one_shard(void **state)
{
	struct fixture *f = *state;

	shm_metric_add(&f->seg, 0, SHM_M_HTTP_REQUESTS, 5);
	shm_metric_add(&f->seg, 0, SHM_M_HTTP_REQUESTS, 2);
	shm_metric_add(&f->seg, 0, SHM_M_CONNECTIONS_OPEN, 3);
	shm_metric_add(&f->seg, 0, SHM_M_CONNECTIONS_OPEN, -1);
	shm_metric_set(&f->seg, 0, SHM_M_INFLIGHT, 9);
	assert_int_equal(shm_metric_of(&f->seg, 0, SHM_M_HTTP_REQUESTS), 7);
	assert_int_equal(shm_metric_sum(&f->seg, SHM_M_HTTP_REQUESTS), 7);
	assert_int_equal(shm_metric_sum(&f->seg, SHM_M_CONNECTIONS_OPEN), 2);
	assert_int_equal(shm_metric_sum(&f->seg, SHM_M_INFLIGHT), 9);
	assert_int_equal(shm_metric_of(&f->seg, 5, SHM_M_HTTP_REQUESTS), 0);
}

/* Retiring killed after any number of its steps, any number of times: the sum is the same at every
 * moment. */
static void retiring_counts_once(void **state)
{
	struct fixture *f = *state;
	int64_t sum = 0;

	for (int life = 1; life <= 4; life++) {
		shm_metric_add(&f->seg, 0, SHM_M_ROWS_WRITTEN, 10 * life);
		shm_metric_set(&f->seg, 0, SHM_M_CONNECTIONS_OPEN, life);
		sum += 10 * life;
		assert_int_equal(shm_metric_of(&f->seg, 0, SHM_M_ROWS_WRITTEN), 10 * life);
		shm_slot_dead(&f->seg, 0);
		for (int again = 0; again < life; again++) {
			shm_metrics_retire(&f->seg, 0);
			assert_int_equal(shm_metric_sum(&f->seg, SHM_M_ROWS_WRITTEN), sum);
		}
		assert_int_equal(shm_slot_free(&f->seg, 0), 0);
		assert_int_equal(shm_metric_sum(&f->seg, SHM_M_ROWS_WRITTEN), sum);
		assert_int_equal(shm_metric_sum(&f->seg, SHM_M_CONNECTIONS_OPEN), 0);
		assert_int_equal(shm_slot_assign(&f->seg, 1, 0), 0);
		assert_int_equal(shm_slot_enter(&f->seg, 0, 1, 1, 1), 0);
		assert_int_equal(shm_metric_of(&f->seg, 0, SHM_M_ROWS_WRITTEN), 0);
	}
}

static void names_are_complete_and_distinct(void **state)
{
	(void)state;
	for (int a = 0; a < SHM_METRIC_COUNT; a++) {
		const char *name = shm_metric_defs[a].exported;
		size_t len = strcspn(name, "{"); /* labels may follow */
		bool total = len > 6 && strncmp(name + len - 6, "_total", 6) == 0;

		assert_int_equal(strncmp(name, "bifrost_", 8), 0);
		assert_int_equal(total, shm_metric_defs[a].kind == SHM_METRIC_COUNTER);
		assert_true(strlen(shm_metric_defs[a].help) > 5);
		for (int b = 0; b < a; b++)
			assert_string_not_equal(name, shm_metric_defs[b].exported);
	}
}

static void histogram(const struct fixture *f, enum shm_histogram h,
		      struct shm_histogram_sums *ret_sums)
{
	shm_histogram_sum(&f->seg, h, ret_sums);
}

/* Each bound is an upper end that belongs to its bucket; one more belongs to the next. */
static void buckets_at_their_bounds(void **state)
{
	struct fixture *f = *state;
	struct shm_histogram_sums sums;

	for (int h = 0; h < SHM_HISTOGRAM_COUNT; h++) {
		const struct shm_histogram_def *def = &shm_histogram_defs[h];
		int64_t sum = 0;
		for (uint32_t i = 0; i < def->bounds; i++) {
			assert_true(i == 0 || def->bound[i] > def->bound[i - 1]);
			shm_histogram_observe(&f->seg, 0, (enum shm_histogram)h, def->bound[i]);
			shm_histogram_observe(&f->seg, 0, (enum shm_histogram)h, def->bound[i] + 1);
			sum += 2 * def->bound[i] + 1;
		}
		shm_histogram_observe(&f->seg, 0, (enum shm_histogram)h, -5);
		histogram(f, (enum shm_histogram)h, &sums);
		assert_int_equal(sums.count, 2 * def->bounds + 1);
		assert_int_equal(sums.sum, sum);
		for (uint32_t i = 0; i < def->bounds; i++) {
			/* -5 counts as 0; bounds that follow each other share bound + 1 */
			int64_t expected = 1;
			for (uint32_t k = 0; k < def->bounds; k++)
				expected += (def->bound[k] <= def->bound[i]) +
					    (def->bound[k] + 1 <= def->bound[i]);
			assert_int_equal(sums.upto[i], expected);
		}
	}
}

/* Neighbours in the shard do not touch each other: every place is in one family. */
static void places_are_apart(void **state)
{
	struct fixture *f = *state;
	struct shm_histogram_sums sums;

	for (unsigned c = 0; c < SHM_ERROR_CLASS_COUNT; c++)
		shm_error_class_count(&f->seg, 0, c);
	for (int h = 0; h < SHM_HISTOGRAM_COUNT; h++) {
		shm_histogram_observe(&f->seg, 0, (enum shm_histogram)h, INT32_MAX);
		shm_histogram_observe(&f->seg, 0, (enum shm_histogram)h, 0);
	}
	for (unsigned c = 0; c < SHM_ERROR_CLASS_COUNT; c++)
		assert_int_equal(shm_error_class_sum(&f->seg, c), 1);
	for (int h = 0; h < SHM_HISTOGRAM_COUNT; h++) {
		histogram(f, (enum shm_histogram)h, &sums);
		assert_int_equal(sums.count, 2);
		assert_int_equal(sums.upto[0], 1);
		assert_int_equal(sums.upto[shm_histogram_defs[h].bounds - 1], 1);
		assert_int_equal(sums.sum, INT32_MAX);
	}
	for (int m = 0; m < SHM_METRIC_COUNT; m++)
		assert_int_equal(shm_metric_sum(&f->seg, (enum shm_metric)m), 0);
}

static void histograms_outlive_their_holder(void **state)
{
	struct fixture *f = *state;
	struct shm_histogram_sums sums;

	for (int life = 1; life <= 3; life++) {
		shm_histogram_observe(&f->seg, 0, SHM_H_RETRIES, 2);
		shm_error_class_count(&f->seg, 0, 3);
		shm_slot_dead(&f->seg, 0);
		assert_int_equal(shm_slot_free(&f->seg, 0), 0);
		assert_int_equal(shm_slot_assign(&f->seg, 1, 0), 0);
		assert_int_equal(shm_slot_enter(&f->seg, 0, 1, 1, 1), 0);
		histogram(f, SHM_H_RETRIES, &sums);
		assert_int_equal(sums.count, life);
		assert_int_equal(sums.upto[1], 0);
		assert_int_equal(sums.upto[2], life);
		assert_int_equal(sums.sum, 2 * life);
		assert_int_equal(shm_error_class_sum(&f->seg, 3), life);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FIXTURE_TEST(one_shard),
	    FIXTURE_TEST(retiring_counts_once),
	    FIXTURE_TEST(buckets_at_their_bounds),
	    FIXTURE_TEST(places_are_apart),
	    FIXTURE_TEST(histograms_outlive_their_holder),
	    cmocka_unit_test(names_are_complete_and_distinct),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

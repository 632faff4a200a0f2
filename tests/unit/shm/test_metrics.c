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
		bool total = strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0;

		assert_int_equal(strncmp(name, "bifrost_", 8), 0);
		assert_int_equal(total, shm_metric_defs[a].kind == SHM_METRIC_COUNTER);
		assert_true(strlen(shm_metric_defs[a].help) > 5);
		for (int b = 0; b < a; b++)
			assert_string_not_equal(name, shm_metric_defs[b].exported);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FIXTURE_TEST(one_shard),
	    FIXTURE_TEST(retiring_counts_once),
	    cmocka_unit_test(names_are_complete_and_distinct),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

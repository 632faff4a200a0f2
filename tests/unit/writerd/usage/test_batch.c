/* The policy of writing, with a clock that only these tests move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "writerd/usage/batch.h"

static const struct batch_limits limits = {
    .rows = 10,
    .bytes = 1000,
    .wait_ms = 50,
    .look_ms = 5,
    .retry_ms = 100,
    .retry_cap_ms = 1500,
};

static const struct batch_waiting nothing = {0};

static struct batch_step look(struct batch *b, uint64_t rows, uint64_t bytes, int64_t now_ms)
{
	struct batch_waiting w = {.rows = rows, .bytes = bytes};

	return batch_look(b, &w, now_ms);
}

static void idle_sleeps(void **state)
{
	struct batch b;

	(void)state;
	batch_init(&b, &limits);
	assert_int_equal(batch_look(&b, &nothing, 0).action, BATCH_SLEEP);
	assert_string_equal(batch_state_name(b.state), "idle");
}

/* Bodies whose record is still on its way are no reason to write. */
static void bodies_alone_wait(void **state)
{
	struct batch b;

	(void)state;
	batch_init(&b, &limits);
	assert_int_equal(look(&b, 0, 5000, 0).action, BATCH_SLEEP);
}

static void one_row_waits_for_company_but_not_long(void **state)
{
	struct batch_step step;
	struct batch b;
	int64_t now = 1000;
	int looks = 0;

	(void)state;
	batch_init(&b, &limits);
	step = look(&b, 1, 0, now);
	while (step.action == BATCH_LOOK) {
		assert_true(step.at_ms > now && step.at_ms <= now + limits.look_ms);
		now = step.at_ms;
		step = look(&b, 1, 0, now);
		looks++;
	}
	assert_int_equal(step.action, BATCH_COMMIT);
	assert_int_equal(now, 1050);
	assert_int_equal(looks, 10);
}

static void enough_is_written_at_once(void **state)
{
	struct batch_waiting urgent = {.urgent = true};
	struct batch b;

	(void)state;
	batch_init(&b, &limits);
	assert_int_equal(look(&b, 9, 0, 0).action, BATCH_LOOK);
	assert_int_equal(look(&b, 10, 0, 1).action, BATCH_COMMIT);
	batch_init(&b, &limits);
	assert_int_equal(look(&b, 1, 999, 0).action, BATCH_LOOK);
	assert_int_equal(look(&b, 1, 1000, 0).action, BATCH_COMMIT);
	batch_init(&b, &limits);
	assert_int_equal(batch_look(&b, &urgent, 0).action, BATCH_COMMIT);
}

static void each_batch_has_a_wait_of_its_own(void **state)
{
	struct batch b;

	(void)state;
	batch_init(&b, &limits);
	(void)look(&b, 1, 0, 0);
	assert_int_equal(look(&b, 1, 0, 50).action, BATCH_COMMIT);
	(void)batch_done(&b, 0, 51);
	assert_int_equal(look(&b, 1, 0, 60).action, BATCH_LOOK);
	assert_int_equal(look(&b, 1, 0, 109).action, BATCH_LOOK);
	assert_int_equal(look(&b, 1, 0, 110).action, BATCH_COMMIT);
}

static void a_failing_store_is_tried_ever_more_rarely(void **state)
{
	static const int64_t pauses[] = {100, 200, 400, 800, 1500, 1500, 1500};
	struct batch b;
	int64_t now = 0;

	(void)state;
	batch_init(&b, &limits);
	assert_int_equal(look(&b, 100, 0, now).action, BATCH_COMMIT);
	for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		struct batch_verdict v = batch_done(&b, -28, now);
		struct batch_step step;

		assert_int_equal(v.broke, i == 0);
		assert_false(v.healed);
		assert_int_equal(b.state, BATCH_FAILING);
		step = look(&b, 100, 100000, now + pauses[i] - 1);
		assert_int_equal(step.action, BATCH_LOOK);
		assert_int_equal(step.at_ms, now + pauses[i]);
		now += pauses[i];
		assert_int_equal(look(&b, 100, 0, now).action, BATCH_MEND);
	}
}

static void a_success_heals_once(void **state)
{
	struct batch_verdict v;
	struct batch b;

	(void)state;
	batch_init(&b, &limits);
	(void)look(&b, 100, 0, 0);
	v = batch_done(&b, 0, 0);
	assert_false(v.broke);
	assert_false(v.healed);
	(void)batch_done(&b, -5, 0);
	(void)batch_done(&b, -5, 100);
	v = batch_done(&b, 0, 300);
	assert_true(v.healed);
	assert_int_equal(v.failures, 2);
	v = batch_done(&b, 0, 301);
	assert_false(v.healed);
	v = batch_done(&b, -5, 302);
	assert_true(v.broke);
	assert_int_equal(b.retry_at_ms, 402);
}

/* The store may have healed while nothing came: without a try the health report would stay red. */
static void a_failing_store_is_tried_without_rows_too(void **state)
{
	struct batch b;

	(void)state;
	batch_init(&b, &limits);
	(void)batch_done(&b, -5, 0);
	assert_int_equal(batch_look(&b, &nothing, 99).action, BATCH_LOOK);
	assert_int_equal(batch_look(&b, &nothing, 100).action, BATCH_MEND);
}

/* Failures beyond any count of doublings never overflow the pause. */
static void ten_thousand_failures(void **state)
{
	struct batch b;

	(void)state;
	batch_init(&b, &limits);
	for (int64_t i = 0; i < 10000; i++) {
		(void)batch_done(&b, -5, i);
		assert_true(b.retry_at_ms > i && b.retry_at_ms <= i + limits.retry_cap_ms);
	}
	b.failures = UINT32_MAX;
	(void)batch_done(&b, -5, 0);
	assert_int_equal(b.failures, UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(idle_sleeps),
	    cmocka_unit_test(bodies_alone_wait),
	    cmocka_unit_test(one_row_waits_for_company_but_not_long),
	    cmocka_unit_test(enough_is_written_at_once),
	    cmocka_unit_test(each_batch_has_a_wait_of_its_own),
	    cmocka_unit_test(a_failing_store_is_tried_ever_more_rarely),
	    cmocka_unit_test(a_success_heals_once),
	    cmocka_unit_test(a_failing_store_is_tried_without_rows_too),
	    cmocka_unit_test(ten_thousand_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

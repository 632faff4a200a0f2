/* Open questions: bounds, mapping, ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/ipc/deadlines.h"
#include "common/ipc/messages.h"
#include "supervisor/pending.h"

static struct pending p;

static struct pending_entry *add(uint32_t asker, uint32_t request, uint32_t peer, int *code)
{
	*code = 0;
	return pending_add(&p, asker, request, peer, BF_MSG_STATUS_GET, 1000, code);
}

static void test_equal_ids_of_two_askers_stay_apart(void **state)
{
	struct pending_entry *a, *b;
	int code;

	(void)state;
	pending_init(&p);
	a = add(0, 7, 3, &code);
	b = add(1, 7, 3, &code);
	assert_non_null(a);
	assert_non_null(b);
	assert_int_not_equal(a->id, b->id);
	assert_ptr_equal(pending_of_reply(&p, a->id, 3), a);
	assert_ptr_equal(pending_of_reply(&p, b->id, 3), b);
	assert_ptr_equal(pending_of_asker(&p, 1, 7), b);
	assert_null(add(0, 7, 4, &code));
	assert_int_equal(code, BF_E_DUPLICATE);
}

static void test_only_the_asked_may_answer(void **state)
{
	struct pending_entry *e;
	int code;

	(void)state;
	pending_init(&p);
	e = add(0, 1, 3, &code);
	assert_null(pending_of_reply(&p, e->id, 4));
	assert_null(pending_of_reply(&p, e->id + 1, 3));
	assert_null(pending_of_reply(&p, 0, 0));
	assert_null(pending_of_reply(&p, 0, 3));
	pending_free(e);
	assert_null(pending_of_asker(&p, 0, 1));
}

static void test_bound_of_one_asker(void **state)
{
	int code;

	(void)state;
	pending_init(&p);
	for (uint32_t i = 0; i < PENDING_MAX_OF_ONE; i++)
		assert_non_null(add(0, i + 1, 3, &code));
	assert_null(add(0, 1000, 3, &code));
	assert_int_equal(code, BF_E_FULL);
	assert_non_null(add(1, 1, 3, &code));
}

static void test_bound_of_all(void **state)
{
	uint32_t n = 0;
	int code;

	(void)state;
	pending_init(&p);
	while (add(n / PENDING_MAX_OF_ONE, n + 1, 3, &code))
		n++;
	assert_int_equal(n, PENDING_MAX);
	assert_int_equal(code, BF_E_FULL);
	pending_free(pending_any_of_asker(&p, 0));
	assert_non_null(add(0, 5000, 3, &code));
}

static void test_ends(void **state)
{
	int code;

	(void)state;
	pending_init(&p);
	(void)add(0, 1, 3, &code);
	(void)add(0, 2, 4, &code);
	(void)add(1, 1, 4, &code);
	assert_null(pending_any_expired(&p, 1000 + BF_QUESTION_LIMIT_MS - 1));
	assert_non_null(pending_any_expired(&p, 1000 + BF_QUESTION_LIMIT_MS));
	pending_touch(pending_of_asker(&p, 0, 1), 5000);
	pending_free(pending_of_asker(&p, 0, 2));
	pending_free(pending_of_asker(&p, 1, 1));
	assert_null(pending_any_expired(&p, 1000 + BF_QUESTION_LIMIT_MS));
	assert_null(pending_any_of_peer(&p, 4));
	assert_non_null(pending_any_of_peer(&p, 3));
	assert_null(pending_any_of_asker(&p, 1));
}

/* Else the worker's client is told less than the worker knows, and writerd that somebody waits. */
static void test_a_worker_gives_up_before_it_is_answered_for(void **state)
{
	static const uint16_t questions[] = {BF_MSG_LOGS_QUERY, BF_MSG_ENTITY_QUERY,
					     BF_MSG_PRICE_SYNC};
	struct pending_entry *e;
	int code;

	(void)state;
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		assert_true(pending_limit_ms(questions[i]) > BF_QUESTION_LIMIT_MS);
	assert_true(pending_limit_ms(BF_MSG_ENTITY_CHANGE) > BF_CHANGE_LIMIT_MS);
	pending_init(&p);
	e = pending_add(&p, 0, 1, 3, BF_MSG_ENTITY_CHANGE, 1000, &code);
	assert_null(pending_any_expired(&p, 1000 + BF_CHANGE_LIMIT_MS));
	pending_touch(e, 5000);
	assert_null(pending_any_expired(&p, 5000 + BF_CHANGE_LIMIT_MS));
	assert_ptr_equal(pending_any_expired(&p, 5000 + pending_limit_ms(e->type)), e);
}

static void test_ids_wrap_without_meeting_themselves(void **state)
{
	struct pending_entry *first, *second;
	int code;

	(void)state;
	pending_init(&p);
	p.last_id = UINT32_MAX - 1;
	first = add(0, 1, 3, &code);
	assert_int_equal(first->id, UINT32_MAX);
	second = add(0, 2, 3, &code);
	assert_int_equal(second->id, 1);
	p.last_id = UINT32_MAX - 1;
	assert_int_equal(add(0, 3, 3, &code)->id, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_equal_ids_of_two_askers_stay_apart),
	    cmocka_unit_test(test_only_the_asked_may_answer),
	    cmocka_unit_test(test_bound_of_one_asker),
	    cmocka_unit_test(test_bound_of_all),
	    cmocka_unit_test(test_ends),
	    cmocka_unit_test(test_a_worker_gives_up_before_it_is_answered_for),
	    cmocka_unit_test(test_ids_wrap_without_meeting_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Adoption: random histories against what must always hold, and the cases people meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/adopt.h"

/* What the workers believe, from the orders they got. */
struct world {
	bool carries[ADOPT_MAX_SLOTS][ADOPT_MAX_SLOTS]; /* [worker][slot] */
	bool alive[ADOPT_MAX_SLOTS], serves[ADOPT_MAX_SLOTS];
	uint32_t n;
};

static void obey(struct world *w, struct adopt *a)
{
	struct adopt_order orders[ADOPT_MAX_ORDERS];
	uint32_t count = adopt_update(a, w->serves, orders);

	assert_true(count <= 2 * w->n);
	for (uint32_t i = 0; i < count; i++) {
		const struct adopt_order *o = &orders[i];

		assert_true(o->worker < w->n && o->slot < w->n && o->worker != o->slot);
		/* Nobody is told what it knows, and nobody dead is told anything. */
		assert_true(w->alive[o->worker]);
		assert_int_equal(w->carries[o->worker][o->slot], o->release);
		w->carries[o->worker][o->slot] = !o->release;
	}
}

static void check(const struct world *w)
{
	bool anybody = false;

	for (uint32_t i = 0; i < w->n; i++)
		anybody |= w->serves[i];
	for (uint32_t s = 0; s < w->n; s++) {
		uint32_t readers = w->serves[s], carriers = 0;

		for (uint32_t i = 0; i < w->n; i++) {
			readers += w->carries[i][s] && w->serves[i];
			carriers += w->carries[i][s];
		}
		if (anybody)
			assert_int_equal(readers, 1);
		assert_true(carriers <= 1);
	}
}

static void kill_worker(struct world *w, struct adopt *a, uint32_t i)
{
	w->alive[i] = w->serves[i] = false;
	memset(w->carries[i], 0, sizeof(w->carries[i]));
	adopt_forget(a, i);
}

static void test_random_histories(void **state)
{
	unsigned seed = 1;

	(void)state;
	for (int run = 0; run < 200; run++) {
		struct adopt a;
		struct world w = {.n = 1 + (uint32_t)(rand_r(&seed) % 8)};

		adopt_init(&a, w.n);
		for (int step = 0; step < 200; step++) {
			uint32_t i = (uint32_t)rand_r(&seed) % w.n;

			switch (rand_r(&seed) % 3) {
			case 0:
				kill_worker(&w, &a, i);
				break;
			case 1: /* born, or it wakes up */
				w.alive[i] = w.serves[i] = true;
				break;
			default: /* stalls: lives, keeps what it was told, does not accept */
				w.serves[i] = false;
				break;
			}
			obey(&w, &a);
			check(&w);
		}
	}
}

static void test_load_is_spread(void **state)
{
	struct adopt a;
	struct world w = {.n = 8};
	unsigned most = 0;

	(void)state;
	adopt_init(&a, w.n);
	for (uint32_t i = 0; i < 2; i++)
		w.alive[i] = w.serves[i] = true;
	obey(&w, &a);
	check(&w);
	for (uint32_t i = 0; i < 2; i++) {
		unsigned carried = 0;

		for (uint32_t s = 0; s < w.n; s++)
			carried += w.carries[i][s];
		most = carried > most ? carried : most;
	}
	assert_int_equal(most, 3);
}

static void test_one_worker_has_no_sibling(void **state)
{
	struct adopt a;
	struct adopt_order orders[ADOPT_MAX_ORDERS];
	bool serves[ADOPT_MAX_SLOTS] = {true};

	(void)state;
	adopt_init(&a, 1);
	assert_int_equal(adopt_update(&a, serves, orders), 0);
	serves[0] = false;
	adopt_forget(&a, 0);
	assert_int_equal(adopt_update(&a, serves, orders), 0);
}

/* A replaced worker's successor knows nothing of what the old one carried. */
static void test_forgotten_slots_are_given_again(void **state)
{
	struct adopt a;
	struct adopt_order orders[ADOPT_MAX_ORDERS];
	bool serves[ADOPT_MAX_SLOTS] = {true};

	(void)state;
	adopt_init(&a, 2);
	assert_int_equal(adopt_update(&a, serves, orders), 1);
	assert_int_equal(adopt_update(&a, serves, orders), 0);
	adopt_forget(&a, 0);
	assert_int_equal(adopt_update(&a, serves, orders), 1);
	assert_int_equal(orders[0].slot, 1);
	assert_false(orders[0].release);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_histories),
	    cmocka_unit_test(test_load_is_spread),
	    cmocka_unit_test(test_one_worker_has_no_sibling),
	    cmocka_unit_test(test_forgotten_slots_are_given_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

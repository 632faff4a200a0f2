/* writerd is killed before or after any step in which a limit that is given back begins, and in
 * which a row is given to it: the next one finds the same sums, and no row counts twice. */
#include "tests/unit/writerd/limits_spent.h"

#include <sys/wait.h>

#include "writerd/store/store_sqlite_totals.h"

#define KILLED 9

static long steps_left = -1; /* -1: nobody dies */

static void step(void)
{
	if (steps_left > 0 && --steps_left == 0)
		_exit(KILLED);
}

/* The linker gives calls of NAME to __wrap_NAME (-Wl,--wrap). */
#define KILLABLE(type, name, parameters, arguments) \
	type __real_##name parameters;              \
	type __wrap_##name parameters;              \
	type __wrap_##name parameters               \
	{                                           \
		type r;                             \
		step();                             \
		r = __real_##name arguments;        \
		step();                             \
		return r;                           \
	}

#define KILLABLE_VOID(name, parameters, arguments) \
	void __real_##name parameters;             \
	void __wrap_##name parameters;             \
	void __wrap_##name parameters              \
	{                                          \
		step();                            \
		__real_##name arguments;           \
		step();                            \
	}

KILLABLE(int, totals_watch, (struct totals * t, uint64_t identity, uint64_t about),
	 (t, identity, about))
KILLABLE(int, totals_unwatch, (struct totals * t, uint64_t identity), (t, identity))
KILLABLE(int, totals_unwatch_others, (struct totals * t, const uint64_t *identities, size_t n),
	 (t, identities, n))
KILLABLE(int, totals_add,
	 (struct totals * t, uint64_t identity, int64_t window, const struct store_total *more,
	  const char *created_at, struct store_total *ret_now),
	 (t, identity, window, more, created_at, ret_now))
KILLABLE(int, shm_meter_place,
	 (struct shm_segment * seg, uint64_t identity, uint32_t *ret_m, bool *ret_new),
	 (seg, identity, ret_m, ret_new))
KILLABLE_VOID(shm_meter_load, (struct shm_segment * seg, uint32_t m, uint32_t epoch, int64_t value),
	      (seg, m, epoch, value))
KILLABLE_VOID(shm_meter_open,
	      (struct shm_segment * seg, uint32_t m, uint64_t identity, uint32_t quantity),
	      (seg, m, identity, quantity))
KILLABLE_VOID(shm_meter_set_settled,
	      (struct shm_segment * seg, uint32_t m, uint32_t epoch, int64_t sum),
	      (seg, m, epoch, sum))
KILLABLE_VOID(shm_meter_set_missed,
	      (struct shm_segment * seg, uint32_t m, uint32_t epoch, int64_t sum),
	      (seg, m, epoch, sum))

KILLABLE_VOID(shm_meter_set_resets,
	      (struct shm_segment * seg, uint32_t m, uint32_t epoch, uint64_t count),
	      (seg, m, epoch, count))

/* One charged by its own meter; one of a time without the limit. A meter's own value: nobody
 * reserves in this test. */
static void before(bool lives)
{
	struct bf_config both = config_of(2), one = config_of(1);
	struct limits l;

	rows_of_two = 0;
	start(&l, &both, store);
	row_of_two(&l, true, "");
	limits_done(&l);
	start(&l, &one, store);
	row_of_two(&l, false, "");
	pass(INT64_C(400) * 1000000000);
	if (!lives) {
		limits_second(&l);
		pass(INT64_C(10) * 1000000000);
		limits_second(&l);
	}
	limits_done(&l);
}

/* The limit is given back, and a request ends that was admitted without it. */
static void give_back(struct limits *l)
{
	struct bf_config both = config_of(2);

	start(l, &both, store);
	rows_of_two = 2;
	row_of_two(l, false, "");
}

static void change_two(struct limits *l)
{
	limits_change(l, BF_ENTITY_VIRTUAL_KEY, BF_SLICE_LIT("vk-2"));
	limits_settle(l);
}

/* The same without a restart: it goes once more, and comes again. */
static void give_back_live(struct limits *l)
{
	struct bf_config one = config_of(1);

	start(l, &one, store);
	for (int times = 0; times < 2; times++) {
		put_entity(BF_ENTITY_VIRTUAL_KEY, &keys[1]);
		change_two(l);
		if (times == 1)
			break;
		take_entity(BF_ENTITY_VIRTUAL_KEY, "vk-2");
		change_two(l);
	}
	rows_of_two = 2;
	row_of_two(l, false, "");
}

/* Whether it died before it was done. */
static bool killed_after(long steps, void (*act)(struct limits *l))
{
	struct limits l;
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		store = crafted_store(&c);
		steps_left = steps;
		act(&l);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_in_set((unsigned)WEXITSTATUS(status), ((const unsigned long[]){0, KILLED}), 2);
	return WEXITSTATUS(status) == KILLED;
}

static void check(const struct limits *l, bool lives, long steps)
{
	uint32_t m = meter_of(l, "vk-2", BF_QUANTITY_TOKENS);
	struct shm_meter_info info = info_of(m);

	if (info.settled != 15 || counted(m) != (lives ? 10 : 15))
		fail_msg("killed at step %ld: %lld settled, %lld counted, %lld of it missed", steps,
			 (long long)info.settled, (long long)counted(m), (long long)info.missed);
	assert_int_equal(
	    crafted_number(&c, "SELECT count(*) FROM logs WHERE virtual_key_id = 'vk-2'"), 3);
}

static void killed_at_every_step(bool lives, void (*act)(struct limits *l))
{
	bool killed = true;
	long steps = 0;
	struct limits l;

	while (killed) {
		void *nothing = NULL;

		steps++;
		before(lives);
		store->ops->close(store); /* none is open across a fork */
		killed = killed_after(steps, act);
		store = crafted_store(&c);
		give_back(&l);
		check(&l, lives, steps);
		limits_done(&l);
		(void)teardown(&nothing);
		(void)setup(&nothing);
	}
	assert_true(steps > 20);
}

static void while_its_meter_lives(void **state)
{
	(void)state;
	killed_at_every_step(true, give_back);
}

static void after_its_place_was_given_back(void **state)
{
	(void)state;
	killed_at_every_step(false, give_back);
}

static void by_changes_while_its_meter_lives(void **state)
{
	(void)state;
	killed_at_every_step(true, give_back_live);
}

static void by_changes_after_its_place_was_given_back(void **state)
{
	(void)state;
	killed_at_every_step(false, give_back_live);
}

/* ---- resets */

static void forgive_one(struct limits *l)
{
	struct bf_config one = config_of(1);
	int64_t sum;

	start(l, &one, store);
	if (forgive(l, "", &sum) != LIMITS_RESET_DONE)
		_exit(1);
}

/* 600 were used and 300 are held: the former are forgiven, all of them, or not. */
static bool is_forgiven(const struct limits *l)
{
	bool is = used_money(l) == 0;

	assert_int_equal(used_money(l), is ? 0 : 600);
	assert_int_equal(counted_money(l), is ? 300 : 900);
	assert_int_equal(info_of(meter_of(l, "vk-1", BF_QUANTITY_TOKENS)).settled, is ? 0 : 600);
	assert_int_equal(counted(meter_of(l, "vk-1", BF_QUANTITY_TOKENS)), is ? 300 : 900);
	return is;
}

static void while_usage_is_reset(void **state)
{
	struct bf_config one = config_of(1);
	bool killed = true, forgiven = false;
	struct taken running;
	struct limits l;
	int64_t sum;
	long steps;

	(void)state;
	for (steps = 1; killed; steps++) {
		void *nothing = NULL;

		start(&l, &one, store);
		spender_enter();
		assert_true(spend(&l, 1, 600));
		assert_true(take(&l, 2, 300, &running));
		limits_done(&l);
		store->ops->close(store);
		killed = killed_after(steps, forgive_one);
		store = crafted_store(&c);
		/* Every writerd finds the same. */
		for (int times = 0; times < 2; times++) {
			start(&l, &one, store);
			assert_true(is_forgiven(&l) || !forgiven);
			forgiven = is_forgiven(&l);
			if (times == 0)
				limits_done(&l);
		}
		assert_true(killed || forgiven);
		assert_int_equal(forgive(&l, "", &sum), LIMITS_RESET_DONE);
		assert_int_equal(sum, forgiven ? 0 : 1200);
		assert_true(is_forgiven(&l));
		limits_done(&l);
		(void)teardown(&nothing);
		(void)setup(&nothing);
	}
	assert_true(steps > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LIMITS_TEST(while_its_meter_lives),
	    LIMITS_TEST(after_its_place_was_given_back),
	    LIMITS_TEST(by_changes_while_its_meter_lives),
	    LIMITS_TEST(by_changes_after_its_place_was_given_back),
	    LIMITS_TEST(while_usage_is_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

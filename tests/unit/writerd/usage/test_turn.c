/* The shell on a real loop: what wakes it, what it shows when the store refuses, what it leaves
 * behind. */
#include "tests/unit/writerd/crafted.h"

#include <sys/eventfd.h>

#include "common/base/clock.h"
#include "shm/doorbell.h"
#include "shm/health.h"
#include "shm/metrics.h"
#include "writerd/usage/turn.h"

static struct crafted c;
static struct turn *t;
static struct ev_loop *loop;
static uint32_t own, worker;
static int doorbell;

/* A store that refuses while it is told to. */
static struct {
	struct store base;
	struct store *real;
	bool refusing;
	int mends;
	uint32_t busy, busy_times, busy_rows; /* a worker that goes on meanwhile */
} moody;

static void go_on(void)
{
	if (moody.busy_times == 0)
		return;
	moody.busy_times--;
	for (uint32_t n = 0; n < JOIN_MAX_RECORDS; n++)
		crafted_push(&c, moody.busy, 100000 + moody.busy_rows++);
}

static int moody_begin(struct store *s, struct bf_err *err)
{
	(void)s;
	if (moody.refusing)
		return bf_err_set(err, BF_E_FULL, "logs_store: refused on purpose");
	go_on();
	return moody.real->ops->begin(moody.real, err);
}

static int moody_append(struct store *s, const struct row *row, bool *ret_inserted,
			struct bf_err *err)
{
	(void)s;
	return moody.real->ops->append(moody.real, row, ret_inserted, err);
}

static int moody_commit(struct store *s, struct bf_err *err)
{
	(void)s;
	return moody.real->ops->commit(moody.real, err);
}

static void moody_rollback(struct store *s)
{
	(void)s;
	moody.real->ops->rollback(moody.real);
}

static int moody_expire(struct store *s, const char *before, unsigned limit,
			struct store_expired *ret_deleted, struct bf_err *err)
{
	(void)s;
	return moody.real->ops->expire(moody.real, before, limit, ret_deleted, err);
}

static int moody_mend(struct store *s, struct bf_err *err)
{
	(void)s;
	(void)err;
	moody.mends++;
	return 0;
}

static const struct store_ops moody_ops = {
    .begin = moody_begin,
    .append = moody_append,
    .commit = moody_commit,
    .rollback = moody_rollback,
    .expire = moody_expire,
    .mend = moody_mend,
};

/* See meson.build: a slot that can not be freed. */
static bool stuck_slots;
int __real_shm_slot_free(struct shm_segment *seg, uint32_t p);
int __wrap_shm_slot_free(struct shm_segment *seg, uint32_t p);

int __wrap_shm_slot_free(struct shm_segment *seg, uint32_t p)
{
	return stuck_slots ? BF_E_STATE : __real_shm_slot_free(seg, p);
}

static int setup(void **state)
{
	int p;

	(void)state;
	crafted_init(&c);
	p = shm_slot_assign(&c.seg, BF_ROLE_WRITERD, 0);
	assert_true(p >= 0);
	own = (uint32_t)p;
	assert_int_equal(shm_slot_enter(&c.seg, own, 1, 1, 1), 0);
	worker = crafted_worker(&c);
	doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	t = calloc(1, sizeof(*t));
	assert_non_null(t);
	moody.base.ops = &moody_ops;
	moody.real = crafted_store(&c);
	moody.refusing = stuck_slots = false;
	moody.mends = 0;
	turn_start(t, loop, &c.seg, &moody.base, own, doorbell, true, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (ev_is_active(&t->safety))
		(void)turn_stop(t, 1000);
	moody.real->ops->close(moody.real);
	ev_loop_destroy(loop);
	free(t);
	(void)close(doorbell);
	crafted_done(&c);
	return 0;
}

static void on_limit(struct ev_loop *l, ev_timer *w, int revents)
{
	(void)l;
	(void)revents;
	*(bool *)w->data = true;
}

/* Runs the loop until done says so or limit_ms are over; counts the loop's turns. */
static unsigned run_until(bool (*done)(void), int64_t limit_ms)
{
	unsigned before = ev_iteration(loop);
	bool over = false;
	ev_timer limit;

	ev_now_update(loop);
	ev_timer_init(&limit, on_limit, (double)limit_ms / 1000, 0);
	limit.data = &over;
	ev_timer_start(loop, &limit);
	while (!over && !done())
		(void)ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &limit);
	return ev_iteration(loop) - before;
}

static bool never(void)
{
	return false;
}

static bool rings_empty(void)
{
	return shm_usage_waiting(&c.seg, worker) == 0;
}

static bool slot_freed(void)
{
	return crafted_state(&c, worker) == SHM_SLOT_FREE;
}

static bool health(enum shm_health_bit bit)
{
	return shm_health_all(&c.seg) >> bit & 1;
}

static bool store_failing(void)
{
	return health(SHM_H_STORE_FAILING);
}

static bool mended_twice(void)
{
	return moody.mends >= 2;
}

static void a_ring_of_the_doorbell_wakes_it(void **state)
{
	(void)state;
	(void)run_until(never, 150);     /* asleep by now */
	ev_timer_stop(loop, &t->safety); /* so that only the doorbell is left */
	crafted_push(&c, worker, 1);
	shm_doorbell_ring(&c.seg, doorbell);
	(void)run_until(rings_empty, 5000);
	assert_true(rings_empty());
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM logs"), 1);
	assert_int_equal(shm_metric_sum(&c.seg, SHM_M_ROWS_WRITTEN), 1);
	/* Asleep again, and woken again. */
	(void)run_until(never, 20);
	crafted_push(&c, worker, 2);
	shm_doorbell_ring(&c.seg, doorbell);
	(void)run_until(rings_empty, 5000);
	assert_true(rings_empty());
	ev_timer_again(loop, &t->safety);
}

static void a_lost_ring_is_made_good(void **state)
{
	(void)state;
	(void)run_until(never, 150);
	crafted_push(&c, worker, 1);
	(void)run_until(rings_empty, 5000);
	assert_true(rings_empty());
}

static void a_death_is_seen_without_a_message(void **state)
{
	(void)state;
	(void)crafted_begin(&c, worker, 1);
	crafted_push(&c, worker, 2);
	(void)run_until(never, 50);
	shm_slot_dead(&c.seg, worker);
	(void)run_until(slot_freed, 5000);
	assert_true(slot_freed());
	assert_int_equal(shm_metric_sum(&c.seg, SHM_M_ROWS_SWEPT), 1);
	assert_int_equal(shm_metric_sum(&c.seg, SHM_M_ROWS_WRITTEN), 2);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM logs WHERE crashed"), 1);
}

static void an_idle_loop_is_nearly_still(void **state)
{
	(void)state;
	(void)run_until(never, 100);
	assert_true(run_until(never, 1000) < 30);
}

static void a_refusing_store_is_shown_and_tried_again(void **state)
{
	(void)state;
	moody.refusing = true;
	crafted_push(&c, worker, 1);
	(void)run_until(store_failing, 5000);
	assert_true(store_failing());
	assert_int_equal(shm_usage_waiting(&c.seg, worker), 1);
	assert_true(run_until(never, 1000) < 60);
	assert_true(moody.mends <= 5);
	(void)run_until(mended_twice, 20000);
	assert_true(moody.mends >= 2);
	assert_int_equal(shm_metric_sum(&c.seg, SHM_M_STORE_ERRORS), 1 + moody.mends);
	moody.refusing = false;
	(void)run_until(rings_empty, 6000);
	assert_true(rings_empty());
	assert_false(store_failing());
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM logs"), 1);
}

static void a_slot_that_can_not_be_freed_costs_nothing(void **state)
{
	(void)state;
	stuck_slots = true;
	shm_slot_dead(&c.seg, worker);
	(void)run_until(never, 200);
	assert_true(run_until(never, 1000) < 30);
	assert_int_equal(crafted_state(&c, worker), SHM_SLOT_DEAD);
}

/* More than one transaction has room for, and nothing waits for a timer. */
static void what_waits_is_written_at_once(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= 3000; n++)
		crafted_push(&c, worker, n);
	assert_true(turn_flush(t));
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM logs"), 3000);
	assert_true(turn_flush(t));
	assert_int_equal(t->rows_written, 3000);
	moody.refusing = true;
	crafted_push(&c, worker, 3001);
	assert_false(turn_flush(t));
	assert_int_equal(t->store_errors, 1);
	assert_false(turn_flush(t)); /* that is for the timer to try again */
	assert_int_equal(t->store_errors, 1);
	moody.refusing = false;
}

/* Many new ones of another worker are not those that waited. */
static void what_waited_is_written_whoever_is_busy(void **state)
{
	(void)state;
	moody.busy = crafted_worker(&c);
	moody.busy_times = 2;
	moody.busy_rows = 0;
	for (uint32_t n = 1; n <= 2 * JOIN_MAX_RECORDS + 76; n++)
		crafted_push(&c, worker, n);
	assert_true(turn_flush(t));
	assert_int_equal(shm_usage_waiting(&c.seg, worker), 0);
}

static void a_stop_empties_everything(void **state)
{
	uint32_t other = crafted_worker(&c);

	(void)state;
	for (uint32_t n = 1; n <= 5000; n++)
		crafted_push(&c, worker, n);
	(void)crafted_begin(&c, other, 6000);
	crafted_push(&c, other, 6001);
	shm_slot_dead(&c.seg, other);
	assert_int_equal(turn_stop(t, 10000), 0);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM logs"), 5002);
	assert_int_equal(crafted_state(&c, other), SHM_SLOT_FREE);
}

static void a_stop_with_a_refusing_store_leaves_rows_behind(void **state)
{
	int64_t before = bf_mono_ms();

	(void)state;
	moody.refusing = true;
	for (uint32_t n = 1; n <= 10; n++)
		crafted_push(&c, worker, n);
	assert_int_equal(turn_stop(t, 60000), 10);
	assert_true(bf_mono_ms() - before < 30000);
	assert_int_equal(shm_usage_waiting(&c.seg, worker), 10);
}

static void health_follows_the_rings(void **state)
{
	static char body[512 * 1024];

	(void)state;
	turn_second(t);
	assert_false(health(SHM_H_USAGE_OVERFLOW));
	assert_false(health(SHM_H_CONTENT_DROPPED));
	for (uint32_t n = 1; n <= SHM_USAGE_RING_RECORDS + 1; n++)
		crafted_push(&c, worker, n);
	for (int n = 0; n < 20; n++)
		(void)shm_content_push(&c.seg, worker, (const uint8_t[16]){1}, SHM_CONTENT_REQUEST,
				       body, sizeof(body));
	turn_second(t);
	assert_true(health(SHM_H_USAGE_OVERFLOW));
	assert_true(health(SHM_H_CONTENT_DROPPED));
	(void)run_until(rings_empty, 5000);
	turn_second(t);
	assert_false(health(SHM_H_USAGE_OVERFLOW));
	assert_true(health(SHM_H_CONTENT_DROPPED)); /* for a minute */
}

#define TURN_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TURN_TEST(a_ring_of_the_doorbell_wakes_it),
	    TURN_TEST(a_lost_ring_is_made_good),
	    TURN_TEST(a_death_is_seen_without_a_message),
	    TURN_TEST(an_idle_loop_is_nearly_still),
	    TURN_TEST(a_refusing_store_is_shown_and_tried_again),
	    TURN_TEST(a_slot_that_can_not_be_freed_costs_nothing),
	    TURN_TEST(what_waits_is_written_at_once),
	    TURN_TEST(what_waited_is_written_whoever_is_busy),
	    TURN_TEST(a_stop_empties_everything),
	    TURN_TEST(a_stop_with_a_refusing_store_leaves_rows_behind),
	    TURN_TEST(health_follows_the_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The sweep, killed. A child process does writerd's work on a crafted segment and dies by SIGKILL
 * at its n-th step, for every n; the next one goes on. At the end each begun request has exactly
 * one row and the dead slot is free.
 */
#include "tests/unit/writerd/crafted.h"
#include "tests/unit/writerd/stepping.h"

#include "shm/metrics.h"
#include "writerd/usage/intake.h"
#include "writerd/usage/sweep.h"

enum {
	FINISHED = 20, /* record in the ring, entry freed */
	BETWEEN = 3,   /* died after the push, before the entry was freed */
	HELD = 7,      /* died in the middle */
	LIVING = 5,    /* finished by a worker that still lives */
	BEGUN = FINISHED + BETWEEN + HELD,
};

/* The linker puts these in place of the real ones (see meson.build): a step before and after each
 * change of the segment. */
void __real_shm_usage_release(struct shm_segment *seg, uint32_t p, size_t n);
void __wrap_shm_usage_release(struct shm_segment *seg, uint32_t p, size_t n);
void __real_shm_content_release(struct shm_segment *seg, uint32_t p, uint64_t end);
void __wrap_shm_content_release(struct shm_segment *seg, uint32_t p, uint64_t end);
void __real_shm_inflight_swept(struct shm_segment *seg, uint32_t p, int entry);
void __wrap_shm_inflight_swept(struct shm_segment *seg, uint32_t p, int entry);
int __real_shm_slot_free(struct shm_segment *seg, uint32_t p);
int __wrap_shm_slot_free(struct shm_segment *seg, uint32_t p);

void __wrap_shm_usage_release(struct shm_segment *seg, uint32_t p, size_t n)
{
	step();
	__real_shm_usage_release(seg, p, n);
	step();
}

void __wrap_shm_content_release(struct shm_segment *seg, uint32_t p, uint64_t end)
{
	step();
	__real_shm_content_release(seg, p, end);
	step();
}

void __wrap_shm_inflight_swept(struct shm_segment *seg, uint32_t p, int entry)
{
	step();
	__real_shm_inflight_swept(seg, p, entry);
	step();
}

int __wrap_shm_slot_free(struct shm_segment *seg, uint32_t p)
{
	int r;

	step();
	r = __real_shm_slot_free(seg, p);
	step();
	return r;
}

/* A store with a step before and after each call. */
struct stepping {
	struct store base;
	struct store *real;
};

static struct store *real_of(struct store *s)
{
	step();
	return ((struct stepping *)(void *)s)->real;
}

static int stepping_begin(struct store *s, struct bf_err *err)
{
	struct store *real = real_of(s);
	int r = real->ops->begin(real, err);

	step();
	return r;
}

static int stepping_append(struct store *s, const struct row *row, bool *ret_inserted,
			   struct bf_err *err)
{
	struct store *real = real_of(s);

	return real->ops->append(real, row, ret_inserted, err);
}

static int stepping_commit(struct store *s, struct bf_err *err)
{
	struct store *real = real_of(s);
	int r = real->ops->commit(real, err);

	step();
	return r;
}

static void stepping_rollback(struct store *s)
{
	struct store *real = real_of(s);

	real->ops->rollback(real);
}

static const struct store_ops stepping_ops = {
    .begin = stepping_begin,
    .append = stepping_append,
    .commit = stepping_commit,
    .rollback = stepping_rollback,
};

static void finish(struct crafted *c, uint32_t p, uint32_t n)
{
	struct shm_usage_record r = crafted_record(n);
	int entry = crafted_begin(c, p, n);

	crafted_body(c, p, n, SHM_CONTENT_REQUEST, "ask");
	crafted_body(c, p, n, SHM_CONTENT_RESPONSE, "say");
	r.completion_tokens = 100;
	shm_inflight_finish(&c->seg, p, entry, &r);
}

/* A worker that died with requests in every state, beside one that lives. Returns the dead one's
 * slot. */
static uint32_t craft(struct crafted *c, uint32_t *ret_living)
{
	uint32_t p, living, n = 0;

	crafted_init(c);
	p = crafted_worker(c);
	living = crafted_worker(c);
	for (uint32_t i = 0; i < FINISHED; i++)
		finish(c, p, ++n);
	for (uint32_t i = 0; i < BETWEEN; i++) {
		(void)crafted_begin(c, p, ++n);
		crafted_body(c, p, n, SHM_CONTENT_REQUEST, "ask");
		crafted_push(c, p, n);
	}
	for (uint32_t i = 0; i < HELD; i++) {
		int entry = crafted_begin(c, p, ++n);

		shm_inflight_progress(&c->seg, p, entry, 11, 3, SHM_USAGE_STREAM);
	}
	/* The last one died between its body and its record. */
	crafted_body(c, p, n, SHM_CONTENT_REQUEST, "ask");
	for (uint32_t i = 0; i < LIVING; i++)
		finish(c, living, 1000 + i);
	shm_metric_add(&c->seg, p, SHM_M_HTTP_REQUESTS, BEGUN);
	shm_slot_dead(&c->seg, p);
	*ret_living = living;
	return p;
}

/* What a writerd does from its start until nothing waits. */
static void work(void *ctx)
{
	struct crafted *c = ctx;
	struct stepping stepping = {.base = {.ops = &stepping_ops}, .real = crafted_store(c)};
	struct intake *in = calloc(1, sizeof(*in));
	struct sweep *s = calloc(1, sizeof(*s));
	struct bf_err err = {0};
	int r = 0;

	intake_init(in, &c->seg, &stepping.base, true);
	sweep_init(s, &c->seg, &stepping.base, true, BF_ROLE_PROXYD);
	for (int turn = 0; turn < 100 && r >= 0; turn++) {
		unsigned rows, taken;

		r = intake_commit(in, turn, &rows, &taken, &err);
		if (r == 0)
			r = sweep_run(s, INT64_C(1700000001000000000), &rows, &err);
		if (r == 0 && taken == 0 && !sweep_pending(s))
			break;
	}
	stepping.real->ops->close(stepping.real);
	sweep_done(s);
	intake_done(in);
	free(s);
	free(in);
	_exit(r < 0 ? 1 : 0);
}

/* True when the child lived to its end. */
static void check(struct crafted *c, uint32_t p, uint32_t living)
{
	struct bf_err err = {0};

	assert_int_equal(crafted_number(c, "SELECT count(*) FROM logs"), BEGUN + LIVING);
	assert_int_equal(crafted_number(c, "SELECT count(DISTINCT id) FROM logs"), BEGUN + LIVING);
	assert_int_equal(crafted_number(c, "SELECT count(*) FROM logs WHERE crashed"), HELD);
	assert_int_equal(
	    crafted_number(
		c, "SELECT count(*) FROM logs WHERE crashed AND estimated AND status = 'error'"
		   " AND completion_tokens = 3 AND stream AND error_details IS NOT NULL"),
	    HELD);
	assert_int_equal(
	    crafted_number(c, "SELECT sum(cost_nusd) FROM logs WHERE cost_nusd < 1000"),
	    BEGUN * (BEGUN + 1) / 2);
	assert_int_equal(crafted_number(c, "SELECT count(*) FROM logs WHERE input_history = 'ask'"),
			 FINISHED + BETWEEN + 1 + LIVING);
	assert_int_equal(
	    crafted_number(c, "SELECT count(*) FROM logs WHERE output_message = 'say'"),
	    FINISHED + LIVING);
	assert_int_equal(crafted_state(c, p), SHM_SLOT_FREE);
	assert_int_equal(crafted_state(c, living), SHM_SLOT_LIVE);
	assert_int_equal(shm_usage_waiting(&c->seg, living), 0);
	assert_int_equal(shm_metric_sum(&c->seg, SHM_M_HTTP_REQUESTS), BEGUN);
	if (shm_segment_valid(&c->seg, &err) < 0)
		fail_msg("%s", err.text);
}

static void killed_at_every_step(void **state)
{
	long kills = 0;

	(void)state;
	for (long n = 0;; n++) {
		uint32_t living, p;
		struct crafted c;
		bool lived;

		p = craft(&c, &living);
		lived = step_in_child(work, &c, n);
		if (!lived) {
			kills++;
			assert_true(step_in_child(work, &c, -1));
		}
		check(&c, p, living);
		crafted_done(&c);
		if (lived)
			break;
	}
	/* Two transactions of 3 calls and their rows, releases of two rings, ten entries, one slot.
	 */
	assert_true(kills > 60);
}

/* Each writerd gets one step further than the last: all of them work on the same segment. */
static void killed_again_and_again(void **state)
{
	uint32_t living, p;
	struct crafted c;
	long n = 0;

	(void)state;
	p = craft(&c, &living);
	while (!step_in_child(work, &c, n))
		n++;
	assert_true(n > 10);
	check(&c, p, living);
	crafted_done(&c);
}

static void a_living_slot_is_never_swept(void **state)
{
	struct sweep *s = calloc(1, sizeof(*s));
	struct bf_err err = {0};
	struct store *store;
	unsigned rows = 9;
	struct crafted c;
	uint32_t p;

	(void)state;
	crafted_init(&c);
	store = crafted_store(&c);
	p = crafted_worker(&c);
	(void)crafted_begin(&c, p, 1);
	sweep_init(s, &c.seg, store, true, BF_ROLE_PROXYD);
	assert_false(sweep_pending(s));
	assert_int_equal(sweep_run(s, 0, &rows, &err), 0);
	assert_int_equal(rows, 0);
	assert_int_equal(shm_inflight_count(&c.seg, p), 1);
	/* Nor a dead one of another role: the supervisor frees those. */
	p = (uint32_t)shm_slot_assign(&c.seg, BF_ROLE_CLUSTERD, 0);
	shm_slot_dead(&c.seg, p);
	assert_false(sweep_pending(s));
	assert_int_equal(sweep_run(s, 0, &rows, &err), 0);
	assert_int_equal(crafted_state(&c, p), SHM_SLOT_DEAD);
	sweep_done(s);
	free(s);
	store->ops->close(store);
	crafted_done(&c);
}

static int freed;

static void on_freed(void *owner, uint32_t p)
{
	(void)p;
	assert_ptr_equal(owner, &freed);
	freed++;
}

/* A full table: more entries than one transaction takes. */
static void a_full_table_is_swept_in_pieces(void **state)
{
	const uint32_t total = 3 * JOIN_MAX_RECORDS + 1;
	struct sweep *s = calloc(1, sizeof(*s));
	struct bf_err err = {0};
	struct store *store;
	unsigned rows = 0, all = 0;
	struct crafted c;
	int turns = 0;
	uint32_t p;

	(void)state;
	freed = 0;
	crafted_init(&c);
	store = crafted_store(&c);
	p = crafted_worker(&c);
	for (uint32_t n = 1; n <= total; n++)
		(void)crafted_begin(&c, p, n);
	shm_slot_dead(&c.seg, p);
	sweep_init(s, &c.seg, store, true, BF_ROLE_PROXYD);
	s->on_freed = on_freed;
	s->owner = &freed;
	while (sweep_pending(s) && turns++ < 10) {
		assert_int_equal(sweep_run(s, INT64_C(1700000001000000000), &rows, &err), 1);
		assert_true(rows <= JOIN_MAX_RECORDS);
		all += rows;
	}
	assert_int_equal(turns, 4);
	assert_int_equal(all, total);
	assert_int_equal(freed, 1);
	assert_int_equal(
	    crafted_number(&c, "SELECT count(*) FROM logs WHERE latency = 1000000.0 / 1000"),
	    total);
	sweep_done(s);
	free(s);
	store->ops->close(store);
	crafted_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(killed_at_every_step),
	    cmocka_unit_test(killed_again_and_again),
	    cmocka_unit_test(a_living_slot_is_never_swept),
	    cmocka_unit_test(a_full_table_is_swept_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

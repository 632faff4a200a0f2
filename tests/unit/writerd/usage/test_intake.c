/* Rings to rows: joining, bounds, fairness, a store that refuses. */
#include "tests/unit/writerd/crafted.h"

#include "writerd/store/store_null.h"
#include "writerd/usage/intake.h"

static struct crafted c;
static struct intake *in;
static struct store *store;

static int setup(void **state)
{
	(void)state;
	crafted_init(&c);
	store = crafted_store(&c);
	in = calloc(1, sizeof(*in));
	intake_init(in, &c.seg, store, true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	store->ops->close(store);
	intake_done(in);
	free(in);
	crafted_done(&c);
	return 0;
}

static void must_commit(unsigned want_rows, unsigned want_taken)
{
	unsigned rows = 99, taken = 99;
	struct bf_err err = {0};

	if (intake_commit(in, 0, &rows, &taken, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(rows, want_rows);
	assert_int_equal(taken, want_taken);
}

static void nothing_waits(void **state)
{
	struct batch_waiting w;

	(void)state;
	(void)crafted_worker(&c);
	intake_look(in, &w);
	assert_int_equal(w.rows, 0);
	assert_false(w.urgent);
	must_commit(0, 0);
}

static void rows_of_two_workers(void **state)
{
	uint32_t a = crafted_worker(&c), b = crafted_worker(&c);
	struct batch_waiting w;

	(void)state;
	for (uint32_t n = 1; n <= 3; n++)
		crafted_push(&c, a, n);
	crafted_push(&c, b, 4);
	intake_look(in, &w);
	assert_int_equal(w.rows, 4);
	must_commit(4, 4);
	assert_int_equal(shm_usage_waiting(&c.seg, a) + shm_usage_waiting(&c.seg, b), 0);
	assert_int_equal(crafted_number(&c, "SELECT sum(cost_nusd) FROM logs"), 10);
	must_commit(0, 0);
}

static void bodies_find_their_records(void **state)
{
	uint32_t p = crafted_worker(&c);

	(void)state;
	crafted_body(&c, p, 1, SHM_CONTENT_REQUEST, "ask 1");
	crafted_body(&c, p, 2, SHM_CONTENT_REQUEST, "ask 2");
	crafted_body(&c, p, 2, SHM_CONTENT_RESPONSE, "say 2");
	crafted_push(&c, p, 2);
	crafted_body(&c, p, 1, SHM_CONTENT_RESPONSE, "say 1");
	crafted_push(&c, p, 1);
	crafted_push(&c, p, 3);
	must_commit(3, 3);
	assert_int_equal(shm_content_waiting_bytes(&c.seg, p), 0);
	assert_int_equal(
	    crafted_number(&c, "SELECT count(*) FROM logs WHERE input_history = 'ask ' || cost_nusd"
			       " AND output_message = 'say ' || cost_nusd"),
	    2);
	assert_int_equal(
	    crafted_number(&c, "SELECT cost_nusd FROM logs WHERE input_history IS NULL"), 3);
}

/* A body whose record is still to come stays, and so does what lies behind it. */
static void a_body_waits_for_its_record(void **state)
{
	uint32_t p = crafted_worker(&c);

	(void)state;
	crafted_body(&c, p, 1, SHM_CONTENT_REQUEST, "ask 1");
	crafted_body(&c, p, 2, SHM_CONTENT_REQUEST, "ask 2");
	crafted_push(&c, p, 2);
	must_commit(1, 1);
	assert_true(shm_content_waiting_bytes(&c.seg, p) > 0);
	crafted_push(&c, p, 1);
	must_commit(1, 1);
	assert_int_equal(
	    crafted_number(&c,
			   "SELECT count(*) FROM logs WHERE input_history = 'ask ' || cost_nusd"),
	    2);
	assert_true(shm_content_waiting_bytes(&c.seg, p) > 0);
	crafted_push(&c, p, 3);
	must_commit(1, 1);
}

/* Bodies that nobody will ever ask for do not block the ring for long once it is half full. */
static void lost_bodies_are_given_up(void **state)
{
	static char body[256 * 1024];
	uint32_t p = crafted_worker(&c);
	unsigned rows, taken;
	struct bf_err err;
	struct batch_waiting w;
	uint64_t waiting;

	(void)state;
	memset(body, 'x', sizeof(body) - 1);
	for (uint32_t n = 1; n <= 9; n++)
		crafted_body(&c, p, n, SHM_CONTENT_REQUEST, body);
	intake_look(in, &w);
	assert_true(w.urgent);
	waiting = shm_content_waiting_bytes(&c.seg, p);
	for (int64_t now = 10; now < 1000; now += 330) {
		assert_int_equal(intake_commit(in, now, &rows, &taken, &err), 0);
		assert_int_equal(shm_content_waiting_bytes(&c.seg, p), waiting);
	}
	/* A young one, with a record, behind the old ones. */
	crafted_body(&c, p, 100, SHM_CONTENT_REQUEST, "young");
	crafted_push(&c, p, 100);
	assert_int_equal(intake_commit(in, 1010, &rows, &taken, &err), 0);
	assert_int_equal(rows, 1);
	assert_int_equal(shm_content_waiting_bytes(&c.seg, p), 0);
	assert_int_equal(
	    crafted_number(&c, "SELECT count(*) FROM logs WHERE input_history = 'young'"), 1);
}

static void unwanted_bodies_are_let_go(void **state)
{
	uint32_t p = crafted_worker(&c);
	struct batch_waiting w;

	(void)state;
	in->keep_content = false;
	crafted_body(&c, p, 1, SHM_CONTENT_REQUEST, "secret");
	intake_look(in, &w);
	assert_true(w.urgent);
	crafted_push(&c, p, 1);
	must_commit(1, 1);
	assert_int_equal(shm_content_waiting_bytes(&c.seg, p), 0);
	assert_int_equal(
	    crafted_number(&c, "SELECT count(*) FROM logs WHERE input_history IS NOT NULL"), 0);
}

static void a_disabled_store_still_empties_the_rings(void **state)
{
	uint32_t p = crafted_worker(&c);

	(void)state;
	in->store = store_null_open();
	in->keep_content = false;
	crafted_body(&c, p, 1, SHM_CONTENT_REQUEST, "secret");
	for (uint32_t n = 1; n <= 100; n++)
		crafted_push(&c, p, n);
	must_commit(0, 100);
	assert_int_equal(shm_usage_waiting(&c.seg, p), 0);
	assert_int_equal(shm_content_waiting_bytes(&c.seg, p), 0);
}

/* More than one turn may take: each is bounded, all arrive, overflow included, every body with its
 * own. */
static void a_flood_comes_in_pieces(void **state)
{
	const uint32_t total = SHM_USAGE_RING_RECORDS + 1500;
	uint32_t p = crafted_worker(&c);
	struct batch_waiting w;
	unsigned all = 0;
	char text[32];

	(void)state;
	for (uint32_t n = 1; n <= total; n++) {
		(void)snprintf(text, sizeof(text), "ask %u", n);
		crafted_body(&c, p, n, SHM_CONTENT_REQUEST, text);
		crafted_push(&c, p, n);
	}
	assert_true(shm_usage_overflow_waiting(&c.seg, p) > 0);
	intake_look(in, &w);
	assert_true(w.urgent);
	for (int turns = 0; turns < 20 && shm_usage_waiting(&c.seg, p) > 0; turns++) {
		unsigned rows = 0, taken = 0;
		struct bf_err err = {0};

		assert_int_equal(intake_commit(in, 0, &rows, &taken, &err), 0);
		assert_true(taken > 0 && taken <= JOIN_MAX_RECORDS);
		assert_int_equal(rows, taken);
		all += taken;
	}
	assert_int_equal(all, total);
	assert_int_equal(
	    crafted_number(&c,
			   "SELECT count(*) FROM logs WHERE input_history = 'ask ' || cost_nusd"),
	    total);
	assert_int_equal(shm_content_waiting_bytes(&c.seg, p), 0);
}

/* A worker that never stops does not keep the others from being written. */
static void every_slot_gets_its_turn(void **state)
{
	uint32_t workers[8];

	(void)state;
	for (uint32_t i = 0; i < 8; i++) {
		workers[i] = crafted_worker(&c);
		for (uint32_t n = 0; n < 1000; n++)
			crafted_push(&c, workers[i], i * 10000 + n);
	}
	for (int turn = 0; turn < 8; turn++) {
		unsigned rows = 0, taken = 0;
		struct bf_err err = {0};

		assert_int_equal(intake_commit(in, 0, &rows, &taken, &err), 0);
		assert_true(taken <= INTAKE_MAX_ROWS);
	}
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(shm_usage_waiting(&c.seg, workers[i]), 0);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM logs"), 8000);
}

/* A store that fails at the n-th call of a transaction. */
struct breaking {
	struct store base;
	struct store *real;
	int calls_left;
};

static bool breaks(struct store *s, struct bf_err *err)
{
	struct breaking *b = (struct breaking *)(void *)s;

	if (b->calls_left-- != 0)
		return false;
	(void)bf_err_set(err, BF_E_FULL, "broken on purpose");
	return true;
}

static int breaking_begin(struct store *s, struct bf_err *err)
{
	struct breaking *b = (struct breaking *)(void *)s;

	return breaks(s, err) ? BF_E_FULL : b->real->ops->begin(b->real, err);
}

static int breaking_append(struct store *s, const struct row *row, bool *ret_inserted,
			   struct bf_err *err)
{
	struct breaking *b = (struct breaking *)(void *)s;

	return breaks(s, err) ? BF_E_FULL : b->real->ops->append(b->real, row, ret_inserted, err);
}

static int breaking_commit(struct store *s, struct bf_err *err)
{
	struct breaking *b = (struct breaking *)(void *)s;

	return breaks(s, err) ? BF_E_FULL : b->real->ops->commit(b->real, err);
}

static void breaking_rollback(struct store *s)
{
	struct breaking *b = (struct breaking *)(void *)s;

	b->real->ops->rollback(b->real);
}

static const struct store_ops breaking_ops = {
    .begin = breaking_begin,
    .append = breaking_append,
    .commit = breaking_commit,
    .rollback = breaking_rollback,
};

static void a_refused_transaction_leaves_all_in_place(void **state)
{
	struct breaking breaking = {.base = {.ops = &breaking_ops}, .real = store};
	uint32_t p = crafted_worker(&c);
	const int calls = 5 + 2; /* begin, five rows, commit */
	struct bf_err err = {0};
	unsigned rows = 0, taken = 0;

	(void)state;
	in->store = &breaking.base;
	for (uint32_t n = 1; n <= 5; n++) {
		crafted_body(&c, p, n, SHM_CONTENT_REQUEST, "ask");
		crafted_push(&c, p, n);
	}
	for (int n = 0; n < calls; n++) {
		uint64_t bytes = shm_content_waiting_bytes(&c.seg, p);

		breaking.calls_left = n;
		assert_int_equal(intake_commit(in, 0, &rows, &taken, &err), BF_E_FULL);
		assert_int_equal(taken, 0);
		assert_int_equal(shm_usage_waiting(&c.seg, p), 5);
		assert_int_equal(shm_content_waiting_bytes(&c.seg, p), bytes);
		assert_int_equal(crafted_number(&c, "SELECT count(*) FROM logs"), 0);
	}
	breaking.calls_left = calls;
	must_commit(5, 5);
	assert_int_equal(breaking.calls_left, 0);
	assert_int_equal(
	    crafted_number(&c, "SELECT count(*) FROM logs WHERE input_history = 'ask'"), 5);
}

/* A worker gone mad: the same id many times, and ids that all fall on one place of the index. */
static void forged_ids_harm_only_their_rows(void **state)
{
	uint32_t p = crafted_worker(&c);

	(void)state;
	for (uint32_t n = 0; n < 200; n++) {
		struct shm_usage_record r = crafted_record(7);

		memcpy(r.id, &n, sizeof(n));
		assert_int_equal(shm_content_push(&c.seg, p, r.id, SHM_CONTENT_REQUEST, "x", 1), 0);
		assert_int_equal(shm_usage_push(&c.seg, p, &r), 0);
		assert_int_equal(shm_usage_push(&c.seg, p, &r), 0);
	}
	must_commit(200, 400);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM logs"), 200);
}

#define INTAKE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    INTAKE_TEST(nothing_waits),
	    INTAKE_TEST(rows_of_two_workers),
	    INTAKE_TEST(bodies_find_their_records),
	    INTAKE_TEST(a_body_waits_for_its_record),
	    INTAKE_TEST(lost_bodies_are_given_up),
	    INTAKE_TEST(unwanted_bodies_are_let_go),
	    INTAKE_TEST(a_disabled_store_still_empties_the_rings),
	    INTAKE_TEST(a_flood_comes_in_pieces),
	    INTAKE_TEST(every_slot_gets_its_turn),
	    INTAKE_TEST(a_refused_transaction_leaves_all_in_place),
	    INTAKE_TEST(forged_ids_harm_only_their_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

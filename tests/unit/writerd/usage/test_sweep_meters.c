/*
 * The sweep of a worker that died with meters in every state, killed at its n-th step, for every n.
 * A request moves the meters of its key, of the key's team and customer, and of its model. At the
 * end rows, totals and meters say the same, owner by owner: seen <= charged <= reserved, and
 * nothing is held.
 */
#include "tests/unit/writerd/metered.h"
#include "tests/unit/writerd/stepping.h"

#include "writerd/usage/intake.h"
#include "writerd/usage/sweep.h"

enum {
	METERS = 8,
	IDENTITY = 100, /* and the number of the meter */
	EPOCH = 7,
	EPOCH_TEAM = 0xfffffe, /* windows of another length, about to wrap around */
};

#define KEY                                           \
	{                                             \
		.virtual_key_id = BF_SLICE_INIT("vk") \
	}
#define TEAM                                  \
	{                                     \
		.team_id = BF_SLICE_INIT("t") \
	}
#define CUSTOMER                                  \
	{                                         \
		.customer_id = BF_SLICE_INIT("c") \
	}
#define MODEL                                                                  \
	{                                                                      \
		.provider = BF_SLICE_INIT("mock"), .model = BF_SLICE_INIT("M") \
	}

/* sum: of all six requests at the end. */
static const struct {
	struct bf_limit_rows rows;
	enum bf_quantity quantity;
	uint32_t epoch;
	int64_t held, more, used, sum;
} moved[METERS] = {
    {KEY, BF_QUANTITY_REQUESTS, EPOCH, 1, 0, 1, 5},
    {KEY, BF_QUANTITY_TOKENS, EPOCH, 100, 50, 30, 340},
    {KEY, BF_QUANTITY_NUSD, EPOCH, 5000, 1000, 700, 13100},
    {KEY, BF_QUANTITY_CONCURRENT, 0, 1, 0, 0, 0},
    {TEAM, BF_QUANTITY_NUSD, EPOCH_TEAM, 5000, 1000, 700, 13100},
    {CUSTOMER, BF_QUANTITY_NUSD, EPOCH, 5000, 1000, 700, 13100},
    {CUSTOMER, BF_QUANTITY_REQUESTS, EPOCH_TEAM, 1, 0, 1, 5},
    {MODEL, BF_QUANTITY_TOKENS, EPOCH, 100, 50, 30, 340},
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
void __real_shm_meter_enter(struct shm_meter_writer *w, struct shm_segment *seg, uint32_t p);
void __wrap_shm_meter_enter(struct shm_meter_writer *w, struct shm_segment *seg, uint32_t p);
void __real_shm_meter_closing(struct shm_meter_writer *w, int entry, const int64_t *actual);
void __wrap_shm_meter_closing(struct shm_meter_writer *w, int entry, const int64_t *actual);
void __real_shm_meter_close(struct shm_meter_writer *w, int entry);
void __wrap_shm_meter_close(struct shm_meter_writer *w, int entry);
void __real_shm_meter_set_settled(struct shm_segment *seg, uint32_t m, uint32_t epoch, int64_t sum);
void __wrap_shm_meter_set_settled(struct shm_segment *seg, uint32_t m, uint32_t epoch, int64_t sum);

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
}

void __wrap_shm_inflight_swept(struct shm_segment *seg, uint32_t p, int entry)
{
	step();
	__real_shm_inflight_swept(seg, p, entry);
	step();
}

int __wrap_shm_slot_free(struct shm_segment *seg, uint32_t p)
{
	step();
	return __real_shm_slot_free(seg, p);
}

void __wrap_shm_meter_enter(struct shm_meter_writer *w, struct shm_segment *seg, uint32_t p)
{
	step();
	__real_shm_meter_enter(w, seg, p);
	step();
}

void __wrap_shm_meter_closing(struct shm_meter_writer *w, int entry, const int64_t *actual)
{
	step();
	__real_shm_meter_closing(w, entry, actual);
	step();
}

void __wrap_shm_meter_close(struct shm_meter_writer *w, int entry)
{
	step();
	__real_shm_meter_close(w, entry);
	step();
}

void __wrap_shm_meter_set_settled(struct shm_segment *seg, uint32_t m, uint32_t epoch, int64_t sum)
{
	step();
	__real_shm_meter_set_settled(seg, m, epoch, sum);
	step();
}

/* ---- the worker */

struct bed {
	struct crafted c;
	uint32_t meters[METERS];
	struct shm_meter_writer w;
	uint32_t p;
};

static struct shm_usage_record record_of(uint32_t n)
{
	struct shm_usage_record r = crafted_record(n);

	r.cost_nusd = 0;
	(void)strncpy(r.virtual_key_id, "vk", sizeof(r.virtual_key_id) - 1);
	r.team_id[0] = 't';
	r.customer_id[0] = 'c';
	return r;
}

static int begin(struct bed *b, uint32_t n)
{
	struct shm_usage_record r = record_of(n);
	int entry = shm_inflight_begin(&b->c.seg, b->p, &r);

	assert_true(entry >= 0);
	return entry;
}

static void check_names(struct bed *b, int entry)
{
	uint32_t meters[SHM_METERS_PER_REQUEST], epochs[SHM_METERS_PER_REQUEST];

	assert_int_equal(shm_meter_names(&b->w, entry, meters, epochs), METERS);
	for (unsigned k = 0; k < METERS; k++) {
		assert_int_equal(meters[k], b->meters[k]);
		assert_int_equal(epochs[k], moved[k].epoch);
	}
}

static int hold(struct bed *b, uint32_t n)
{
	struct shm_meter_want wants[METERS];
	int entry = begin(b, n);
	unsigned which;

	for (unsigned k = 0; k < METERS; k++)
		wants[k] = (struct shm_meter_want){
		    .meter = b->meters[k],
		    .config = shm_meter_config(&b->c.seg, b->meters[k]),
		    .epoch = moved[k].epoch,
		    .amount = moved[k].held,
		};
	assert_int_equal(shm_meter_admit(&b->w, entry, wants, METERS, &which), SHM_METER_OK);
	shm_inflight_progress(&b->c.seg, b->p, entry, 11, 3, SHM_USAGE_STREAM);
	check_names(b, entry);
	return entry;
}

static void say_used(struct bed *b, int entry)
{
	int64_t actual[METERS];

	for (unsigned k = 0; k < METERS; k++)
		actual[k] = moved[k].used;
	shm_meter_closing(&b->w, entry, actual);
}

static void push(struct bed *b, uint32_t n)
{
	struct shm_usage_record r = record_of(n);

	r.requests_charged = 1;
	r.tokens_charged = 30;
	r.cost_nusd = 700;
	for (unsigned k = 0; k < METERS; k++)
		metered_charge(&r, b->meters[k], moved[k].epoch);
	assert_int_equal(shm_usage_push(&b->c.seg, b->p, &r), 0);
}

enum state {
	NOT_ADMITTED,
	HELD,
	EXTENDED,
	CLOSING,
	PUSHED,
	CLOSED,
	STATES,
};

static void craft(struct bed *b)
{
	int64_t more[METERS];
	unsigned which;
	int entry;

	crafted_init(&b->c);
	for (unsigned k = 0; k < METERS; k++) {
		b->meters[k] = metered_open(&b->c, IDENTITY + k, moved[k].quantity, moved[k].epoch);
		more[k] = moved[k].more;
	}
	b->p = crafted_worker(&b->c);
	shm_meter_enter(&b->w, &b->c.seg, b->p);
	(void)begin(b, NOT_ADMITTED);
	(void)hold(b, HELD);
	entry = hold(b, EXTENDED);
	assert_int_equal(shm_meter_extend(&b->w, entry, more, NULL, &which), SHM_METER_OK);
	say_used(b, hold(b, CLOSING));
	say_used(b, hold(b, PUSHED));
	push(b, PUSHED);
	entry = hold(b, CLOSED);
	say_used(b, entry);
	push(b, CLOSED);
	shm_meter_close(&b->w, entry);
	shm_slot_dead(&b->c.seg, b->p);
}

/* ---- writerd */

static void work(void *ctx)
{
	struct bed *b = ctx;
	struct store *store = crafted_store(&b->c);
	struct intake *in = calloc(1, sizeof(*in));
	struct sweep *s = calloc(1, sizeof(*s));
	struct bf_err err = {0};
	struct fold fold;
	int r = 0;

	metered_fold(&fold, &b->c);
	intake_init(in, &b->c.seg, store, true);
	sweep_init(s, &b->c.seg, store, true, BF_ROLE_PROXYD);
	in->fold = s->fold = &fold;
	for (int turn = 0; turn < 100 && r >= 0; turn++) {
		unsigned rows, taken;

		r = intake_commit(in, turn, &rows, &taken, &err);
		step();
		if (r == 0)
			r = sweep_run(s, INT64_C(1700000001000000000), &rows, &err);
		if (r == 0 && taken == 0 && !sweep_pending(s))
			break;
	}
	store->ops->close(store);
	sweep_done(s);
	intake_done(in);
	fold_done(&fold);
	free(s);
	free(in);
	_exit(r < 0 ? 1 : 0);
}

/* ---- the books */

static void check_row(struct bed *b, enum state n, int requests, int tokens, int money)
{
	struct shm_usage_record r = crafted_record(n);
	char sql[256], id[BF_UUID_TEXT_LEN + 1];
	struct bf_uuid uuid;

	memcpy(uuid.bytes, r.id, sizeof(uuid.bytes));
	bf_uuid_format(&uuid, id);
	(void)snprintf(
	    sql, sizeof(sql),
	    "SELECT charged_requests = %d AND charged_tokens = %d AND cost_nusd = %d AND "
	    "virtual_key_id = 'vk' AND team_id = 't' AND customer_id = 'c' FROM logs WHERE id = "
	    "'%s'",
	    requests, tokens, money, id);
	if (crafted_number(&b->c, sql) != 1)
		fail_msg("request in state %d: other charges", (int)n);
}

static void check_meter(struct bed *b, struct store *store, unsigned k)
{
	struct shm_meter_info info;
	struct bf_err err = {0};
	int64_t sum = moved[k].sum, charged = -1;
	char sql[128];

	assert_true(shm_meter_read(&b->c.seg, b->meters[k], &info));
	assert_int_equal(info.value, sum);
	assert_int_equal(info.settled, sum);
	(void)snprintf(sql, sizeof(sql),
		       "SELECT coalesce(sum(settled), 0) FROM meter_totals WHERE identity = %d",
		       IDENTITY + (int)k);
	assert_int_equal(crafted_number(&b->c, sql), sum);
	assert_int_equal(store->ops->charged(store, &moved[k].rows, moved[k].quantity, 0, INT64_MAX,
					     &charged, &err),
			 0);
	assert_int_equal(charged, sum);
}

static void check(struct bed *b)
{
	struct store *store = crafted_store(&b->c);

	assert_int_equal(crafted_number(&b->c, "SELECT count(*) FROM logs"), STATES);
	check_row(b, NOT_ADMITTED, 0, 0, 0);
	check_row(b, HELD, 1, 100, 5000);
	check_row(b, EXTENDED, 1, 150, 6000);
	check_row(b, CLOSING, 1, 30, 700);
	check_row(b, PUSHED, 1, 30, 700);
	check_row(b, CLOSED, 1, 30, 700);
	assert_int_equal(crafted_number(&b->c, "SELECT count(*) FROM logs WHERE crashed AND "
					       "estimated AND completion_tokens IN (1, 3)"),
			 4);
	for (unsigned k = 0; k < METERS; k++)
		check_meter(b, store, k);
	store->ops->close(store);
	assert_int_equal(crafted_state(&b->c, b->p), SHM_SLOT_FREE);
}

static void killed_at_every_step(void **state)
{
	long kills = 0;

	(void)state;
	for (long n = 0;; n++) {
		struct bed b;
		bool lived;

		craft(&b);
		lived = step_in_child(work, &b, n);
		if (!lived) {
			kills++;
			assert_true(step_in_child(work, &b, -1));
		}
		/* Shown may be what the killed one could not show any more: limits_start() does. */
		if (!lived) {
			for (unsigned k = 0; k < METERS; k++) {
				char sql[128];

				if (moved[k].quantity == BF_QUANTITY_CONCURRENT)
					continue;
				(void)snprintf(
				    sql, sizeof(sql),
				    "SELECT settled FROM meter_totals WHERE identity = %d",
				    IDENTITY + (int)k);
				shm_meter_set_settled(&b.c.seg, b.meters[k], moved[k].epoch,
						      crafted_number(&b.c, sql));
			}
		}
		check(&b);
		crafted_done(&b.c);
		if (lived)
			break;
	}
	assert_true(kills > 40);
}

static void killed_again_and_again(void **state)
{
	struct bed b;
	long n = 0;

	(void)state;
	craft(&b);
	while (!step_in_child(work, &b, n))
		n++;
	assert_int_equal(crafted_number(&b.c, "SELECT count(*) FROM logs"), STATES);
	check_row(&b, EXTENDED, 1, 150, 6000);
	assert_int_equal(crafted_number(&b.c, "SELECT sum(settled) FROM meter_totals"),
			 2 * 5 + 2 * 340 + 3 * 13100);
	assert_int_equal(crafted_state(&b.c, b.p), SHM_SLOT_FREE);
	crafted_done(&b.c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(killed_at_every_step),
	    cmocka_unit_test(killed_again_and_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

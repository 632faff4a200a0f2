/* Ends of sessions go when their sessions would have ended, while writerd runs. */
#include "tests/unit/writerd/entities_bed.h"

#include "common/base/clock.h"
#include "writerd/change/registry_forget.h"

#define END   BF_ENTITY_SESSION_END
#define PLAIN "providers: {mock: {}}\n"
#define COUNT 70

static struct bed b;
static int64_t ahead_ns;

static int64_t clock_mono(void *ctx)
{
	(void)ctx;
	return INT64_C(1000000000) + ahead_ns;
}

static int64_t clock_wall(void *ctx)
{
	(void)ctx;
	return INT64_C(1800000000) * 1000000000 + ahead_ns;
}

static void pass_ms(int64_t ms)
{
	ahead_ns += ms * 1000000;
}

static void log_out(int first, int count)
{
	char id[16], json[80];

	for (int i = first; i < first + count; i++) {
		(void)snprintf(id, sizeof(id), "s%d", i);
		(void)snprintf(json, sizeof(json),
			       "{\"id\":\"%s\",\"expires_at\":\"2027-03-01T00:00:00Z\"}", id);
		bed_ask_well(&b, BF_ENTITY_CREATE, END, id, json);
	}
}

static int64_t stored(void)
{
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;
	int64_t n;

	assert_int_equal(sqlite3_open(b.path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
					    "SELECT count(*) FROM entities WHERE type = "
					    "'session_end'",
					    -1, &st, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return n;
}

static void a_second(void)
{
	registry_second(&b.r);
	bed_settle(&b);
}

static void ended_sessions_are_forgotten(void **state)
{
	static const struct bf_clock_source source = {clock_mono, clock_wall, NULL};
	uint32_t bases;

	(void)state;
	bf_clock_set_source(&source);
	bed_open(&b, PLAIN);
	log_out(0, COUNT);
	a_second();
	pass_ms(REGISTRY_FORGET_MS - 1000);
	log_out(COUNT, 1);
	publish_rebase(&b.r.publish);
	bed_settle(&b);
	a_second();
	assert_int_equal(entities_count(b.r.t, END), COUNT + 1);
	/* Not more than so many at once; those that are young stay. */
	pass_ms(1001);
	bases = b.bases;
	a_second();
	assert_int_equal(entities_count(b.r.t, END), COUNT + 1 - (int)REGISTRY_FORGETS);
	assert_int_equal(stored(), COUNT + 1 - (int)REGISTRY_FORGETS);
	a_second();
	a_second();
	assert_int_equal(entities_count(b.r.t, END), 1);
	assert_int_equal(stored(), 1);
	assert_true(bed_finds(&b, END, "s70", NULL));
	/* Nothing was made for it; the next base is without them. */
	assert_int_equal(b.bases, bases);
	publish_rebase(&b.r.publish);
	bed_settle(&b);
	assert_false(bed_finds(&b, END, "s0", NULL));
	assert_true(bed_finds(&b, END, "s70", NULL));
	bed_stop(&b);
	bed_start(&b);
	assert_int_equal(entities_count(b.r.t, END), 1);
	bed_close(&b);
	bf_clock_set_source(NULL);
}

/* What the overlay has is still pointed to. */
static void those_of_the_overlay_wait_for_a_base(void **state)
{
	static const struct bf_clock_source source = {clock_mono, clock_wall, NULL};

	(void)state;
	bf_clock_set_source(&source);
	bed_open(&b, PLAIN);
	log_out(0, 3);
	pass_ms(REGISTRY_FORGET_MS + 1);
	a_second();
	assert_int_equal(entities_count(b.r.t, END), 3);
	log_out(3, 1);
	publish_rebase(&b.r.publish);
	bed_settle(&b);
	a_second();
	assert_int_equal(entities_count(b.r.t, END), 1);
	log_out(4, 1);
	assert_true(bed_finds(&b, END, "s3", NULL));
	bed_close(&b);
	bf_clock_set_source(NULL);
}

/* A store that fails keeps them, and so does the table. */
static void a_store_that_fails_keeps_them(void **state)
{
	static const struct bf_clock_source source = {clock_mono, clock_wall, NULL};
	sqlite3 *db = NULL;

	(void)state;
	bf_clock_set_source(&source);
	bed_open(&b, PLAIN);
	log_out(0, 2);
	publish_rebase(&b.r.publish);
	bed_settle(&b);
	pass_ms(REGISTRY_FORGET_MS + 1);
	assert_int_equal(sqlite3_open(b.path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				      "CREATE TRIGGER no BEFORE DELETE ON entities WHEN OLD.id = "
				      "'s1' BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	a_second();
	assert_int_equal(entities_count(b.r.t, END), 2);
	assert_int_equal(stored(), 2);
	assert_int_equal(sqlite3_exec(db, "DROP TRIGGER no", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	a_second();
	assert_int_equal(entities_count(b.r.t, END), 2);
	pass_ms(600000);
	a_second();
	assert_int_equal(entities_count(b.r.t, END), 0);
	assert_int_equal(stored(), 0);
	bed_close(&b);
	bf_clock_set_source(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ended_sessions_are_forgotten),
	    cmocka_unit_test(those_of_the_overlay_wait_for_a_base),
	    cmocka_unit_test(a_store_that_fails_keeps_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

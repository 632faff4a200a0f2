/* SQLite gives way in the middle of statements and of commits, and still does what it was told. */
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/pulse.h"
#include "writerd/priority.h"
#include "writerd/store/store_sqlite_pace.h"

static unsigned yields;
static sqlite3 *db;
static char path[64];

/* Instead of glibc's: the program's own symbol comes first. */
int sched_yield(void);
int sched_yield(void)
{
	yields++;
	return 0;
}

static void sql(const char *text)
{
	char *why = NULL;

	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", text, why);
}

static int setup(void **state)
{
	int fd;

	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/bf-pace-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	(void)close(fd);
	sqlite_pace_commits();
	if (sqlite3_open(path, &db) != SQLITE_OK)
		return -1;
	sqlite_pace_statements(db);
	sql("PRAGMA journal_mode = WAL; PRAGMA cache_size = -8192; CREATE TABLE t(a, b)");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)sqlite3_close(db);
	return unlink(path);
}

static unsigned yields_of(const char *text)
{
	unsigned before = yields;

	sql(text);
	return yields - before;
}

#define ROWS(n)                                                                                 \
	"INSERT INTO t WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i " \
	"< " #n ") SELECT i, hex(randomblob(200)) FROM c"

static void a_long_statement_gives_way_and_a_short_one_does_not(void **state)
{
	(void)state;
	sql("BEGIN");
	assert_int_equal(yields_of("INSERT INTO t VALUES (0, 0)"), 0);
	assert_in_range(yields_of(ROWS(2000)), 5, 100);
	sql("ROLLBACK");
}

/* As rows are written: a prepared statement again and again. */
static void short_statements_add_up(void **state)
{
	sqlite3_stmt *st;
	unsigned before;

	(void)state;
	sql("BEGIN");
	assert_int_equal(sqlite3_prepare_v2(db, "INSERT INTO t VALUES (1, 2)", -1, &st, NULL), 0);
	before = yields;
	for (int i = 0; i < 5000; i++) {
		assert_int_equal(sqlite3_step(st), SQLITE_DONE);
		(void)sqlite3_reset(st);
	}
	assert_in_range(yields - before, 5, 100);
	(void)sqlite3_finalize(st);
	sql("ROLLBACK");
}

static void a_commit_gives_way_at_every_fourth_page(void **state)
{
	(void)state;
	sql("BEGIN");
	sql(ROWS(1000));
	assert_in_range(yields_of("COMMIT"), 15, 200);
}

static bool always(void *unused)
{
	(void)unused;
	return true;
}

static void in_a_hurry_nothing_gives_way(void **state)
{
	(void)state;
	priority_ask(always, NULL);
	sql("BEGIN");
	assert_int_equal(yields_of(ROWS(2000)), 0);
	sql("ROLLBACK");
	priority_ask(NULL, NULL);
	assert_true(yields_of("DELETE FROM t WHERE a < 0 OR b LIKE '%x%y%z%'") > 0);
}

static int64_t now_ns;

static int64_t fake_clock(void *unused)
{
	(void)unused;
	return now_ns += INT64_C(200) * 1000000;
}

static void beat(void *count)
{
	++*(unsigned *)count;
}

/* A beat at every third look: they are 200 ms apart. */
static void a_long_statement_says_that_it_lives(void **state)
{
	static const struct bf_clock_source source = {fake_clock, fake_clock, NULL};
	unsigned beats = 0, gaps;

	(void)state;
	bf_clock_set_source(&source);
	bf_pulse_to(beat, &beats);
	sql("BEGIN");
	gaps = yields_of(ROWS(2000));
	assert_true(gaps >= 5);
	assert_int_equal(beats, gaps / 3);
	bf_pulse_to(NULL, NULL);
	assert_true(yields_of("DELETE FROM t WHERE a < 0 OR b LIKE '%x%y%z%'") > 0);
	sql("ROLLBACK");
	assert_int_equal(beats, gaps / 3);
	bf_clock_set_source(NULL);
}

static void what_was_written_is_there(void **state)
{
	sqlite3 *again = NULL;
	sqlite3_stmt *st;

	(void)state;
	assert_int_equal(sqlite3_open(path, &again), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(again, "SELECT count(*), sum(a) FROM t", -1, &st, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int64(st, 0), 1000);
	assert_int_equal(sqlite3_column_int64(st, 1), 500500);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_long_statement_gives_way_and_a_short_one_does_not),
	    cmocka_unit_test(short_statements_add_up),
	    cmocka_unit_test(a_commit_gives_way_at_every_fourth_page),
	    cmocka_unit_test(in_a_hurry_nothing_gives_way),
	    cmocka_unit_test(a_long_statement_says_that_it_lives),
	    cmocka_unit_test(what_was_written_is_there),
	};

	return cmocka_run_group_tests_name("sqlite_pace", tests, setup, teardown);
}

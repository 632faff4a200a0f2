/* Opening and migrating a database, with schemas of these tests' own; and config.db. */
#include "tests/unit/writerd/crafted.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "common/base/macros.h"
#include "common/base/rand.h"
#include "writerd/store/store_sqlite_config.h"
#include "writerd/store/store_sqlite_db.h"

static const struct schema_step steps[] = {
    {1, "first", "CREATE TABLE a (x); INSERT INTO a VALUES (1);"},
    {2, "second", "ALTER TABLE a ADD COLUMN y; UPDATE a SET y = x + 1;"},
    {3, "third", "CREATE TABLE b (x); INSERT INTO missing VALUES (1);"},
};

static const struct schema one = {"test_store", steps, 1};
static const struct schema two = {"test_store", steps, 2};
static const struct schema broken = {"test_store", steps, 3};

static struct crafted c;

static int setup(void **state)
{
	(void)state;
	crafted_init(&c);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	crafted_done(&c);
	return 0;
}

static int try_open(const struct schema *schema, struct bf_err *err)
{
	sqlite3 *db = NULL;
	int r = sqlite_db_open(c.path, schema, &db, err);

	sqlite_db_close(&db);
	assert_null(db);
	return r;
}

static int files_in(const char *folder)
{
	const struct dirent *e;
	DIR *d = opendir(folder);
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	(void)closedir(d);
	return n;
}

static void migrations_follow_each_other(void **state)
{
	struct bf_err err = {0};

	(void)state;
	assert_int_equal(try_open(&one, &err), 0);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM a"), 1);
	assert_int_equal(try_open(&two, &err), 0);
	assert_int_equal(try_open(&two, &err), 0);
	assert_int_equal(crafted_number(&c, "SELECT y FROM a"), 2);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM schema_migrations"), 2);
	assert_int_equal(
	    crafted_number(&c, "SELECT max(version) FROM schema_migrations WHERE name = 'second'"),
	    2);
	assert_int_equal(try_open(&one, &err), BF_E_VERSION);
	assert_non_null(strstr(err.text, "schema version 2"));
}

/* Who waits for our start does not wait for that. */
static void a_large_file_is_migrated_when_there_is_time(void **state)
{
	struct bf_err err = {0};
	sqlite3 *db = NULL;

	(void)state;
	assert_int_equal(try_open(&one, &err), 0);
	assert_int_equal(sqlite_db_open_quickly(c.path, &two, &db, &err), 0);
	sqlite_db_close(&db);
	assert_int_equal(unlink(c.path), 0);
	assert_int_equal(try_open(&one, &err), 0);
	(void)crafted_number(&c, "INSERT INTO a VALUES (zeroblob(68000000))");
	assert_int_equal(sqlite_db_open_quickly(c.path, &two, &db, &err), -EAGAIN);
	assert_null(db);
	assert_non_null(strstr(err.text, "schema version 1 and 64 MiB"));
	assert_int_equal(crafted_number(&c, "SELECT max(version) FROM schema_migrations"), 1);
	assert_int_equal(sqlite_db_open_quickly(c.path, &one, &db, &err), 0);
	sqlite_db_close(&db);
	assert_int_equal(try_open(&two, &err), 0);
	assert_int_equal(sqlite_db_open_quickly(c.path, &two, &db, &err), 0);
	sqlite_db_close(&db);
	assert_int_equal(crafted_number(&c, "SELECT count(y) FROM a"), 2);
}

/* An index over many rows is sorted on the disk, beside the file; nothing of it stays there. */
static void a_migration_takes_no_memory_for_its_rows(void **state)
{
	static const struct schema_step more[] = {
	    {1, "first", "CREATE TABLE a (x);"},
	    {2, "second", "CREATE INDEX a_x ON a (x);"},
	};
	static const struct schema before = {"test_store", more, 1},
				   after = {"test_store", more, 2};
	char folder[128], other[160];
	struct bf_err err = {0};

	(void)state;
	assert_int_equal(try_open(&before, &err), 0);
	(void)crafted_number(&c, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
				 "LIMIT 300000) INSERT INTO a SELECT hex(randomblob(60)) FROM n");
	/* It must not go where everybody's files go: the sandbox would forbid it. */
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(c.path, '/') - c.path),
		       c.path);
	(void)snprintf(other, sizeof(other), "%s/none", folder);
	assert_int_equal(setenv("SQLITE_TMPDIR", other, 1), 0);
	(void)sqlite3_memory_highwater(1);
	assert_int_equal(try_open(&after, &err), 0);
	assert_in_range(sqlite3_memory_highwater(0), 1 << 20, 24 << 20);
	assert_int_equal(unsetenv("SQLITE_TMPDIR"), 0);
	assert_null(sqlite3_temp_directory);
	assert_int_equal(
	    crafted_number(&c, "SELECT count(*) FROM sqlite_master WHERE name = 'a_x'"), 1);
	/* The file, and what crafted_number leaves of its WAL. */
	assert_in_range(files_in(folder), 1, 3);
}

static void a_failing_migration_leaves_the_old_schema(void **state)
{
	struct bf_err err = {0};

	(void)state;
	assert_int_equal(try_open(&one, &err), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(try_open(&broken, &err) < 0);
		assert_non_null(strstr(err.text, "missing"));
		assert_int_equal(crafted_number(&c, "SELECT max(version) FROM schema_migrations"),
				 1);
		assert_int_equal(
		    crafted_number(&c, "SELECT count(*) FROM sqlite_master WHERE name = 'b'"), 0);
	}
	assert_int_equal(try_open(&two, &err), 0);
	assert_int_equal(crafted_number(&c, "SELECT y FROM a"), 2);
}

static void errors_are_one_line_with_advice(void **state)
{
	struct bf_err err = {0};
	sqlite3 *db = NULL;
	int64_t n = 7;

	(void)state;
	assert_int_equal(sqlite_db_open(c.path, &one, &db, &err), 0);
	assert_true(sqlite_db_exec(db, "SELECT * FROM absent", &one, c.path, &err) < 0);
	assert_non_null(strstr(err.text, "test_store: "));
	assert_non_null(strstr(err.text, c.path));
	assert_non_null(strstr(err.text, "no such table: absent"));
	assert_true(sqlite_db_number(db, "SELECT * FROM absent", &n) < 0);
	assert_int_equal(n, 7);
	assert_int_equal(sqlite_db_number(db, "SELECT x FROM a WHERE x > 5", &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(sqlite_db_err(NULL, &one, c.path, &err), -ENOMEM);
	sqlite_db_close(&db);
}

static void a_moved_file_is_noticed(void **state)
{
	struct bf_err err = {0};
	sqlite3 *db = NULL;

	(void)state;
	assert_int_equal(sqlite_db_open(c.path, &one, &db, &err), 0);
	assert_int_equal(sqlite_db_moved(db), 0);
	assert_int_equal(unlink(c.path), 0);
	assert_int_equal(sqlite_db_moved(db), 1);
	sqlite_db_close(&db);
}

static void nobody_else_may_read_it(void **state)
{
	mode_t before = umask(0);
	struct bf_err err = {0};
	sqlite3 *db = NULL;
	char beside[160];
	struct stat st;

	(void)state;
	assert_int_equal(sqlite_db_open(c.path, &one, &db, &err), 0);
	(void)umask(before);
	for (int i = 0; i < 3; i++) {
		(void)snprintf(beside, sizeof(beside), "%s%s", c.path,
			       i == 0 ? "" : (i == 1 ? "-wal" : "-shm"));
		assert_int_equal(stat(beside, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	sqlite_db_close(&db);
}

static void a_node_keeps_its_id(void **state)
{
	char first[BF_UUID_TEXT_LEN + 1], again[BF_UUID_TEXT_LEN + 1];
	struct bf_err err = {0};
	struct bf_uuid id;

	(void)state;
	assert_int_equal(config_store_note(c.path, BF_SLICE_LIT("aa"), "0.1.0", first, &err), 0);
	assert_int_equal(bf_uuid_parse(first, strlen(first), &id), 0);
	assert_int_equal(config_store_note(c.path, BF_SLICE_LIT("aa"), "0.1.0", again, &err), 0);
	assert_string_equal(first, again);
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM config_history"), 1);
	assert_int_equal(config_store_note(c.path, BF_SLICE_LIT("bb"), "0.1.0", again, &err), 0);
	assert_int_equal(config_store_note(c.path, BF_SLICE_LIT("aa"), "0.1.0", again, &err), 0);
	assert_int_equal(config_store_note(c.path, BF_SLICE_LIT("aa"), "0.2.0", again, &err), 0);
	assert_string_equal(first, again);
	assert_int_equal(crafted_number(&c,
					"SELECT group_concat(config_hash || version) ="
					" 'aa0.1.0,bb0.1.0,aa0.1.0,aa0.2.0' FROM config_history"),
			 1);
}

static void the_history_is_bounded(void **state)
{
	char id[BF_UUID_TEXT_LEN + 1], hash[16];
	struct bf_err err = {0};

	(void)state;
	for (int i = 0; i < CONFIG_HISTORY_KEPT + 20; i++) {
		(void)snprintf(hash, sizeof(hash), "h%d", i);
		assert_int_equal(config_store_note(c.path, bf_slice_from(hash), "1", id, &err), 0);
	}
	assert_int_equal(crafted_number(&c, "SELECT count(*) FROM config_history"),
			 CONFIG_HISTORY_KEPT);
	assert_int_equal(
	    crafted_number(&c, "SELECT config_hash = 'h20' FROM config_history ORDER BY number"),
	    1);
}

static void the_two_databases_are_not_mixed_up(void **state)
{
	struct store *store = crafted_store(&c);
	char id[BF_UUID_TEXT_LEN + 1] = "unset";
	struct bf_err err = {0};

	(void)state;
	store->ops->close(store);
	assert_true(config_store_note(c.path, BF_SLICE_LIT("aa"), "1", id, &err) < 0);
	assert_string_equal(id, "unset");
}

#define DB_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    DB_TEST(migrations_follow_each_other),
	    DB_TEST(a_large_file_is_migrated_when_there_is_time),
	    DB_TEST(a_migration_takes_no_memory_for_its_rows),
	    DB_TEST(a_failing_migration_leaves_the_old_schema),
	    DB_TEST(errors_are_one_line_with_advice),
	    DB_TEST(a_moved_file_is_noticed),
	    DB_TEST(nobody_else_may_read_it),
	    DB_TEST(a_node_keeps_its_id),
	    DB_TEST(the_history_is_bounded),
	    DB_TEST(the_two_databases_are_not_mixed_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The store against real SQLite files: what is refused at the door, and what keeps rows out later.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "writerd/store/store_null.h"
#include "writerd/store/store_sqlite.h"

static char folder[64];
static char path[128];
static struct row_scratch scratch;
static sqlite3 *newest; /* connection */
static sqlite3 *opened; /* the connection of the store that was opened last */

/* SQLite calls this for every new connection: the test's way to reach into the store's. */
static int catch_connection(sqlite3 *db, char **error, const void *api)
{
	(void)error;
	(void)api;
	newest = db;
	return SQLITE_OK;
}

static int setup(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/bf-store-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/logs.db", folder);
	row_scratch_init(&scratch);
	return sqlite3_auto_extension((void (*)(void))catch_connection);
}

static int teardown(void **state)
{
	char command[192];

	(void)state;
	sqlite3_reset_auto_extension();
	row_scratch_done(&scratch);
	(void)snprintf(command, sizeof(command), "chmod -R u+w %s; rm -r %s", folder, folder);
	return system(command);
}

static void sql(const char *text)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* First column of the first row as text, in a static buffer; "" for NULL or no row. */
static const char *query(const char *text)
{
	static char out[256];
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;

	out[0] = '\0';
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &st, NULL), SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_text(st, 0))
		(void)snprintf(out, sizeof(out), "%s", (const char *)sqlite3_column_text(st, 0));
	assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return out;
}

static struct store *open_store(void)
{
	struct store *store = NULL;
	struct bf_err err = {0};

	if (store_sqlite_open(path, "0190aaaa-0000-7000-8000-000000000001", &store, &err) < 0)
		fail_msg("%s", err.text);
	opened = newest;
	return store;
}

static int refused(struct bf_err *err)
{
	struct store *store = NULL;
	int r = store_sqlite_open(path, "", &store, err);

	assert_null(store);
	assert_true(r < 0);
	assert_null(strchr(err->text, '\n'));
	assert_non_null(strstr(err->text, path));
	return r;
}

static struct shm_usage_record record_of(uint32_t n)
{
	struct shm_usage_record r = {
	    .started_wall_ns = INT64_C(1700000000000000000),
	    .latency_us = 1500,
	    .cost_nusd = 1000000001,
	    .prompt_tokens = 7,
	    .completion_tokens = 5,
	    .http_status = 200,
	    .status = SHM_USAGE_SUCCESS,
	    .object_type = 1,
	    .attempts = 1,
	    .provider = "mock",
	    .model = "m",
	};

	memcpy(r.id, &n, sizeof(n));
	return r;
}

static int write_rows(struct store *store, uint32_t first, uint32_t count, struct bf_slice body,
		      unsigned *ret_inserted, struct bf_err *err)
{
	struct shm_usage_record *records = calloc(count, sizeof(*records));
	struct store_item *items = calloc(count, sizeof(*items));
	int r;

	assert_non_null(records);
	assert_non_null(items);
	for (uint32_t i = 0; i < count; i++) {
		records[i] = record_of(first + i);
		items[i] = (struct store_item){.record = &records[i], .input = body};
	}
	r = store_write(store, items, count, &scratch, NULL, ret_inserted, err);
	free(items);
	free(records);
	return r;
}

static void must_write(struct store *store, uint32_t first, uint32_t count, unsigned want_inserted)
{
	struct bf_err err = {0};
	unsigned inserted = 99;

	if (write_rows(store, first, count, BF_SLICE_LIT("[]"), &inserted, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(inserted, want_inserted);
}

static void rows_are_kept(void **state)
{
	struct store *store = open_store();
	struct stat st;

	(void)state;
	must_write(store, 1, 3, 3);
	assert_string_equal(query("SELECT count(*) FROM logs"), "3");
	assert_string_equal(query("SELECT id FROM logs ORDER BY inc_number"),
			    "01000000-0000-0000-0000-000000000000");
	assert_string_equal(query("SELECT sum(cost_nusd) FROM logs"), "3000000003");
	assert_string_equal(query("SELECT cost FROM logs"), "1.000000001");
	assert_string_equal(query("SELECT latency FROM logs"), "1.5");
	assert_string_equal(query("SELECT first_byte_ms IS NULL FROM logs"), "1");
	assert_string_equal(
	    query("SELECT output_message IS NULL AND error_details IS NULL FROM logs"), "1");
	assert_string_equal(query("SELECT input_history FROM logs"), "[]");
	assert_string_equal(query("SELECT timestamp FROM logs"), "2023-11-14T22:13:20.000Z");
	assert_string_equal(query("SELECT cluster_node_id FROM logs"),
			    "0190aaaa-0000-7000-8000-000000000001");
	assert_string_equal(query("SELECT number_of_retries || status || total_tokens FROM logs"),
			    "0success12");
	assert_string_equal(query("PRAGMA journal_mode"), "wal");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	store->ops->close(store);
}

/* What a kill between commit and release leads to: the same records once more. */
static void a_row_is_written_once(void **state)
{
	struct store *store = open_store();

	(void)state;
	must_write(store, 1, 3, 3);
	must_write(store, 1, 3, 0);
	must_write(store, 2, 5, 3);
	store->ops->close(store);
	store = open_store();
	must_write(store, 1, 6, 0);
	store->ops->close(store);
	assert_string_equal(query("SELECT count(*) FROM logs"), "6");
}

static void a_newer_schema_is_refused(void **state)
{
	struct store *store = open_store();
	struct bf_err err = {0};

	(void)state;
	store->ops->close(store);
	sql("INSERT INTO schema_migrations (version, name, applied_at) VALUES (11, 'future', '')");
	assert_int_equal(refused(&err), BF_E_VERSION);
	assert_non_null(strstr(err.text, "schema version 11"));
	sql("DELETE FROM schema_migrations WHERE version = 11");
	store = open_store();
	store->ops->close(store);
}

static void another_programs_file_is_refused(void **state)
{
	struct bf_err err = {0};

	(void)state;
	sql("CREATE TABLE logs (id TEXT)");
	assert_int_equal(refused(&err), BF_E_TYPE);
	assert_string_equal(query("SELECT count(*) FROM sqlite_master"), "1");
}

/* Two programs of ours that start together on a new file: one migrates, both work. */
static void migrations_run_once(void **state)
{
	struct store *a = open_store(), *b = open_store();

	(void)state;
	must_write(a, 1, 1, 1);
	must_write(b, 2, 1, 1);
	assert_string_equal(query("SELECT count(*) FROM schema_migrations"), "10");
	a->ops->close(a);
	b->ops->close(b);
}

static void damage_is_refused(void **state)
{
	struct bf_err err = {0};
	FILE *f = fopen(path, "w");

	(void)state;
	assert_non_null(f);
	for (int i = 0; i < 1000; i++)
		(void)fputs("this is no database ", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(refused(&err), BF_E_CORRUPT);
	assert_non_null(strstr(err.text, "move the file away"));
}

static void a_missing_folder_is_refused(void **state)
{
	struct bf_err err = {0};

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/none/logs.db", folder);
	(void)refused(&err);
	(void)snprintf(path, sizeof(path), "%s", folder);
	(void)refused(&err);
}

/* Root writes everywhere, so read-only is shown by another way when the tests run as root. */
static void read_only_is_refused(void **state)
{
	struct store *store = open_store();
	struct bf_err err = {0};

	(void)state;
	store->ops->close(store);
	assert_int_equal(chmod(path, 0400), 0);
	if (geteuid() == 0) {
		assert_int_equal(seteuid(65534), 0);
		assert_true(refused(&err) < 0);
		assert_int_equal(seteuid(0), 0);
	} else {
		assert_true(refused(&err) < 0);
	}
	assert_non_null(strstr(err.text, "writable"));
}

static void set_page_limit(int more_pages)
{
	char text[64];
	sqlite3_stmt *st = NULL;
	int pages;

	assert_int_equal(sqlite3_prepare_v2(opened, "PRAGMA page_count", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	pages = sqlite3_column_int(st, 0);
	(void)sqlite3_finalize(st);
	(void)snprintf(text, sizeof(text), "PRAGMA max_page_count = %d", pages + more_pages);
	assert_int_equal(sqlite3_exec(opened, text, NULL, NULL, NULL), SQLITE_OK);
}

/* The disk fills up in the middle of a transaction: none of its rows is there; space comes back:
 * all are. */
static void a_full_disk_keeps_all_or_nothing(void **state)
{
	static char body[6000];
	struct store *store = open_store();
	struct bf_err err = {0};
	unsigned inserted = 0;

	(void)state;
	memset(body, 'x', sizeof(body));
	must_write(store, 1, 1, 1);
	set_page_limit(20);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(write_rows(store, 2, 40, (struct bf_slice){body, sizeof(body)},
					    &inserted, &err),
				 BF_E_FULL);
		assert_non_null(strstr(err.text, "free disk space"));
		assert_int_equal(store->ops->mend(store, &err), 0);
		assert_string_equal(query("SELECT count(*) FROM logs"), "1");
	}
	set_page_limit(100000);
	assert_int_equal(
	    write_rows(store, 2, 40, (struct bf_slice){body, sizeof(body)}, &inserted, &err), 0);
	assert_int_equal(inserted, 40);
	store->ops->close(store);
	assert_string_equal(query("SELECT count(*) FROM logs"), "41");
	assert_string_equal(query("PRAGMA integrity_check"), "ok");
}

/* Somebody else's transaction: refused after a bounded wait, fine after its end. */
static void a_lock_is_waited_for_only_a_little(void **state)
{
	struct store *store = open_store();
	int64_t before = bf_mono_ms();
	struct bf_err err = {0};
	sqlite3 *other = NULL;
	unsigned inserted = 0;

	(void)state;
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(write_rows(store, 1, 1, BF_SLICE_LIT(""), &inserted, &err), BF_E_TIMEOUT);
	assert_true(bf_mono_ms() - before < 20000);
	assert_int_equal(store->ops->mend(store, &err), 0);
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	must_write(store, 1, 1, 1);
	store->ops->close(store);
}

/* Rows written into a file without a name would be lost unnoticed. */
static void a_removed_file_is_noticed(void **state)
{
	struct store *store = open_store();
	char other[100];
	struct bf_err err = {0};
	unsigned inserted = 0;

	(void)state;
	must_write(store, 1, 2, 2);
	(void)snprintf(other, sizeof(other), "%s/old.db", folder);
	assert_int_equal(rename(path, other), 0);
	assert_true(write_rows(store, 3, 1, BF_SLICE_LIT(""), &inserted, &err) < 0);
	assert_non_null(strstr(err.text, "moved or removed"));
	assert_int_equal(store->ops->mend(store, &err), 0);
	must_write(store, 3, 1, 1);
	store->ops->close(store);
	assert_string_equal(query("SELECT count(*) FROM logs"), "1");
	/* Its committed rows went with it, though its WAL did not. */
	(void)snprintf(path, sizeof(path), "%s", other);
	assert_string_equal(query("SELECT count(*) FROM logs"), "2");
}

static void overwrite(size_t from, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	char junk[512];

	assert_true(fd >= 0);
	memset(junk, 0x5a, sizeof(junk));
	for (size_t at = from; at < from + len; at += sizeof(junk))
		assert_int_equal(pwrite(fd, junk, sizeof(junk), (off_t)at), sizeof(junk));
	assert_int_equal(close(fd), 0);
}

/* Damage under a running store: rows are refused, not lost; moving the file away heals without a
 * restart. */
static void damage_while_running(void **state)
{
	struct store *store = open_store();
	struct bf_err err = {0};
	unsigned inserted = 0;
	char other[160];

	(void)state;
	must_write(store, 1, 50, 50);
	assert_int_equal(
	    sqlite3_wal_checkpoint_v2(opened, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL),
	    SQLITE_OK);
	overwrite(0, 65536);
	store->ops->close(store);
	assert_int_equal(refused(&err), BF_E_CORRUPT);
	(void)snprintf(other, sizeof(other), "%s.old", path);
	assert_int_equal(rename(path, other), 0);
	store = open_store();
	must_write(store, 1, 50, 50);
	/* As above, noticed by the open store: its mend fails and every begin says so, until the
	 * file is gone. */
	assert_int_equal(
	    sqlite3_wal_checkpoint_v2(opened, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL),
	    SQLITE_OK);
	overwrite(0, 65536);
	assert_int_equal(
	    sqlite3_exec(opened, "PRAGMA shrink_memory; PRAGMA cache_size = 0", NULL, NULL, NULL),
	    SQLITE_OK);
	for (int i = 0; i < 3; i++) {
		int r = write_rows(store, 100, 200, BF_SLICE_LIT("x"), &inserted, &err);

		if (r == 0)
			continue;
		(void)store->ops->mend(store, &err);
	}
	assert_int_equal(unlink(path), 0);
	for (int i = 0; i < 2 && write_rows(store, 1, 1, BF_SLICE_LIT(""), &inserted, &err) < 0;
	     i++)
		assert_int_equal(store->ops->mend(store, &err), 0);
	store->ops->close(store);
	assert_string_equal(query("SELECT count(*) FROM logs"), "1");
}

static void a_store_that_could_not_be_mended_stays_refused(void **state)
{
	struct store *store = open_store();
	struct bf_err err = {0};
	unsigned inserted = 0;
	char other[160];

	(void)state;
	(void)snprintf(other, sizeof(other), "%s.old", path);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	for (int i = 0; i < 3; i++) {
		assert_true(write_rows(store, 1, 1, BF_SLICE_LIT(""), &inserted, &err) < 0);
		assert_true(store->ops->mend(store, &err) < 0);
	}
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(store->ops->mend(store, &err), 0);
	must_write(store, 1, 1, 1);
	store->ops->close(store);
}

static void the_null_store_takes_all_and_keeps_nothing(void **state)
{
	struct store *store = store_null_open();

	(void)state;
	must_write(store, 1, 1000, 0);
	store->ops->close(store);
	must_write(store, 1, 1, 0);
}

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    STORE_TEST(rows_are_kept),
	    STORE_TEST(a_row_is_written_once),
	    STORE_TEST(a_newer_schema_is_refused),
	    STORE_TEST(another_programs_file_is_refused),
	    STORE_TEST(migrations_run_once),
	    STORE_TEST(damage_is_refused),
	    STORE_TEST(a_missing_folder_is_refused),
	    STORE_TEST(read_only_is_refused),
	    STORE_TEST(a_full_disk_keeps_all_or_nothing),
	    STORE_TEST(a_lock_is_waited_for_only_a_little),
	    STORE_TEST(a_removed_file_is_noticed),
	    STORE_TEST(damage_while_running),
	    STORE_TEST(a_store_that_could_not_be_mended_stays_refused),
	    STORE_TEST(the_null_store_takes_all_and_keeps_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

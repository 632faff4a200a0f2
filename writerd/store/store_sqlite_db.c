/*
 * SQLite as both databases use it. Called by store_sqlite.c and store_sqlite_config.c; must leave
 * no half-made schema and no file that others can read.
 *
 * synchronous=FULL: a commit returns after the WAL is on the disk, so a row released from the
 * segment survives a power cut. It costs one fsync for each transaction (0.4 to 20 ms), which
 * batches share; NORMAL would save it and could lose, at a power cut, rows that were already
 * released.
 */
#include "writerd/store/store_sqlite_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "writerd/row/row.h"
#include "writerd/store/store_sqlite_pace.h"

#define LARGE_BYTES (64 << 20) /* to migrate so many takes about a second */
#define BUSY_WAIT_MS \
	500 /* another program holds the lock: short, the loop stands still meanwhile */

struct problem {
	int sqlite_code;
	int code;
	const char *advice;
};

static const struct problem problems[] = {
    {SQLITE_FULL, BF_E_FULL, "free disk space"},
    {SQLITE_READONLY, BF_E_DENIED, "make the file and its folder writable for the service's user"},
    {SQLITE_PERM, BF_E_DENIED, "make the file and its folder writable for the service's user"},
    {SQLITE_CANTOPEN, BF_E_DENIED,
     "check that the folder exists and is writable for the service's user"},
    {SQLITE_CORRUPT, BF_E_CORRUPT, "move the file away or restore it; a new one is made"},
    {SQLITE_NOTADB, BF_E_CORRUPT, "move the file away or restore it; a new one is made"},
    {SQLITE_BUSY, BF_E_TIMEOUT, "another program holds its lock: end that program's transaction"},
    {SQLITE_LOCKED, BF_E_TIMEOUT, "another program holds its lock: end that program's transaction"},
    {SQLITE_IOERR, -EIO, "look at the disk (is it full?) and the kernel log"},
    {SQLITE_NOMEM, -ENOMEM, "give the service more memory"},
};

int sqlite_db_err(sqlite3 *db, const struct schema *schema, const char *path, struct bf_err *err)
{
	int sqlite_code = db ? sqlite3_errcode(db) & 0xff : SQLITE_NOMEM;
	const char *text = db ? sqlite3_errmsg(db) : "out of memory";

	for (size_t i = 0; i < BF_ARRAY_LEN(problems); i++) {
		if (problems[i].sqlite_code == sqlite_code)
			return bf_err_set(err, problems[i].code, "%s: %s: %s: %s", schema->store,
					  path, text, problems[i].advice);
	}
	return bf_err_set(err, BF_E_STATE, "%s: %s: %s (SQLite code %d)", schema->store, path, text,
			  sqlite_code);
}

void sqlite_db_close(sqlite3 **db)
{
	(void)sqlite3_close(*db);
	*db = NULL;
}

int sqlite_db_exec(sqlite3 *db, const char *sql, const struct schema *schema, const char *path,
		   struct bf_err *err)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_db_err(db, schema, path, err);
	return 0;
}

int sqlite_db_number(sqlite3 *db, const char *sql, int64_t *ret_value)
{
	sqlite3_stmt *st = NULL;
	int r = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (r == SQLITE_OK)
		r = sqlite3_step(st);
	if (r == SQLITE_ROW)
		*ret_value = sqlite3_column_int64(st, 0);
	else if (r == SQLITE_DONE)
		*ret_value = 0;
	(void)sqlite3_finalize(st);
	return r == SQLITE_ROW || r == SQLITE_DONE ? 0 : -1;
}

int sqlite_db_moved(sqlite3 *db)
{
	int moved = 0;

	if (sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK)
		return 0;
	return moved != 0;
}

/* Made by us before SQLite sees it: rows hold prompts, so nobody else may read the file, whatever
 * the umask. */
static int create_file(const char *path, const struct schema *schema, struct bf_err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);

	if (fd < 0)
		return bf_err_sys(err, -errno,
				  "%s: %s: cannot be opened (make the file and its folder writable "
				  "for the service's user)",
				  schema->store, path);
	(void)close(fd);
	return 0;
}

static int set_wal(sqlite3 *db, const struct schema *schema, const char *path, struct bf_err *err)
{
	sqlite3_stmt *st = NULL;
	bool wal = false;
	int r = sqlite3_prepare_v2(db, "PRAGMA journal_mode = WAL", -1, &st, NULL);

	if (r == SQLITE_OK)
		r = sqlite3_step(st);
	if (r == SQLITE_ROW) {
		const unsigned char *mode = sqlite3_column_text(st, 0);

		wal = mode && memcmp(mode, "wal", 4) == 0;
	}
	(void)sqlite3_finalize(st);
	if (r != SQLITE_ROW)
		return sqlite_db_err(db, schema, path, err);
	if (!wal)
		return bf_err_set(err, BF_E_STATE,
				  "%s: %s: the file system cannot carry SQLite's WAL: put the file "
				  "on a local disk",
				  schema->store, path);
	return 0;
}

static int configure(sqlite3 *db, const struct schema *schema, const char *path, struct bf_err *err)
{
	int r;

	(void)sqlite3_extended_result_codes(db, 1);
	(void)sqlite3_busy_timeout(db, BUSY_WAIT_MS);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite_pace_commits();
	sqlite_pace_statements(db);
	/* The first statement that reads the file: this is where a foreign or damaged one is found
	 * out. */
	r = sqlite_db_exec(
	    db,
	    "PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA synchronous = FULL;"
	    "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -8192;"
	    "SELECT count(*) FROM sqlite_master",
	    schema, path, err);
	if (r < 0)
		return r;
	if (sqlite3_db_readonly(db, "main") != 0)
		return bf_err_set(err, BF_E_DENIED,
				  "%s: %s: is read-only: make the file and its folder writable for "
				  "the service's user",
				  schema->store, path);
	return 0;
}

static int note_step(sqlite3 *db, const struct schema_step *step)
{
	sqlite3_stmt *st = NULL;
	char now[ROW_TIME_LEN + 1];
	int r = sqlite3_prepare_v2(
	    db, "INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, ?)", -1,
	    &st, NULL);

	if (r == SQLITE_OK) {
		(void)sqlite3_bind_int64(st, 1, step->version);
		(void)sqlite3_bind_text(st, 2, step->name, -1, SQLITE_STATIC);
		(void)sqlite3_bind_text(st, 3, row_time(bf_wall_ns(), now), -1, SQLITE_STATIC);
		r = sqlite3_step(st);
	}
	(void)sqlite3_finalize(st);
	return r == SQLITE_DONE ? 0 : -1;
}

/* Whose file is it, and of which version? Refuses what is not ours or newer. */
static int read_version(sqlite3 *db, const struct schema *schema, const char *path,
			int64_t *ret_version, struct bf_err *err)
{
	int64_t version = 0, ours = 0, tables = 0;

	if (sqlite_db_number(db,
			     "SELECT count(*) FROM sqlite_master WHERE name = 'schema_migrations'",
			     &ours) < 0 ||
	    sqlite_db_number(db, "SELECT count(*) FROM sqlite_master", &tables) < 0)
		return sqlite_db_err(db, schema, path, err);
	if (!ours && tables)
		return bf_err_set(err, BF_E_TYPE,
				  "%s: %s: holds another program's tables: give a path of its own",
				  schema->store, path);
	if (ours &&
	    sqlite_db_number(db, "SELECT max(version) FROM schema_migrations", &version) < 0)
		return sqlite_db_err(db, schema, path, err);
	if (version < 0 || (uint64_t)version > schema->count)
		return bf_err_set(err, BF_E_VERSION,
				  "%s: %s: has schema version %lld, this build knows up to %zu: "
				  "run the version of "
				  "bifrost that wrote it, or give another path",
				  schema->store, path, (long long)version, schema->count);
	*ret_version = version;
	return 0;
}

/* Inside a transaction that excludes other writers. */
static int migrate_locked(sqlite3 *db, const struct schema *schema, const char *path,
			  struct bf_err *err)
{
	int64_t version = 0;
	int r = read_version(db, schema, path, &version, err);

	if (r < 0)
		return r;
	if (sqlite3_exec(
		db,
		"CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY,"
		" name TEXT NOT NULL, applied_at TEXT NOT NULL)",
		NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_db_err(db, schema, path, err);
	for (size_t i = (size_t)version; i < schema->count; i++) {
		if (sqlite3_exec(db, schema->steps[i].sql, NULL, NULL, NULL) != SQLITE_OK ||
		    note_step(db, &schema->steps[i]) < 0)
			return sqlite_db_err(db, schema, path, err);
	}
	return 0;
}

static int migrate_whole(sqlite3 *db, const struct schema *schema, const char *path,
			 struct bf_err *err)
{
	int r = sqlite_db_exec(db, "BEGIN IMMEDIATE", schema, path, err);

	if (r < 0)
		return r;
	r = migrate_locked(db, schema, path, err);
	if (r == 0)
		r = sqlite_db_exec(db, "COMMIT", schema, path, err);
	if (r < 0)
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

/* What an index over all rows is sorted with does not fit into memory. It goes to a file without a
 * name in the folder of the database, the one place that the sandbox lets us write. */
static int migrate(sqlite3 *db, const struct schema *schema, const char *path, struct bf_err *err)
{
	const char *slash = strrchr(path, '/');
	int r;

	sqlite3_temp_directory =
	    sqlite3_mprintf("%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	if (!sqlite3_temp_directory)
		return bf_err_set(err, -ENOMEM, "%s: out of memory", schema->store);
	r = sqlite_db_exec(db, "PRAGMA temp_store = FILE", schema, path, err);
	if (r == 0)
		r = migrate_whole(db, schema, path, err);
	(void)sqlite3_exec(db, "PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
	sqlite3_free(sqlite3_temp_directory);
	sqlite3_temp_directory = NULL;
	return r;
}

static int check_size(const char *path, const struct schema *schema, int64_t version,
		      struct bf_err *err)
{
	struct stat st;

	if (version == 0 || version == (int64_t)schema->count || stat(path, &st) < 0 ||
	    st.st_size <= LARGE_BYTES)
		return 0;
	return bf_err_set(err, -EAGAIN,
			  "%s: %s: has schema version %lld and %lld MiB: it is brought to version "
			  "%zu first, which takes a while",
			  schema->store, path, (long long)version,
			  (long long)(st.st_size / (1 << 20)), schema->count);
}

static int open_as(const char *path, const struct schema *schema, bool quickly, sqlite3 **ret_db,
		   struct bf_err *err)
{
	sqlite3 *db = NULL;
	int64_t version;
	int r = create_file(path, schema, err);

	if (r < 0)
		return r;
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		r = sqlite_db_err(db, schema, path, err);
	if (r == 0)
		r = configure(db, schema, path, err);
	/* Before the first write: a file that is refused stays as it is. */
	if (r == 0)
		r = read_version(db, schema, path, &version, err);
	if (r == 0 && quickly)
		r = check_size(path, schema, version, err);
	if (r == 0)
		r = set_wal(db, schema, path, err);
	if (r == 0)
		r = migrate(db, schema, path, err);
	if (r < 0) {
		sqlite_db_close(&db);
		return r;
	}
	*ret_db = db;
	return 0;
}

/* The index of the log is in memory then, and not in a file that a full disk has no room for. */
static int look(sqlite3 *db, const char *path, const struct schema *schema, struct bf_err *err)
{
	int64_t version = 0;
	int r = sqlite_db_exec(db, "PRAGMA locking_mode = EXCLUSIVE", schema, path, err);

	if (r == 0)
		r = configure(db, schema, path, err);
	if (r == 0)
		r = read_version(db, schema, path, &version, err);
	if (r == 0 && version != (int64_t)schema->count)
		r = bf_err_set(
		    err, BF_E_VERSION,
		    "%s: %s: has schema version %lld of %zu, and cannot be brought up to "
		    "date while nothing can be written",
		    schema->store, path, (long long)version, schema->count);
	return r;
}

int sqlite_db_look(const char *path, const struct schema *schema, sqlite3 **ret_db,
		   struct bf_err *err)
{
	sqlite3 *db = NULL;
	int r = 0;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		r = sqlite_db_err(db, schema, path, err);
	if (r == 0)
		r = look(db, path, schema, err);
	if (r < 0) {
		sqlite_db_close(&db);
		return r;
	}
	*ret_db = db;
	return 0;
}

int sqlite_db_open(const char *path, const struct schema *schema, sqlite3 **ret_db,
		   struct bf_err *err)
{
	return open_as(path, schema, false, ret_db, err);
}

int sqlite_db_open_quickly(const char *path, const struct schema *schema, sqlite3 **ret_db,
			   struct bf_err *err)
{
	return open_as(path, schema, true, ret_db, err);
}

/*
 * SQLite on a disk that remembers: every write, truncation, deletion and sync of a database and the
 * files beside it, in order, so that a test can look at what a machine that lost its power at any
 * moment would find. The legal remains of a file are what was synced, and any part of what was
 * written since; a file that was removed may be there again until its folder was synced.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DISK_DB,
	DISK_JOURNAL,
	DISK_WAL,
	DISK_FILES
};

static const char *const disk_suffixes[DISK_FILES] = {"", "-journal", "-wal"};

enum disk_kind {
	DISK_WRITE,
	DISK_TRUNCATE,
	DISK_DELETE,
	DISK_SYNC,
	DISK_SYNC_FOLDER
};

struct disk_op {
	enum disk_kind kind;
	int file;
	size_t at, len; /* of a truncation: at is the new size */
	uint8_t *bytes;
};

static struct {
	sqlite3_vfs vfs;
	sqlite3_vfs *real;
	const char *path; /* of the database; other files pass through */
	struct disk_op *ops;
	size_t count, room;
	unsigned fail_syncs; /* of the log: so many from now on fail */
} disk;

struct disk_file {
	sqlite3_file base;
	int file;   /* -1: not recorded */
	bool fresh; /* its folder is synced with it, once: what the unix VFS does */
	sqlite3_file *real;
};

/* ---- recording */

static inline int disk_file_of(const char *name)
{
	size_t len = disk.path ? strlen(disk.path) : 0;

	if (!name || !disk.path || strncmp(name, disk.path, len) != 0)
		return -1;
	for (int i = 0; i < DISK_FILES; i++) {
		if (strcmp(name + len, disk_suffixes[i]) == 0)
			return i;
	}
	return -1;
}

static inline void disk_note(enum disk_kind kind, int file, const void *bytes, size_t at,
			     size_t len)
{
	struct disk_op *op;

	if (file < 0)
		return;
	if (disk.count == disk.room) {
		disk.room = disk.room ? disk.room * 2 : 1024;
		disk.ops = realloc(disk.ops, disk.room * sizeof(*disk.ops));
		assert_non_null(disk.ops);
	}
	op = &disk.ops[disk.count++];
	*op = (struct disk_op){.kind = kind, .file = file, .at = at, .len = len};
	if (bytes) {
		op->bytes = malloc(len);
		assert_non_null(op->bytes);
		memcpy(op->bytes, bytes, len);
	}
}

static inline struct disk_file *disk_of(sqlite3_file *f)
{
	return (struct disk_file *)f;
}

static int disk_close(sqlite3_file *f)
{
	return disk_of(f)->real->pMethods->xClose(disk_of(f)->real);
}

static int disk_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
	return disk_of(f)->real->pMethods->xRead(disk_of(f)->real, to, n, at);
}

static int disk_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
	int r = disk_of(f)->real->pMethods->xWrite(disk_of(f)->real, from, n, at);

	if (r == SQLITE_OK)
		disk_note(DISK_WRITE, disk_of(f)->file, from, (size_t)at, (size_t)n);
	return r;
}

static int disk_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	int r = disk_of(f)->real->pMethods->xTruncate(disk_of(f)->real, size);

	if (r == SQLITE_OK)
		disk_note(DISK_TRUNCATE, disk_of(f)->file, NULL, (size_t)size, 0);
	return r;
}

/* Noted, not done: the test's own disk is none of its business. */
static int disk_sync(sqlite3_file *f, int flags)
{
	(void)flags;
	if (disk.fail_syncs > 0 && disk_of(f)->file == DISK_WAL) {
		disk.fail_syncs--;
		return SQLITE_IOERR_FSYNC;
	}
	disk_note(DISK_SYNC, disk_of(f)->file, NULL, 0, 0);
	if (disk_of(f)->fresh)
		disk_note(DISK_SYNC_FOLDER, disk_of(f)->file, NULL, 0, 0);
	disk_of(f)->fresh = false;
	return SQLITE_OK;
}

static int disk_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return disk_of(f)->real->pMethods->xFileSize(disk_of(f)->real, size);
}

static int disk_lock(sqlite3_file *f, int level)
{
	return disk_of(f)->real->pMethods->xLock(disk_of(f)->real, level);
}

static int disk_unlock(sqlite3_file *f, int level)
{
	return disk_of(f)->real->pMethods->xUnlock(disk_of(f)->real, level);
}

static int disk_reserved(sqlite3_file *f, int *held)
{
	return disk_of(f)->real->pMethods->xCheckReservedLock(disk_of(f)->real, held);
}

static int disk_control(sqlite3_file *f, int op, void *arg)
{
	return disk_of(f)->real->pMethods->xFileControl(disk_of(f)->real, op, arg);
}

static int disk_sector(sqlite3_file *f)
{
	return disk_of(f)->real->pMethods->xSectorSize(disk_of(f)->real);
}

/* None of the promises of a particular file system, such as writes that cannot be torn. */
static int disk_traits(sqlite3_file *f)
{
	(void)f;
	return 0;
}

static int disk_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **to)
{
	return disk_of(f)->real->pMethods->xShmMap(disk_of(f)->real, page, size, extend, to);
}

static int disk_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	return disk_of(f)->real->pMethods->xShmLock(disk_of(f)->real, at, n, flags);
}

static void disk_shm_barrier(sqlite3_file *f)
{
	disk_of(f)->real->pMethods->xShmBarrier(disk_of(f)->real);
}

static int disk_shm_unmap(sqlite3_file *f, int del)
{
	return disk_of(f)->real->pMethods->xShmUnmap(disk_of(f)->real, del);
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
	static const sqlite3_io_methods methods = {
	    .iVersion = 2,
	    .xClose = disk_close,
	    .xRead = disk_read,
	    .xWrite = disk_write,
	    .xTruncate = disk_truncate,
	    .xSync = disk_sync,
	    .xFileSize = disk_size,
	    .xLock = disk_lock,
	    .xUnlock = disk_unlock,
	    .xCheckReservedLock = disk_reserved,
	    .xFileControl = disk_control,
	    .xSectorSize = disk_sector,
	    .xDeviceCharacteristics = disk_traits,
	    .xShmMap = disk_shm_map,
	    .xShmLock = disk_shm_lock,
	    .xShmBarrier = disk_shm_barrier,
	    .xShmUnmap = disk_shm_unmap,
	};
	struct disk_file *d = disk_of(f);
	int r;

	(void)vfs;
	d->real = (sqlite3_file *)(void *)(d + 1);
	d->file = disk_file_of(name);
	d->fresh = d->file > DISK_DB && (flags & SQLITE_OPEN_CREATE);
	r = disk.real->xOpen(disk.real, name, d->real, flags, out);
	f->pMethods = d->real->pMethods ? &methods : NULL;
	return r;
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
	int r = disk.real->xDelete(disk.real, name, sync_folder);

	(void)vfs;
	if (r == SQLITE_OK)
		disk_note(DISK_DELETE, disk_file_of(name), NULL, 0, 0);
	if (r == SQLITE_OK && sync_folder)
		disk_note(DISK_SYNC_FOLDER, disk_file_of(name), NULL, 0, 0);
	return r;
}

/* From here on every database of this process is opened on it; what concerns path is recorded. */
static inline void disk_begin(const char *path)
{
	memset(&disk, 0, sizeof(disk));
	disk.real = sqlite3_vfs_find("unix");
	assert_non_null(disk.real);
	disk.vfs = *disk.real;
	disk.vfs.zName = "recorded";
	disk.vfs.szOsFile = (int)sizeof(struct disk_file) + disk.real->szOsFile;
	disk.vfs.xOpen = disk_open;
	disk.vfs.xDelete = disk_delete;
	disk.path = path;
	assert_int_equal(sqlite3_vfs_register(&disk.vfs, 1), SQLITE_OK);
}

static inline void disk_end(void)
{
	(void)sqlite3_vfs_unregister(&disk.vfs);
	(void)sqlite3_vfs_register(disk.real, 1);
	for (size_t i = 0; i < disk.count; i++)
		free(disk.ops[i].bytes);
	free(disk.ops);
	disk.ops = NULL;
	disk.count = disk.room = 0;
}

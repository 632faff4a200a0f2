/*
 * Breaths in SQLite's work. Called when a connection is opened; between them SQLite calls us back,
 * from inside statements and commits. Must only ever yield: an error from here would end a
 * transaction that is in order.
 */
#include "writerd/store_sqlite_pace.h"

#include <unistd.h>

#include "common/base/macros.h"
#include "writerd/priority.h"

/* Of SQLite's virtual machine: about eight rows, 50 us. */
#define STEPS_BETWEEN_YIELDS 1000

static int on_progress(void *unused)
{
	(void)unused;
	priority_yield();
	return 0;
}

/* A commit of 512 rows writes some eighty pages and runs no statement meanwhile. */
static ssize_t write_and_yield(int fd, const void *bytes, size_t n, off_t at)
{
	ssize_t written = pwrite(fd, bytes, n, at);

	priority_yield();
	return written;
}

void sqlite_pace_commits(void)
{
	/* Which one is in use depends on how the library was built. */
	static const char *const names[] = {"pwrite", "pwrite64"};
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	for (size_t i = 0; vfs && vfs->iVersion >= 3 && i < BF_ARRAY_LEN(names); i++) {
		if (vfs->xGetSystemCall(vfs, names[i]))
			(void)vfs->xSetSystemCall(vfs, names[i],
						  (sqlite3_syscall_ptr)write_and_yield);
	}
}

void sqlite_pace_statements(sqlite3 *db)
{
	sqlite3_progress_handler(db, STEPS_BETWEEN_YIELDS, on_progress, NULL);
}

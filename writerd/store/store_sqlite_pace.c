/*
 * Breaths in SQLite's work. Called when a connection is opened; between them SQLite calls us back,
 * from inside statements and commits. Must only ever yield, and say that we live: an error from
 * here would end a transaction that is in order.
 */
#include "writerd/store/store_sqlite_pace.h"

#include <unistd.h>

#include "common/base/macros.h"
#include "common/base/pulse.h"
#include "writerd/priority.h"

/* Each about 0.15 ms of work: less often, and who waits for the core waits as long; more often, and
 * changing processes costs more than it gives. */
#define STEPS_BETWEEN_YIELDS  3000 /* of SQLite's virtual machine: some two dozen rows */
#define WRITES_BETWEEN_YIELDS 4    /* pages: a commit of 512 rows writes some eighty */

static int on_progress(void *unused)
{
	(void)unused;
	priority_yield();
	bf_pulse();
	return 0;
}

/* Before the write, so that its errno is what SQLite finds. */
static ssize_t yield_and_write(int fd, const void *bytes, size_t n, off_t at)
{
	static unsigned writes;

	if (++writes % WRITES_BETWEEN_YIELDS == 0)
		priority_yield();
	return pwrite(fd, bytes, n, at);
}

void sqlite_pace_commits(void)
{
	/* Which one is in use depends on how the library was built. */
	static const char *const names[] = {"pwrite", "pwrite64"};
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	for (size_t i = 0; vfs && vfs->iVersion >= 3 && i < BF_ARRAY_LEN(names); i++) {
		if (vfs->xGetSystemCall(vfs, names[i]))
			(void)vfs->xSetSystemCall(vfs, names[i],
						  (sqlite3_syscall_ptr)yield_and_write);
	}
}

void sqlite_pace_statements(sqlite3 *db)
{
	sqlite3_progress_handler(db, STEPS_BETWEEN_YIELDS, on_progress, NULL);
}

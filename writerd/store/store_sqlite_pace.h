/* Makes SQLite give way to workers in the middle of its work. */
#pragma once

#include <sqlite3.h>

/* For every write to a file that SQLite does in this process, whatever the connection. */
void sqlite_pace_commits(void);

/* Called twice a second, from the same places, while a statement runs: whoever watches this process
 * must not take long work for none. NULL ends it. */
void sqlite_pace_alive(void (*alive)(void *owner), void *owner);

/* For the statements of a connection that has no progress handler of its own. */
void sqlite_pace_statements(sqlite3 *db);

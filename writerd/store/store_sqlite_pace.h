/* Makes SQLite give way to workers in the middle of its work. */
#pragma once

#include <sqlite3.h>

/* For every write to a file that SQLite does in this process, whatever the connection. */
void sqlite_pace_commits(void);

/* For the statements of a connection that has no progress handler of its own; they also say by
 * bf_pulse() that they go on. */
void sqlite_pace_statements(sqlite3 *db);

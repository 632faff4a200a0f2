/* What the rows of the logs store hold, for whoever looks for a filter: names, each once. */
#pragma once

#include <sqlite3.h>
#include <stdint.h>

#include "common/codec/json_writer.h"

/* Of these many newest rows; owners are those of all. */
#define FACETS_ROWS       5000
#define FACETS_INDEX_ROWS 100000 /* where an index tells it without the rows themselves */

/*
 * {"models": [..], "teams": [{id, name}], ..}: of each of facets (bits of enum bf_logs_facet) up to
 * limit, sorted by text. An id's name is that of its newest row. 0, or -1: the database says why.
 */
int facets_write(sqlite3 *db, uint64_t facets, uint64_t limit, struct bf_json_writer *j);

/* config.db: who this node is, and which configurations it ran. */
#pragma once

#include "common/base/err.h"
#include "common/base/rand.h"
#include "common/base/slice.h"

#define CONFIG_HISTORY_KEPT 100

/*
 * Opens or creates the database at path, reads the node's id (made once, at the first call), notes
 * that the configuration with this hash is applied by this version (unless it already is the latest
 * note), and closes. Errors as in sqlite_db_open.
 */
int config_store_note(const char *path, struct bf_slice config_hash, const char *version,
		      char ret_node_id[BF_UUID_TEXT_LEN + 1], struct bf_err *err);

/*
 * Migrations of logs.db and config.db. Read by store_sqlite_db.c, which runs what is missing. A
 * step that was released is never changed: a new step is appended.
 *
 * Money: cost_nusd (integer nano-dollars) is the stored truth; cost in dollars is computed from it
 * when read, so the two cannot disagree and sums over cost_nusd are exact. Times are UTC text of
 * fixed width: text order is time order.
 */
#include "writerd/schema_sql.h"

#include "common/base/macros.h"

static const struct schema_step logs_steps[] = {
    {1, "logs",
     "CREATE TABLE logs ("
     " inc_number INTEGER PRIMARY KEY,"
     " id TEXT NOT NULL UNIQUE,"
     " timestamp TEXT NOT NULL,"
     " created_at TEXT NOT NULL,"
     " object_type TEXT NOT NULL,"
     " status TEXT NOT NULL,"
     " stream INTEGER NOT NULL,"
     " provider TEXT NOT NULL,"
     " model TEXT NOT NULL,"
     " number_of_retries INTEGER NOT NULL,"
     " selected_key_name TEXT NOT NULL,"
     " http_status INTEGER NOT NULL,"
     " latency REAL NOT NULL,"
     " first_byte_ms REAL,"
     " prompt_tokens INTEGER NOT NULL,"
     " completion_tokens INTEGER NOT NULL,"
     " total_tokens INTEGER NOT NULL,"
     " cached_read_tokens INTEGER NOT NULL,"
     " cost_nusd INTEGER NOT NULL,"
     " cost REAL GENERATED ALWAYS AS (cost_nusd / 1e9) VIRTUAL,"
     " cluster_node_id TEXT,"
     " worker INTEGER NOT NULL,"
     " crashed INTEGER NOT NULL,"
     " estimated INTEGER NOT NULL,"
     " truncated INTEGER NOT NULL,"
     " client_gone INTEGER NOT NULL,"
     " error_details TEXT,"
     " input_history TEXT,"
     " output_message TEXT"
     ");"
     "CREATE INDEX logs_timestamp_provider_status ON logs (timestamp, provider, status);"},
};

static const struct schema_step config_steps[] = {
    {1, "node",
     "CREATE TABLE node ("
     " one INTEGER PRIMARY KEY CHECK (one = 1),"
     " id TEXT NOT NULL,"
     " created_at TEXT NOT NULL"
     ");"
     "CREATE TABLE config_history ("
     " number INTEGER PRIMARY KEY AUTOINCREMENT,"
     " config_hash TEXT NOT NULL,"
     " applied_at TEXT NOT NULL,"
     " version TEXT NOT NULL"
     ");"},
};

const struct schema schema_logs = {"logs_store", logs_steps, BF_ARRAY_LEN(logs_steps)};
const struct schema schema_config = {"config_store", config_steps, BF_ARRAY_LEN(config_steps)};

/*
 * Migrations of logs.db and config.db. Read by store_sqlite_db.c, which runs what is missing. A
 * step that was released is never changed: a new step is appended.
 *
 * Money: cost_nusd (integer nano-dollars) is the stored truth; cost in dollars is computed from it
 * when read, so the two cannot disagree and sums over cost_nusd are exact. Times are UTC text of
 * fixed width: text order is time order.
 */
#include "writerd/store/schema_sql.h"

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
    /*
     * Adding columns is a change of the schema's text alone: rows stay as they are, however many
     * there are. They lie behind the bodies, so a search for one of these without a time range
     * reads more; the ids have indexes. Computed columns cost a row nothing.
     */
    {2, "attempts",
     "ALTER TABLE logs ADD COLUMN request_id TEXT;"
     "ALTER TABLE logs ADD COLUMN parent_request_id TEXT;"
     "ALTER TABLE logs ADD COLUMN stop_reason TEXT;"
     "ALTER TABLE logs ADD COLUMN fallback_index INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE logs ADD COLUMN selected_key_id TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE logs ADD COLUMN attempt_trail TEXT;"
     "ALTER TABLE logs ADD COLUMN token_usage TEXT GENERATED ALWAYS AS ("
     "'{\"prompt_tokens\":' || prompt_tokens || ',\"completion_tokens\":' || completion_tokens ||"
     " ',\"total_tokens\":' || total_tokens ||"
     " ',\"prompt_tokens_details\":{\"cached_tokens\":' || cached_read_tokens || '}}') VIRTUAL;"
     /* Nothing is sold for nothing: no cost means that no price is known. */
     "ALTER TABLE logs DROP COLUMN cost;"
     "ALTER TABLE logs ADD COLUMN cost REAL GENERATED ALWAYS AS (nullif(cost_nusd, 0) / 1e9)"
     " VIRTUAL;"
     "CREATE INDEX logs_parent_request_id ON logs (parent_request_id)"
     " WHERE parent_request_id IS NOT NULL;"},
    {3, "request ids",
     "CREATE INDEX logs_request_id ON logs (request_id) WHERE request_id IS NOT NULL;"},
    /* Failures of before have no class: to find it, every row would have to be read and written. */
    {4, "classes of errors",
     "ALTER TABLE logs ADD COLUMN error_type TEXT;"
     "ALTER TABLE logs ADD COLUMN content_truncated INTEGER NOT NULL DEFAULT 0;"},
    /*
     * What the meters of a row were charged, and the sums of that: they change in one transaction.
     * identity is common/govern/plan.h's, window its whole index. Totals are read by their key and
     * leave in the order in which their windows were first charged: a change touches no index.
     */
    {5, "meters",
     "ALTER TABLE logs ADD COLUMN virtual_key_id TEXT;"
     "ALTER TABLE logs ADD COLUMN virtual_key_name TEXT;"
     "ALTER TABLE logs ADD COLUMN charged_tokens INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE logs ADD COLUMN charged_requests INTEGER NOT NULL DEFAULT 0;"
     "CREATE TABLE meter_totals ("
     " identity INTEGER NOT NULL,"
     " window INTEGER NOT NULL,"
     " settled INTEGER NOT NULL,"
     " created_at TEXT NOT NULL,"
     " PRIMARY KEY (identity, window)"
     ") WITHOUT ROWID;"
     "CREATE INDEX meter_totals_created_at ON meter_totals (created_at);"},
    /* What a key used since a moment, without reading its rows: charges lie behind their bodies. */
    {6, "charges of keys",
     "CREATE INDEX logs_charges ON logs (virtual_key_id, timestamp, charged_requests,"
     " charged_tokens, cost_nusd) WHERE virtual_key_id IS NOT NULL;"},
    /*
     * Rows of before know no team and no customer. What these used is read from their own indexes,
     * what a provider or a model did from that of all rows, which has their charges too; a limit of
     * one key at one of them reads the key's charges and the beginnings of its rows.
     */
    {7, "owners",
     "ALTER TABLE logs ADD COLUMN team_id TEXT;"
     "ALTER TABLE logs ADD COLUMN team_name TEXT;"
     "ALTER TABLE logs ADD COLUMN customer_id TEXT;"
     "ALTER TABLE logs ADD COLUMN customer_name TEXT;"
     "CREATE INDEX logs_team_charges ON logs (team_id, timestamp, charged_requests,"
     " charged_tokens, cost_nusd) WHERE team_id IS NOT NULL;"
     "CREATE INDEX logs_customer_charges ON logs (customer_id, timestamp, charged_requests,"
     " charged_tokens, cost_nusd) WHERE customer_id IS NOT NULL;"
     "DROP INDEX logs_timestamp_provider_status;"
     "CREATE INDEX logs_timestamp_provider_status ON logs (timestamp, provider, status, model,"
     " charged_requests, charged_tokens, cost_nusd);"},
    /*
     * Of a total, what its meter in the segment never counted: rows that were admitted without it.
     * Totals of identities that are not watched may lack rows.
     */
    {8, "watched meters",
     "ALTER TABLE meter_totals ADD COLUMN missed INTEGER NOT NULL DEFAULT 0;"
     "CREATE TABLE meter_watched (identity INTEGER PRIMARY KEY);"},
    /* Of a total, what somebody forgave, and how often. */
    {9, "resets",
     "ALTER TABLE meter_totals ADD COLUMN forgiven INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE meter_totals ADD COLUMN resets INTEGER NOT NULL DEFAULT 0;"},
    /* Which rows a limit is about may change: 0 where that is not known. */
    {10, "watched rows", "ALTER TABLE meter_watched ADD COLUMN about INTEGER NOT NULL DEFAULT 0;"},
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
    /*
     * What is configured beside the file, and from it. hlc orders changes; file_hash is what the
     * file said when it was last taken over; secret is a hash with the pepper. A body that holds
     * secrets is sealed. number is the order in which they came.
     */
    {2, "entities",
     "CREATE TABLE pepper ("
     " one INTEGER PRIMARY KEY CHECK (one = 1),"
     " value BLOB NOT NULL,"
     " sealed INTEGER NOT NULL"
     ");"
     "CREATE TABLE entities ("
     " number INTEGER PRIMARY KEY,"
     " type TEXT NOT NULL,"
     " id TEXT NOT NULL,"
     " version INTEGER NOT NULL,"
     " hlc INTEGER NOT NULL,"
     " flags INTEGER NOT NULL,"
     " created_ms INTEGER NOT NULL,"
     " updated_ms INTEGER NOT NULL,"
     " name TEXT NOT NULL,"
     " scope TEXT NOT NULL,"
     " body BLOB NOT NULL,"
     " sealed INTEGER NOT NULL,"
     " secret BLOB NOT NULL,"
     " file_hash BLOB NOT NULL,"
     " UNIQUE (type, id)"
     ");"},
};

const struct schema schema_logs = {"logs_store", logs_steps, BF_ARRAY_LEN(logs_steps)};
const struct schema schema_config = {"config_store", config_steps, BF_ARRAY_LEN(config_steps)};

/*
 * The rows of the message table and the tables of their bodies. Read by messages.c and by
 * everything that walks the protocol. A new message is a new row here and its number in messages.h;
 * numbers are never reused.
 */
#include "common/ipc/messages.h"

#include <stdint.h>

#include "common/base/macros.h"

#define FIELD(owner, member, kind, least, most, text)                                          \
	{                                                                                      \
		.name = #member, .doc = (text), .min = (least), .max = (most),                 \
		.offset = offsetof(struct owner, member), .type = (kind), .flags = BF_REQUIRED \
	}
#define UINT(owner, member, text)       FIELD(owner, member, BF_T_UINT, 0, INT64_MAX, text)
#define INT(owner, member, text)        FIELD(owner, member, BF_T_INT, INT64_MIN, INT64_MAX, text)
#define BOOL(owner, member, text)       FIELD(owner, member, BF_T_BOOL, 0, 1, text)
#define TEXT(owner, member, most, text) FIELD(owner, member, BF_T_STRING, 0, most, text)

#define TABLE(label, owner, rows, text)                                                         \
	{                                                                                       \
		.name = (label), .doc = (text), .fields = (rows), .size = sizeof(struct owner), \
		.field_count = BF_ARRAY_LEN(rows)                                               \
	}

static const struct bf_field hello_fields[] = {
    UINT(bf_msg_hello, protocol, "version of the frame header"),
    TEXT(bf_msg_hello, build_id, 128, "the same for all programs of one build"),
    UINT(bf_msg_hello, layout_version, "layout of the shared segment"),
};
static const struct bf_table hello = TABLE("hello", bf_msg_hello, hello_fields, NULL);

static const struct bf_field listen_slot_fields[] = {
    UINT(bf_msg_listen_slot, slot, "worker slot whose listeners are meant"),
};
static const struct bf_table listen_slot =
    TABLE("listen_slot", bf_msg_listen_slot, listen_slot_fields, NULL);

static const struct bf_field proc_fields[] = {
    UINT(bf_msg_proc, proc_slot, "process slot in the segment"),
    UINT(bf_msg_proc, pid, "pid that held it"),
};
static const struct bf_table proc = TABLE("proc", bf_msg_proc, proc_fields, NULL);

static const struct bf_field config_applied_fields[] = {
    TEXT(bf_msg_config_applied, config_hash, 64, "hex SHA-256 of the file"),
};
static const struct bf_table config_applied =
    TABLE("config_applied", bf_msg_config_applied, config_applied_fields, NULL);

static const struct bf_field status_item_fields[] = {
    TEXT(bf_msg_status_item, name, 64, "what is told"),
    TEXT(bf_msg_status_item, value, 512, "its value, for people"),
};
static const struct bf_table status_item =
    TABLE("status.items", bf_msg_status_item, status_item_fields, NULL);

static const struct bf_field status_fields[] = {
    TEXT(bf_msg_status, process, 64, "endpoint that answers"),
    UINT(bf_msg_status, pid, "its pid"),
    INT(bf_msg_status, uptime_ms, "since its start"),
    {.name = "items",
     .doc = "what this role has to say",
     .sub = &status_item,
     .max = BF_STATUS_MAX_ITEMS,
     .offset = offsetof(struct bf_msg_status, items),
     .type = BF_T_LIST,
     .flags = BF_REQUIRED},
};
static const struct bf_table status = TABLE("status", bf_msg_status, status_fields, NULL);

static const struct bf_field child_fields[] = {
    TEXT(bf_msg_child, name, 64, "endpoint of the child"),
    TEXT(bf_msg_child, state, 32, "state in the supervisor's table"),
    UINT(bf_msg_child, pid, "0: none lives"),
    UINT(bf_msg_child, proc_slot, "process slot in the segment"),
    INT(bf_msg_child, uptime_ms, "since its start"),
    UINT(bf_msg_child, restarts, "starts after the first one"),
    INT(bf_msg_child, heartbeat_age_ms, "since its last heartbeat"),
    INT(bf_msg_child, backoff_ms, "until the next start"),
    TEXT(bf_msg_child, last_exit, 128, "how the one before it ended"),
    UINT(bf_msg_child, queue_frames, "frames waiting for it"),
};
static const struct bf_table child = TABLE("child", bf_msg_child, child_fields, NULL);

static const struct bf_field restart_fields[] = {
    TEXT(bf_msg_restart, name, 64, "endpoint of the child"),
};
static const struct bf_table restart = TABLE("restart", bf_msg_restart, restart_fields, NULL);

static const struct bf_field diag_fields[] = {
    BOOL(bf_msg_diag, is_error, "false: a warning"),
    TEXT(bf_msg_diag, text, BF_DIAG_MAX_BYTES, "one line: where, what, how to mend it"),
};
static const struct bf_table diag = TABLE("diag", bf_msg_diag, diag_fields, NULL);

static const struct bf_field node_drain_fields[] = {
    BOOL(bf_msg_node_drain, on, "false: take work again"),
};
static const struct bf_table node_drain =
    TABLE("node_drain", bf_msg_node_drain, node_drain_fields, NULL);

static const struct bf_field traced_fields[] = {
    INT(bf_msg_traced, wall_ns, "when it passed, UTC"),
    {.name = "frame",
     .doc = "header and body as they passed, cut at the maximum (the header tells the full length)",
     .max = BF_TRACED_MAX_BYTES,
     .offset = offsetof(struct bf_msg_traced, frame),
     .type = BF_T_BYTES,
     .flags = BF_REQUIRED},
    BOOL(bf_msg_traced, has_fd, "a descriptor came with it"),
};
static const struct bf_table traced = TABLE("traced", bf_msg_traced, traced_fields, NULL);

static const struct bf_field error_fields[] = {
    INT(bf_msg_error, code, "of common/base/errors.def, or a negative errno"),
    TEXT(bf_msg_error, text, BF_ERROR_MAX_BYTES, "one line: where, what, how to mend it"),
};
static const struct bf_table error = TABLE("error", bf_msg_error, error_fields, NULL);

#define VALUES(owner, member, text) FIELD(owner, member, BF_T_STRINGS, 0, BF_LOGS_MAX_VALUES, text)

const char *const bf_logs_sorts[] = {"timestamp", "latency", "tokens", "cost", NULL};

const char *const bf_logs_facets[] = {
    "providers",   "models",        "status",       "objects", "stop_reasons",
    "error_types", "selected_keys", "virtual_keys", "teams",   "customers",
    NULL};
_Static_assert(BF_ARRAY_LEN(bf_logs_facets) == BF_LOGS_FACETS + 1, "each has a name");

static const struct bf_field logs_query_fields[] = {
    TEXT(bf_msg_logs_query, id, 128,
	 "not empty: this row with its content, by its id or a client's, nothing else counts"),
    FIELD(bf_msg_logs_query, facets, BF_T_UINT, 0, (1 << BF_LOGS_FACETS) - 1,
	  "not 0: no rows but what they hold of these, a bit each"),
    VALUES(bf_msg_logs_query, providers, "any of these; none: all"),
    VALUES(bf_msg_logs_query, models, "any of these; none: all"),
    VALUES(bf_msg_logs_query, status, "any of these; none: all"),
    VALUES(bf_msg_logs_query, stop_reasons, "any of these; none: all"),
    VALUES(bf_msg_logs_query, error_types, "any of these classes; none: all"),
    VALUES(bf_msg_logs_query, objects, "any of these object types; none: all"),
    VALUES(bf_msg_logs_query, selected_key_ids, "any of these; none: all"),
    VALUES(bf_msg_logs_query, virtual_key_ids, "any of these; none: all"),
    VALUES(bf_msg_logs_query, team_ids, "any of these; none: all"),
    VALUES(bf_msg_logs_query, customer_ids, "any of these; none: all"),
    TEXT(bf_msg_logs_query, parent_request_id, BF_LOGS_MAX_TEXT, "empty: any"),
    TEXT(bf_msg_logs_query, request_id, BF_LOGS_MAX_TEXT, "the client's own; empty: any"),
    TEXT(bf_msg_logs_query, content_search, BF_LOGS_MAX_TEXT,
	 "a piece of the content, letters of ASCII in either case; empty: any"),
    INT(bf_msg_logs_query, start_ms,
	"from this time on, ms since 1970; the least number: no bound"),
    INT(bf_msg_logs_query, end_ms, "up to this time; the least number: no bound"),
    INT(bf_msg_logs_query, min_latency_us, "the least number: no bound"),
    INT(bf_msg_logs_query, max_latency_us, "the least number: no bound"),
    INT(bf_msg_logs_query, min_tokens, "prompt and completion; the least number: no bound"),
    INT(bf_msg_logs_query, max_tokens, "the least number: no bound"),
    INT(bf_msg_logs_query, min_cost_nusd, "1e-9 USD; the least number: no bound"),
    INT(bf_msg_logs_query, max_cost_nusd, "1e-9 USD; the least number: no bound"),
    FIELD(bf_msg_logs_query, limit, BF_T_UINT, 1, BF_LOGS_MAX_LIMIT, "rows of one page"),
    UINT(bf_msg_logs_query, offset, "rows before the page"),
    {.name = "sort_by",
     .doc = "timestamp, latency, tokens or cost",
     .choices = bf_logs_sorts,
     .offset = offsetof(struct bf_msg_logs_query, sort_by),
     .type = BF_T_ENUM,
     .flags = BF_REQUIRED},
    BOOL(bf_msg_logs_query, ascending, "false: the latest, slowest, largest first"),
};
static const struct bf_table logs_query =
    TABLE("logs_query", bf_msg_logs_query, logs_query_fields, NULL);

static const struct bf_field logs_result_fields[] = {
    UINT(bf_msg_logs_result, size, "bytes of JSON in the memfd that comes along, sealed"),
};
static const struct bf_table logs_result =
    TABLE("logs_result", bf_msg_logs_result, logs_result_fields, NULL);

static const struct bf_field limits_get_fields[] = {
    TEXT(bf_msg_limits_get, virtual_key, BF_LIMITS_MAX_TEXT,
	 "limits of its requests alone, by its id or name; empty: any"),
    TEXT(bf_msg_limits_get, owner, 32, "kind of owner; empty: any"),
    TEXT(bf_msg_limits_get, owner_id, BF_LIMITS_MAX_TEXT, "its id or name; empty: any"),
    UINT(bf_msg_limits_get, from, "where the page begins: 0, then what the last page said"),
};
static const struct bf_table limits_get =
    TABLE("limits_get", bf_msg_limits_get, limits_get_fields, NULL);

static const struct bf_field limit_fields[] = {
    TEXT(bf_msg_limit, owner, 32,
	 "whose limit it is: provider, model_config, provider_config, virtual_key, team or "
	 "customer"),
    TEXT(bf_msg_limit, owner_id, BF_LIMITS_MAX_TEXT, "its id"),
    TEXT(bf_msg_limit, owner_name, BF_LIMITS_MAX_TEXT, "its name"),
    TEXT(bf_msg_limit, virtual_key_id, BF_LIMITS_MAX_TEXT,
	 "the key whose requests it counts; empty: of several"),
    TEXT(bf_msg_limit, virtual_key_name, BF_LIMITS_MAX_TEXT, "its name"),
    TEXT(bf_msg_limit, provider, BF_LIMITS_MAX_TEXT, "to which it counts them; empty: to any"),
    TEXT(bf_msg_limit, model, BF_LIMITS_MAX_TEXT, "for which it counts them; empty: for any"),
    TEXT(bf_msg_limit, limit_id, BF_LIMITS_MAX_TEXT, "of the budget or rate limit"),
    TEXT(bf_msg_limit, quantity, 32, "requests, tokens, concurrent_requests or cost"),
    TEXT(bf_msg_limit, window, 32, "as it was written; empty: none"),
    INT(bf_msg_limit, used, "sum of the rows of this window; cost in 1e-9 USD"),
    INT(bf_msg_limit, held, "reserved by what runs, or not in a row yet"),
    INT(bf_msg_limit, max, "the limit, with what an override gives"),
    INT(bf_msg_limit, left, "of the limit, without what is used and held; at least 0"),
    INT(bf_msg_limit, extra, "of the limit, for a time, by an override"),
    INT(bf_msg_limit, extra_end_ms, "when that ends, ms since 1970; 0: when somebody ends it"),
    INT(bf_msg_limit, start_ms, "of the window, ms since 1970; 0: it has none"),
    INT(bf_msg_limit, end_ms, "of the window, ms since 1970; 0: it has none"),
    BOOL(bf_msg_limit, frozen,
	 "the wall clock jumped ahead and its windows go on by the time of before"),
    BOOL(bf_msg_limit, placed, "false: it has no meter, so nothing is admitted"),
};
static const struct bf_table limit = TABLE("limits.items", bf_msg_limit, limit_fields, NULL);

static const struct bf_field limits_fields[] = {
    UINT(bf_msg_limits, next, "from of the next page; 0: this is the last"),
    INT(bf_msg_limits, clock_ahead_ms,
	"how far the wall clock is ahead and not believed; below 0: behind, not followed yet"),
    {.name = "items",
     .doc = "limits in the order of the configuration",
     .sub = &limit,
     .max = BF_LIMITS_PAGE,
     .offset = offsetof(struct bf_msg_limits, items),
     .type = BF_T_LIST,
     .flags = BF_REQUIRED},
};
static const struct bf_table limits = TABLE("limits", bf_msg_limits, limits_fields, NULL);

#define ROLE(r)  (1u << BF_ROLE_##r)
#define CHILDREN (ROLE(PROXYD) | ROLE(CLUSTERD) | ROLE(DISCOVERYD) | ROLE(WRITERD) | ROLE(READER))
#define ROUTE(from, to)                                                  \
	{                                                                \
		.senders = (uint16_t)(from), .receivers = (uint16_t)(to) \
	}
#define REQUEST(label, table, from, to)                                         \
	{                                                                       \
		.name = (label), .body = (table), .routes = { ROUTE(from, to) } \
	}
#define REPLY(label, table, from)                                                     \
	{                                                                             \
		.name = (label), .body = (table), .routes = {ROUTE(from, ROLE(CTL))}, \
		.is_reply = true                                                      \
	}

#define SNAPSHOT_REPLY(label)                                                 \
	{                                                                     \
		.name = (label), .is_reply = true, .routes = {                \
			ROUTE(ROLE(PROXYD) | ROLE(READER), ROLE(SUPERVISOR)), \
			ROUTE(ROLE(SUPERVISOR), ROLE(WRITERD))                \
		}                                                             \
	}

static const struct bf_msg_def defs[BF_MSG_TYPE_MAX] = {
    [BF_MSG_HELLO] = {.name = "hello",
		      .body = &hello,
		      .routes = {ROUTE(ROLE(SUPERVISOR), CHILDREN),
				 ROUTE(ROLE(CTL), ROLE(SUPERVISOR))}},
    [BF_MSG_READY] = REQUEST("ready", NULL, CHILDREN, ROLE(SUPERVISOR)),
    [BF_MSG_STARTING] = REQUEST("starting", NULL, CHILDREN, ROLE(SUPERVISOR)),
    [BF_MSG_DRAIN] = REQUEST("drain", NULL, ROLE(SUPERVISOR), ROLE(PROXYD)),
    [BF_MSG_DRAINED] = REQUEST("drained", NULL, ROLE(PROXYD), ROLE(SUPERVISOR)),
    [BF_MSG_DRAINING] = REQUEST("draining", NULL, ROLE(PROXYD), ROLE(SUPERVISOR)),
    [BF_MSG_STOP] = REQUEST("stop", NULL, ROLE(SUPERVISOR), CHILDREN),
    [BF_MSG_ADOPT] = REQUEST("adopt", &listen_slot, ROLE(SUPERVISOR), ROLE(PROXYD)),
    [BF_MSG_RELEASE] = REQUEST("release", &listen_slot, ROLE(SUPERVISOR), ROLE(PROXYD)),
    [BF_MSG_PROC_DEAD] = REQUEST("proc_dead", &proc, ROLE(SUPERVISOR), ROLE(WRITERD)),
    [BF_MSG_PROC_SWEPT] = REQUEST("proc_swept", NULL, ROLE(WRITERD), ROLE(SUPERVISOR)),
    [BF_MSG_CONFIG_APPLIED] =
	REQUEST("config_applied", &config_applied, ROLE(SUPERVISOR), ROLE(WRITERD)),
    [BF_MSG_STATUS_GET] = REQUEST("status_get", NULL, ROLE(CTL), CHILDREN | ROLE(SUPERVISOR)),
    [BF_MSG_STATUS] = REPLY("status", &status, CHILDREN | ROLE(SUPERVISOR)),
    [BF_MSG_CHILDREN_GET] = REQUEST("children_get", NULL, ROLE(CTL), ROLE(SUPERVISOR)),
    [BF_MSG_CHILD] = REPLY("child", &child, ROLE(SUPERVISOR)),
    [BF_MSG_RESTART] = REQUEST("restart", &restart, ROLE(CTL), ROLE(SUPERVISOR)),
    [BF_MSG_RELOAD] = REQUEST("reload", NULL, ROLE(CTL), ROLE(SUPERVISOR)),
    [BF_MSG_DIAG] = REPLY("diag", &diag, ROLE(SUPERVISOR)),
    [BF_MSG_NODE_DRAIN] = REQUEST("node_drain", &node_drain, ROLE(CTL), ROLE(SUPERVISOR)),
    [BF_MSG_TRACE] = REQUEST("trace", NULL, ROLE(CTL), ROLE(SUPERVISOR)),
    [BF_MSG_TRACED] = REPLY("traced", &traced, ROLE(SUPERVISOR)),
    [BF_MSG_OK] = {.name = "ok",
		   .routes = {ROUTE(CHILDREN | ROLE(SUPERVISOR), ROLE(CTL)),
			      ROUTE(ROLE(WRITERD), ROLE(READER))},
		   .is_reply = true},
    [BF_MSG_ERROR] = {.name = "error",
		      .body = &error,
		      .routes = {ROUTE(CHILDREN | ROLE(SUPERVISOR), ROLE(CTL)),
				 ROUTE(ROLE(READER) | ROLE(WRITERD) | ROLE(SUPERVISOR),
				       ROLE(PROXYD) | ROLE(READER))},
		      .is_reply = true},
    [BF_MSG_LOGS_QUERY] = REQUEST("logs_query", &logs_query, ROLE(PROXYD), ROLE(READER)),
    [BF_MSG_LOGS_RESULT] = {.name = "logs_result",
			    .body = &logs_result,
			    .routes = {ROUTE(ROLE(READER), ROLE(PROXYD))},
			    .is_reply = true,
			    .with_fd = true},
    [BF_MSG_LIMITS_GET] = REQUEST("limits_get", &limits_get, ROLE(CTL), ROLE(WRITERD)),
    [BF_MSG_LIMITS] = REPLY("limits", &limits, ROLE(WRITERD)),
    [BF_MSG_CLOCK_ACCEPT] = REQUEST("clock_accept", NULL, ROLE(CTL), ROLE(SUPERVISOR)),
    [BF_MSG_SNAPSHOT_BASE] = {.name = "snapshot_base",
			      .routes = {ROUTE(ROLE(WRITERD), ROLE(SUPERVISOR))},
			      .with_fd = true},
    [BF_MSG_SNAPSHOT_OVERLAY] = {.name = "snapshot_overlay",
				 .routes = {ROUTE(ROLE(WRITERD), ROLE(SUPERVISOR))},
				 .with_fd = true},
    [BF_MSG_SNAPSHOT_NEXT] = {.name = "snapshot_next",
			      .body = &bf_msg_snapshot_next_table,
			      .routes = {ROUTE(ROLE(SUPERVISOR), ROLE(PROXYD) | ROLE(READER))},
			      .with_fd = true},
    [BF_MSG_SNAPSHOT_TAKEN] = SNAPSHOT_REPLY("snapshot_taken"),
    [BF_MSG_SNAPSHOT_REFUSED] = SNAPSHOT_REPLY("snapshot_refused"),
    [BF_MSG_ENTITY_CHANGE] =
	REQUEST("entity_change", &bf_msg_entity_change_table, ROLE(PROXYD), ROLE(WRITERD)),
    [BF_MSG_ENTITY_QUERY] =
	REQUEST("entity_query", &bf_msg_entity_query_table, ROLE(PROXYD), ROLE(READER)),
    [BF_MSG_ENTITY_RESULT] = {.name = "entity_result",
			      .body = &bf_msg_entity_result_table,
			      .routes = {ROUTE(ROLE(WRITERD) | ROLE(READER), ROLE(PROXYD))},
			      .is_reply = true,
			      .with_fd = true},
    [BF_MSG_PRICE_SYNC] =
	REQUEST("price_sync", &bf_msg_price_sync_table, ROLE(PROXYD), ROLE(READER)),
    [BF_MSG_PRICE_SHEET] = {.name = "price_sheet",
			    .body = &bf_msg_price_sheet_table,
			    .routes = {ROUTE(ROLE(READER), ROLE(WRITERD))},
			    .with_fd = true},
    [BF_MSG_PRICE_FRESH] =
	REQUEST("price_fresh", &bf_msg_price_fresh_table, ROLE(READER), ROLE(WRITERD)),
};

const struct bf_msg_def *bf_msg_def(uint16_t type)
{
	if (type >= BF_MSG_TYPE_MAX || !defs[type].name)
		return NULL;
	return &defs[type];
}

/*
 * The rows of messages about entities and snapshots: part of the table of messages_table.c. What a
 * client wrote is a secret here: it may hold keys.
 */
#include "common/ipc/messages_entity.h"

#include <stddef.h>

#include "common/base/macros.h"

#define FIELD(owner, member, kind, least, most, text)                                          \
	{                                                                                      \
		.name = #member, .doc = (text), .min = (least), .max = (most),                 \
		.offset = offsetof(struct owner, member), .type = (kind), .flags = BF_REQUIRED \
	}
#define UINT(owner, member, text)       FIELD(owner, member, BF_T_UINT, 0, 0, text)
#define BOOL(owner, member, text)       FIELD(owner, member, BF_T_BOOL, 0, 1, text)
#define TEXT(owner, member, most, text) FIELD(owner, member, BF_T_STRING, 0, most, text)
#define TABLE(label, owner, rows)                                                \
	{                                                                        \
		.name = (label), .fields = (rows), .size = sizeof(struct owner), \
		.field_count = BF_ARRAY_LEN(rows)                                \
	}

#define ID_MAX 128

const char *const bf_entity_actions[] = {"create",          "update",      "delete", "rotate",
					 "budget_override", "reset_usage", NULL};

const char *const bf_entity_orders[] = {"none",   "name",         "created_at",
					"status", "budget_spent", NULL};

static const struct bf_field snapshot_next_fields[] = {
    UINT(bf_msg_snapshot_next, generation, "that an overlay becomes; 0: a base"),
};
const struct bf_table bf_msg_snapshot_next_table =
    TABLE("snapshot_next", bf_msg_snapshot_next, snapshot_next_fields);

static const struct bf_field change_fields[] = {
    {.name = "action",
     .doc = "create, update, delete, rotate, budget_override or reset_usage",
     .choices = bf_entity_actions,
     .offset = offsetof(struct bf_msg_entity_change, action),
     .type = BF_T_ENUM,
     .flags = BF_REQUIRED},
    UINT(bf_msg_entity_change, type, "number of its type"),
    TEXT(bf_msg_entity_change, id, ID_MAX, "empty: to be made"),
    BOOL(bf_msg_entity_change, is_sub, "it is about a part of it: a key of a provider"),
    TEXT(bf_msg_entity_change, sub_id, ID_MAX, "the part, or a budget; empty: to be made"),
    UINT(bf_msg_entity_change, expected_version, "0: any"),
    FIELD(bf_msg_entity_change, body, BF_T_SECRET, 0, BF_ENTITY_CHANGE_BODY_MAX, "a client's JSON"),
    TEXT(bf_msg_entity_change, actor, ID_MAX, "who asked"),
};
const struct bf_table bf_msg_entity_change_table =
    TABLE("entity_change", bf_msg_entity_change, change_fields);

static const struct bf_field query_fields[] = {
    UINT(bf_msg_entity_query, type, "number of its type"),
    TEXT(bf_msg_entity_query, id, ID_MAX, "not empty: this one, else a page"),
    BOOL(bf_msg_entity_query, is_sub, "parts of it, or of all"),
    TEXT(bf_msg_entity_query, sub_id, ID_MAX, "not empty: this part"),
    FIELD(bf_msg_entity_query, secret, BF_T_BYTES, 0, 32,
	  "keyed hash of the virtual key whose quota its holder asks for; else empty"),
    TEXT(bf_msg_entity_query, search, 256, "a piece of id or name; empty: any"),
    TEXT(bf_msg_entity_query, team_id, ID_MAX, "empty: any"),
    TEXT(bf_msg_entity_query, customer_id, ID_MAX, "empty: any"),
    TEXT(bf_msg_entity_query, virtual_key_id, ID_MAX, "empty: any"),
    TEXT(bf_msg_entity_query, provider, ID_MAX, "empty: any"),
    TEXT(bf_msg_entity_query, scope, ID_MAX, "as its table names it; empty: any"),
    TEXT(bf_msg_entity_query, provider_key_id, ID_MAX, "empty: any"),
    FIELD(bf_msg_entity_query, limit, BF_T_UINT, 1, BF_ENTITY_EXPORT_MAX, "of one page"),
    UINT(bf_msg_entity_query, offset, "before the page"),
    {.name = "sort_by",
     .doc = "none, name, created_at, status or budget_spent",
     .choices = bf_entity_orders,
     .offset = offsetof(struct bf_msg_entity_query, sort_by),
     .type = BF_T_ENUM,
     .flags = BF_REQUIRED},
    BOOL(bf_msg_entity_query, descending, "the last one first"),
};
const struct bf_table bf_msg_entity_query_table =
    TABLE("entity_query", bf_msg_entity_query, query_fields);

static const struct bf_field result_fields[] = {
    UINT(bf_msg_entity_result, status, "of HTTP"),
    UINT(bf_msg_entity_result, version, "of the entity; 0: of several, or none"),
    UINT(bf_msg_entity_result, size, "bytes of JSON in the memfd that comes along, sealed"),
};
const struct bf_table bf_msg_entity_result_table =
    TABLE("entity_result", bf_msg_entity_result, result_fields);

/* Messages about entities and snapshots: the structs of their rows in messages_entity.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/schema/field.h"

struct bf_msg_snapshot_next {
	uint64_t generation; /* that an overlay becomes; 0: a base */
};

enum bf_entity_action {
	BF_ENTITY_CREATE,
	BF_ENTITY_UPDATE, /* members that the body lacks stay as they are */
	BF_ENTITY_DELETE,
	BF_ENTITY_ROTATE,          /* a new secret, shown in the answer and never again */
	BF_ENTITY_BUDGET_OVERRIDE, /* of the owner's budget sub_id; an empty body ends it */
	BF_ENTITY_RESET_USAGE,     /* of the owner's meters */
};

/* Names of enum bf_entity_action, ended by NULL. */
extern const char *const bf_entity_actions[];

#define BF_ENTITY_CHANGE_BODY_MAX 60000u
#define BF_ENTITY_PAGE_MAX        1000u
#define BF_ENTITY_EXPORT_MAX      10000u /* of a page that is asked for to be kept */
#define BF_ENTITY_ANSWER_MAX      (16u << 20)

/* By what a page of virtual keys is sorted; keys that are alike in it stand by their ids. */
enum bf_entity_order {
	BF_ORDER_NONE, /* as they lie: the quickest */
	BF_ORDER_NAME, /* by its bytes */
	BF_ORDER_CREATED_AT,
	BF_ORDER_STATUS,       /* those that are not active first */
	BF_ORDER_BUDGET_SPENT, /* the budget of the key itself of which most was spent */
};

/* Names of enum bf_entity_order, ended by NULL. */
extern const char *const bf_entity_orders[];

struct bf_msg_entity_change {
	int32_t action;            /* enum bf_entity_action */
	uint64_t type;             /* enum bf_entity_type */
	struct bf_slice id;        /* empty: to be made */
	bool is_sub;               /* it is about a part of it: a key of a provider */
	struct bf_slice sub_id;    /* the part, or a budget; empty: to be made */
	uint64_t expected_version; /* 0: any */
	struct bf_slice body;      /* a client's JSON; may hold keys */
	struct bf_slice actor;     /* who asked: "session admin", "api_key ops", "local" */
};

/* All that is given must hold. */
struct bf_msg_entity_query {
	uint64_t type;          /* enum bf_entity_type */
	struct bf_slice id;     /* not empty: this one, else a page */
	bool is_sub;            /* parts of it, or of all */
	struct bf_slice sub_id; /* not empty: this part */
	struct bf_slice secret; /* 32 bytes: the virtual key whose quota its holder asks for */
	struct bf_slice search; /* a piece of id or name, letters of ASCII in either case */
	struct bf_slice team_id, customer_id, virtual_key_id, provider;
	struct bf_slice scope;           /* of a model config; of a price its scope_kind */
	struct bf_slice provider_key_id; /* of a price */
	uint64_t limit, offset;
	int32_t sort_by; /* enum bf_entity_order; of a page of virtual keys */
	bool descending;
};

struct bf_msg_entity_result {
	uint64_t status;  /* of HTTP */
	uint64_t version; /* of the entity; 0: of several, or none */
	uint64_t size;    /* bytes of the memfd */
};

extern const struct bf_table bf_msg_snapshot_next_table, bf_msg_entity_change_table,
    bf_msg_entity_query_table, bf_msg_entity_result_table;

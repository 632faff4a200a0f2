/*
 * The registry of entities: what the management API changes, writerd stores and workers obey. One
 * row a type; its table of fields is the one that the configuration file has for it. Usage is never
 * part of an entity.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "common/schema/field.h"

/* The numbers stand in snapshots and in the store. */
enum bf_entity_type {
	BF_ENTITY_CUSTOMER = 1,
	BF_ENTITY_TEAM = 2,
	BF_ENTITY_VIRTUAL_KEY = 3,
	BF_ENTITY_RATE_LIMIT = 4,
	BF_ENTITY_MODEL_CONFIG = 5,
	BF_ENTITY_PROVIDER_LIMITS = 6, /* governance of a provider; its id is the provider's name */
	BF_ENTITY_PRICING_OVERRIDE = 7,
	BF_ENTITY_PROVIDER = 8,       /* with its keys; its id is its name */
	BF_ENTITY_PRICING = 9,        /* the price sheet that was fetched: prices.h */
	BF_ENTITY_MODEL_CATALOG = 10, /* model_catalog.h; its id is the provider's name */
	BF_ENTITY_CLIENT_CONFIG = 11, /* one: "client" */
	BF_ENTITY_AUTH_CONFIG = 12,   /* one: "auth" */
	BF_ENTITY_API_KEY = 13,       /* opens the management API */
	BF_ENTITY_SESSION_END = 14, /* a session that was logged out, until it would have expired */
	BF_ENTITY_TYPE_MAX = 15,
};

struct bf_entity_def {
	const char *name;   /* "virtual_key": in the store, in messages, in answers */
	const char *plural; /* "virtual_keys": in lists of answers */
	const struct bf_table *table;
	const char *fixed_id; /* there is one: its id, which is no member; NULL: there are many */
	/* Of struct bf_slice members; 0: it has none, except that the id may stand first. */
	uint32_t id_offset, name_offset;
	uint32_t scope_offset; /* by whom it is also found; may be empty: everybody's */
	uint32_t value_offset; /* the secret of which only a keyed hash is kept */
	bool sealed;           /* holds secrets: its body is encrypted wherever it leaves memory */
	bool has_secret;       /* is found by the hash of a secret that only its holder knows */
	bool common; /* every request depends on it, unless it has a scope: workers take it over
			as a whole */
};

/* NULL: there is no such type. */
const struct bf_entity_def *bf_entity_def(uint32_t type);
/* What entities of a type consist of, where each has an id and can be changed by itself: the keys
 * of a provider. NULL: they are whole. */
const struct bf_entity_def *bf_entity_part(uint32_t type);
/* By name; 0: there is none. */
uint32_t bf_entity_type_of(struct bf_slice name);

#define BF_ENTITY_ID_MAX     128u /* of ids and scopes */
#define BF_ENTITY_NAME_MAX   1024u
#define BF_ENTITY_BODY_MAX   (1u << 20)
#define BF_ENTITY_SECRET_LEN 32u /* HMAC-SHA256 with the snapshot's pepper */

enum bf_entity_flag {
	BF_ENTITY_DELETED = 1u << 0,     /* a tombstone: in an overlay it hides the base's */
	BF_ENTITY_QUARANTINED = 1u << 1, /* names something that does not exist: it is blocked */
	BF_ENTITY_FROM_FILE = 1u << 2,   /* as the configuration file has it */
};

/* One entity as it travels. Slices refer to whoever made it. */
struct bf_entity {
	uint32_t type;
	uint32_t flags;   /* enum bf_entity_flag */
	uint64_t version; /* grows with every change; never reused for an id */
	int64_t created_ms, updated_ms;
	struct bf_slice id;
	struct bf_slice name;  /* for searches; may be empty */
	struct bf_slice scope; /* by whom it is also found: the key of a model config; else empty */
	struct bf_slice body;  /* bf_entity_encode() of its table, in clear; empty when deleted */
	uint8_t secret[BF_ENTITY_SECRET_LEN]; /* def->has_secret: of its value; else zero */
};

struct bf_arena;
struct bf_buf;

/*
 * The entity of an object of its table: id, name and scope refer to the object, the body to out,
 * where it is appended (no-dump where the type is sealed). A value of which only the hash is kept
 * is left out. The rest of ret_entity is zero. BF_E_UNKNOWN: no such type; else what
 * bf_table_encode_mp_sparse says.
 */
int bf_entity_encode(uint32_t type, const void *object, struct bf_buf *out,
		     struct bf_entity *ret_entity);
/* The body as the struct of its table (def->table->size bytes), in the arena. */
int bf_entity_decode(const struct bf_entity *entity, void *object, struct bf_arena *arena,
		     struct bf_err *err);

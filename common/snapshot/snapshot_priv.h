/*
 * The format of a blob; docs/snapshot.md tells it whole. Header, records, three indexes, the places
 * of records by type. All numbers are of the machine's byte order: a blob leaves a machine only
 * sealed, and comes back to the same.
 */
#pragma once

#include "common/snapshot/snapshot.h"

#define SNAP_MAGIC   UINT64_C(0x31506e5366694273)
#define SNAP_VERSION 1u

enum snap_kind {
	SNAP_BASE = 1,
	SNAP_OVERLAY = 2,
};

/* Where a record is: its offset in units of 8 bytes. */
#define SNAP_PLACE_BITS 29u
#define SNAP_PLACE_MASK ((UINT64_C(1) << SNAP_PLACE_BITS) - 1)
_Static_assert(BF_SNAPSHOT_MAX_BYTES >> 3 <= SNAP_PLACE_MASK + 1, "a place holds every offset");

enum snap_by {
	SNAP_BY_ID,
	SNAP_BY_SECRET,
	SNAP_BY_SCOPE,
	SNAP_INDEXES,
};

/*
 * Postings, each the place of a record with the lower bits of its hash above it. They are grouped
 * by the highest `bits` bits of the hash, which are the number of a bucket, and within one stand in
 * the order of adding. starts[n] is where bucket n begins, starts[n + 1] where it ends.
 */
struct snap_index {
	uint64_t starts;   /* offset of uint32_t[(1 << bits) + 1] */
	uint64_t postings; /* offset of uint64_t[count] */
	uint32_t count, bits;
};

#define SNAP_BITS_MAX 28u

struct snap_header {
	uint64_t magic;
	uint32_t version, kind;
	uint64_t base_id;
	uint64_t length;      /* of the blob */
	uint64_t records_end; /* records begin behind the header */
	uint64_t common;      /* sum of snap_mark() of the common ones */
	uint64_t places;      /* offset of uint32_t[first[BF_ENTITY_TYPE_MAX]]: by type, then in the
				 order of adding */
	uint32_t first[BF_ENTITY_TYPE_MAX + 1]; /* of a type in places */
	struct snap_index indexes[SNAP_INDEXES];
	uint8_t pepper[BF_SNAPSHOT_PEPPER_LEN];
	uint64_t checksum; /* of what stands before it */
};
_Static_assert(sizeof(struct snap_header) % 8 == 0, "records begin aligned");

/* Behind it its texts: id, name, scope, secret, body; then up to a multiple of 8. */
struct snap_record {
	uint32_t bytes; /* all of it */
	uint16_t type, flags;
	uint64_t version;
	int64_t created_ms, updated_ms;
	uint32_t body_len;
	uint16_t id_len, name_len, scope_len, secret_len;
	uint32_t unused;
};
_Static_assert(sizeof(struct snap_record) == 48, "no holes");

struct bf_snapshot_blob {
	const uint8_t *bytes;
	struct snap_header head; /* as it was checked */
};

uint64_t snap_checksum(const struct snap_header *head);
/* Of an id, a scope or a secret of a type. The key is the same in a base and its overlays. */
uint64_t snap_hash(const uint8_t pepper[BF_SNAPSHOT_PEPPER_LEN], uint32_t type,
		   struct bf_slice text);
/* What stands for an entity as it is, in sums that do not depend on an order. */
uint64_t snap_mark(const uint8_t pepper[BF_SNAPSHOT_PEPPER_LEN], const struct bf_entity *entity);
/* Is it part of what every request depends on? */
bool snap_is_common(const struct bf_entity *entity);
static inline uint32_t snap_bucket(uint64_t hash, uint32_t bits)
{
	return bits ? (uint32_t)(hash >> (64 - bits)) : 0;
}

/* The record at a place. False: there is none that can be read. */
bool snap_read(const struct bf_snapshot_blob *blob, uint64_t place, struct bf_entity *ret_entity);

/* The postings of a hash. */
struct snap_hits {
	const uint64_t *postings;
	uint32_t at, end;
	uint64_t hash;
};
struct snap_hits snap_hits_of(const struct bf_snapshot_blob *blob, enum snap_by by, uint64_t hash);
/* The next place, or 0, where no record is. */
uint64_t snap_hits_next(struct snap_hits *hits);

/* ---- find.c: the same entity in the other blob, perhaps deleted */

bool snap_overlaid(const struct bf_snapshot *s, const struct bf_entity *of_base,
		   struct bf_entity *ret_now);
bool snap_underlaid(const struct bf_snapshot *s, const struct bf_entity *of_overlay,
		    struct bf_entity *ret_before);

/* ---- parts.c: what stands for the model configs of a key */

uint64_t snap_scoped(const struct bf_snapshot *s, struct bf_slice key_id);

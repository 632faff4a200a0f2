/*
 * Entities by id, by secret and by scope. Called for keys that a worker meets for the first time,
 * and by the reader. Must never compare a
 * secret in a time that tells how much of it was right.
 */
#include "common/base/siphash.h"
#include "common/snapshot/snapshot_priv.h"

/* ---- hashes */

uint64_t snap_hash(const uint8_t pepper[BF_SNAPSHOT_PEPPER_LEN], uint32_t type,
		   struct bf_slice text)
{
	char bytes[sizeof(type) + BF_ENTITY_ID_MAX];
	size_t len = text.len < BF_ENTITY_ID_MAX ? text.len : BF_ENTITY_ID_MAX;

	memcpy(bytes, &type, sizeof(type));
	if (len)
		memcpy(bytes + sizeof(type), text.ptr, len);
	return bf_siphash(pepper, bytes, sizeof(type) + len);
}

uint64_t snap_mark(const uint8_t pepper[BF_SNAPSHOT_PEPPER_LEN], const struct bf_entity *entity)
{
	const uint64_t words[4] = {snap_hash(pepper, entity->type, entity->id), entity->version,
				   (uint64_t)entity->updated_ms, entity->flags};

	return bf_siphash(pepper, words, sizeof(words));
}

/* ---- postings */

struct snap_hits snap_hits_of(const struct bf_snapshot_blob *blob, enum snap_by by, uint64_t hash)
{
	const struct snap_index *x = &blob->head.indexes[by];
	const uint32_t *starts = (const void *)(blob->bytes + x->starts);
	uint32_t bucket = snap_bucket(hash, x->bits);
	struct snap_hits hits = {.postings = (const void *)(blob->bytes + x->postings),
				 .at = starts[bucket],
				 .end = starts[bucket + 1],
				 .hash = hash << SNAP_PLACE_BITS};

	if (hits.end > x->count)
		hits.end = x->count;
	return hits;
}

uint64_t snap_hits_next(struct snap_hits *hits)
{
	while (hits->at < hits->end) {
		uint64_t posting = hits->postings[hits->at++];

		if ((posting & ~SNAP_PLACE_MASK) == hits->hash)
			return posting & SNAP_PLACE_MASK;
	}
	return 0;
}

/* ---- one blob */

/* As it stands there, perhaps deleted. */
static bool find_in(const struct bf_snapshot_blob *blob, uint32_t type, struct bf_slice id,
		    uint64_t hash, struct bf_entity *ret_entity)
{
	struct snap_hits hits;
	uint64_t place;

	if (!blob)
		return false;
	hits = snap_hits_of(blob, SNAP_BY_ID, hash);
	while ((place = snap_hits_next(&hits)))
		if (snap_read(blob, place, ret_entity) && ret_entity->type == type &&
		    bf_slice_eq(ret_entity->id, id))
			return true;
	return false;
}

/* All of both is looked at, whatever differs first. */
static bool same_secret(const uint8_t a[BF_ENTITY_SECRET_LEN],
			const uint8_t b[BF_ENTITY_SECRET_LEN])
{
	uint64_t difference = 0, x, y;

	for (size_t i = 0; i < BF_ENTITY_SECRET_LEN; i += sizeof(x)) {
		memcpy(&x, a + i, sizeof(x));
		memcpy(&y, b + i, sizeof(y));
		difference |= x ^ y;
	}
	return difference == 0;
}

static bool find_secret_in(const struct bf_snapshot_blob *blob, uint32_t type,
			   const uint8_t secret[BF_ENTITY_SECRET_LEN], uint64_t hash,
			   struct bf_entity *ret_entity)
{
	struct snap_hits hits;
	uint64_t place;

	if (!blob)
		return false;
	hits = snap_hits_of(blob, SNAP_BY_SECRET, hash);
	while ((place = snap_hits_next(&hits)))
		if (snap_read(blob, place, ret_entity) && ret_entity->type == type &&
		    !(ret_entity->flags & BF_ENTITY_DELETED) &&
		    same_secret(ret_entity->secret, secret))
			return true;
	return false;
}

/* ---- both */

bool bf_snapshot_find(const struct bf_snapshot *s, uint32_t type, struct bf_slice id,
		      struct bf_entity *ret_entity)
{
	uint64_t hash;

	if (id.len == 0 || id.len > BF_ENTITY_ID_MAX)
		return false;
	hash = snap_hash(s->base->head.pepper, type, id);
	if (!find_in(s->overlay, type, id, hash, ret_entity) &&
	    !find_in(s->base, type, id, hash, ret_entity))
		return false;
	return !(ret_entity->flags & BF_ENTITY_DELETED);
}

bool bf_snapshot_find_secret(const struct bf_snapshot *s, uint32_t type,
			     const uint8_t secret[BF_ENTITY_SECRET_LEN],
			     struct bf_entity *ret_entity)
{
	const struct bf_slice text = {(const char *)secret, BF_ENTITY_SECRET_LEN};
	const uint8_t *pepper = s->base->head.pepper;
	uint64_t hash = snap_hash(pepper, type, text);
	struct bf_entity now;

	if (find_secret_in(s->overlay, type, secret, hash, ret_entity))
		return true;
	if (!find_secret_in(s->base, type, secret, hash, ret_entity))
		return false;
	/* Whatever the overlay says of it, it has not this secret any more. */
	return !find_in(s->overlay, type, ret_entity->id, snap_hash(pepper, type, ret_entity->id),
			&now);
}

static bool is_in(const struct bf_snapshot *s, const struct bf_snapshot_blob *blob,
		  const struct bf_entity *entity, struct bf_entity *ret_there)
{
	return find_in(blob, entity->type, entity->id,
		       snap_hash(s->base->head.pepper, entity->type, entity->id), ret_there);
}

bool snap_overlaid(const struct bf_snapshot *s, const struct bf_entity *of_base,
		   struct bf_entity *ret_now)
{
	return is_in(s, s->overlay, of_base, ret_now);
}

bool snap_underlaid(const struct bf_snapshot *s, const struct bf_entity *of_overlay,
		    struct bf_entity *ret_before)
{
	return is_in(s, s->base, of_overlay, ret_before);
}

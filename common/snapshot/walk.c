/*
 * All entities of a type or of a scope, and what stands for all of them. Called by the reader for
 * lists, by workers for what everybody meets. Must never give an entity twice, or as it was.
 */
#include "common/snapshot/snapshot_priv.h"

/* ---- one after the other */

static bool is_live(const struct bf_entity *entity)
{
	return !(entity->flags & BF_ENTITY_DELETED);
}

/* The record number `at` of a type, perhaps deleted. */
static bool read_nth(const struct bf_snapshot_blob *blob, uint32_t type, uint64_t at,
		     struct bf_entity *ret_entity)
{
	const uint32_t *places = (const void *)(blob->bytes + blob->head.places);

	return snap_read(blob, places[blob->head.first[type] + at], ret_entity) &&
	       ret_entity->type == type;
}

bool bf_snapshot_next(const struct bf_snapshot *s, uint32_t type, struct bf_snapshot_cursor *cursor,
		      struct bf_entity *ret_entity)
{
	uint64_t changed = s->overlay ? bf_snapshot_count(s->overlay, type) : 0;
	struct bf_entity other;

	while (!cursor->in_overlay && cursor->at < bf_snapshot_count(s->base, type)) {
		if (!read_nth(s->base, type, cursor->at++, ret_entity))
			continue;
		if (changed && snap_overlaid(s, ret_entity, &other))
			*ret_entity = other;
		if (is_live(ret_entity))
			return true;
	}
	if (!cursor->in_overlay)
		*cursor = (struct bf_snapshot_cursor){.in_overlay = true};
	while (cursor->at < changed)
		if (read_nth(s->overlay, type, cursor->at++, ret_entity) && is_live(ret_entity) &&
		    !snap_underlaid(s, ret_entity, &other))
			return true;
	return false;
}

/* ---- those of a scope */

static bool is_of(const struct bf_entity *entity, uint32_t type, struct bf_slice scope)
{
	return entity->type == type && bf_slice_eq(entity->scope, scope);
}

/* The next in one blob. cursor->at counts postings of the bucket. */
static bool next_in(const struct bf_snapshot_blob *blob, uint32_t type, struct bf_slice scope,
		    struct bf_snapshot_cursor *cursor, struct bf_entity *ret_entity)
{
	struct snap_hits hits;
	uint32_t start;
	uint64_t place;

	if (!blob)
		return false;
	hits = snap_hits_of(blob, SNAP_BY_SCOPE, snap_hash(blob->head.pepper, type, scope));
	start = hits.at;
	if (hits.at > hits.end || cursor->at > hits.end - hits.at)
		return false;
	hits.at += (uint32_t)cursor->at;
	while ((place = snap_hits_next(&hits))) {
		cursor->at = hits.at - start;
		if (snap_read(blob, place, ret_entity) && is_of(ret_entity, type, scope))
			return true;
	}
	return false;
}

bool bf_snapshot_next_of(const struct bf_snapshot *s, uint32_t type, struct bf_slice scope,
			 struct bf_snapshot_cursor *cursor, struct bf_entity *ret_entity)
{
	struct bf_entity other;

	while (!cursor->in_overlay && next_in(s->base, type, scope, cursor, ret_entity)) {
		if (snap_overlaid(s, ret_entity, &other))
			*ret_entity = other;
		/* It may have moved to another scope. */
		if (is_live(ret_entity) && is_of(ret_entity, type, scope))
			return true;
	}
	if (!cursor->in_overlay)
		*cursor = (struct bf_snapshot_cursor){.in_overlay = true};
	while (next_in(s->overlay, type, scope, cursor, ret_entity))
		if (is_live(ret_entity) &&
		    !(snap_underlaid(s, ret_entity, &other) && is_of(&other, type, scope)))
			return true;
	return false;
}

/* ---- all together */

uint64_t bf_snapshot_live(const struct bf_snapshot *s, uint32_t type)
{
	uint64_t live = bf_snapshot_count(s->base, type);
	uint64_t changed = s->overlay ? bf_snapshot_count(s->overlay, type) : 0;
	struct bf_entity now, before;

	for (uint64_t i = 0; i < changed; i++) {
		bool was;

		if (!read_nth(s->overlay, type, i, &now))
			continue;
		was = snap_underlaid(s, &now, &before);
		live += is_live(&now) && !was;
		live -= !is_live(&now) && was && live > 0;
	}
	return live;
}

bool snap_is_common(const struct bf_entity *entity)
{
	const struct bf_entity_def *def = bf_entity_def(entity->type);

	return def && def->common && entity->scope.len == 0 && is_live(entity);
}

static uint64_t mark_of(const struct bf_snapshot *s, const struct bf_entity *entity)
{
	return snap_is_common(entity) ? snap_mark(s->base->head.pepper, entity) : 0;
}

/* A sum, so that it can be mended by what the overlay takes away and adds. */
uint64_t bf_snapshot_common(const struct bf_snapshot *s)
{
	uint64_t sum = s->base->head.common;
	struct bf_entity now, before;

	for (uint32_t type = 1; s->overlay && type < BF_ENTITY_TYPE_MAX; type++) {
		const struct bf_entity_def *def = bf_entity_def(type);
		uint64_t changed = def && def->common ? bf_snapshot_count(s->overlay, type) : 0;

		for (uint64_t i = 0; i < changed; i++) {
			if (!read_nth(s->overlay, type, i, &now))
				continue;
			sum += mark_of(s, &now);
			if (snap_underlaid(s, &now, &before))
				sum -= mark_of(s, &before);
		}
	}
	return sum;
}

uint64_t bf_snapshot_mark(const struct bf_snapshot *s, const struct bf_entity *entity)
{
	return snap_mark(s->base->head.pepper, entity);
}

uint64_t bf_snapshot_sum(const struct bf_snapshot *s, uint32_t type)
{
	struct bf_snapshot_cursor cursor = {0};
	struct bf_entity entity;
	uint64_t sum = 0;

	while (bf_snapshot_next(s, type, &cursor, &entity))
		sum += bf_snapshot_mark(s, &entity);
	return sum;
}

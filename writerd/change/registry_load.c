/*
 * How the table of entities comes to be: rows of the store, entries of the file, and a look at
 * whether they fit together. Called by registry.c at the start and when a store comes back. Must
 * never undo what was changed by the API.
 */
#include "writerd/change/registry_load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/base/pulse.h"
#include "common/base/rand.h"
#include "common/crypt/seal.h"
#include "common/govern/plan.h"
#include "common/log/log.h"
#include "writerd/change/change_exact.h"
#include "writerd/change/import.h"
#include "writerd/change/prices.h"
#include "writerd/change/registry_forget.h"
#include "writerd/entity/entity_bound.h"

#define ARENA_BYTES ((size_t)1 << 30)

/* ---- rows */

struct loading {
	struct entities *t;
	struct bf_arena arena; /* of one row */
	uint32_t unreadable;
};

static int take_row(void *ctx, const struct bf_entity *e, uint64_t hlc, const uint8_t file_hash[32],
		    struct bf_err *err)
{
	struct loading *l = ctx;
	struct entity *x = NULL, *old = NULL;
	struct bf_err why = {0};
	int r;

	bf_pulse();
	bf_arena_reset(&l->arena);
	r = entity_restore(e, &l->arena, &x, &why);
	if (r == -ENOMEM)
		return bf_err_sys(err, r, "config_store");
	/* Of a damaged one everything else goes on; the row stays for whoever looks into it. */
	if (r < 0) {
		l->unreadable++;
		bf_log(BF_LOG_ERROR, "entity_unreadable", "type=%s id=%.*s reason=%s",
		       bf_entity_def(e->type)->name, BF_SLICE_FMT(e->id), bf_log_quote(why.text));
		return 0;
	}
	x->hlc = hlc;
	memcpy(x->file_hash, file_hash, sizeof(x->file_hash));
	r = entities_put(l->t, x, &old);
	if (r < 0)
		entity_free(x);
	entity_free(old);
	return r < 0 ? bf_err_sys(err, r, "config_store") : 0;
}

static int read_store(struct registry *r, struct entities *t, struct bf_err *err)
{
	struct loading l = {.t = t};
	int code;

	bf_arena_init_nodump(&l.arena, 16 << 20);
	code = entity_store_load(r->store, take_row, &l, err);
	r->unreadable = l.unreadable;
	bf_arena_done(&l.arena);
	return code;
}

/* ---- the file */

/* What every request meets, no worker could take beyond that: nothing could come into force any
 * more. The bound first: it costs no plan. */
static int everybody_fits(const struct registry *r, struct bf_err *err)
{
	struct bf_arena arena;
	int code;

	if (entity_bound_everybody(r->t) <= BF_PLAN_LIMITS_PER_REQUEST)
		return 0;
	bf_arena_init(&arena, ARENA_BYTES);
	code = change_exact_everybody(r->t, &arena, err);
	bf_arena_done(&arena);
	return code;
}

static int put_all(struct registry *r, struct import *import, struct bf_err *err)
{
	struct bf_err too_many = {0}, none = {0};
	bool fitted = import->count == 0 || everybody_fits(r, &none) == 0;
	int code = 0;

	for (uint32_t i = 0; i < import->count && code == 0; i++) {
		code = registry_put(r, import->changes[i], err);
		import->changes[i] = NULL;
	}
	/* Where it was too much already, the file is no worse. */
	if (code == 0 && fitted && everybody_fits(r, &too_many) == BF_E_LIMIT)
		code = bf_err_set(err, BF_E_LIMIT,
				  "the configuration file, with what the management API made: %s",
				  too_many.text);
	return code;
}

static int take_file(struct registry *r, struct bf_err *err)
{
	struct import import;
	struct bf_arena arena;
	int code;

	bf_arena_init_nodump(&arena, ARENA_BYTES);
	code = import_file(&import, r->t, r->config, &r->maker, bf_wall_ms(), &arena, err);
	if (code == 0)
		code = registry_begin(r, err);
	if (code == 0) {
		code = put_all(r, &import, err);
		if (code < 0)
			registry_rollback(r);
		else
			code = registry_commit(r, err);
		if (code == 0 && import.count)
			bf_log(BF_LOG_INFO, "entities_imported", "taken=%u gone=%u", import.taken,
			       import.gone);
		import_done(&import);
	}
	bf_arena_done(&arena);
	return code;
}

/* ---- review */

static bool names_nobody(const struct registry *r, const struct entity *x)
{
	for (uint32_t i = 0; i < x->need_count; i++)
		if (!entities_with_key(r->t, x->names[i]))
			return true;
	return false;
}

/* Of two keys with one value the file's counts, else the one that had it first. */
static bool has_anothers_value(const struct registry *r, const struct entity *x)
{
	static const uint8_t none[BF_ENTITY_SECRET_LEN];
	const struct bf_entity_def *def = bf_entity_def(x->e.type);
	const struct entity *other = NULL;
	bool ours = x->e.flags & BF_ENTITY_FROM_FILE;

	if (!def->has_secret || memcmp(x->e.secret, none, sizeof(none)) == 0)
		return false;
	while ((other = entities_other_with_secret(r->t, x, other))) {
		bool theirs = other->e.flags & BF_ENTITY_FROM_FILE;

		if (ours == theirs ? other->hlc < x->hlc : theirs)
			return true;
	}
	return false;
}

/* Who finds no room in the list is looked at again with the next load. */
static void count_blocked(struct registry *r, const struct entity *x)
{
	if (r->quarantined == 0)
		(void)snprintf(r->first_quarantined, sizeof(r->first_quarantined), "%s/%.*s",
			       bf_entity_def(x->e.type)->name, BF_SLICE_FMT(x->e.id));
	if (r->quarantined >= r->blocked_room) {
		uint32_t room = r->quarantined ? 2 * r->quarantined : 16;
		uint64_t *wider = realloc(r->blocked, room * sizeof(*wider));

		if (wider) {
			r->blocked = wider;
			r->blocked_room = room;
		}
	}
	if (r->quarantined < r->blocked_room)
		r->blocked[r->quarantined] = entity_key(x->e.type, x->e.id);
	r->quarantined++;
}

static void judge(struct registry *r, struct entity *x)
{
	bool bad = names_nobody(r, x), doubled = has_anothers_value(r, x);
	bool was = x->e.flags & BF_ENTITY_QUARANTINED;

	bf_pulse();
	bad = bad || doubled;
	if (bad)
		count_blocked(r, x);
	if (bad && !was)
		bf_log(BF_LOG_ERROR, "entity_blocked", "type=%s id=%s reason=%s",
		       bf_entity_def(x->e.type)->name, bf_log_quote_slice(x->e.id),
		       bf_log_quote(doubled ? "another one has the same value"
					    : "it names what does not exist"));
	if (bad == was && doubled == x->doubled)
		return;
	x->doubled = doubled;
	if (bad != was)
		x->e.flags ^= (uint32_t)BF_ENTITY_QUARANTINED;
	if (publish_note(&r->publish, x, x) < 0)
		publish_rebase(&r->publish);
}

static void forget_blocked(struct registry *r)
{
	r->blocked = NULL;
	r->blocked_room = r->quarantined = 0;
	r->first_quarantined[0] = '\0';
}

void registry_review(struct registry *r)
{
	free(r->blocked);
	forget_blocked(r);
	for (uint32_t type = 1; type < BF_ENTITY_TYPE_MAX; type++)
		for (struct entity *x = entities_next(r->t, type, NULL); x;
		     x = entities_next(r->t, type, x))
			judge(r, x);
}

/* As it was before the group, which may have changed it more than once. */
static bool was_blocked(const struct registry *r, uint32_t step)
{
	const struct entity *old = r->steps[step].old;

	while (step-- > 0)
		if (r->steps[step].now == old)
			old = r->steps[step].old;
	return old && old->e.flags & BF_ENTITY_QUARANTINED;
}

/* Of all others nothing can have changed: what a change names exists, and nobody goes whom somebody
 * names. */
void registry_review_group(struct registry *r)
{
	uint64_t *before = r->blocked;
	uint32_t count = BF_MIN(r->quarantined, r->blocked_room);

	forget_blocked(r);
	for (uint32_t i = 0; i < count; i++) {
		struct entity *x = entities_with_key(r->t, before[i]);

		if (x)
			judge(r, x);
	}
	for (uint32_t i = 0; i < r->step_count; i++) {
		struct entity *now = r->steps[i].now;

		/* Who was blocked was in the list. */
		if (entities_live(r->t, now->e.type, now->e.id) == now && !was_blocked(r, i))
			judge(r, now);
	}
	free(before);
}

/* ---- all of it */

static void make_keys(struct registry *r)
{
	struct bf_slice key = r->config->encryption_key;

	r->maker.seals = r->store && entity_store_seals(r->store);
	if (key.len)
		bf_seal_key(key, ENTITY_FILE_HASHES, r->maker.file_key);
	else
		entity_plain_file_key(&r->maker);
}

static int open_store(struct registry *r, struct entities *t, struct bf_err *err)
{
	int code;

	if (!r->path) {
		bf_rand_bytes(r->maker.pepper, sizeof(r->maker.pepper));
		make_keys(r);
		return 0;
	}
	code =
	    entity_store_open(r->path, r->config->encryption_key, last_good_is_there(&r->last_good),
			      &r->store, r->maker.pepper, err);
	if (code == 0)
		code = entity_store_prune(r->store, bf_wall_ms() - REGISTRY_FORGET_MS, err);
	if (code == 0)
		code = read_store(r, t, err);
	if (code == 0)
		make_keys(r);
	return code;
}

/* Behind this there is no store, so that what the file says is taken into memory alone. */
static int look_into_store(struct registry *r, struct entities *t, struct bf_err *err)
{
	int code =
	    entity_store_look(r->path, r->config->encryption_key, &r->store, r->maker.pepper, err);

	if (code == 0)
		code = read_store(r, t, err);
	if (code == 0)
		make_keys(r);
	entity_store_close(r->store);
	r->store = NULL;
	return code;
}

static int load(struct registry *r, bool stored, struct bf_err *err)
{
	struct entity_maker maker = r->maker;
	struct entities *before = r->t, *t = NULL;
	int code = entities_open(&t);

	if (code < 0)
		return bf_err_sys(err, code, "entities");
	code = stored ? open_store(r, t, err) : look_into_store(r, t, err);
	if (code == 0) {
		r->t = t;
		code = take_file(r, err);
	}
	if (code == 0)
		code = prices_settle(r, err);
	if (code < 0) {
		entity_store_close(r->store);
		r->store = NULL;
		r->maker = maker;
		r->t = before;
		entities_close(t);
		return code;
	}
	publish_begin(&r->publish, t, r->maker.pepper);
	entities_close(before);
	r->stopgap = stored ? REGISTRY_STORED : REGISTRY_NOT_STORED;
	registry_review(r);
	return 0;
}

int registry_load(struct registry *r, struct bf_err *err)
{
	return load(r, true, err);
}

int registry_load_unstored(struct registry *r, struct bf_err *err)
{
	return load(r, false, err);
}

int registry_load_copy(struct registry *r, struct bf_err *err)
{
	struct entities *t = NULL;
	int code = entities_open(&t);

	if (code < 0)
		return bf_err_sys(err, code, "entities");
	code = last_good_load(&r->last_good, t, r->maker.pepper, err);
	if (code < 0) {
		entities_close(t);
		return code;
	}
	publish_begin(&r->publish, t, r->maker.pepper);
	entities_close(r->t);
	r->t = t;
	r->stopgap = REGISTRY_COPY;
	registry_review(r);
	return 0;
}

/*
 * From objects to entities and back. Called by import.c, change.c and the loading of stores. Must
 * never leave the value of a secret in a body.
 */
#include "writerd/entity/entity_make.h"

#include <errno.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/crypt/seal.h"
#include "common/schema/config_auth.h"
#include "common/schema/config_governance.h"
#include "common/schema/entity_parse.h"
#include "writerd/entity/entity_bound.h"
#include "writerd/entity/entity_refs.h"

/* ---- whom it names */

struct naming {
	uint64_t keys[ENTITY_REFS_MAX];
	uint32_t count, need;
};

static void note(void *ctx, uint32_t type, struct bf_slice id, const char *member)
{
	struct naming *n = ctx;

	(void)member;
	if (n->count == ENTITY_REFS_MAX)
		return;
	n->keys[n->count++] = entity_key(type, id);
	/* Those that must exist stand first. */
	if (!entity_ref_is_loose(type)) {
		uint64_t key = n->keys[n->count - 1];

		n->keys[n->count - 1] = n->keys[n->need];
		n->keys[n->need++] = key;
	}
}

static struct entity *made(const struct bf_entity *e, const void *object)
{
	struct naming n = {.count = 0};

	if (object)
		entity_refs(e->type, object, note, &n);
	struct entity *x = entity_new(e, n.keys, n.count);
	if (x)
		x->need_count = n.need;
	if (x && object)
		entity_count_limits(x, object);
	return x;
}

/* ---- secrets */

static struct bf_slice *value_of(uint32_t type, void *object)
{
	const struct bf_entity_def *def = bf_entity_def(type);

	return def->value_offset ? (struct bf_slice *)(void *)((char *)object + def->value_offset)
				 : NULL;
}

static struct bf_slice *hint_of(uint32_t type, void *object)
{
	struct bf_conf_virtual_key *key = object;
	struct bf_conf_api_key *api_key = object;

	return type == BF_ENTITY_VIRTUAL_KEY ? &key->value_hint
	       : type == BF_ENTITY_API_KEY   ? &api_key->value_hint
					     : NULL;
}

static int take_value(const struct entity_maker *m, uint32_t type, void *object,
		      struct bf_arena *arena, uint8_t ret_secret[BF_ENTITY_SECRET_LEN])
{
	struct bf_slice *value = value_of(type, object), *hint = hint_of(type, object);
	char text[BF_SECRET_HINT_BYTES];

	bf_hmac(m->pepper, *value, ret_secret);
	(void)bf_secret_hint(*value, text);
	*value = (struct bf_slice){NULL, 0};
	if (!hint)
		return 0;
	*hint = bf_arena_dup(arena, bf_slice_from(text));
	return hint->ptr ? 0 : -ENOMEM;
}

/* ---- making */

int entity_make(const struct entity_maker *m, uint32_t type, void *object,
		const struct entity *before, struct bf_arena *arena, struct entity **ret_entity)
{
	const struct bf_slice *value = value_of(type, object);
	uint8_t secret[BF_ENTITY_SECRET_LEN] = {0};
	struct bf_entity e;
	struct bf_buf body;
	int r = 0;

	if (value && value->len)
		r = take_value(m, type, object, arena, secret);
	else if (before)
		memcpy(secret, before->e.secret, sizeof(secret));
	if (r < 0)
		return r;
	bf_buf_init_nodump(&body, BF_ENTITY_BODY_MAX);
	r = bf_entity_encode(type, object, &body, &e);
	if (r == 0) {
		memcpy(e.secret, secret, sizeof(secret));
		*ret_entity = made(&e, object);
		r = *ret_entity ? 0 : -ENOMEM;
	}
	bf_buf_done(&body);
	return r;
}

void entity_plain_file_key(struct entity_maker *m)
{
	bf_hmac(m->pepper, BF_SLICE_LIT(ENTITY_FILE_HASHES), m->file_key);
}

void entity_file_hash(const struct entity_maker *m, const struct entity *x, uint8_t ret_hash[32])
{
	const struct bf_entity_def *def = bf_entity_def(x->e.type);
	const uint8_t *key = def->sealed ? m->file_key : m->pepper;
	uint8_t both[2 * BF_HMAC_LEN];

	bf_hmac(key, x->e.body, both);
	memcpy(both + BF_HMAC_LEN, x->e.secret, BF_ENTITY_SECRET_LEN);
	bf_hmac(key, (struct bf_slice){(const char *)both, sizeof(both)}, ret_hash);
}

void *entity_object(const struct entity *x, struct bf_arena *arena)
{
	const struct bf_entity_def *def = bf_entity_def(x->e.type);
	void *object = def ? bf_arena_alloc(arena, def->table->size) : NULL;

	if (!object || bf_entity_decode(&x->e, object, arena, NULL) < 0)
		return NULL;
	return object;
}

int entity_restore(const struct bf_entity *e, struct bf_arena *arena, struct entity **ret_entity,
		   struct bf_err *err)
{
	const struct bf_entity_def *def = bf_entity_def(e->type);
	void *object = NULL;
	int r;

	if (!def)
		return bf_err_set(err, BF_E_UNKNOWN, "entity: no type has the number %u",
				  (unsigned)e->type);
	if (!(e->flags & BF_ENTITY_DELETED)) {
		object = bf_arena_alloc(arena, def->table->size);
		r = object ? bf_entity_decode(e, object, arena, err) : -ENOMEM;
		if (r < 0)
			return r;
	}
	*ret_entity = made(e, object);
	return *ret_entity ? 0 : bf_err_sys(err, -ENOMEM, "entity");
}

struct entity *entity_tombstone(const struct entity *x)
{
	struct bf_entity e = x->e;
	struct entity *stone;

	e.flags = BF_ENTITY_DELETED;
	e.version++;
	e.name = e.scope = e.body = (struct bf_slice){NULL, 0};
	memset(e.secret, 0, sizeof(e.secret));
	stone = entity_new(&e, NULL, 0);
	if (stone)
		memcpy(stone->file_hash, x->file_hash, sizeof(stone->file_hash));
	return stone;
}

uint64_t entity_hlc(int64_t now_ms)
{
	static uint64_t last;
	uint64_t now = (uint64_t)now_ms << 16;

	last = now > last ? now : last + 1;
	return last;
}

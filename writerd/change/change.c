/*
 * Changes of entities: what is asked for becomes an entity of the next version, or a refusal that
 * says how to mend it. Called by changes.c for each of a group. Must never log or show a secret but
 * the one that its holder is shown once.
 */
#include "writerd/change/change.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/rand.h"
#include "common/log/log.h"
#include "common/schema/config_auth.h"
#include "writerd/change/change_exact.h"
#include "writerd/change/change_priv.h"
#include "writerd/entity/entity_bound.h"
#include "writerd/entity/entity_json.h"
#include "writerd/entity/entity_refs.h"

/* ---- may it be changed at all? */

static bool is_singleton(uint32_t type)
{
	return type == BF_ENTITY_AUTH_CONFIG || type == BF_ENTITY_CLIENT_CONFIG;
}

/* PUT makes it when there is none: its id is not ours to choose. */
static bool is_named_from_outside(uint32_t type)
{
	return is_singleton(type) || type == BF_ENTITY_PROVIDER_LIMITS ||
	       type == BF_ENTITY_MODEL_CATALOG;
}

static bool is_changeable(uint32_t type)
{
	return type != BF_ENTITY_PRICING;
}

static bool may_change(struct change *c)
{
	const char *refusal = registry_refusal(c->r);

	if (!is_changeable(c->ask->type < BF_ENTITY_TYPE_MAX ? (uint32_t)c->ask->type : 0))
		return change_no(c, 501, "not_built", "this build does not change a %s",
				 entity_noun((uint32_t)c->ask->type));
	if (refusal && !c->r->path)
		return change_no(c, 409, "config_store_off", "%s", refusal);
	if (refusal)
		return change_no(c, 503, "config_store_unusable",
				 "nothing can be changed until the config store can be used: %s",
				 refusal);
	if (c->def->sealed && !c->r->maker.seals && c->ask->action != BF_ENTITY_DELETE)
		return change_no(c, 409, "encryption_key_missing",
				 "it holds secrets, which are only kept sealed: set encryption_key "
				 "in the configuration file, or write it there");
	return true;
}

bool change_version_fits(struct change *c)
{
	uint64_t wanted =
	    c->ask->expected_version ? c->ask->expected_version : c->body.expected_version;
	uint64_t is = c->before ? c->before->e.version : 0;

	if (wanted == 0 || wanted == is)
		return true;
	return change_no(c, 409, "version_conflict",
			 "version %llu was expected, and it is %llu: read it again and repeat the "
			 "change",
			 (unsigned long long)wanted, (unsigned long long)is);
}

bool change_is_there(struct change *c)
{
	if (c->before)
		return true;
	return change_no(c, 404, "not_found", "there is no %s with the id \"%.*s\"",
			 entity_noun((uint32_t)c->ask->type), BF_SLICE_FMT(c->id));
}

/* ---- ids and values */

struct bf_slice *change_id_slot(struct change *c, void *object)
{
	if (c->def->fixed_id)
		return &c->id;
	return (struct bf_slice *)(void *)((char *)object + c->def->id_offset);
}

static struct bf_slice random_uuid(struct bf_arena *arena, const char *lead)
{
	char text[BF_UUID_TEXT_LEN + 1];
	struct bf_uuid id;
	const char *whole;

	bf_rand_bytes(&id, sizeof(id));
	id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x40);
	id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
	bf_uuid_format(&id, text);
	whole = bf_arena_printf(arena, "%s%s", lead, text);
	return bf_slice_from(whole);
}

/* 256 bits: it opens everything. */
static struct bf_slice api_key_value(struct bf_arena *arena)
{
	uint8_t bytes[32];
	char text[2 * sizeof(bytes) + 1];
	const char *whole;

	bf_rand_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		(void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	whole = bf_arena_printf(arena, "bf-api-%s", text);
	return bf_slice_from(whole);
}

static struct bf_slice *value_slot(const struct change *c)
{
	if (!c->def->value_offset)
		return NULL;
	return (struct bf_slice *)(void *)((char *)c->object + c->def->value_offset);
}

static bool make_value(struct change *c)
{
	struct bf_slice *slot = value_slot(c);

	*slot = c->ask->type == BF_ENTITY_API_KEY ? api_key_value(c->arena)
						  : random_uuid(c->arena, "sk-bf-");
	c->value = *slot;
	return slot->ptr || change_no(c, 500, "internal_error", "no memory");
}

/* ---- putting */

static void date(struct change *c, struct entity *x)
{
	const struct entity *last =
	    entities_find(c->r->t, (uint32_t)c->ask->type, x->e.id); /* or a tombstone */
	int64_t now_ms = bf_wall_ms();

	x->e.version = last ? last->e.version + 1 : 1;
	x->e.created_ms = c->before ? c->before->e.created_ms : now_ms;
	x->e.updated_ms = now_ms;
	x->hlc = entity_hlc(now_ms);
	if (last)
		memcpy(x->file_hash, last->file_hash, sizeof(x->file_hash));
}

static bool put(struct change *c, struct entity *x)
{
	struct bf_err err = {0};
	uint64_t version = x->e.version;
	int r;

	r = registry_put(c->r, x, &err);
	if (r == BF_E_FULL)
		return change_no(c, 409, "too_many", "%s", err.text);
	if (r < 0)
		return change_no(c, 503, "config_store_failing", "%s", err.text);
	c->answer->changed = true;
	c->answer->version = version;
	return true;
}

static void write_answer(struct change *c, const char *what, const struct entity *x)
{
	struct bf_json_writer w;
	char text[96];

	(void)snprintf(text, sizeof(text), "%s %s successfully",
		       c->part ? c->part->name : entity_noun((uint32_t)c->ask->type), what);
	if (text[0] >= 'a' && text[0] <= 'z')
		text[0] = (char)(text[0] - 'a' + 'A');
	bf_buf_clear(&c->answer->json);
	bf_jw_init(&w, &c->answer->json);
	bf_jw_object(&w);
	bf_jw_key(&w, "message");
	bf_jw_cstr(&w, text);
	if (c->part_object) {
		bf_jw_key(&w, c->part->name);
		entity_part_json(&w, c->part, c->part_object);
		if (c->ask->action == BF_ENTITY_BUDGET_OVERRIDE)
			change_write_effective(&w, c->part_object);
	} else if (x && !c->part) {
		bf_jw_key(&w, c->def->name);
		entity_json_once(&w, c->def, &x->e, c->object, c->value);
	}
	bf_jw_end_object(&w);
	if (bf_jw_finish(&w) < 0)
		(void)change_no(c, 500, "internal_error", "the answer does not fit into memory");
}

/* Of what one key meets the exact answer can be had. */
static bool keeps_bound(struct change *c, const struct entity *x, struct bf_err *err)
{
	bool is_one_keys = x->e.type == BF_ENTITY_VIRTUAL_KEY || x->e.scope.len;

	if (entity_bound(c->r->t, x, err) == 0)
		return true;
	return is_one_keys && change_exact(c->r->t, x, c->arena, err) == 0;
}

/* The object is whole and was checked. */
void change_put(struct change *c, int http_status, const char *what)
{
	struct bf_slice *slot = value_slot(c);
	struct entity *x = NULL;
	struct bf_err err = {0};

	/* A value that a client gave it knows. */
	if (slot && slot->len && c->value.len == 0 && !c->before)
		c->value = *slot;
	if (entity_make(&c->r->maker, (uint32_t)c->ask->type, c->object, c->before, c->arena, &x) <
	    0) {
		(void)change_no(c, 413, "too_large",
				"it takes more than %u KiB as it is kept: give it fewer entries",
				BF_ENTITY_BODY_MAX >> 10);
		return;
	}
	if (!keeps_bound(c, x, &err)) {
		entity_free(x);
		(void)change_no(c, 400, "too_many_limits", "%s", err.text);
		return;
	}
	date(c, x);
	if (!put(c, x))
		return;
	c->answer->http_status = http_status;
	write_answer(c, what, x);
}

/* ---- actions */

static void *fresh_object(struct change *c)
{
	void *object = bf_arena_alloc(c->arena, c->def->table->size);

	if (!object)
		(void)change_no(c, 500, "internal_error", "no memory");
	return object;
}

/* What is changed; of one whose id comes from outside, one with nothing but that. */
static bool object_before(struct change *c, bool make, const void **ret_object)
{
	void *object = NULL;

	*ret_object = NULL;
	if (!c->before && !make)
		return true;
	if (c->before) {
		object = entity_object(c->before, c->arena);
		if (!object)
			return change_no(c, 500, "internal_error",
					 "what there is of it cannot be read");
		*ret_object = object;
		return true;
	}
	object = fresh_object(c);
	if (!object)
		return false;
	if (bf_table_defaults(c->def->table, object, c->arena) < 0)
		return change_no(c, 500, "internal_error", "no memory");
	*change_id_slot(c, object) = c->id;
	*ret_object = object;
	return true;
}

static bool settle_id(struct change *c)
{
	struct bf_slice *slot = change_id_slot(c, c->object);
	bool made_later = c->ask->type == BF_ENTITY_MODEL_CONFIG;

	if (c->id.len && slot->len && !bf_slice_eq(*slot, c->id)) {
		bf_entity_blame(&c->body, "id", "is another one than that of the path");
		return change_no_parts(c, 400, "invalid_request");
	}
	if (c->id.len)
		*slot = c->id;
	else if (slot->len == 0 && !made_later)
		*slot = random_uuid(c->arena, "");
	c->id = *slot;
	return c->id.len || made_later || change_no(c, 500, "internal_error", "no memory");
}

static bool parse(struct change *c, bool make)
{
	const void *before;

	c->object = fresh_object(c);
	if (!c->object || !object_before(c, make, &before))
		return false;
	if (bf_entity_parse(c->def->table, c->ask->body, before, c->arena, c->object, &c->body) < 0)
		return change_no_parts(c, 400, "invalid_request");
	return change_version_fits(c);
}

static bool complete(struct change *c)
{
	struct bf_config config = *c->r->config;

	if (!change_providers(c, &config))
		return false;
	if (bf_entity_complete(&c->body, &config, c->object) < 0)
		return change_no_parts(c, 400, "invalid_request");
	c->id = *change_id_slot(c, c->object);
	return true;
}

static void create(struct change *c)
{
	struct bf_slice *value;

	if (!parse(c, false) || !settle_id(c) || !complete(c))
		return;
	c->before = entities_live(c->r->t, (uint32_t)c->ask->type, c->id);
	if (c->before) {
		(void)change_no(c, 409, "already_exists", "there is a %s with the id \"%.*s\"",
				entity_noun((uint32_t)c->ask->type), BF_SLICE_FMT(c->id));
		return;
	}
	value = value_slot(c);
	if (value && value->len == 0 && !make_value(c))
		return;
	if (change_check(c))
		change_put(c, 201, "created");
}

static void update(struct change *c)
{
	bool make = !c->before && is_named_from_outside((uint32_t)c->ask->type);

	if (!make && !change_is_there(c))
		return;
	if (!parse(c, make) || !settle_id(c) || !complete(c) || !change_check(c))
		return;
	change_put(c, 200, "updated");
}

static bool put_tombstone(struct change *c, const struct entity *x)
{
	struct entity *stone = entity_tombstone(x);

	if (!stone)
		return change_no(c, 500, "internal_error", "no memory");
	stone->e.updated_ms = bf_wall_ms();
	stone->hlc = entity_hlc(stone->e.updated_ms);
	return put(c, stone);
}

/* A provider takes its list of models with it: without it the list says nothing. */
static bool bury_catalog(struct change *c)
{
	const struct entity *x = NULL;

	if (c->ask->type == BF_ENTITY_PROVIDER)
		x = entities_live(c->r->t, BF_ENTITY_MODEL_CATALOG, c->id);
	return !x || put_tombstone(c, x);
}

static void bury(struct change *c)
{
	if (!change_is_there(c) || !change_version_fits(c) || !change_check_unnamed(c))
		return;
	if (!bury_catalog(c) || !put_tombstone(c, c->before))
		return;
	c->answer->http_status = 200;
	write_answer(c, "deleted", NULL);
}

static void rotate(struct change *c)
{
	const void *before;

	if (!change_is_there(c) || !change_version_fits(c))
		return;
	if (!c->def->has_secret) {
		(void)change_no(c, 400, "invalid_request", "a %s has no value to rotate",
				entity_noun((uint32_t)c->ask->type));
		return;
	}
	if (!object_before(c, false, &before))
		return;
	c->object = fresh_object(c);
	if (!c->object)
		return;
	memcpy(c->object, before, c->def->table->size);
	if (make_value(c))
		change_put(c, 200, "rotated");
}

/* ---- all of them */

static void log_it(const struct change *c)
{
	const struct change_answer *a = c->answer;

	bf_log(BF_LOG_INFO, "entity_change",
	       "action=%s type=%s id=%s actor=%s status=%d version=%llu",
	       bf_entity_actions[c->ask->action], c->def->name, bf_log_quote_slice(c->id),
	       bf_log_quote_slice(c->ask->actor), a->http_status, (unsigned long long)a->version);
}

static void act(struct change *c)
{
	if (c->ask->is_sub) {
		change_part(c);
		return;
	}
	switch ((enum bf_entity_action)c->ask->action) {
	case BF_ENTITY_CREATE:
		create(c);
		break;
	case BF_ENTITY_UPDATE:
		update(c);
		break;
	case BF_ENTITY_DELETE:
		bury(c);
		break;
	case BF_ENTITY_ROTATE:
		rotate(c);
		break;
	case BF_ENTITY_BUDGET_OVERRIDE:
		change_override(c);
		break;
	case BF_ENTITY_RESET_USAGE: /* change_apply() */
		break;
	}
}

void change_apply(struct registry *r, const struct bf_msg_entity_change *ask,
		  struct bf_arena *arena, struct change_answer *ret_answer)
{
	struct change c = {.r = r, .ask = ask, .arena = arena, .answer = ret_answer, .id = ask->id};

	*ret_answer = (struct change_answer){.http_status = 500};
	bf_buf_init_nodump(&ret_answer->json, CHANGE_ANSWER_MAX);
	c.def = ask->type < BF_ENTITY_TYPE_MAX ? bf_entity_def((uint32_t)ask->type) : NULL;
	if (!c.def) {
		change_refuse(ret_answer, 404, "not_found", "there is no such type of entity");
		return;
	}
	if (is_singleton((uint32_t)ask->type))
		c.id = c.def->fixed_id ? bf_slice_from(c.def->fixed_id)
				       : BF_SLICE_LIT(BF_AUTH_CONFIG_ID);
	if (ask->action == BF_ENTITY_RESET_USAGE) {
		change_reset(&c);
	} else if (may_change(&c)) {
		if (c.id.len)
			c.before = entities_live(r->t, (uint32_t)ask->type, c.id);
		act(&c);
	}
	log_it(&c);
}

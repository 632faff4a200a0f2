/*
 * A changed entity against all others: names and values are its own, whom it names exist. Called by
 * change.c before anything is stored.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/crypt/seal.h"
#include "common/schema/config_auth.h"
#include "common/schema/model_catalog.h"
#include "common/schema/nearest.h"
#include "writerd/change/change_priv.h"
#include "writerd/entity/entity_refs.h"

#define NAMED_TOLD 5     /* of those that stand in the way */
#define HINT_LOOKS 1000u /* at ids: rows wait meanwhile */

/* ---- whom it names */

static const char *hint(struct change *c, uint32_t type, struct bf_slice id)
{
	struct bf_nearest nearest;
	const struct entity *x = entities_named(c->r->t, type, id);
	const char *text = NULL;
	uint32_t looks = 0;

	if (x)
		text = bf_arena_printf(c->arena, ", but one has the name: its id is \"%.*s\"",
				       BF_SLICE_FMT(x->e.id));
	if (text)
		return text;
	bf_nearest_init(&nearest, id);
	for (x = entities_next(c->r->t, type, NULL); x && looks++ < HINT_LOOKS;
	     x = entities_next(c->r->t, type, x))
		bf_nearest_offer(&nearest, x->e.id);
	if (nearest.best.ptr)
		text = bf_arena_printf(c->arena, ": did you mean \"%.*s\"?",
				       BF_SLICE_FMT(nearest.best));
	return text ? text : ": create it first";
}

static void check_ref(void *ctx, uint32_t type, struct bf_slice id, const char *member)
{
	struct change *c = ctx;
	const char *text;

	/* The completion has looked for providers, where there is one. */
	if ((entity_ref_is_loose(type) && c->ask->type != BF_ENTITY_MODEL_CATALOG) ||
	    entities_live(c->r->t, type, id))
		return;
	text = bf_arena_printf(c->arena, "no %s has the id \"%.*s\"%s", entity_noun(type),
			       BF_SLICE_FMT(id), hint(c, type, id));
	bf_entity_blame(&c->body, member, text ? text : "names nobody");
}

/* ---- ids that only we give: a meter's identity is made of them */

static const struct bf_conf_owner *config_before(const struct change *c, struct bf_slice provider)
{
	const struct bf_conf_virtual_key *before = c->body.before;
	const struct bf_conf_provider_config *old = before ? before->provider_configs.items : NULL;

	for (uint32_t i = 0; before && i < before->provider_configs.count; i++)
		if (bf_slice_eq(old[i].provider, provider))
			return &old[i].own;
	return NULL;
}

static void check_rate(struct change *c, const char *member, enum bf_owner kind,
		       const struct bf_conf_owner *own, const struct bf_conf_owner *before)
{
	const struct bf_conf_rate_limit *rate = own->rate_limit.items;
	const struct bf_conf_rate_limit *old = before ? before->rate_limit.items : NULL;

	if (own->rate_limit.count == 0 || bf_rate_limit_is_own(kind, own->id, rate->id, c->arena))
		return;
	if (before && before->rate_limit.count && bf_slice_eq(old->id, rate->id))
		return;
	bf_entity_blame(&c->body, member, "its id is made by the gateway: leave it out");
}

static void check_key_ids(struct change *c, const struct bf_conf_virtual_key *key)
{
	const struct bf_conf_provider_config *configs = key->provider_configs.items;
	char member[64];

	for (uint32_t i = 0; i < key->provider_configs.count; i++) {
		const struct bf_conf_provider_config *p = &configs[i];
		const struct bf_conf_owner *before = config_before(c, p->provider);

		(void)snprintf(member, sizeof(member), "provider_configs[%" PRIu32 "].id", i);
		if (!(before && bf_slice_eq(before->id, p->own.id)) &&
		    !bf_provider_config_is_own(key->own.id, p->provider, p->own.id, c->arena))
			bf_entity_blame(&c->body, member, "is made by the gateway: leave it out");
		(void)snprintf(member, sizeof(member), "provider_configs[%" PRIu32 "].rate_limit",
			       i);
		check_rate(c, member, BF_OWNER_PROVIDER_CONFIG, &p->own, before);
	}
}

static enum bf_owner owner_kind(uint64_t type)
{
	switch ((enum bf_entity_type)type) {
	case BF_ENTITY_CUSTOMER:
		return BF_OWNER_CUSTOMER;
	case BF_ENTITY_TEAM:
		return BF_OWNER_TEAM;
	case BF_ENTITY_VIRTUAL_KEY:
		return BF_OWNER_VIRTUAL_KEY;
	case BF_ENTITY_MODEL_CONFIG:
		return BF_OWNER_MODEL_CONFIG;
	case BF_ENTITY_PROVIDER_LIMITS:
		return BF_OWNER_PROVIDER;
	case BF_ENTITY_RATE_LIMIT:
	case BF_ENTITY_PRICING_OVERRIDE:
	case BF_ENTITY_PROVIDER:
	case BF_ENTITY_PRICING:
	case BF_ENTITY_MODEL_CATALOG:
	case BF_ENTITY_CLIENT_CONFIG:
	case BF_ENTITY_AUTH_CONFIG:
	case BF_ENTITY_API_KEY:
	case BF_ENTITY_SESSION_END:
	case BF_ENTITY_TYPE_MAX:
		break;
	}
	return BF_OWNER_COUNT;
}

static bool check_members(struct change *c)
{
	uint32_t type = (uint32_t)c->ask->type;
	enum bf_owner kind = owner_kind(type);

	entity_refs(type, c->object, check_ref, c);
	if (kind != BF_OWNER_COUNT)
		check_rate(c, "rate_limit", kind, c->object, c->body.before);
	if (type == BF_ENTITY_VIRTUAL_KEY)
		check_key_ids(c, c->object);
	return c->body.diags.error_count == 0 || change_no_parts(c, 400, "invalid_request");
}

/* ---- only once */

static bool has_own_name(uint64_t type)
{
	return type == BF_ENTITY_CUSTOMER || type == BF_ENTITY_TEAM ||
	       type == BF_ENTITY_VIRTUAL_KEY || type == BF_ENTITY_PRICING_OVERRIDE ||
	       type == BF_ENTITY_API_KEY;
}

static bool is_other(const struct change *c, const struct entity *x)
{
	return x && !bf_slice_eq(x->e.id, c->id);
}

static bool check_name(struct change *c)
{
	const struct bf_slice *name =
	    (const struct bf_slice *)(const void *)((const char *)c->object + c->def->name_offset);
	const struct entity *x;
	const char *text;

	/* The file may have brought another one of its name: who was there can still be changed. */
	if (!has_own_name(c->ask->type) || name->len == 0 ||
	    (c->before && bf_slice_eq(c->before->e.name, *name)))
		return true;
	x = entities_named(c->r->t, (uint32_t)c->ask->type, *name);
	if (!is_other(c, x))
		return true;
	text = bf_arena_printf(c->arena, "\"%.*s\" is the name of another %s, with the id \"%.*s\"",
			       BF_SLICE_FMT(*name), entity_noun(x->e.type), BF_SLICE_FMT(x->e.id));
	bf_entity_blame(&c->body, "name", text ? text : "is the name of another one");
	return change_no_parts(c, 409, "duplicate");
}

static bool check_value(struct change *c)
{
	uint8_t secret[BF_ENTITY_SECRET_LEN];
	const struct bf_slice *value;

	if (!c->def->value_offset)
		return true;
	value =
	    (const struct bf_slice *)(const void *)((const char *)c->object + c->def->value_offset);
	if (value->len == 0)
		return true;
	bf_hmac(c->r->maker.pepper, *value, secret);
	if (!is_other(c, entities_with_secret(c->r->t, (uint32_t)c->ask->type, secret)))
		return true;
	bf_entity_blame(&c->body, "value",
			"another one has this value: give one of its own, or leave it out");
	return change_no_parts(c, 409, "duplicate");
}

static bool same_target(const struct bf_conf_model_config *a, const struct bf_conf_model_config *b)
{
	return a->scope == b->scope && bf_slice_eq(a->scope_id, b->scope_id) &&
	       bf_slice_eq(a->provider, b->provider) && bf_slice_eq(a->model_name, b->model_name);
}

static bool check_target(struct change *c)
{
	const struct bf_conf_model_config *m = c->object, *other;

	if (c->ask->type != BF_ENTITY_MODEL_CONFIG ||
	    (c->before && c->body.before && same_target(m, c->body.before)))
		return true;
	for (const struct entity *x = entities_next(c->r->t, BF_ENTITY_MODEL_CONFIG, NULL); x;
	     x = entities_next(c->r->t, BF_ENTITY_MODEL_CONFIG, x)) {
		if (!is_other(c, x) || !bf_slice_eq(x->e.name, m->model_name))
			continue;
		other = entity_object(x, c->arena);
		if (!other || !same_target(m, other))
			continue;
		bf_entity_blame(&c->body, "model_name",
				"another model config is about this model, provider and scope");
		return change_no_parts(c, 409, "duplicate");
	}
	return true;
}

static bool check_client(struct change *c)
{
	const struct bf_conf_client *client = c->object;

	if (c->ask->type != BF_ENTITY_CLIENT_CONFIG ||
	    client->max_request_body_size_bytes <= c->r->config->server.body_memory_bytes)
		return true;
	bf_entity_blame(&c->body, "max_request_body_size_mb",
			"is above server.body_memory: such a request could never be served");
	return change_no_parts(c, 400, "invalid_request");
}

static bool check_catalog(struct change *c)
{
	const struct bf_model_catalog *catalog = c->object;
	char member[32];
	int64_t twice;

	if (c->ask->type != BF_ENTITY_MODEL_CATALOG)
		return true;
	twice = bf_model_catalog_twice(&catalog->models, c->arena);
	if (twice < 0)
		return change_no(c, 500, "internal_error", "no memory");
	if (twice == catalog->models.count)
		return true;
	(void)snprintf(member, sizeof(member), "models[%" PRId64 "]", twice);
	bf_entity_blame(&c->body, member, "stands there before: give each name once");
	return change_no_parts(c, 400, "invalid_request");
}

bool change_check(struct change *c)
{
	return check_members(c) && check_name(c) && check_value(c) && check_target(c) &&
	       change_check_provider(c) && check_client(c) && check_catalog(c);
}

/* ---- deletion */

/* As entity_refs() has it: among a million keys nobody is looked for who cannot be there. */
static bool may_name(uint32_t namer, uint32_t type)
{
	switch (type) {
	case BF_ENTITY_CUSTOMER:
		return namer == BF_ENTITY_TEAM || namer == BF_ENTITY_VIRTUAL_KEY;
	case BF_ENTITY_TEAM:
	case BF_ENTITY_PROVIDER:
		return namer == BF_ENTITY_VIRTUAL_KEY;
	case BF_ENTITY_VIRTUAL_KEY:
		return namer == BF_ENTITY_MODEL_CONFIG || namer == BF_ENTITY_PRICING_OVERRIDE;
	case BF_ENTITY_RATE_LIMIT:
		return owner_kind(namer) != BF_OWNER_COUNT;
	default:
		return false;
	}
}

bool change_check_unnamed(struct change *c)
{
	uint32_t type = (uint32_t)c->ask->type, found = 0;
	uint64_t key = entity_key(type, c->id);
	char text[400] = "";
	size_t at = 0;

	for (uint32_t namer = 1; namer < BF_ENTITY_TYPE_MAX; namer++) {
		if (!may_name(namer, type))
			continue;
		for (const struct entity *x = entities_next(c->r->t, namer, NULL); x;
		     x = entities_next(c->r->t, namer, x)) {
			if (!entity_names(x, key))
				continue;
			if (found++ < NAMED_TOLD && at < sizeof(text))
				at +=
				    (size_t)snprintf(text + at, sizeof(text) - at, "%s%s \"%.*s\"",
						     at ? ", " : "", entity_noun(x->e.type),
						     (int)BF_MIN(x->e.id.len, 64u), x->e.id.ptr);
		}
	}
	if (found == 0)
		return true;
	return change_no(c, 409, "in_use", "it is named by %s%s: change or delete %s first", text,
			 found > NAMED_TOLD ? " and others" : "", found > 1 ? "them" : "it");
}

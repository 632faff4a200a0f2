/*
 * What one entry of the governance block names of another: is it there? Called by
 * complete_governance.c once owners have their ids, also when the file has errors. Must never show
 * the value of a key.
 */
#include "common/schema/owners.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/schema/nearest.h"

#define WHERE_MAX (BF_OWNER_PATH_MAX + 64)

static const char *did_you_mean(struct bf_whole *w, const struct bf_nearest *nearest,
				const char *otherwise)
{
	const char *text = NULL;

	if (nearest->best.ptr)
		text = bf_arena_printf(w->arena, ": did you mean \"%.*s\"?",
				       BF_SLICE_FMT(nearest->best));
	return text ? text : otherwise;
}

const char *bf_hint(struct bf_whole *w, const struct bf_refs *refs, struct bf_slice wanted,
		    const char *otherwise)
{
	struct bf_nearest nearest;

	/* Nobody will see it: do not search for a million of them. */
	if (w->diags->error_count > BF_DIAGS_MAX)
		return otherwise;
	bf_nearest_init(&nearest, wanted);
	/* Those that were made, nobody mistypes. */
	for (size_t i = 0; i < refs->count; i++)
		if (refs->items[i].node && bf_slice_is(refs->items[i].node->key, "id"))
			bf_nearest_offer(&nearest, refs->items[i].text);
	return did_you_mean(w, &nearest, otherwise);
}

/* A list of the wrong kind was reported by the decoder; what names its entries is only an echo. */
static bool is_readable(const struct bf_whole *w, const char *block)
{
	const struct bf_node *node = bf_governance_block(w, block);

	return !node || bf_node_is_null(node) || node->type == BF_NODE_LIST;
}

static bool has_name(const struct bf_whole *w, enum bf_owner kind, struct bf_slice name)
{
	const struct bf_owners *o = w->owners;

	for (uint32_t i = o->first[kind]; i < o->first[kind + 1]; i++)
		if (bf_slice_eq(o->items[i].own->name, name))
			return true;
	return false;
}

bool bf_owner_reference(struct bf_whole *w, const char *where, struct bf_pos pos,
			enum bf_owner kind, struct bf_slice id)
{
	const char *noun = bf_owner_noun(kind);
	const char *otherwise = ": give it to one, or mend this one";

	if (bf_refs_find(&w->owners->ids[kind], id))
		return true;
	if (!is_readable(w, bf_owner_block(kind)))
		return false;
	if (w->diags->error_count <= BF_DIAGS_MAX && has_name(w, kind, id))
		otherwise = ", but one has the name: give it that id too";
	bf_diag(w->diags, BF_DIAG_ERROR, pos, "%s: no %s has the id \"%.*s\"%s", where, noun,
		BF_SLICE_FMT(id), bf_hint(w, &w->owners->ids[kind], id, otherwise));
	return false;
}

/* ---- owners */

static void check_member(struct bf_whole *w, const struct bf_owner_ref *owner, const char *member,
			 enum bf_owner kind, struct bf_slice id)
{
	char where[WHERE_MAX], path[BF_OWNER_PATH_MAX];

	if (id.len == 0)
		return;
	(void)snprintf(where, sizeof(where), "%s.%s", bf_owner_path(owner, path), member);
	(void)bf_owner_reference(w, where, bf_pos_of(owner->node, member), kind, id);
}

static const struct bf_conf_provider *find_provider(const struct bf_whole *w, struct bf_slice name)
{
	const struct bf_conf_provider *items = w->config->providers.items;

	for (uint32_t i = 0; i < w->config->providers.count; i++)
		if (bf_slice_eq(items[i].name, name))
			return &items[i];
	return NULL;
}

void bf_provider_reference(struct bf_whole *w, const char *where, struct bf_pos pos,
			   struct bf_slice name)
{
	const struct bf_conf_provider *items = w->config->providers.items;
	uint32_t count = w->config->providers.count;
	struct bf_nearest nearest;

	/* Without any, that is what is wrong. */
	if (name.len == 0 || count == 0 || find_provider(w, name))
		return;
	bf_nearest_init(&nearest, name);
	for (uint32_t i = 0; i < count && w->diags->error_count <= BF_DIAGS_MAX; i++)
		bf_nearest_offer(&nearest, items[i].name);
	bf_diag(w->diags, BF_DIAG_ERROR, pos, "%s: no provider has the name \"%.*s\"%s", where,
		BF_SLICE_FMT(name),
		did_you_mean(w, &nearest, ": add it to providers, or remove this"));
}

static void check_provider(struct bf_whole *w, const struct bf_owner_ref *owner, const char *member,
			   struct bf_slice name)
{
	char where[WHERE_MAX], path[BF_OWNER_PATH_MAX];

	(void)snprintf(where, sizeof(where), "%s.%s", bf_owner_path(owner, path), member);
	bf_provider_reference(w, where, bf_pos_of(owner->node, member), name);
}

static void check_rate(struct bf_whole *w, const struct bf_owner_ref *owner,
		       const struct bf_refs *rates)
{
	struct bf_slice id = owner->own->rate_limit_id;
	char path[BF_OWNER_PATH_MAX];

	if (id.len == 0 || bf_refs_find(rates, id) || !is_readable(w, "rate_limits"))
		return;
	bf_diag(
	    w->diags, BF_DIAG_ERROR, bf_pos_of(owner->node, "rate_limit_id"),
	    "%s.rate_limit_id: no rate limit has the id \"%.*s\"%s", bf_owner_path(owner, path),
	    BF_SLICE_FMT(id),
	    bf_hint(w, rates, id, ": add it to governance.rate_limits, or remove rate_limit_id"));
}

/* ---- provider configs */

static bool has_key(const struct bf_conf_provider *p, struct bf_slice name)
{
	const struct bf_conf_provider_key *keys = p->keys.items;

	for (uint32_t i = 0; i < p->keys.count; i++)
		if (bf_slice_eq(keys[i].id, name) || bf_slice_eq(keys[i].name, name))
			return true;
	return false;
}

static const char *key_hint(struct bf_whole *w, const struct bf_conf_provider *p,
			    struct bf_slice name)
{
	const struct bf_conf_provider_key *keys = p->keys.items;
	struct bf_nearest nearest;

	bf_nearest_init(&nearest, name);
	for (uint32_t i = 0; i < p->keys.count && w->diags->error_count <= BF_DIAGS_MAX; i++)
		bf_nearest_offer(&nearest, keys[i].name);
	return did_you_mean(w, &nearest, ": add it to its keys, or remove this");
}

static void check_key_ids(struct bf_whole *w, const struct bf_owner_ref *owner,
			  const struct bf_conf_provider *p)
{
	const struct bf_conf_provider_config *c = (struct bf_conf_provider_config *)owner->own;
	const struct bf_node *list = bf_node_member(owner->node, "key_ids");
	bool is_list = list && list->type == BF_NODE_LIST;
	const struct bf_node *node = is_list ? list->first : list;
	const struct bf_slice *ids = c->key_ids.items;
	char path[BF_OWNER_PATH_MAX];

	for (uint32_t i = 0; i < c->key_ids.count; i++, node = node ? node->next : NULL) {
		/* One of the wrong type was reported by the decoder. */
		if (!ids[i].ptr || bf_slice_is(ids[i], "*") || has_key(p, ids[i]))
			continue;
		bf_diag(w->diags, BF_DIAG_ERROR, bf_node_pos(node),
			"%s.key_ids[%" PRIu32 "]: the provider \"%.*s\" has no key with the id or "
			"name \"%.*s\"%s",
			bf_owner_path(owner, path), i, BF_SLICE_FMT(c->provider),
			BF_SLICE_FMT(ids[i]), key_hint(w, p, ids[i]));
	}
}

static void allow_all(struct bf_whole *w, struct bf_array *list)
{
	struct bf_slice *star = bf_arena_alloc(w->arena, sizeof(*star));

	if (!star) {
		bf_whole_is_full(w);
		return;
	}
	*star = BF_SLICE_LIT("*");
	*list = (struct bf_array){star, 1};
}

/* An empty list means all in version 1, and none in version 2; who left it out is told. */
static void settle_list(struct bf_whole *w, const struct bf_owner_ref *owner, const char *member,
			struct bf_array *list, const char *what)
{
	char path[BF_OWNER_PATH_MAX];

	if (list->count)
		return;
	if (w->config->version == 1)
		allow_all(w, list);
	else if (!bf_is_given(owner->node, member))
		bf_diag(w->diags, BF_DIAG_WARNING, bf_node_pos(owner->node),
			"%s: has no %s and so may use no %s: write %s: [\"*\"] for all",
			bf_owner_path(owner, path), member, what, member);
}

static void settle_config(struct bf_whole *w, const struct bf_owner_ref *owner)
{
	struct bf_conf_provider_config *c = (struct bf_conf_provider_config *)owner->own;
	const struct bf_conf_provider *p = find_provider(w, c->provider);

	/* A change that does not give it keeps it as it is, also when one whom it names is gone:
	 * who leaves must neither keep others from being changed nor open what was closed. */
	if (!owner->node)
		return;
	check_provider(w, owner, "provider", c->provider);
	if (p)
		check_key_ids(w, owner, p);
	settle_list(w, owner, "allowed_models", &c->allowed_models, "model");
	/* Of one without keys none can be chosen. */
	if (p && p->keys.count == 0 && c->key_ids.count == 0)
		allow_all(w, &c->key_ids);
	else if (p)
		settle_list(w, owner, "key_ids", &c->key_ids, "key of its provider");
}

/* ---- keys */

static void settle_key(struct bf_whole *w, const struct bf_owner_ref *owner)
{
	struct bf_conf_virtual_key *key = bf_key_of(owner);
	bool denies = w->config->names_version && w->config->version == 2;
	char path[BF_OWNER_PATH_MAX];

	check_member(w, owner, "team_id", BF_OWNER_TEAM, key->team_id);
	check_member(w, owner, "customer_id", BF_OWNER_CUSTOMER, key->customer_id);
	if (key->provider_configs.count || key->allow_all_providers)
		return;
	if (!denies && !bf_is_given(owner->node, "allow_all_providers"))
		key->allow_all_providers = true;
	else
		bf_diag(w->diags, BF_DIAG_WARNING, bf_node_pos(owner->node),
			"%s: has no provider_configs and so may use no provider: add them, or "
			"allow_all_providers: true",
			bf_owner_path(owner, path));
}

static void check_owner(struct bf_whole *w, const struct bf_owner_ref *owner)
{
	const struct bf_conf_model_config *model = (struct bf_conf_model_config *)owner->own;
	const struct bf_conf_team *team = (struct bf_conf_team *)owner->own;

	switch (owner->kind) {
	case BF_OWNER_PROVIDER:
		check_provider(w, owner, "name", owner->own->name);
		break;
	case BF_OWNER_MODEL_CONFIG:
		check_provider(w, owner, "provider", model->provider);
		if (model->scope == BF_MODEL_VIRTUAL_KEY)
			check_member(w, owner, "scope_id", BF_OWNER_VIRTUAL_KEY, model->scope_id);
		break;
	case BF_OWNER_PROVIDER_CONFIG:
		settle_config(w, owner);
		break;
	case BF_OWNER_VIRTUAL_KEY:
		settle_key(w, owner);
		break;
	case BF_OWNER_TEAM:
		check_member(w, owner, "customer_id", BF_OWNER_CUSTOMER, team->customer_id);
		break;
	case BF_OWNER_CUSTOMER:
	case BF_OWNER_COUNT:
		break;
	}
}

void bf_references_check(struct bf_whole *w)
{
	const struct bf_array *list = &w->config->governance.rate_limits;
	const struct bf_conf_rate_limit *items = list->items;
	struct bf_refs rates;

	if (bf_refs_init(w, &rates, list->count) < 0)
		return;
	for (uint32_t i = 0; i < list->count; i++)
		bf_refs_add(&rates, items[i].id, bf_node_member(w->owners->rates[i], "id"));
	bf_refs_check(w, &rates, "rate limit", "id", false);
	for (uint32_t i = 0; i < w->owners->count; i++) {
		check_owner(w, &w->owners->items[i]);
		check_rate(w, &w->owners->items[i], &rates);
	}
	bf_refs_done(&rates);
}

/*
 * What the tables of config_prices.c cannot say: an entry's parts that must fit each other, names
 * that stand once. Called by the decoder and by complete_governance.c.
 */
#include <inttypes.h>
#include <string.h>

#include "common/schema/config_priv.h"

int bf_settle_request_type(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	static const char *const request_types[] = BF_PRICE_REQUEST_TYPES;

	(void)arena;
	for (size_t i = 0; i < BF_ARRAY_LEN(request_types); i++)
		if (bf_slice_is(*text, request_types[i]))
			return 0;
	return bf_err_set(err, BF_E_UNKNOWN,
			  "must be one of chat_completion, text_completion, responses, embedding, "
			  "not \"%.64s\"",
			  text->ptr);
}

int bf_settle_pricing_url(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	static const struct bf_slice file = BF_SLICE_INIT("file:///");
	bool is_file = bf_slice_starts(*text, file) && text->len > file.len;
	bool is_plain = bf_slice_starts(*text, BF_SLICE_LIT("http://"));

	(void)arena;
	if (text->len == 0)
		return 0;
	for (size_t i = 0; i < text->len; i++)
		if (text->ptr[i] <= ' ' || text->ptr[i] > '~')
			return bf_err_set(err, BF_E_SYNTAX,
					  "has a character that no address has: write it as %%%02X",
					  (unsigned)(unsigned char)text->ptr[i]);
	if (is_file || (bf_url_is_http(*text) && (!is_plain || bf_url_is_loopback(*text))))
		return 0;
	return bf_err_set(err, BF_E_SYNTAX, "%s",
			  is_plain
			      ? "prices that came over http:// could be anybody's: use https://"
			      : "must be https://HOST[:PORT]/PATH, without user and password, or "
				"file:///PATH");
}

/* ---- one override */

/* By enum bf_price_scope: what each names. */
static const struct {
	const char *name;
	bool virtual_key, provider_key, provider;
} scopes[] = {
    {"virtual_key_provider_key", true, true, false},
    {"virtual_key_provider", true, false, true},
    {"virtual_key", true, false, false},
    {"provider_key", false, true, false},
    {"provider", false, false, true},
    {"global", false, false, false},
};

static int check_scope_id(const char *scope, bool wanted, struct bf_slice id, const char *member,
			  struct bf_err *err)
{
	if (wanted && id.len == 0)
		return bf_err_set(err, BF_E_MISSING, "scope_kind: %s needs %s: add it", scope,
				  member);
	if (!wanted && id.len)
		return bf_err_set(err, BF_E_STATE,
				  "scope_kind: %s has no %s: remove it, or write the scope that "
				  "has one",
				  scope, member);
	return 0;
}

static int check_scope(const struct bf_conf_pricing_override *o, struct bf_err *err)
{
	const char *name = scopes[o->scope_kind].name;
	int r = check_scope_id(name, scopes[o->scope_kind].virtual_key, o->virtual_key_id,
			       "virtual_key_id", err);

	if (r == 0)
		r = check_scope_id(name, scopes[o->scope_kind].provider_key, o->provider_key_id,
				   "provider_key_id", err);
	if (r == 0)
		r = check_scope_id(name, scopes[o->scope_kind].provider, o->provider_id,
				   "provider_id", err);
	return r;
}

static bool is_given(const struct bf_conf_price *price)
{
	bool given = price->cache_write_1hr_pusd >= 0 || price->request_pusd >= 0 ||
		     price->search_pusd >= 0 || price->audio_input_pusd >= 0 ||
		     price->audio_output_pusd >= 0 || price->reasoning_pusd >= 0;

	for (int k = 0; k < BF_PRICE_KINDS; k++)
		for (int r = 0; r < BF_RATES; r++)
			given = given || price->token_pusd[k][r] >= 0;
	return given;
}

int bf_pricing_override_check(const void *object, struct bf_err *err)
{
	const struct bf_conf_pricing_override *o = object;
	bool has_star = o->pattern.len && memchr(o->pattern.ptr, '*', o->pattern.len);
	int r = check_scope(o, err);

	if (r < 0)
		return r;
	if (o->pattern.len == 0)
		return bf_err_set(err, BF_E_MISSING,
				  "pattern is empty: write the model's name, or * with match_type: "
				  "wildcard");
	if (o->match_type == BF_PRICE_EXACT && has_star)
		return bf_err_set(err, BF_E_STATE,
				  "a pattern with * needs match_type: wildcard: add it");
	if (!is_given(&o->pricing_patch))
		return bf_err_set(err, BF_E_MISSING,
				  "pricing_patch gives no price: add one, such as "
				  "input_cost_per_token");
	return 0;
}

/* ---- all of them */

static bool has_provider(const struct bf_config *config, struct bf_slice name)
{
	const struct bf_conf_provider *items = config->providers.items;

	for (uint32_t i = 0; i < config->providers.count; i++)
		if (bf_slice_eq(items[i].name, name))
			return true;
	return false;
}

static bool has_virtual_key(const struct bf_config *config, struct bf_slice id)
{
	const struct bf_conf_virtual_key *items = config->governance.virtual_keys.items;

	for (uint32_t i = 0; i < config->governance.virtual_keys.count; i++)
		if (bf_slice_eq(items[i].own.id, id))
			return true;
	return false;
}

static bool has_provider_key(const struct bf_config *config, struct bf_slice id)
{
	const struct bf_conf_provider *items = config->providers.items;

	for (uint32_t i = 0; i < config->providers.count; i++) {
		const struct bf_conf_provider_key *keys = items[i].keys.items;

		for (uint32_t k = 0; k < items[i].keys.count; k++)
			if (bf_slice_eq(keys[k].id, id))
				return true;
	}
	return false;
}

static void visit_price(struct bf_whole *w, struct bf_conf_pricing_override *o, uint32_t i)
{
	const struct bf_node *node = bf_node_child(bf_governance_block(w, "pricing_overrides"), i);

	if (o->id.len == 0 && o->name.len)
		bf_id_derive(w, o->name, &o->id);
	if (o->provider_id.len && !has_provider(w->config, o->provider_id))
		bf_diag(w->diags, BF_DIAG_WARNING, bf_pos_of(node, "provider_id"),
			"governance.pricing_overrides[%" PRIu32 "].provider_id: no provider has "
			"the name \"%.*s\": the price is never used",
			i, BF_SLICE_FMT(o->provider_id));
	if (o->virtual_key_id.len && !has_virtual_key(w->config, o->virtual_key_id))
		bf_diag(w->diags, BF_DIAG_WARNING, bf_pos_of(node, "virtual_key_id"),
			"governance.pricing_overrides[%" PRIu32 "].virtual_key_id: no virtual key "
			"has the id \"%.*s\": the price is never used",
			i, BF_SLICE_FMT(o->virtual_key_id));
	if (o->provider_key_id.len && !has_provider_key(w->config, o->provider_key_id))
		bf_diag(w->diags, BF_DIAG_WARNING, bf_pos_of(node, "provider_key_id"),
			"governance.pricing_overrides[%" PRIu32 "].provider_key_id: no provider "
			"has a key with the id \"%.*s\": the price is never used",
			i, BF_SLICE_FMT(o->provider_key_id));
}

static void check_default(struct bf_whole *w)
{
	const struct bf_conf_governance *g = &w->config->governance;
	const struct bf_node *block = bf_node_member(w->root, "governance");
	const int64_t *in = g->default_price.token_pusd[BF_PRICE_INPUT];
	const int64_t *out = g->default_price.token_pusd[BF_PRICE_OUTPUT];
	bool wanted = g->unpriced_models == BF_UNPRICED_DEFAULT_PRICE;

	if (wanted && (in[BF_RATE_PLAIN] < 0 || out[BF_RATE_PLAIN] < 0))
		bf_diag(w->diags, BF_DIAG_ERROR, bf_pos_of(block, "unpriced_models"),
			"governance.unpriced_models: default_price needs "
			"governance.default_price with input_cost_per_token and "
			"output_cost_per_token: add them");
	if (!wanted && is_given(&g->default_price))
		bf_diag(w->diags, BF_DIAG_WARNING, bf_pos_of(block, "default_price"),
			"governance.default_price is for unpriced_models: default_price: write "
			"that, or remove it");
}

void bf_prices_complete(struct bf_whole *w)
{
	struct bf_array *list = &w->config->governance.pricing_overrides;
	struct bf_conf_pricing_override *items = list->items;
	struct bf_refs names, ids;

	check_default(w);
	if (bf_refs_init(w, &names, list->count) < 0)
		return;
	if (bf_refs_init(w, &ids, list->count) == 0) {
		for (uint32_t i = 0; i < list->count; i++) {
			const struct bf_node *node =
			    bf_node_child(bf_governance_block(w, "pricing_overrides"), i);

			bf_refs_add(&names, items[i].name, bf_node_member(node, "name"));
			visit_price(w, &items[i], i);
			bf_refs_add_id(&ids, items[i].id, node, "name");
		}
		bf_refs_check_both(w, &names, &ids, "pricing override");
	}
	bf_refs_done(&names);
	bf_refs_done(&ids);
}

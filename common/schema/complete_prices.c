/*
 * What the tables of config_prices.c cannot say: an entry's parts that must fit each other, names
 * that stand once. Called by the decoder and by complete_governance.c.
 */
#include <inttypes.h>
#include <string.h>

#include "common/schema/config_priv.h"

int bf_pricing_override_check(const void *object, struct bf_err *err)
{
	const struct bf_conf_pricing_override *o = object;
	bool has_star = o->pattern.len && memchr(o->pattern.ptr, '*', o->pattern.len);

	if (o->scope_kind == BF_PRICE_PROVIDER && o->provider_id.len == 0)
		return bf_err_set(err, BF_E_MISSING,
				  "scope_kind: provider needs provider_id: add the provider's "
				  "name");
	if (o->scope_kind == BF_PRICE_GLOBAL && o->provider_id.len)
		return bf_err_set(err, BF_E_STATE,
				  "provider_id is for scope_kind: provider: write that, or remove "
				  "it");
	if (o->pattern.len == 0)
		return bf_err_set(err, BF_E_MISSING,
				  "pattern is empty: write the model's name, or * with match_type: "
				  "wildcard");
	if (o->match_type == BF_PRICE_EXACT && has_star)
		return bf_err_set(err, BF_E_STATE,
				  "a pattern with * needs match_type: wildcard: add it");
	return 0;
}

static bool has_provider(const struct bf_config *config, struct bf_slice name)
{
	const struct bf_conf_provider *items = config->providers.items;

	for (uint32_t i = 0; i < config->providers.count; i++)
		if (bf_slice_eq(items[i].name, name))
			return true;
	return false;
}

static void visit_price(struct bf_whole *w, struct bf_conf_pricing_override *o, uint32_t i)
{
	const struct bf_node *node = bf_node_child(bf_governance_block(w, "pricing_overrides"), i);
	const struct bf_node *patch = bf_node_member(node, "pricing_patch");
	struct bf_conf_price *price = &o->pricing_patch;

	if (o->id.len == 0 && o->name.len)
		bf_id_derive(w, o->name, &o->id);
	if (!bf_is_given(patch, "cache_read_input_token_cost"))
		price->cache_read_input_token_cost_pusd = price->input_cost_per_token_pusd;
	if (o->provider_id.len && !has_provider(w->config, o->provider_id))
		bf_diag(w->diags, BF_DIAG_WARNING, bf_pos_of(node, "provider_id"),
			"governance.pricing_overrides[%" PRIu32 "].provider_id: no provider has "
			"the name \"%.*s\": the price is never used",
			i, BF_SLICE_FMT(o->provider_id));
}

void bf_prices_complete(struct bf_whole *w)
{
	struct bf_array *list = &w->config->governance.pricing_overrides;
	struct bf_conf_pricing_override *items = list->items;
	struct bf_refs names, ids;

	if (bf_refs_init(w, &names, list->count) < 0)
		return;
	if (bf_refs_init(w, &ids, list->count) == 0) {
		for (uint32_t i = 0; i < list->count; i++) {
			const struct bf_node *node =
			    bf_node_child(bf_governance_block(w, "pricing_overrides"), i);

			bf_refs_add(&names, items[i].name, bf_node_member(node, "name"));
			bf_refs_add(&ids, items[i].id, bf_node_member(node, "id"));
			visit_price(w, &items[i], i);
		}
		bf_refs_check(w, &names, "pricing override", "name", false);
		bf_refs_check(w, &ids, "pricing override", "id", false);
	}
	bf_refs_done(&names);
	bf_refs_done(&ids);
}

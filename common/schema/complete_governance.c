/*
 * What is true of the governance block as a whole: ids, values, which budget belongs to which key,
 * and whether a plan of limits can be made of it. Called by complete.c. Must never show the value
 * of a key.
 */
#include <inttypes.h>

#include "common/govern/plan.h"
#include "common/schema/config_priv.h"

_Static_assert(BF_KEY_BUDGETS_MAX == BF_PLAN_LIMITS_PER_REQUEST,
	       "a list longer than a plan allows");

/* ---- ids, names and values */

struct key_refs {
	struct bf_refs names, ids, values;
};

static void visit_keys(struct bf_whole *w, struct key_refs *refs)
{
	for (uint32_t i = 0; i < w->config->governance.virtual_keys.count; i++) {
		struct bf_conf_virtual_key *key = bf_key_at(w, i);
		const struct bf_node *node =
		    bf_node_child(bf_governance_block(w, "virtual_keys"), i);

		bf_refs_add(&refs->names, key->own.name, bf_node_member(node, "name"));
		bf_refs_add(&refs->values, key->value, bf_node_member(node, "value"));
		/* One that was made must not be what another was given. */
		if (key->own.id.len == 0 && key->own.name.len)
			bf_id_derive(w, key->own.name, &key->own.id);
		bf_refs_add(&refs->ids, key->own.id,
			    bf_node_member(node, bf_is_given(node, "id") ? "id" : "name"));
		if (node && node->type == BF_NODE_MAP && !bf_is_given(node, "value"))
			bf_diag(w->diags, BF_DIAG_ERROR, node->pos,
				"governance.virtual_keys[%" PRIu32 "]: \"value\" is missing: add a "
				"secret of its own, best as env.NAME or file.PATH",
				i);
	}
}

static void check_keys(struct bf_whole *w)
{
	struct key_refs refs = {.names = {.items = NULL}};
	size_t count = w->config->governance.virtual_keys.count;
	uint32_t errors;

	if (bf_refs_init(w, &refs.names, count) == 0 && bf_refs_init(w, &refs.ids, count) == 0 &&
	    bf_refs_init(w, &refs.values, count) == 0) {
		visit_keys(w, &refs);
		bf_refs_check(w, &refs.values, "virtual key", "value", true);
		errors = w->diags->error_count;
		bf_refs_check(w, &refs.names, "virtual key", "name", false);
		/* Of two equal names two equal ids were made. */
		if (w->diags->error_count == errors)
			bf_refs_check(w, &refs.ids, "virtual key", "id", false);
	}
	bf_refs_done(&refs.names);
	bf_refs_done(&refs.ids);
	bf_refs_done(&refs.values);
}

static void check_rate_limits(struct bf_whole *w)
{
	const struct bf_array *list = &w->config->governance.rate_limits;
	const struct bf_conf_rate_limit *items = list->items;
	struct bf_refs ids;

	if (bf_refs_init(w, &ids, list->count) < 0)
		return;
	for (uint32_t i = 0; i < list->count; i++)
		bf_refs_add(
		    &ids, items[i].id,
		    bf_node_member(bf_node_child(bf_governance_block(w, "rate_limits"), i), "id"));
	bf_refs_check(w, &ids, "rate limit", "id", false);
	bf_refs_done(&ids);
}

void bf_governance_complete(struct bf_whole *w)
{
	check_keys(w);
	check_rate_limits(w);
	bf_prices_complete(w);
	bf_budgets_complete(w);
}

/* ---- can a plan be made of it? */

static void tell(void *ctx, const struct bf_plan_fault *fault)
{
	static const char *const members[] = {[BF_PLAN_OWNER] = NULL,
					      [BF_PLAN_RATE_LIMIT] = "rate_limit_id",
					      [BF_PLAN_REQUESTS] = "rate_limit_id",
					      [BF_PLAN_TOKENS] = "rate_limit_id",
					      [BF_PLAN_BUDGET] = "budgets"};
	struct bf_whole *w = ctx;
	const char *member = members[fault->part];
	struct bf_pos pos =
	    bf_node_pos(bf_node_child(bf_governance_block(w, "virtual_keys"), fault->index));

	if (fault->part == BF_PLAN_BUDGET)
		pos = bf_pos_of(bf_budget_node(w, fault->index, fault->budget), "reset_duration");
	else if (member)
		pos = bf_pos_of(bf_node_child(bf_governance_block(w, "virtual_keys"), fault->index),
				member);
	bf_diag(w->diags, BF_DIAG_ERROR, pos, "governance.virtual_keys[%" PRIu32 "]%s%s: %s",
		fault->index, member ? "." : "", member ? member : "", fault->text);
}

static void check_plan(struct bf_whole *w)
{
	uint32_t errors = w->diags->error_count;
	struct bf_plan_report report = {tell, w};
	struct bf_plan plan;
	struct bf_err err = {.code = 0};

	if (bf_plan_check(w->config, w->arena, &report) == 0 || w->diags->error_count != errors)
		return;
	(void)bf_plan_make(&plan, w->config, w->arena, &err);
	bf_diag(w->diags, BF_DIAG_ERROR, bf_node_pos(bf_governance_block(w, "virtual_keys")), "%s",
		err.text);
}

static void warn_key(struct bf_whole *w, uint32_t key, const char *text)
{
	bf_diag(w->diags, BF_DIAG_WARNING,
		bf_node_pos(bf_node_child(bf_governance_block(w, "virtual_keys"), key)),
		"governance.virtual_keys[%" PRIu32 "]: %s", key, text);
}

/* Each is told once, at the first key that it is true of. */
static void warn_keys(struct bf_whole *w)
{
	const struct bf_config *c = w->config;
	bool told_store = c->logs_store.enabled && c->client.enable_logging;
	bool told_price = w->config->governance.pricing_overrides.count > 0;

	for (uint32_t i = 0; i < w->config->governance.virtual_keys.count; i++) {
		const struct bf_conf_virtual_key *key = bf_key_at(w, i);

		if (!told_store && (key->own.budgets.count || key->own.rate_limit_id.len)) {
			warn_key(w, i,
				 c->logs_store.enabled
				     ? "has limits, and client.enable_logging is false: what was "
				       "used is forgotten when everything restarts"
				     : "has limits, and logs_store.enabled is false: what was used "
				       "is forgotten when everything restarts");
			told_store = true;
		}
		if (!told_price && key->own.budgets.count) {
			warn_key(w, i,
				 "has a budget, and governance.pricing_overrides holds no price: "
				 "all its requests will be refused; add prices");
			told_price = true;
		}
	}
}

static void warn_unused(struct bf_whole *w)
{
	const struct bf_array *list = &w->config->governance.rate_limits;
	const struct bf_conf_rate_limit *items = list->items;
	uint32_t keys = w->config->governance.virtual_keys.count;
	struct bf_refs used;

	if (bf_refs_init(w, &used, keys) < 0)
		return;
	for (uint32_t i = 0; i < keys; i++)
		bf_refs_add(&used, bf_key_at(w, i)->own.rate_limit_id, NULL);
	bf_refs_sort(&used);
	for (uint32_t i = 0; i < list->count; i++)
		if (!bf_refs_find(&used, items[i].id))
			bf_diag(
			    w->diags, BF_DIAG_WARNING,
			    bf_node_pos(bf_node_child(bf_governance_block(w, "rate_limits"), i)),
			    "governance.rate_limits[%" PRIu32 "]: no virtual key names \"%.*s\" "
			    "as its rate_limit_id: it limits nothing",
			    i, BF_SLICE_FMT(items[i].id));
	bf_refs_done(&used);
}

void bf_governance_settle(struct bf_whole *w)
{
	const struct bf_node *client = bf_node_member(w->root, "client");
	const char *name = bf_is_given(client, "enforce_auth_on_inference")
			       ? "enforce_auth_on_inference"
			       : "enforce_governance_header";

	check_plan(w);
	warn_keys(w);
	warn_unused(w);
	bf_windows_warn(w);
	if (w->config->client.enforce_auth_on_inference &&
	    w->config->governance.virtual_keys.count == 0)
		bf_diag(w->diags, BF_DIAG_WARNING, bf_pos_of(client, name),
			"client.%s: governance.virtual_keys holds no key: every inference request "
			"will be refused",
			name);
}

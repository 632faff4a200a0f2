/*
 * What is true of the governance block as a whole: its parts are put together, then it is asked
 * whether a plan of limits can be made of it. Called by complete.c. Must never show the value
 * of a key.
 */
#include <inttypes.h>

#include "common/schema/owners.h"

_Static_assert(BF_KEY_BUDGETS_MAX == BF_PLAN_LIMITS_PER_REQUEST,
	       "a list longer than a plan allows");

/* ---- values of keys */

static void check_values(struct bf_whole *w)
{
	const struct bf_owners *o = w->owners;
	uint32_t first = o->first[BF_OWNER_VIRTUAL_KEY], end = o->first[BF_OWNER_VIRTUAL_KEY + 1];
	char path[BF_OWNER_PATH_MAX];
	struct bf_refs values;

	if (bf_refs_init(w, &values, end - first) < 0)
		return;
	for (uint32_t i = first; i < end; i++) {
		const struct bf_node *node = o->items[i].node;

		bf_refs_add(&values, bf_key_of(&o->items[i])->value, bf_node_member(node, "value"));
		if (node && node->type == BF_NODE_MAP && !bf_is_given(node, "value"))
			bf_diag(w->diags, BF_DIAG_ERROR, node->pos,
				"%s: \"value\" is missing: add a secret of its own, best as "
				"env.NAME or file.PATH",
				bf_owner_path(&o->items[i], path));
	}
	bf_refs_check(w, &values, "virtual key", "value", true);
	bf_refs_done(&values);
}

void bf_governance_complete(struct bf_whole *w)
{
	bf_prices_complete(w);
	bf_catalogs_complete(w);
	if (bf_owners_collect(w) < 0)
		return;
	check_values(w);
	bf_owners_name(w);
	bf_rates_complete(w);
	if (w->owners->rates)
		bf_references_check(w);
	bf_budgets_complete(w);
	bf_owners_done(w);
}

/* ---- can a plan be made of it? */

static void tell(void *ctx, const struct bf_plan_fault *fault)
{
	static const char *const members[] = {[BF_PLAN_OWNER] = "",
					      [BF_PLAN_RATE_LIMIT] = ".rate_limit_id",
					      [BF_PLAN_REQUESTS] = ".rate_limit_id",
					      [BF_PLAN_TOKENS] = ".rate_limit_id",
					      [BF_PLAN_BUDGET] = ".budgets"};
	struct bf_whole *w = ctx;
	const struct bf_owner_ref *owner = bf_owner_at(w, fault->owner, fault->key, fault->index);
	const char *member = members[fault->part];
	struct bf_pos pos = bf_node_pos(owner->node);
	char path[BF_OWNER_PATH_MAX];

	if (fault->part != BF_PLAN_OWNER && fault->part != BF_PLAN_BUDGET &&
	    bf_is_given(owner->node, "rate_limit"))
		member = ".rate_limit";
	if (fault->part == BF_PLAN_BUDGET)
		pos = bf_pos_of(owner->budgets ? owner->budgets[fault->budget] : NULL,
				"reset_duration");
	else if (member[0])
		pos = bf_pos_of(owner->node, member + 1);
	bf_diag(w->diags, BF_DIAG_ERROR, pos, "%s%s: %s", bf_owner_path(owner, path), member,
		fault->text);
}

void bf_limits_check(struct bf_whole *w)
{
	uint32_t errors = w->diags->error_count;
	struct bf_plan_report report = {tell, w};
	struct bf_plan plan;
	struct bf_err err = {.code = 0};

	if (bf_plan_check(w->config, w->arena, &report) == 0 || w->diags->error_count != errors)
		return;
	(void)bf_plan_make(&plan, w->config, w->arena, &err);
	bf_diag(w->diags, BF_DIAG_ERROR, bf_node_pos(bf_node_member(w->root, "governance")), "%s",
		err.text);
}

/* ---- what has no effect, or more than was meant */

static void warn_owner(struct bf_whole *w, const struct bf_owner_ref *owner, const char *text)
{
	char path[BF_OWNER_PATH_MAX];

	bf_diag(w->diags, BF_DIAG_WARNING, bf_node_pos(owner->node), "%s: %s",
		bf_owner_path(owner, path), text);
}

/* Told once, at the first owner that it is true of. */
static void warn_owners(struct bf_whole *w)
{
	const struct bf_config *c = w->config;

	if (c->logs_store.enabled && c->client.enable_logging)
		return;
	for (uint32_t i = 0; i < w->owners->count; i++) {
		const struct bf_owner_ref *owner = &w->owners->items[i];

		if (!owner->own->budgets.count && !owner->own->rate_limit_id.len)
			continue;
		warn_owner(w, owner,
			   c->logs_store.enabled
			       ? "has limits, and client.enable_logging is false: what was used is "
				 "forgotten when everything restarts"
			       : "has limits, and logs_store.enabled is false: what was used is "
				 "forgotten when everything restarts");
		return;
	}
}

static void warn_member(struct bf_whole *w, const struct bf_owner_ref *owner, const char *member,
			const char *text)
{
	char path[BF_OWNER_PATH_MAX];

	bf_diag(w->diags, BF_DIAG_WARNING, bf_pos_of(owner->node, member), "%s.%s: %s",
		bf_owner_path(owner, path), member, text);
}

static void warn_keys(struct bf_whole *w)
{
	const struct bf_owners *o = w->owners;

	for (uint32_t i = o->first[BF_OWNER_VIRTUAL_KEY]; i < o->first[BF_OWNER_VIRTUAL_KEY + 1];
	     i++) {
		const struct bf_conf_virtual_key *key = bf_key_of(&o->items[i]);

		if (key->mcp_configs.count)
			warn_member(w, &o->items[i], "mcp_configs",
				    "has no effect: this build calls no tools");
		if (key->delete_after_expire && !key->expires_at_ms)
			warn_member(w, &o->items[i], "delete_after_expire",
				    "has no effect without expires_at");
	}
}

static void warn_unused(struct bf_whole *w)
{
	const struct bf_array *list = &w->config->governance.rate_limits;
	const struct bf_conf_rate_limit *items = list->items;
	const struct bf_owners *o = w->owners;
	struct bf_refs used;

	if (bf_refs_init(w, &used, o->count) < 0)
		return;
	for (uint32_t i = 0; i < o->count; i++)
		bf_refs_add(&used, o->items[i].own->rate_limit_id, NULL);
	bf_refs_sort(&used);
	for (uint32_t i = 0; i < list->count; i++)
		if (!bf_refs_find(&used, items[i].id))
			bf_diag(w->diags, BF_DIAG_WARNING, bf_node_pos(o->rates[i]),
				"governance.rate_limits[%" PRIu32 "]: nobody names \"%.*s\" as its "
				"rate_limit_id: it limits nothing",
				i, BF_SLICE_FMT(items[i].id));
	bf_refs_done(&used);
}

void bf_governance_settle(struct bf_whole *w)
{
	const struct bf_node *client = bf_node_member(w->root, "client");
	const char *name = bf_is_given(client, "enforce_auth_on_inference")
			       ? "enforce_auth_on_inference"
			       : "enforce_governance_header";

	bf_limits_check(w);
	warn_owners(w);
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

/*
 * Owners of limits that are changed: forms that stand for the same, and ids that stay. Called by
 * entity_parse.c. Must never give two budgets one id.
 */
#include "common/schema/entity_priv.h"

#include "common/base/macros.h"
#include "common/base/window.h"

struct bf_conf_owner *entity_own(const struct bf_table *table, void *object)
{
	bool has = table == &bf_customer_table || table == &bf_team_table ||
		   table == &bf_virtual_key_table || table == &bf_model_config_table ||
		   table == &bf_provider_limits_table;

	return has ? object : NULL;
}

static bool gives_either(const struct bf_entity_body *body, const char *a, const char *b)
{
	return bf_node_member(body->root, a) || bf_node_member(body->root, b);
}

void entity_replace(const struct bf_entity_body *body, void *object)
{
	static const struct bf_array none;
	struct bf_conf_owner *own = entity_own(body->table, object);

	if (!own)
		return;
	if (gives_either(body, "budgets", "budget"))
		own->budgets = own->budget = none;
	if (gives_either(body, "rate_limit", "rate_limit_id")) {
		own->rate_limit = none;
		own->rate_limit_id = (struct bf_slice){NULL, 0};
	}
}

/* ---- ids */

static bool same_window(struct bf_slice a, struct bf_slice b)
{
	struct bf_window x, y;

	return bf_window_parse(a, false, &x) == 0 && bf_window_parse(b, false, &y) == 0 &&
	       x.length_ms == y.length_ms;
}

static bool has_id(const struct bf_array *budgets, struct bf_slice id)
{
	const struct bf_conf_budget *items = budgets->items;

	for (uint32_t i = 0; i < budgets->count; i++)
		if (bf_slice_eq(items[i].id, id))
			return true;
	return false;
}

/* A budget, and whose it is: windows may follow the calendar because the owner says so. */
struct budget_of {
	const struct bf_conf_owner *own;
	struct bf_conf_budget *budget;
};

static bool is_aligned(const struct budget_of *b)
{
	return b->budget->calendar_aligned || b->own->calendar_aligned;
}

/* Do they begin and end at the same moments? */
static bool same_windows(const struct budget_of *a, const struct budget_of *b)
{
	return same_window(a->budget->reset_duration, b->budget->reset_duration) &&
	       is_aligned(a) == is_aligned(b) &&
	       a->budget->quarter_start_month == b->budget->quarter_start_month &&
	       bf_slice_eq(a->budget->last_reset, b->budget->last_reset);
}

/* Counted in other windows an override would hold for longer, and one that is over hold again. */
static void end_with_windows(const struct budget_of *before, const struct budget_of *now)
{
	struct bf_conf_budget *budget = now->budget;

	if (budget->override_cycles == 0 ||
	    budget->override_anchor_ms != before->budget->override_anchor_ms ||
	    same_windows(before, now))
		return;
	budget->override_amount_nusd = 0;
	budget->override_cycles = 0;
	budget->override_anchor_ms = 0;
}

/* Who changes a budget's maximum need not know that somebody raised it. */
static void keep_override(const struct budget_of *before, const struct budget_of *now)
{
	const struct bf_conf_budget *old = before->budget;
	struct bf_conf_budget *budget = now->budget;

	if (budget->override_amount_nusd == 0) {
		/* Both together are what a meter can hold. */
		budget->override_amount_nusd =
		    BF_MIN(old->override_amount_nusd, BF_BUDGET_MAX_NUSD - budget->max_limit_nusd);
		budget->override_cycles = old->override_cycles;
		budget->override_anchor_ms = old->override_anchor_ms;
		budget->override_until_ms = old->override_until_ms;
	}
	end_with_windows(before, now);
}

/* Another id is another budget. */
static void keep_budgets(const struct bf_conf_owner *before, const struct bf_conf_owner *own,
			 struct bf_array *budgets, const struct bf_array *others)
{
	struct bf_conf_budget *old = before->budgets.items;
	struct bf_conf_budget *items = budgets->items;

	for (uint32_t i = 0; i < budgets->count; i++) {
		for (uint32_t k = 0; items[i].id.len == 0 && k < before->budgets.count; k++)
			if (same_window(items[i].reset_duration, old[k].reset_duration) &&
			    !has_id(budgets, old[k].id) && !has_id(others, old[k].id))
				items[i].id = old[k].id;
		for (uint32_t k = 0; k < before->budgets.count; k++)
			if (bf_slice_eq(items[i].id, old[k].id))
				keep_override(&(struct budget_of){before, &old[k]},
					      &(struct budget_of){own, &items[i]});
	}
}

static void keep_own(const struct bf_conf_owner *before, struct bf_conf_owner *own)
{
	struct bf_conf_rate_limit *rate = own->rate_limit.items;
	const struct bf_conf_rate_limit *old = before->rate_limit.items;

	keep_budgets(before, own, &own->budgets, &own->budget);
	keep_budgets(before, own, &own->budget, &own->budgets);
	if (own->rate_limit.count && before->rate_limit.count && rate->id.len == 0)
		rate->id = old->id;
}

static void keep_configs(const struct bf_conf_virtual_key *before, struct bf_conf_virtual_key *key)
{
	const struct bf_conf_provider_config *old = before->provider_configs.items;
	struct bf_conf_provider_config *items = key->provider_configs.items;

	for (uint32_t i = 0; i < key->provider_configs.count; i++) {
		for (uint32_t k = 0; k < before->provider_configs.count; k++) {
			if (!bf_slice_eq(items[i].provider, old[k].provider))
				continue;
			if (items[i].own.id.len == 0)
				items[i].own.id = old[k].own.id;
			keep_own(&old[k].own, &items[i].own);
		}
	}
}

void entity_keep_ids(struct bf_entity_body *body, void *object)
{
	struct bf_conf_owner *own = entity_own(body->table, object);

	if (own)
		keep_own(body->before, own);
	/* A list that the body does not give is that of before itself. */
	if (body->table == &bf_virtual_key_table && bf_entity_gives(body, "provider_configs"))
		keep_configs(body->before, object);
}

/*
 * A budget that is raised for a time, and the end of that. Called by change.c. Must go the way of
 * every change: it is the budget's owner that changes, so the next one knows its version.
 */
#include "common/base/clock.h"
#include "common/govern/plan.h"
#include "common/log/log.h"
#include "common/schema/config_owners.h"
#include "common/schema/decimal.h"
#include "shm/wall.h"
#include "writerd/change/change_priv.h"
#include "writerd/entity/entity_refs.h"
#include "writerd/limits/limited.h"

static const struct bf_entity_def budget_part = {.name = "budget", .table = &bf_budget_table};

static struct bf_conf_budget *find_in(const struct bf_conf_owner *own, struct bf_slice id)
{
	struct bf_conf_budget *items = own->budgets.items;

	for (uint32_t i = 0; i < own->budgets.count; i++)
		if (bf_slice_eq(items[i].id, id))
			return &items[i];
	return NULL;
}

/* At its owner, or at a provider config of a key. */
static struct bf_conf_budget *find(const struct change *c)
{
	const struct bf_conf_virtual_key *key = c->object;
	struct bf_conf_budget *budget = find_in(c->object, c->ask->sub_id);
	const struct bf_conf_provider_config *configs;

	if (budget || c->ask->type != BF_ENTITY_VIRTUAL_KEY)
		return budget;
	configs = key->provider_configs.items;
	for (uint32_t i = 0; !budget && i < key->provider_configs.count; i++)
		budget = find_in(&configs[i].own, c->ask->sub_id);
	return budget;
}

/* By the clock of its windows, as writerd and workers count them. */
static int64_t now_ms(const struct change *c, struct bf_slice reset_duration)
{
	struct bf_limit limit = {.endless = false};
	struct shm_wall wall = shm_wall_read(c->r->seg);

	if (bf_window_parse(reset_duration, false, &limit.window) < 0)
		return bf_wall_ms();
	return shm_wall_ms(&wall, bf_boot_ns(), bf_limit_length_ms(&limit));
}

static bool parse(struct change *c, struct bf_conf_override *ret)
{
	if (bf_entity_parse(&bf_override_table, c->ask->body, NULL, c->arena, ret, &c->body) < 0)
		return change_no_parts(c, 400, "invalid_request");
	return change_version_fits(c);
}

static bool raise_budget(struct change *c, struct bf_conf_budget *budget)
{
	int64_t at_ms = now_ms(c, budget->reset_duration);
	struct bf_err err = {.code = 0};
	struct bf_conf_override asked;

	if (!parse(c, &asked))
		return false;
	if (asked.mode == BF_OVERRIDE_UNTIL && asked.until_ms <= at_ms) {
		bf_entity_blame(&c->body, "until", "is over: give a moment that is still to come");
		return change_no_parts(c, 400, "invalid_request");
	}
	budget->override_amount_nusd = asked.amount_nusd;
	budget->override_cycles = asked.cycles;
	budget->override_anchor_ms = at_ms;
	budget->override_until_ms = asked.until_ms;
	if (bf_budget_table.check(budget, &err) < 0)
		return change_no(c, 400, "invalid_request", "%s", err.text);
	return true;
}

static bool end_raise(struct change *c, struct bf_conf_budget *budget)
{
	if (!change_version_fits(c))
		return false;
	if (budget->override_amount_nusd == 0)
		return change_no(c, 404, "not_found", "the budget \"%.*s\" has no override",
				 BF_SLICE_FMT(budget->id));
	budget->override_amount_nusd = 0;
	budget->override_cycles = 0;
	budget->override_anchor_ms = budget->override_until_ms = 0;
	return true;
}

/* Who raised whose budget to what. */
static void log_override(const struct change *c, const struct bf_conf_budget *budget)
{
	char amount[BF_DECIMAL_BYTES], max[BF_DECIMAL_BYTES];

	bf_log(BF_LOG_INFO, "budget_override",
	       "actor=%s type=%s id=%s budget_id=%s amount=%s effective_max_limit=%s",
	       bf_log_quote_slice(c->ask->actor), c->def->name, bf_log_quote_slice(c->id),
	       bf_log_quote_slice(budget->id),
	       bf_decimal_format(budget->override_amount_nusd, 9, amount),
	       bf_decimal_format(budget->max_limit_nusd + budget->override_amount_nusd, 9, max));
}

void change_write_effective(struct bf_json_writer *w, const struct bf_conf_budget *budget)
{
	char text[BF_DECIMAL_BYTES];

	bf_jw_key(w, "effective_max_limit");
	bf_jw_raw(w, bf_slice_from(bf_decimal_format(
			 budget->max_limit_nusd + budget->override_amount_nusd, 9, text)));
}

void change_override(struct change *c)
{
	bool ends = c->ask->body.len == 0;
	struct bf_conf_budget *budget;

	if (!limited_may_be((uint32_t)c->ask->type)) {
		(void)change_no(c, 400, "invalid_request", "a %s has no budgets",
				entity_noun((uint32_t)c->ask->type));
		return;
	}
	if (!change_is_there(c))
		return;
	c->object = entity_object(c->before, c->arena);
	if (!c->object) {
		(void)change_no(c, 500, "internal_error", "what there is of it cannot be read");
		return;
	}
	budget = find(c);
	if (!budget) {
		(void)change_no(c, 404, "not_found", "it has no budget with the id \"%.*s\"",
				BF_SLICE_FMT(c->ask->sub_id));
		return;
	}
	if (!(ends ? end_raise(c, budget) : raise_budget(c, budget)))
		return;
	c->part = &budget_part;
	c->part_object = budget;
	change_put(c, 200, ends ? "override ended" : "overridden");
	if (c->answer->changed)
		log_override(c, budget);
}

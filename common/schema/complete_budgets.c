/*
 * Budgets stand at their owner or in a list that names it; afterwards all stand at their owner.
 * Called by complete_governance.c once owners have their ids.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/window.h"
#include "common/schema/owners.h"

#define NOBODY UINT32_MAX

/* How governance.budgets names an owner; a provider cannot be named. */
static const struct naming {
	const char *member;
	enum bf_owner kind;
	size_t slot;
} namings[] = {
    {"virtual_key_id", BF_OWNER_VIRTUAL_KEY, offsetof(struct bf_conf_budget, virtual_key_id)},
    {"team_id", BF_OWNER_TEAM, offsetof(struct bf_conf_budget, team_id)},
    {"customer_id", BF_OWNER_CUSTOMER, offsetof(struct bf_conf_budget, customer_id)},
    {"provider_config_id", BF_OWNER_PROVIDER_CONFIG,
     offsetof(struct bf_conf_budget, provider_config_id)},
    {"model_config_id", BF_OWNER_MODEL_CONFIG, offsetof(struct bf_conf_budget, model_config_id)},
};

struct moving {
	struct bf_whole *w;
	uint32_t *owners;       /* of governance.budgets: index of the owner, or NOBODY */
	struct bf_refs claimed; /* budget_id of owners; index of the owner */
	struct bf_refs given;   /* ids */
};

static struct bf_conf_budget *budget_at(const struct bf_array *list, uint32_t i)
{
	return (struct bf_conf_budget *)list->items + i;
}

static struct bf_slice *slot_of(struct bf_conf_budget *budget, const struct naming *n)
{
	return (struct bf_slice *)(void *)((char *)budget + n->slot);
}

/* ---- whose is it? */

static uint32_t named_owner(struct moving *m, uint32_t i, const struct bf_node *node,
			    const struct naming *n, struct bf_slice id)
{
	const struct bf_owners *o = m->w->owners;
	char where[96];

	(void)snprintf(where, sizeof(where), "governance.budgets[%" PRIu32 "].%s", i, n->member);
	if (!bf_owner_reference(m->w, where, bf_pos_of(node, n->member), n->kind, id))
		return NOBODY;
	return o->first[n->kind] + bf_refs_find(&o->ids[n->kind], id)->index;
}

static void tell_owners(struct moving *m, uint32_t i, const struct bf_node *node, const char *text)
{
	bf_diag(m->w->diags, BF_DIAG_ERROR, bf_node_pos(node),
		"governance.budgets[%" PRIu32 "]: %s", i, text);
}

static uint32_t owner_of(struct moving *m, uint32_t i, const struct bf_node *node)
{
	struct bf_conf_budget *budget = budget_at(&m->w->config->governance.budgets, i);
	const struct bf_ref *claim = bf_refs_find(&m->claimed, budget->id);
	const struct naming *named = NULL;

	for (size_t k = 0; k < BF_ARRAY_LEN(namings); k++) {
		if (slot_of(budget, &namings[k])->len == 0)
			continue;
		if (named) {
			tell_owners(m, i, node, "has more than one owner: keep one of them");
			return NOBODY;
		}
		named = &namings[k];
	}
	if (!named && !claim && node && node->type == BF_NODE_MAP)
		tell_owners(m, i, node,
			    "names no owner: add virtual_key_id, team_id, customer_id, "
			    "provider_config_id or model_config_id");
	if (!named)
		return claim ? claim->index : NOBODY;
	uint32_t owner = named_owner(m, i, node, named, *slot_of(budget, named));
	if (claim && owner != NOBODY && owner != claim->index)
		tell_owners(m, i, node,
			    "has more than one owner: another one names it as its budget_id");
	return owner;
}

/* ---- older form: the owner names its budget */

static void check_claims(struct moving *m)
{
	const struct bf_owners *o = m->w->owners;
	const struct bf_array *list = &m->w->config->governance.budgets;
	const struct bf_node *block = bf_governance_block(m->w, "budgets");
	const struct bf_node *node = block && block->type == BF_NODE_LIST ? block->first : NULL;
	struct bf_refs ids;
	char path[BF_OWNER_PATH_MAX];

	bf_refs_check(m->w, &m->claimed, "owner", "budget_id", false);
	if (bf_refs_init(m->w, &ids, list->count) < 0)
		return;
	for (uint32_t i = 0; i < list->count; i++, node = node ? node->next : NULL)
		bf_refs_add(&ids, budget_at(list, i)->id, bf_node_member(node, "id"));
	bf_refs_sort(&ids);
	for (uint32_t i = 0; i < o->count; i++) {
		struct bf_slice id = o->items[i].own->budget_id;

		o->items[i].own->budget_id = (struct bf_slice){NULL, 0};
		if (id.len == 0 || bf_refs_find(&ids, id))
			continue;
		bf_diag(
		    m->w->diags, BF_DIAG_ERROR, bf_pos_of(o->items[i].node, "budget_id"),
		    "%s.budget_id: no budget has the id \"%.*s\"%s",
		    bf_owner_path(&o->items[i], path), BF_SLICE_FMT(id),
		    bf_hint(m->w, &ids, id, ": add it to governance.budgets, or remove budget_id"));
	}
	bf_refs_done(&ids);
}

/* ---- moving */

static void place(struct moving *m, struct bf_owner_ref *owner, const struct bf_conf_budget *budget,
		  const struct bf_node *node)
{
	uint32_t at = owner->own->budgets.count++;
	struct bf_conf_budget *to = budget_at(&owner->own->budgets, at);

	*to = *budget;
	for (size_t k = 0; k < BF_ARRAY_LEN(namings); k++)
		*slot_of(to, &namings[k]) = (struct bf_slice){NULL, 0};
	owner->budgets[at] = node;
	bf_refs_add(&m->given, budget->id, bf_node_member(node, "id"));
}

/* What stands at its owner may only name that one. */
static void check_own(struct moving *m, const struct bf_owner_ref *owner,
		      struct bf_conf_budget *budget, const struct bf_node *node)
{
	for (size_t k = 0; k < BF_ARRAY_LEN(namings); k++) {
		const struct naming *n = &namings[k];
		struct bf_slice id = *slot_of(budget, n);

		if (id.len && (n->kind != owner->kind || !bf_slice_eq(id, owner->own->id)))
			bf_diag(m->w->diags, BF_DIAG_ERROR, bf_pos_of(node, n->member),
				"a budget in the %s \"%.*s\" names another as its owner: remove %s",
				bf_owner_noun(owner->kind), BF_SLICE_FMT(owner->own->name),
				n->member);
	}
}

static void place_own(struct moving *m, struct bf_owner_ref *owner, const struct bf_array *list,
		      const struct bf_node *nodes)
{
	bool is_list = nodes && nodes->type == BF_NODE_LIST;
	/* A single one may stand there without a list around it. */
	const struct bf_node *node = is_list ? nodes->first : nodes;

	for (uint32_t i = 0; i < list->count; i++, node = node ? node->next : NULL) {
		check_own(m, owner, budget_at(list, i), node);
		place(m, owner, budget_at(list, i), node);
	}
}

static uint32_t own_count(const struct bf_owner_ref *owner)
{
	return owner->own->budgets.count + owner->own->budget.count;
}

/* Room for those of each owner, and its own at their beginning. */
static int make_room(struct moving *m)
{
	struct bf_owners *o = m->w->owners;
	uint32_t others = m->w->config->governance.budgets.count, total = 0;
	uint32_t *counts = bf_arena_alloc(m->w->arena, (o->count + 1) * sizeof(*counts));

	if (!counts)
		return -1;
	for (uint32_t i = 0; i < others; i++)
		if (m->owners[i] != NOBODY)
			counts[m->owners[i]]++;
	for (uint32_t i = 0; i < o->count; i++) {
		counts[i] += own_count(&o->items[i]);
		total += counts[i];
	}
	const struct bf_node **nodes =
	    bf_arena_alloc(m->w->arena, (total + 1) * sizeof(const struct bf_node *));
	struct bf_conf_budget *items = bf_arena_alloc(m->w->arena, (total + 1) * sizeof(*items));
	if (!nodes || !items)
		return -1;
	for (uint32_t i = 0; i < o->count; i++) {
		struct bf_owner_ref *owner = &o->items[i];
		struct bf_array own = owner->own->budgets, single = owner->own->budget;

		owner->budgets = nodes;
		owner->own->budgets = (struct bf_array){counts[i] ? items : NULL, 0};
		owner->own->budget = (struct bf_array){NULL, 0};
		place_own(m, owner, &own, bf_node_member(owner->node, "budgets"));
		place_own(m, owner, &single, bf_node_member(owner->node, "budget"));
		nodes += counts[i];
		items += counts[i];
	}
	return 0;
}

static const struct bf_node *first_of(const struct bf_node *list)
{
	return list && list->type == BF_NODE_LIST ? list->first : NULL;
}

static void move(struct moving *m)
{
	const struct bf_node *block = bf_governance_block(m->w, "budgets");
	struct bf_array *others = &m->w->config->governance.budgets;
	const struct bf_node *node = first_of(block);

	for (uint32_t i = 0; i < others->count; i++, node = node ? node->next : NULL)
		m->owners[i] = owner_of(m, i, node);
	check_claims(m);
	if (make_room(m) < 0) {
		bf_whole_is_full(m->w);
		return;
	}
	node = first_of(block);
	for (uint32_t i = 0; i < others->count; i++, node = node ? node->next : NULL)
		if (m->owners[i] != NOBODY)
			place(m, &m->w->owners->items[m->owners[i]], budget_at(others, i), node);
	*others = (struct bf_array){NULL, 0};
	bf_refs_check(m->w, &m->given, "budget", "id", false);
}

/* ---- afterwards */

/* Made of the window, not of its text, so that 24h and 1d are the same budget. */
static void derive_id(struct bf_whole *w, const struct bf_owner_ref *owner,
		      struct bf_conf_budget *budget, const struct bf_window *window)
{
	int64_t length = window->kind == BF_WINDOW_ROLLING ? window->length_ms : 0;
	/* Those of keys were made before there were others; no id has a line break. */
	bool is_key = owner->kind == BF_OWNER_VIRTUAL_KEY;
	const char *text = bf_arena_printf(
	    w->arena, "%s%s%.*s/budget/%d/%" PRId64, is_key ? "" : bf_owner_name(owner->kind),
	    is_key ? "" : "\n", BF_SLICE_FMT(owner->own->id), (int)window->kind, length);

	if (text)
		bf_id_derive(w, bf_slice_from(text), &budget->id);
	else
		bf_whole_is_full(w);
}

static void finish(struct bf_whole *w, const struct bf_owner_ref *owner, uint32_t i)
{
	struct bf_conf_budget *budget = budget_at(&owner->own->budgets, i);
	const struct bf_node *reset = bf_node_member(owner->budgets[i], "reset_config");
	bool aligned = budget->calendar_aligned || owner->own->calendar_aligned;
	struct bf_window window;

	if (bf_window_parse(budget->reset_duration, aligned, &window) < 0 &&
	    bf_window_parse(budget->reset_duration, false, &window) < 0)
		return;
	if (budget->id.len == 0 && owner->own->id.len)
		derive_id(w, owner, budget, &window);
	/* Of one that is wrong, the number is a default. */
	if (bf_is_given(reset, "quarter_start_month") && window.kind != BF_WINDOW_QUARTER &&
	    w->diags->error_count == 0)
		bf_diag(w->diags, BF_DIAG_WARNING,
			bf_node_pos(bf_node_member(reset, "quarter_start_month")),
			"reset_config.quarter_start_month: has no effect: only windows of 1Q with "
			"calendar_aligned: true begin in a month");
}

void bf_budgets_complete(struct bf_whole *w)
{
	struct bf_owners *o = w->owners;
	struct moving m = {.w = w};
	uint32_t others = w->config->governance.budgets.count;
	size_t own = 0;

	for (uint32_t i = 0; i < o->count; i++)
		own += own_count(&o->items[i]);
	m.owners = bf_arena_alloc(w->arena, (others + 1) * sizeof(*m.owners));
	if (!m.owners)
		bf_whole_is_full(w);
	if (m.owners && bf_refs_init(w, &m.claimed, o->count) == 0 &&
	    bf_refs_init(w, &m.given, own + others) == 0) {
		for (uint32_t i = 0; i < o->count; i++)
			bf_refs_add(&m.claimed, o->items[i].own->budget_id,
				    bf_node_member(o->items[i].node, "budget_id"));
		bf_refs_sort(&m.claimed);
		move(&m);
	}
	bf_refs_done(&m.claimed);
	bf_refs_done(&m.given);
	for (uint32_t i = 0; i < o->count; i++)
		for (uint32_t k = 0; o->items[i].budgets && k < o->items[i].own->budgets.count; k++)
			finish(w, &o->items[i], k);
}

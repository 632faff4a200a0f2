/*
 * Budgets stand at their key or in a list that names it; afterwards all stand at their key. Called
 * by complete_governance.c once keys have their ids.
 */
#include <inttypes.h>

#include "common/base/window.h"
#include "common/schema/config_priv.h"

#define NOBODY UINT32_MAX

struct moving {
	struct bf_whole *w;
	struct bf_refs keys;  /* their ids */
	uint32_t *owners;     /* of governance.budgets: index of the key, or NOBODY */
	struct bf_refs given; /* ids */
};

static struct bf_conf_budget *budget_at(const struct bf_array *list, uint32_t i)
{
	return (struct bf_conf_budget *)list->items + i;
}

const struct bf_node *bf_budget_node(const struct bf_whole *w, uint32_t key, uint32_t budget)
{
	return w->budgets ? w->budgets[w->budgets_of[key] + budget] : NULL;
}

/* ---- whose is it? */

static bool has_unbuilt_owner(const struct bf_node *node)
{
	return bf_is_given(node, "team_id") || bf_is_given(node, "customer_id") ||
	       bf_is_given(node, "model_config_id") || bf_is_given(node, "provider_config_id");
}

static uint32_t owner_of(struct moving *m, uint32_t i)
{
	const struct bf_conf_budget *budget = budget_at(&m->w->config->governance.budgets, i);
	const struct bf_node *node = bf_node_child(bf_governance_block(m->w, "budgets"), i);
	const struct bf_node *keys = bf_governance_block(m->w, "virtual_keys");
	const struct bf_ref *key = bf_refs_find(&m->keys, budget->virtual_key_id);
	bool elsewhere = has_unbuilt_owner(node);

	if (budget->virtual_key_id.len == 0) {
		/* The other owners were refused, or accepted, by the decoder. */
		if (!elsewhere && node && node->type == BF_NODE_MAP)
			bf_diag(m->w->diags, BF_DIAG_ERROR, node->pos,
				"governance.budgets[%" PRIu32 "]: names no owner: add "
				"virtual_key_id",
				i);
		return NOBODY;
	}
	if (elsewhere)
		bf_diag(m->w->diags, BF_DIAG_ERROR, node->pos,
			"governance.budgets[%" PRIu32 "]: has more than one owner: keep "
			"virtual_key_id alone",
			i);
	else if (!key && (!keys || keys->type == BF_NODE_LIST))
		bf_diag(m->w->diags, BF_DIAG_ERROR,
			bf_node_pos(bf_node_member(node, "virtual_key_id")),
			"governance.budgets[%" PRIu32 "].virtual_key_id: no virtual key has the id "
			"\"%.*s\": give the key that id, or mend this one",
			i, BF_SLICE_FMT(budget->virtual_key_id));
	return key && !elsewhere ? key->index : NOBODY;
}

/* ---- moving */

static void place(struct moving *m, uint32_t k, const struct bf_conf_budget *budget,
		  const struct bf_node *node)
{
	struct bf_conf_virtual_key *key = bf_key_at(m->w, k);
	uint32_t at = key->own.budgets.count++;

	*budget_at(&key->own.budgets, at) = *budget;
	budget_at(&key->own.budgets, at)->virtual_key_id = (struct bf_slice){NULL, 0};
	m->w->budgets[m->w->budgets_of[k] + at] = node;
	bf_refs_add(&m->given, budget->id, bf_node_member(node, "id"));
}

static void place_own(struct moving *m, uint32_t k, const struct bf_array *list,
		      const struct bf_node *nodes)
{
	const struct bf_conf_virtual_key *key = bf_key_at(m->w, k);

	for (uint32_t i = 0; i < list->count; i++) {
		const struct bf_conf_budget *budget = budget_at(list, i);
		/* A single one may stand there without a list around it. */
		const struct bf_node *node =
		    nodes && nodes->type == BF_NODE_LIST ? bf_node_child(nodes, i) : nodes;

		if (budget->virtual_key_id.len && !bf_slice_eq(budget->virtual_key_id, key->own.id))
			bf_diag(m->w->diags, BF_DIAG_ERROR,
				bf_node_pos(bf_node_member(node, "virtual_key_id")),
				"a budget in the virtual key \"%.*s\" names another as its owner: "
				"remove virtual_key_id",
				BF_SLICE_FMT(key->own.name));
		place(m, k, budget, node);
	}
}

/* Where those of each key begin, and their room. */
static int make_room(struct moving *m)
{
	struct bf_whole *w = m->w;
	uint32_t keys = w->config->governance.virtual_keys.count, total = 0;
	uint32_t others = w->config->governance.budgets.count;
	uint32_t *counts = bf_arena_alloc(w->arena, (keys + 1) * sizeof(*counts));

	w->budgets_of = bf_arena_alloc(w->arena, (keys + 1) * sizeof(*w->budgets_of));
	if (!counts || !w->budgets_of)
		return -1;
	for (uint32_t i = 0; i < others; i++)
		if (m->owners[i] != NOBODY)
			counts[m->owners[i]]++;
	for (uint32_t k = 0; k < keys; k++) {
		counts[k] += bf_key_at(w, k)->own.budgets.count + bf_key_at(w, k)->own.budget.count;
		w->budgets_of[k] = total;
		total += counts[k];
	}
	w->budgets = bf_arena_alloc(w->arena, (total + 1) * sizeof(*w->budgets));
	struct bf_conf_budget *items = bf_arena_alloc(w->arena, (total + 1) * sizeof(*items));
	if (!w->budgets || !items)
		return -1;
	for (uint32_t k = 0; k < keys; k++) {
		struct bf_conf_virtual_key *key = bf_key_at(w, k);
		struct bf_array own = key->own.budgets, single = key->own.budget;
		const struct bf_node *node =
		    bf_node_child(bf_governance_block(w, "virtual_keys"), k);

		key->own.budgets = (struct bf_array){items + w->budgets_of[k], 0};
		key->own.budget = (struct bf_array){NULL, 0};
		place_own(m, k, &own, bf_node_member(node, "budgets"));
		place_own(m, k, &single, bf_node_member(node, "budget"));
		if (counts[k] == 0)
			key->own.budgets.items = NULL;
	}
	return 0;
}

static void move(struct moving *m)
{
	struct bf_array *others = &m->w->config->governance.budgets;

	for (uint32_t i = 0; i < others->count; i++)
		m->owners[i] = owner_of(m, i);
	if (make_room(m) < 0) {
		m->w->budgets = NULL;
		bf_whole_is_full(m->w);
		return;
	}
	for (uint32_t i = 0; i < others->count; i++)
		if (m->owners[i] != NOBODY)
			place(m, m->owners[i], budget_at(others, i),
			      bf_node_child(bf_governance_block(m->w, "budgets"), i));
	*others = (struct bf_array){NULL, 0};
	bf_refs_check(m->w, &m->given, "budget", "id", false);
}

/* ---- afterwards */

/* Made of the window, not of its text, so that 24h and 1d are the same budget. */
static void derive_id(struct bf_whole *w, const struct bf_conf_virtual_key *key,
		      struct bf_conf_budget *budget, const struct bf_window *window)
{
	int64_t length = window->kind == BF_WINDOW_ROLLING ? window->length_ms : 0;
	const char *text = bf_arena_printf(w->arena, "%.*s/budget/%d/%" PRId64,
					   BF_SLICE_FMT(key->own.id), (int)window->kind, length);

	if (text)
		bf_id_derive(w, bf_slice_from(text), &budget->id);
	else
		bf_whole_is_full(w);
}

static void finish(struct bf_whole *w, uint32_t k, uint32_t i)
{
	const struct bf_conf_virtual_key *key = bf_key_at(w, k);
	struct bf_conf_budget *budget = budget_at(&key->own.budgets, i);
	const struct bf_node *reset = bf_node_member(bf_budget_node(w, k, i), "reset_config");
	bool aligned = budget->calendar_aligned || key->own.calendar_aligned;
	struct bf_window window;

	if (bf_window_parse(budget->reset_duration, aligned, &window) < 0 &&
	    bf_window_parse(budget->reset_duration, false, &window) < 0)
		return;
	if (budget->id.len == 0 && key->own.id.len)
		derive_id(w, key, budget, &window);
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
	struct moving m = {.w = w};
	uint32_t keys = w->config->governance.virtual_keys.count;
	uint32_t others = w->config->governance.budgets.count;
	size_t own = 0;

	for (uint32_t k = 0; k < keys; k++)
		own += bf_key_at(w, k)->own.budgets.count + bf_key_at(w, k)->own.budget.count;
	m.owners = bf_arena_alloc(w->arena, (others + 1) * sizeof(*m.owners));
	if (!m.owners)
		bf_whole_is_full(w);
	if (m.owners && bf_refs_init(w, &m.keys, keys) == 0 &&
	    bf_refs_init(w, &m.given, own + others) == 0) {
		for (uint32_t k = 0; k < keys; k++)
			bf_refs_add(&m.keys, bf_key_at(w, k)->own.id, NULL);
		bf_refs_sort(&m.keys);
		move(&m);
	}
	bf_refs_done(&m.keys);
	bf_refs_done(&m.given);
	for (uint32_t k = 0; w->budgets && k < keys; k++)
		for (uint32_t i = 0; i < bf_key_at(w, k)->own.budgets.count; i++)
			finish(w, k, i);
}

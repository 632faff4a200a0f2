/*
 * Rate limits stand in governance.rate_limits or at their owner; afterwards all stand in the
 * former. Called by complete_governance.c once owners have their ids.
 */
#include "common/schema/entity_parse.h"
#include "common/schema/owners.h"

#include <inttypes.h>
#include <string.h>

static void derive_id(struct bf_whole *w, enum bf_owner kind, struct bf_slice owner_id,
		      struct bf_slice *ret_id)
{
	const char *text = bf_arena_printf(w->arena, "%s/%.*s/rate_limit", bf_owner_name(kind),
					   BF_SLICE_FMT(owner_id));

	if (text)
		bf_id_derive(w, bf_slice_from(text), ret_id);
	else
		bf_whole_is_full(w);
}

bool bf_rate_limit_is_own(enum bf_owner kind, struct bf_slice owner_id, struct bf_slice id,
			  struct bf_arena *arena)
{
	struct bf_diags diags = {.arena = arena};
	struct bf_whole w = {.arena = arena, .diags = &diags};
	struct bf_slice derived = {NULL, 0};

	derive_id(&w, kind, owner_id, &derived);
	return id.len && bf_slice_eq(id, derived);
}

static void move(struct bf_whole *w, struct bf_owner_ref *owner)
{
	struct bf_array *list = &w->config->governance.rate_limits;
	struct bf_conf_rate_limit *rate = (struct bf_conf_rate_limit *)list->items + list->count;
	const struct bf_node *node = bf_node_member(owner->node, "rate_limit");
	char path[BF_OWNER_PATH_MAX];

	*rate = *(const struct bf_conf_rate_limit *)owner->own->rate_limit.items;
	owner->own->rate_limit = (struct bf_array){NULL, 0};
	/* It may stand there without a list around it. */
	w->owners->rates[list->count++] =
	    node && node->type == BF_NODE_LIST ? bf_node_child(node, 0) : node;
	if (rate->id.len == 0)
		derive_id(w, owner->kind, owner->own->id, &rate->id);
	if (owner->own->rate_limit_id.len && !bf_slice_eq(owner->own->rate_limit_id, rate->id))
		bf_diag(w->diags, BF_DIAG_ERROR, bf_pos_of(owner->node, "rate_limit"),
			"%s.rate_limit: has rate_limit_id too: keep one of them",
			bf_owner_path(owner, path));
	owner->own->rate_limit_id = rate->id;
}

void bf_rates_complete(struct bf_whole *w)
{
	struct bf_array *list = &w->config->governance.rate_limits;
	const struct bf_node *block = bf_governance_block(w, "rate_limits");
	const struct bf_node *node = block && block->type == BF_NODE_LIST ? block->first : NULL;
	uint32_t total = list->count;

	for (uint32_t i = 0; i < w->owners->count; i++)
		total += w->owners->items[i].own->rate_limit.count;
	w->owners->rates = bf_arena_alloc(w->arena, (total + 1) * sizeof(*w->owners->rates));
	struct bf_conf_rate_limit *items = bf_arena_alloc(w->arena, (total + 1) * sizeof(*items));
	if (!w->owners->rates || !items) {
		bf_whole_is_full(w);
		return;
	}
	if (list->count)
		memcpy(items, list->items, list->count * sizeof(*items));
	list->items = total ? items : NULL;
	for (uint32_t i = 0; i < list->count; i++, node = node ? node->next : NULL)
		w->owners->rates[i] = node;
	for (uint32_t i = 0; i < w->owners->count; i++)
		if (w->owners->items[i].own->rate_limit.count)
			move(w, &w->owners->items[i]);
	if (list->count > BF_RATE_LIMITS_MAX)
		bf_diag(w->diags, BF_DIAG_ERROR, bf_node_pos(block),
			"governance.rate_limits: are %" PRIu32 " with those at their owners: at "
			"most %d are allowed",
			list->count, BF_RATE_LIMITS_MAX);
}

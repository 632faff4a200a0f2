/*
 * What is written about windows and has no effect. Called by complete_governance.c; also holds what
 * the files of the governance block look nodes up with. Must never refuse anything: Bifrost takes
 * these files.
 */
#include <inttypes.h>

#include "common/base/window.h"
#include "common/schema/owners.h"

const struct bf_node *bf_governance_block(const struct bf_whole *w, const char *name)
{
	return bf_node_member(bf_node_member(w->root, "governance"), name);
}

bool bf_is_given(const struct bf_node *entry, const char *member)
{
	const struct bf_node *node = bf_node_member(entry, member);

	return node && !bf_node_is_null(node);
}

struct bf_pos bf_pos_of(const struct bf_node *entry, const char *member)
{
	const struct bf_node *node = bf_node_member(entry, member);

	return bf_node_pos(node ? node : entry);
}

/* ---- one window */

/* A window as it was written, and where. */
struct written {
	const struct bf_node *entry;
	struct bf_slice reset;
	const char *reset_name, *last_name;
};

/* Where it may follow the calendar. True: it does. */
static bool warn_aligned(struct bf_whole *w, const struct written *x)
{
	struct bf_window as_written, unit;
	char one[] = "1?";

	if (x->reset.len == 0 || bf_window_parse(x->reset, true, &as_written) < 0)
		return false;
	if (bf_is_given(x->entry, x->last_name))
		bf_diag(w->diags, BF_DIAG_WARNING, bf_pos_of(x->entry, x->last_name),
			"%s: has no effect: windows that follow the calendar begin with it",
			x->last_name);
	/* Names like "daily" end in no unit: they are one of theirs. */
	one[1] = x->reset.ptr[x->reset.len - 1];
	if (bf_window_parse(bf_slice_from(one), true, &unit) == 0 &&
	    unit.length_ms != as_written.length_ms)
		bf_diag(w->diags, BF_DIAG_WARNING, bf_pos_of(x->entry, x->reset_name),
			"%s: \"%.*s\" that follows the calendar is %s: the number before the unit "
			"does not count; write %s, or remove calendar_aligned",
			x->reset_name, BF_SLICE_FMT(x->reset), one, one);
	return true;
}

/* ---- rate limits: each may be that of many owners */

struct rates {
	struct bf_refs ids;
	struct rate_told {
		bool looked, follows;
	} * told;
};

static void warn_lonely(struct bf_whole *w, uint32_t i, bool limited, const char *max,
			const char *last)
{
	const struct bf_node *entry = w->owners->rates[i];

	if (!limited && bf_is_given(entry, last))
		bf_diag(w->diags, BF_DIAG_WARNING, bf_pos_of(entry, last),
			"%s: has no effect without %s", last, max);
}

/* With an aligned owner. True: one of its windows follows the calendar. */
static bool warn_rate(struct bf_whole *w, const struct bf_conf_rate_limit *rate, uint32_t i)
{
	const struct bf_node *entry = w->owners->rates[i];
	const struct written requests = {entry, rate->request_reset_duration,
					 "request_reset_duration", "request_last_reset"};
	const struct written tokens = {entry, rate->token_reset_duration, "token_reset_duration",
				       "token_last_reset"};
	bool follows = rate->request_max_limit && warn_aligned(w, &requests);

	if (rate->token_max_limit && warn_aligned(w, &tokens))
		follows = true;
	return follows;
}

static bool rate_follows(struct bf_whole *w, const struct rates *rates, struct bf_slice id)
{
	const struct bf_conf_rate_limit *items = w->config->governance.rate_limits.items;
	const struct bf_ref *ref = bf_refs_find(&rates->ids, id);
	struct rate_told *told = ref ? &rates->told[ref->index] : NULL;

	if (told && !told->looked)
		*told = (struct rate_told){true, warn_rate(w, &items[ref->index], ref->index)};
	return told && told->follows;
}

/* ---- owners */

static void warn_owner(struct bf_whole *w, const struct rates *rates,
		       const struct bf_owner_ref *owner)
{
	const struct bf_conf_owner *own = owner->own;
	const struct bf_conf_budget *budgets = own->budgets.items;
	bool follows = own->calendar_aligned && rate_follows(w, rates, own->rate_limit_id);
	char path[BF_OWNER_PATH_MAX];

	for (uint32_t i = 0; i < own->budgets.count; i++) {
		const struct written x = {owner->budgets[i], budgets[i].reset_duration,
					  "reset_duration", "last_reset"};

		if (own->calendar_aligned || budgets[i].calendar_aligned)
			follows |= warn_aligned(w, &x);
	}
	if (own->calendar_aligned && !follows)
		bf_diag(w->diags, BF_DIAG_WARNING, bf_pos_of(owner->node, "calendar_aligned"),
			"%s.calendar_aligned: has no effect: no window of the %s is one of days, "
			"weeks, months, quarters or years",
			bf_owner_path(owner, path),
			owner->kind == BF_OWNER_VIRTUAL_KEY ? "key" : bf_owner_noun(owner->kind));
}

void bf_windows_warn(struct bf_whole *w)
{
	const struct bf_array *list = &w->config->governance.rate_limits;
	const struct bf_conf_rate_limit *items = list->items;
	struct rates rates = {
	    .told = bf_arena_alloc(w->arena, (list->count + 1) * sizeof(*rates.told))};

	if (!rates.told || bf_refs_init(w, &rates.ids, list->count) < 0)
		return;
	for (uint32_t i = 0; i < list->count; i++) {
		bf_refs_add(&rates.ids, items[i].id, NULL);
		warn_lonely(w, i, items[i].request_max_limit != 0, "request_max_limit",
			    "request_last_reset");
		warn_lonely(w, i, items[i].token_max_limit != 0, "token_max_limit",
			    "token_last_reset");
	}
	bf_refs_sort(&rates.ids);
	for (uint32_t i = 0; i < w->owners->count; i++)
		warn_owner(w, &rates, &w->owners->items[i]);
	bf_refs_done(&rates.ids);
}

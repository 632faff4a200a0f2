/*
 * Entries of the configuration by their ids. Called while a plan is made. Must never take one of
 * two entries at random: the first of the list is the one.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/base/macros.h"
#include "common/govern/plan_priv.h"

static int compare(const void *va, const void *vb)
{
	const struct plan_id *a = va, *b = vb;
	int r = bf_slice_compare(a->id, b->id);

	return r ? r : (a->index > b->index) - (a->index < b->index);
}

int plan_ids_make(struct plan_ids *ret_ids, const struct bf_array *list, size_t stride,
		  size_t offset, struct bf_arena *arena)
{
	struct plan_ids ids = {.count = list->count};

	ids.items = bf_arena_alloc(arena, list->count * sizeof(*ids.items));
	if (!ids.items)
		return -ENOMEM;
	for (uint32_t i = 0; i < list->count; i++) {
		const char *item = (const char *)list->items + i * stride + offset;

		ids.items[i].index = i;
		memcpy(&ids.items[i].id, item, sizeof(ids.items[i].id));
	}
	if (ids.count)
		qsort(ids.items, ids.count, sizeof(*ids.items), compare);
	*ret_ids = ids;
	return 0;
}

uint32_t plan_ids_find(const struct plan_ids *ids, struct bf_slice id)
{
	uint32_t from = 0, to = ids->count;

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;

		if (bf_slice_compare(ids->items[middle].id, id) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	if (from == ids->count || !bf_slice_eq(ids->items[from].id, id))
		return PLAN_ID_NONE;
	return ids->items[from].index;
}

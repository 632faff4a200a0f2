/*
 * Sorts what a page is taken from. Called for questions that ask for an order. Must never hold more
 * than its bound, nor copy what the snapshot has.
 */
#include "writerd/reader/look_order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/macros.h"

#define ROOM_FIRST 256u

int look_order_add(struct look_order *o, const struct bf_entity *e, int64_t number)
{
	uint32_t room = o->room ? 2 * o->room : ROOM_FIRST;
	struct look_place *items;

	if (o->count == LOOK_ORDER_MAX)
		return BF_E_FULL;
	if (o->count == o->room) {
		items = realloc(o->items, room * sizeof(*items));
		if (!items)
			return -ENOMEM;
		o->items = items;
		o->room = room;
	}
	o->items[o->count++] = (struct look_place){number, e->id, e->name};
	return 0;
}

static int by_id(const struct look_place *a, const struct look_place *b)
{
	return bf_slice_compare(a->id, b->id);
}

static int numbers_up(const void *va, const void *vb)
{
	const struct look_place *a = va, *b = vb;
	int r = (a->number > b->number) - (a->number < b->number);

	return r ? r : by_id(a, b);
}

static int numbers_down(const void *va, const void *vb)
{
	const struct look_place *a = va, *b = vb;
	int r = (a->number < b->number) - (a->number > b->number);

	return r ? r : by_id(a, b);
}

static int names_up(const void *va, const void *vb)
{
	const struct look_place *a = va, *b = vb;
	int r = bf_slice_compare(a->name, b->name);

	return r ? r : by_id(a, b);
}

static int names_down(const void *va, const void *vb)
{
	const struct look_place *a = va, *b = vb;
	int r = bf_slice_compare(b->name, a->name);

	return r ? r : by_id(a, b);
}

void look_order_sort(struct look_order *o, enum bf_entity_order by, bool descending)
{
	int (*compare)(const void *, const void *) = descending ? numbers_down : numbers_up;

	if (by == BF_ORDER_NAME)
		compare = descending ? names_down : names_up;
	if (o->count > 1)
		qsort(o->items, o->count, sizeof(*o->items), compare);
}

void look_order_done(struct look_order *o)
{
	free(o->items);
	*o = (struct look_order){NULL, 0, 0};
}

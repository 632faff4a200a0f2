/* Entities in the order that a question asks for. */
#pragma once

#include "common/ipc/messages_entity.h"
#include "common/snapshot/entity.h"

#define LOOK_ORDER_MAX 100000u /* that are sorted at once: 4 MB */

struct look_place {
	int64_t number;
	struct bf_slice id, name; /* of the snapshot */
};

/* Begins as zero. */
struct look_order {
	struct look_place *items;
	uint32_t count, room;
};

/* number: of it, where the order is one of numbers. -ENOMEM; BF_E_FULL: they are too many. */
int look_order_add(struct look_order *o, const struct bf_entity *e, int64_t number);
/* Whatever the direction, ids of those that are alike ascend. */
void look_order_sort(struct look_order *o, enum bf_entity_order by, bool descending);
void look_order_done(struct look_order *o);

/* Control messages and status of writerd. */
#pragma once

#include "common/proc/child.h"

extern const struct bf_child_handler control_handlers[];

/* Items of `bifrostctl status`. */
void control_status(struct bf_child *child, struct bf_array *items, struct bf_arena *arena);

/* For struct sweep: tells the supervisor that a slot is free. */
void control_slot_freed(void *child, uint32_t p);

/*
 * Questions of one child to another, passed on under ids of our own, and their answers. Bodies and
 * descriptors go through unread.
 */
#pragma once

#include "supervisor/crew.h"
#include "supervisor/pending.h"

struct asks {
	struct crew *crew;
	struct pending pending; /* askers and peers by their process slots */
};

void asks_init(struct asks *a, struct crew *crew);

/* A permitted frame from a child to a role that is a child's: a question, its cancel, or a reply.
 */
void asks_frame(struct asks *a, struct child *from, const struct bf_frame *f);

/* What it asked is forgotten, what it was asked is answered with an error. */
void asks_child_gone(struct asks *a, const struct child *child);
/* Once a second: answers what nobody answered in time. */
void asks_tick(struct asks *a);

/*
 * Changes as they come: those that wait while a flip is under way become one group, with one
 * transaction and one overlay; each is answered when its group is in force, or refused at once.
 */
#pragma once

#include "common/base/list.h"
#include "common/proc/child.h"
#include "writerd/change/change.h"

#define CHANGES_WAITING_MAX 256u /* more are answered 503 */
#define CHANGES_GROUP_MAX   64u

struct changes {
	struct bf_child *child;
	struct registry *r;
	struct bf_list waiting; /* not looked at yet */
	struct bf_list flying;  /* stored; to be in force */
	uint32_t waiting_count;
	uint64_t answered, refused;
};

void changes_init(struct changes *c, struct bf_child *child, struct registry *r);
/* Nobody is answered any more: what is stored is found by the next writerd. */
void changes_done(struct changes *c);

/* One BF_MSG_ENTITY_CHANGE. */
void changes_take(struct changes *c, const struct bf_frame *f);
/* The asker wants no answer any more: what was not looked at is forgotten. */
void changes_cancel(struct changes *c, uint16_t asker, uint32_t request);
/* A flip is over. */
void changes_published(struct changes *c, int code, const char *why);

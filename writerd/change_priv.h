/* What the parts of a change share. */
#pragma once

#include "common/schema/entity_parse.h"
#include "writerd/change.h"

struct change {
	struct registry *r;
	const struct bf_msg_entity_change *ask;
	struct bf_arena *arena;
	struct change_answer *answer;
	const struct bf_entity_def *def;
	struct entity *before; /* that lives; NULL: none */
	struct bf_slice id;
	void *object;          /* as it shall be */
	struct bf_slice value; /* a new secret, to be shown once; empty: none */
	struct bf_entity_body body;
};

/* Is it one of its kind, and is there whom it names? true, or it was refused. */
bool change_check(struct change *c);
/* Nobody names it? true, or it was refused. */
bool change_check_unnamed(struct change *c);

/* Refuses with one line, that may name a member. Returns false. */
bool change_no(struct change *c, int http_status, const char *type, const char *fmt, ...)
    BF_PRINTF(4, 5);
/* Refuses with what the body has of faults. Returns false. */
bool change_no_parts(struct change *c, int http_status, const char *type);

/* The slot of the object's id. */
struct bf_slice *change_id_slot(const struct bf_entity_def *def, void *object);

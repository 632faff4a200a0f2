/*
 * The entities of the configuration file, against those that there are: what is new in it or says
 * something else than at its last import is taken over, once; what came from it, was not changed
 * since and is gone from it goes. Pure.
 */
#pragma once

#include "common/schema/config.h"
#include "writerd/entity/entity_make.h"

struct import {
	struct entity **changes; /* in the order in which they are to be put; the caller's */
	uint32_t count, room;
	uint32_t taken, gone; /* of them */
};

/*
 * t is only looked at. Objects are made in the arena. 0, -ENOMEM, or BF_E_LIMIT with err for an
 * entry that is too large.
 */
int import_file(struct import *ret_import, const struct entities *t, const struct bf_config *config,
		const struct entity_maker *m, int64_t now_ms, struct bf_arena *arena,
		struct bf_err *err);
/* Frees the list, and those of its entities that are still there (NULL: they were taken). */
void import_done(struct import *i);

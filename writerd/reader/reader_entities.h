/*
 * Questions about entities, answered from the snapshot in force: one, a page of a type, the budgets
 * and rate limits of all, the quota of a key. The answer is JSON in any case; its status says
 * whether it is a refusal.
 */
#pragma once

#include "common/base/buf.h"
#include "common/ipc/messages_entity.h"
#include "common/snapshot/snapshot.h"
#include "shm/segment.h"

struct entities_answer {
	int http_status;
	uint64_t version; /* of the one that was asked for; else 0 */
};

/* s NULL: nothing is in force yet. Appends to out. 0, -ENOMEM, BF_E_LIMIT: too much for one answer.
 */
int entities_look(const struct bf_snapshot *s, const struct shm_segment *seg,
		  const struct bf_msg_entity_query *q, struct bf_buf *out,
		  struct entities_answer *ret_answer);

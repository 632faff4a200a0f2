/*
 * One change that a client of the management API asks for: decoded, merged, completed, checked
 * against everything, and put into the group of the registry. Says in JSON how it went.
 */
#pragma once

#include "common/base/buf.h"
#include "common/ipc/messages_entity.h"
#include "writerd/change/registry.h"

#define CHANGE_ANSWER_MAX  (4u << 20)
#define CHANGE_ARENA_BYTES (32u << 20)

struct change_answer {
	int http_status;
	uint64_t version; /* of the entity as it is then; 0: of no concern */
	struct bf_buf json;
	bool changed; /* something was put: the answer holds once it is in force */
};

/*
 * Between registry_begin and registry_commit; a reset of usage behind them, as it changes no
 * entity. ret_answer is whole in any case; its buffer is the caller's to free. arena: no-dump, for
 * the time of the call.
 */
void change_apply(struct registry *r, const struct bf_msg_entity_change *ask,
		  struct bf_arena *arena, struct change_answer *ret_answer);

/* An answer that is a refusal. */
void change_refuse(struct change_answer *a, int http_status, const char *type, const char *text);

/* Query strings of /api/logs into a question: pure. */
#pragma once

#include "common/base/arena.h"
#include "common/ipc/messages.h"

#define LOGS_DEFAULT_LIMIT 50u

/*
 * Everything in ret_query lives in the arena. 0, -ENOMEM, or another code with err naming the
 * parameter, what is wrong with it and how to mend it.
 */
int logs_query_parse(struct bf_slice query, int64_t now_wall_ms, struct bf_arena *arena,
		     struct bf_msg_logs_query *ret_query, struct bf_err *err);

/* RFC 3339 ("2026-11-21T10:00:00Z", "...+01:00", with or without a fraction), or seconds or
 * milliseconds since 1970. BF_E_SYNTAX, BF_E_RANGE. */
int logs_time_parse(struct bf_slice text, int64_t *ret_wall_ms);

/* Query strings of /api/logs into a question: pure. */
#pragma once

#include "common/base/arena.h"
#include "common/ipc/messages.h"

#define LOGS_DEFAULT_LIMIT 50u
#define LOGS_ID_MAX        128u /* of an x-request-id */

/*
 * Everything in ret_query lives in the arena. 0, -ENOMEM, or another code with err naming the
 * parameter, what is wrong with it and how to mend it.
 */
int logs_query_parse(struct bf_slice query, int64_t now_wall_ms, struct bf_arena *arena,
		     struct bf_msg_logs_query *ret_query, struct bf_err *err);

/*
 * A question for one row: text is a row's id, in either case, or what a client calls its request (1
 * to LOGS_ID_MAX visible ASCII characters), percent-encoded. BF_E_SYNTAX: neither; -ENOMEM.
 */
int logs_id_parse(struct bf_slice text, int64_t now_wall_ms, struct bf_arena *arena,
		  struct bf_msg_logs_query *ret_query);

/* RFC 3339 ("2026-11-21T10:00:00Z", "...+01:00", with or without a fraction), or seconds or
 * milliseconds since 1970. BF_E_SYNTAX, BF_E_RANGE. */
int logs_time_parse(struct bf_slice text, int64_t *ret_wall_ms);

/*
 * The row of an exchange. Opened at admission (from then on the sweep would write it if this worker
 * died), closed exactly once, before the answer's last bytes leave.
 */
#pragma once

#include <stdbool.h>

#include "proxyd/exchange.h"

/* The method of a row's series: what was asked for, and whether as a stream. */
#define RECORD_METHOD(object_type, stream) ((uint32_t)(object_type) << 1 | ((stream) != 0))

/*
 * Takes an in-flight entry and keeps room for the row. x->id, provider, model and, as far as they
 * are known, x->record's object_type, request_id and parent_id are the row's; of a
 * further row (x->id is not x->first_id) the first one's id is its parent. May be called again once
 * the row was closed. False: the table or the ring is full, nothing was taken.
 */
bool record_open(struct exchange *x) BF_MUST_CHECK;
/* Takes it back: its limits refused. As if it had never been opened. */
void record_cancel(struct exchange *x);
/*
 * Attempt number n, from 2 on, begins with x->key. What the one before it had seen is forgotten; if
 * this worker dies, the row names this key. record_open is the first attempt.
 */
void record_attempt(struct exchange *x, uint32_t n);
void record_first_byte(struct exchange *x);
/* Absolute numbers; the in-flight entry follows. */
void record_progress(struct exchange *x, uint64_t prompt_tokens, uint64_t completion_tokens,
		     uint64_t cached_tokens);
/* Should the bodies be kept for the log? */
bool record_wants_content(const struct exchange *x);
/*
 * The row of a request that was never admitted, with x->refused_by: only of who is known, by a key
 * or by the limit, and of each only so many. Nothing is charged, no body kept. Gives x an id if it
 * has none.
 */
void record_refused(struct exchange *x, const struct exchange_outcome *why);
/* Pushes bodies and row, frees the entry, wakes the writer. Asserts that it was opened and not
 * closed. */
void record_close(struct exchange *x, const struct exchange_outcome *outcome);

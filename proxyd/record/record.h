/*
 * The row of an exchange. Opened at admission (from then on the sweep would write it if this worker
 * died), closed exactly once, before the answer's last bytes leave.
 */
#pragma once

#include <stdbool.h>

#include "proxyd/exchange.h"

/* Takes an in-flight entry and keeps room for the row. False: the table or the ring is full,
 * nothing was taken. */
bool record_open(struct exchange *x);
void record_first_byte(struct exchange *x);
/* Absolute numbers; the in-flight entry follows. */
void record_progress(struct exchange *x, uint64_t prompt_tokens, uint64_t completion_tokens,
		     uint64_t cached_tokens);
/* Should the bodies be kept for the log? */
bool record_wants_content(const struct exchange *x);
/* Pushes bodies and row, frees the entry, wakes the writer. Asserts that it was opened and not
 * closed. */
void record_close(struct exchange *x, const struct exchange_outcome *outcome);

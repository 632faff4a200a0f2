/* Server-sent events from bytes: where one ends, and what it says. Pure. */
#pragma once

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/slice.h"

/* Zeroed: at the beginning of an event. */
struct sse_scan {
	size_t scanned; /* bytes of the event that were looked at */
	bool in_line;   /* the line has bytes */
	bool after_cr;
	bool ended; /* by a CR: an LF may follow and belongs to it */
};

/*
 * bytes begin where the event does; call again with the same bytes and more behind them. Returns
 * the length of the event, its empty line included, and is ready for the next one; 0: more is
 * needed. Lines end with LF, CRLF or CR.
 */
size_t sse_next(struct sse_scan *s, const char *bytes, size_t len);

/*
 * The data of an event: that of its one data line, or of several, joined by LF in scratch. ptr
 * NULL: no data (a comment, say). BF_E_LIMIT, -ENOMEM.
 */
int sse_data(struct bf_slice event, struct bf_buf *scratch, struct bf_slice *ret_data);

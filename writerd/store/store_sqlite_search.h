/* Reading the logs store: what the reader process does. Never writes, not even beside the file. */
#pragma once

#include <stdint.h>

#include "common/base/buf.h"
#include "common/ipc/messages.h"

#define SEARCH_LIMIT_MS  5000        /* a question that takes longer is given up */
#define SEARCH_MAX_BYTES (16u << 20) /* of an answer */

struct search;

/*
 * Opens nothing yet: the file may not be there. alive is called now and then while a question runs,
 * at least every half second. NULL: out of memory.
 */
struct search *search_new(const char *path, void (*alive)(void *owner), void *owner);
void search_free(struct search *s);

/*
 * Appends the answer to q as JSON. 0, or a code with a line for the person who asked: BF_E_UNKNOWN
 * (no row has this id), BF_E_TIMEOUT, BF_E_LIMIT (too large an answer), BF_E_STATE (the file is not
 * there yet, or not of this version), or what the database said. After an error out is worthless.
 */
int search_run(struct search *s, const struct bf_msg_logs_query *q, struct bf_buf *out,
	       struct bf_err *err);

/* Closes a file that is no longer the one its path names; once a second. */
void search_tick(struct search *s);

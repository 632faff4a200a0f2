/* Control messages shown to whoever asked (bifrostctl trace). Never slows anything down: a slow
 * reader is dropped. */
#pragma once

#include "supervisor/admin.h"

/* A reader with this many frames waiting reads too slowly. */
#define TRACE_MAX_WAITING (BF_CHANNEL_MAX_FRAMES / 2)

struct trace {
	struct admin *admin;
	uint32_t count; /* readers; most of the time 0, so that a frame costs one comparison */
	struct admin_ticket readers[ADMIN_MAX_SEATS];
	uint64_t shown, dropped_readers;
};

/* From now on parts go to this asker until trace_stop or its end. BF_E_DUPLICATE when it traces
 * already. */
int trace_start(struct trace *t, const struct admin_ticket *asker);
/* What bifrostctl cancels, or a connection that is gone (request 0: all of it). True when it
 * traced. */
bool trace_stop(struct trace *t, const struct admin_connection *c, uint32_t request);

/* One frame that passes; end is the connection it comes from or goes to (its own frames are not
 * shown to it), or NULL. */
void trace_frame(struct trace *t, const struct bf_frame *f, const struct admin_connection *end);

/* One traced frame as a line of text or as one JSON object. */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/ipc/messages.h"

/*
 * Appends one line, terminated by a newline. A frame or body that cannot be read is shown as far as
 * it can. 0, BF_E_LIMIT or -ENOMEM. The arena holds the decoded body meanwhile.
 */
int ctl_trace_text(const struct bf_msg_traced *t, struct bf_arena *arena, struct bf_buf *out);
int ctl_trace_json(const struct bf_msg_traced *t, struct bf_arena *arena, struct bf_buf *out);

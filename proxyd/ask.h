/*
 * Questions of this worker to other processes, over the control channel. The exchange that asks is
 * parked (state CALLING, no in-flight entry) until the answer, the timeout or its client's end.
 */
#pragma once

#include <ev.h>

#include "common/ipc/channel.h"
#include "common/ipc/messages.h"
#include "proxyd/exchange.h"

#define ASK_MAX        64u /* outstanding questions of a worker; further ones: BF_E_FULL */
#define ASK_TIMEOUT_MS 10000

/*
 * Called once: code 0 and the answer's JSON, or an error with a line for the client (BF_E_TIMEOUT
 * after ASK_TIMEOUT_MS, BF_E_CLOSED when nobody is there to answer). The exchange is still CALLING;
 * the callee answers it. text lives during the call.
 */
typedef void (*ask_done)(struct exchange *x, int code, struct bf_slice text);

struct ask {
	uint32_t id; /* 0: unused */
	struct exchange *x;
	ask_done done;
	int64_t deadline_mono_ms;
};

struct ask_table {
	struct worker *worker;
	struct bf_channel *channel;
	uint16_t endpoint; /* ours */
	uint32_t last_id, waiting;
	ev_timer timer; /* of the oldest question */
	struct ask asks[ASK_MAX];
};

void ask_open(struct ask_table *t, struct worker *w, struct bf_channel *channel, uint16_t endpoint);
/* No question may be outstanding. */
void ask_close(struct ask_table *t);

/*
 * Asks the reader. 0: x is parked and done follows from the loop, unless x->cancel is called. Else
 * nothing happened: BF_E_FULL, BF_E_LIMIT (the question does not fit a frame), or what the channel
 * said.
 */
int ask_logs(struct ask_table *t, struct exchange *x, const struct bf_msg_logs_query *q,
	     ask_done done);

/* From the control channel; answers that nobody waits for are dropped. fd stays the caller's. */
void ask_result(struct ask_table *t, uint32_t request, uint64_t size, int fd);
void ask_error(struct ask_table *t, uint32_t request, const struct bf_msg_error *error);

/*
 * Questions of this worker to other processes, over the control channel. The exchange that asks is
 * parked (state CALLING, no in-flight entry) until the answer, the timeout or its client's end.
 */
#pragma once

#include <ev.h>

#include "common/ipc/channel.h"
#include "common/ipc/messages.h"
#include "proxyd/exchange.h"

#define ASK_MAX 64u /* outstanding questions of a worker; further ones: BF_E_FULL */

/* text: the answer's JSON, or with an error a line for the client. */
struct ask_answer {
	int code; /* 0, BF_E_TIMEOUT after the question's limit (ipc/deadlines.h), BF_E_CLOSED when
		     nobody is there to answer, or what was answered */
	int http_status;  /* with code 0 */
	uint64_t version; /* of an entity; 0: of several, or none */
	struct bf_slice text;
};

/* Called once. The exchange is still CALLING; the callee answers it, or asks again. answer lives
 * during the call.
 */
typedef void (*ask_done)(struct exchange *x, const struct ask_answer *answer);

struct ask {
	uint32_t id; /* 0: unused */
	uint16_t type;
	struct exchange *x;
	ask_done done;
	int64_t deadline_mono_ms;
};

struct ask_table {
	struct worker *worker;
	struct bf_channel *channel;
	uint16_t endpoint; /* ours */
	uint32_t last_id, waiting;
	ev_timer timer; /* of the question that is given up first */
	struct ask asks[ASK_MAX];
};

void ask_open(struct ask_table *t, struct worker *w, struct bf_channel *channel, uint16_t endpoint);
/* No question may be outstanding. */
void ask_close(struct ask_table *t);

/*
 * Ask the reader (questions) or writerd (changes). 0: x is parked and done follows from the loop,
 * unless x->cancel is called. Else nothing happened: BF_E_FULL, BF_E_LIMIT (the question does not
 * fit a frame), or what the channel said.
 */
int ask_logs(struct ask_table *t, struct exchange *x, const struct bf_msg_logs_query *q,
	     ask_done done);
int ask_entities(struct ask_table *t, struct exchange *x, const struct bf_msg_entity_query *q,
		 ask_done done);
/* What was asked for may be done although the answer says that nobody answered. */
int ask_change(struct ask_table *t, struct exchange *x, const struct bf_msg_entity_change *change,
	       ask_done done);
/* The reader, to fetch the price sheet. */
int ask_price_sync(struct ask_table *t, struct exchange *x, const struct bf_msg_price_sync *sync,
		   ask_done done);

/* From the control channel; answers that nobody waits for are dropped. fd stays the caller's. */
void ask_logs_result(struct ask_table *t, uint32_t request, const struct bf_msg_logs_result *m,
		     int fd);
void ask_entity_result(struct ask_table *t, uint32_t request, const struct bf_msg_entity_result *m,
		       int fd);
void ask_error(struct ask_table *t, uint32_t request, const struct bf_msg_error *error);

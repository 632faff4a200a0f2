/*
 * One request on its way: the object that travels through front, gate, provider and record. It stands on the ground floor
 * and knows none of them; the way back to the client goes through the callbacks in `out`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/rand.h"
#include "common/base/slice.h"
#include "common/codec/json_tape.h"
#include "shm/usage.h"

struct exchange;

/* Back to the client. Set by the front before the exchange enters the gate. */
struct exchange_out {
	/* A whole answer: head and body leave together, the exchange is over. */
	void (*answer)(struct exchange *x, int http_status, struct bf_slice content_type, struct bf_slice body);
	/* A stream: head, then events; more events may be held back by back-pressure (see ready_to_send). */
	void (*stream_start)(struct exchange *x);
	void (*stream_event)(struct exchange *x, struct bf_slice bytes);
	void (*stream_end)(struct exchange *x);
};

enum exchange_state {
	EXCHANGE_READING,  /* the front collects the body */
	EXCHANGE_GATE,	   /* route, model, provider, admission */
	EXCHANGE_CALLING,  /* the provider works on it */
	EXCHANGE_STREAMING,
	EXCHANGE_DONE,	   /* recorded; nothing may touch it but the front, which frees it */
	EXCHANGE_STATE_COUNT,
};

enum exchange_method {
	EXCHANGE_GET,
	EXCHANGE_POST,
	EXCHANGE_OTHER,
};

struct exchange {
	enum exchange_state state;
	enum exchange_method method;
	struct bf_slice path;	  /* without the query */
	struct bf_slice query;
	struct bf_slice request_id; /* the client's x-request-id, or empty */
	struct bf_slice body;
	struct bf_arena arena;	  /* request lifetime, no-dump */
	struct bf_json_tape json; /* of body; count 0 before the gate read it */

	struct bf_uuid id;	  /* made at admission */
	int64_t started_mono_ns, started_wall_ns;
	struct bf_slice provider, model; /* as routed */
	bool wants_stream;
	int inflight; /* entry in the in-flight table, -1: not admitted */

	struct shm_usage_record record; /* filled on the way, written once by record/ */

	const struct exchange_out *out;
	void *front;	/* the client's connection; only out's functions look at it */
	void *provider_call; /* the provider's state of this call; only the provider looks at it */
	/* Set by the provider while it works: the client is gone, stop and settle. */
	void (*cancel)(struct exchange *x);
};

/* The one place that changes x->state; asserts that the step is legal. */
void exchange_set_state(struct exchange *x, enum exchange_state next);
const char *exchange_state_name(enum exchange_state s);

/*
 * One request on its way: the object that travels through front, gate, provider and record. It
 * stands on the ground floor and knows none of them. The way back is by callbacks: `out` to the
 * client (set by the front), `sink` to the gate (set by the gate for the provider), `call_*` to the
 * provider (set by the provider).
 *
 * Life: the front makes it when a header section is complete and frees it after its answer; whoever
 * calls answer(), stream_end() or on_done() must not touch it afterwards.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/rand.h"
#include "common/base/slice.h"
#include "common/govern/plan.h"
#include "common/govern/price.h"
#include "shm/usage.h"

struct bf_conf_provider_key;
struct call;
struct everybody;
struct exchange;
struct keyring_key;
struct provider_set;
struct route;
struct worker;

/* Back to the client. Set by the front before the exchange enters the gate. */
struct exchange_out {
	/*
	 * A whole answer: head and body leave together, the exchange is over. x->retry_after_s,
	 * x->allow and x->answer_head become headers. body needs to live during the call only.
	 */
	void (*answer)(struct exchange *x, int http_status, struct bf_slice content_type,
		       struct bf_slice body);
	/* A stream: head, then events, each whole; what is given within one turn of the loop leaves
	 * in one write. */
	void (*stream_start)(struct exchange *x);
	void (*stream_event)(struct exchange *x, struct bf_slice bytes);
	void (*stream_end)(struct exchange *x);
	/* false: the client reads slower than events come; give no more until x->call_resume is
	 * called. */
	bool (*stream_ready)(const struct exchange *x);
};

/* What went wrong with an attempt, for who decides whether there is another. */
enum exchange_fault {
	EXCHANGE_FAULT_NONE,
	EXCHANGE_FAULT_STATUS,  /* the upstream answered, with http_status */
	EXCHANGE_FAULT_NETWORK, /* no name, no connection, cut, silent, or not HTTP */
	EXCHANGE_FAULT_LOCAL,   /* ours: memory, a full queue, no key */
};

/* How an attempt ended, as the provider saw it. */
struct exchange_outcome {
	enum exchange_fault fault;
	int http_status;        /* for the row, and for the client when no on_head came */
	const char *error_type; /* NULL: success; else a short snake_case name */
	const char *error_text; /* one line for a person */
	bool truncated;         /* the upstream ended without its terminal event */
	/* Last events of a stream: sent after the record is written. With an error_type they are
	 * the provider's own words about it: none of ours follow. */
	struct bf_slice tail;
};

/*
 * What a provider reports about a call: on_head at most once, then pieces, then on_done exactly
 * once, at any later turn of the loop or from within start() itself. After on_done, or after its
 * call_cancel was called, it reports nothing more.
 */
struct exchange_sink {
	void (*on_head)(struct exchange *x, int http_status, bool is_stream);
	/*
	 * A plain answer: any piece of the body. A stream: whole events in the client's dialect.
	 * False: the answer did not fit and the call was ended (call_cancel has run, x is gone):
	 * touch nothing.
	 */
	bool (*on_body)(struct exchange *x, struct bf_slice bytes) BF_MUST_CHECK;
	/*
	 * A stream's event that says why the answer stopped, or that carries its usage: on the
	 * unified routes extra_fields are put into it. json is its data, within event. Else as
	 * on_body.
	 */
	bool (*on_final)(struct exchange *x, struct bf_slice event,
			 struct bf_slice json) BF_MUST_CHECK;
	/* Tokens seen so far, absolute: what a row says if this worker dies now. */
	void (*on_usage)(struct exchange *x, uint64_t prompt_tokens, uint64_t completion_tokens,
			 uint64_t cached_tokens);
	/* Before on_head: the connection was dead, the same request goes out once more. */
	void (*on_repeat)(struct exchange *x);
	void (*on_done)(struct exchange *x, const struct exchange_outcome *outcome);
};

enum exchange_state {
	EXCHANGE_READING, /* the front collects the body */
	EXCHANGE_GATE,    /* route, model, provider, admission */
	EXCHANGE_CALLING, /* the provider works on it */
	EXCHANGE_STREAMING,
	EXCHANGE_DONE, /* recorded; nothing may touch it but the front, which frees it */
	EXCHANGE_STATE_COUNT,
};

enum exchange_method {
	EXCHANGE_GET,
	EXCHANGE_HEAD,
	EXCHANGE_POST,
	EXCHANGE_PUT,
	EXCHANGE_PATCH,
	EXCHANGE_DELETE,
	EXCHANGE_OPTIONS,
	EXCHANGE_OTHER,
};

/* A header of the request as it came; lookups ignore the case of names. */
struct exchange_header {
	struct bf_slice name, value;
};

/* A provider and a model to try: the first is what `model` says, the others are its fallbacks. */
struct exchange_target {
	struct bf_slice provider, model;
};

/* A place of the body that goes upstream as something else: [from, to) becomes text. All zero:
 * nothing changes. */
struct exchange_edit {
	uint32_t from, to;
	struct bf_slice text;
};

/* What the present target may spend of the virtual key's limits. */
struct exchange_spend {
	const struct bf_conf_price *price; /* of the target and its key; NULL: unknown */
	struct bf_price_bound bound;       /* of it; what is reserved is at most this */
	/* Asked for, read only for keys with limits: */
	bool bounded; /* the client gave a maximum of output tokens: */
	uint64_t max_tokens;
	uint32_t choices;                     /* 0: not said */
	uint32_t prompts;                     /* that each get answers; 0: one */
	uint32_t listed_tokens, listed_bytes; /* given as numbers */
	enum bf_service_tier tier;            /* asked for; read of every request with a price */
	/* Reserved, while metered: */
	bool metered; /* x->inflight holds reservations */
	bool last;    /* there was no more to be had: what is reserved is all */
	bool over;    /* that is used up: the stream ends */
	uint64_t prompt_tokens, output_tokens;
	int64_t nusd;          /* what these cost */
	struct bf_slice lines; /* x-ratelimit-*, for the answer */
};

struct exchange {
	struct worker *worker;
	struct exchange *next_spare; /* while it lies in the worker's cache */
	enum exchange_state state;
	enum exchange_method method;
	struct bf_slice path; /* without the query */
	struct bf_slice query;
	struct bf_slice request_id;            /* the client's x-request-id, or empty */
	const struct exchange_header *headers; /* in the arena */
	uint32_t header_count;
	bool from_loopback; /* the client's address is this machine's own */
	uint8_t peer[16];   /* its address, as in bf_addr_bytes() */
	bool authorized;    /* Authorization opened this gateway's door: it holds no virtual key */
	void *api_state;    /* of an operation of the API; only proxyd/api looks at it */
	const char *actor;  /* who asks the management API, for the log; NULL: not known yet */
	char traceparent[56];       /* for the call upstream and for the answer; "": none */
	struct bf_slice tracestate; /* only beside a traceparent of the client's */
	struct bf_slice body;
	bool body_encoded;        /* the client named a content-encoding */
	struct bf_arena arena;    /* request lifetime, no-dump */
	struct bf_buf body_bytes; /* no-dump; body refers to it */
	struct bf_buf
	    answer; /* a plain answer as it comes in, or a stream's copy for the log; no-dump */
	uint64_t body_charged, answer_charged; /* of the worker's budgets */

	const struct route *route;
	enum shm_usage_object object; /* of the route, for rooms that know none; 0: no model call */
	struct bf_slice rest; /* of the path, as it came: behind a route that ends with "/" */
	/* Where it goes: the target that is being tried, its names, and its key (NULL: none
	 * needed). */
	struct exchange_target *targets; /* in the arena */
	uint32_t target_count, target;
	struct bf_slice provider, model;
	const struct bf_conf_provider_key *key;
	struct bf_slice pin_key_name, pin_key_id; /* x-bf-api-key, x-bf-api-key-id; or empty */
	const struct bf_plan_key *virtual_key;    /* who asks; NULL: no key was given */
	struct keyring_key *held_key;   /* what it lies in, and what everybody meets: the gate's, */
	struct everybody *everybody;    /* held until x is freed */
	struct provider_set *providers; /* the same; NULL: those of the worker */
	void (*release)(struct exchange *x); /* NULL: nothing is held */
	bool governed;                       /* it may cost something, or meet limits */
	struct bf_plan_path limits;          /* of the present target; in the plan or the arena */
	struct exchange_spend spend;
	/* What the provider says about the cost of this attempt, beside the record's tokens; the
	 * record begins it. */
	struct bf_price_usage paid;
	bool tier_told; /* paid.tier is the provider's word, not what was asked for */
	/*
	 * What the gate found in the body, whose tape does not outlive its reading: the value of
	 * `model` (its text is x->model, which changes with the target), the member `fallbacks`,
	 * and where a stream is told to report its usage, when its client did not ask for that.
	 */
	struct exchange_edit model_edit, fallbacks_edit, usage_edit;
	bool wants_stream, wants_usage_chunk;
	uint32_t stream_events;   /* given to the client before this one; the provider counts */
	bool forwarded;           /* an event went to the client: no way back */
	struct bf_uuid id;        /* made at admission; a fallback's row has one of its own */
	struct bf_uuid first_id;  /* of the primary: what the client is told */
	struct call *call;        /* attempts; only gate/call looks at it */
	int64_t deadline_mono_ms; /* of all attempts together; set at the first */
	int64_t started_mono_ns, started_wall_ns;
	int64_t row_mono_ns; /* the same of its row: a fallback's begins later */
	const struct shm_usage_blame *refused_by; /* in the arena; NULL: no limit did */
	bool admitted;
	int inflight;                   /* entry in the in-flight table, -1: none */
	struct shm_usage_record record; /* filled on the way, written once by record/ */

	int answer_status;           /* of on_head; 0 before */
	struct bf_slice answer_head; /* further headers of the answer: "Name: value" CRLF ... */
	unsigned retry_after_s;      /* 0: no such header */
	const char *allow;           /* NULL: no such header */

	const struct exchange_out *out;
	void *front; /* the client's connection; only out's functions look at it */
	/*
	 * Set by the gate while a provider works: stop, settle, record. The client is gone: the
	 * front frees x afterwards. The worker leaves: the client is told, x is over.
	 */
	void (*cancel)(struct exchange *x, const char *why);
	/* The front looks at the clock (about every FRONT_SWEEP_MS) while a provider works: is a
	 * heartbeat due? NULL: never. */
	void (*on_tick)(struct exchange *x, int64_t now_mono_ms);
	const struct exchange_sink *sink;
	void *provider_call; /* the provider's state of this call; only the provider looks at it */
	void (*call_cancel)(struct exchange *x);
	void (*call_resume)(struct exchange *x); /* stream_ready() is true again */
};

#define EXCHANGE_ARENA_MAX (32u << 20) /* hard cap of a request's arena */
#define EXCHANGE_BODY_KEEP (64u << 10) /* a cached exchange keeps buffers up to this size */
#define EXCHANGE_SPARES    64u         /* exchanges kept for reuse per worker */

/* Why an exchange is cancelled: error_type of its row. */
#define EXCHANGE_CLIENT_GONE "client_gone"
#define EXCHANGE_WORKER_LEFT "worker_stopped"

#define EXCHANGE_WORKER_LEFT_TEXT "this node is restarting; send it again"

#define EXCHANGE_HEADERS_MAX 128u /* further ones: 431 */
#define EXCHANGE_TARGETS_MAX 16u  /* the primary and its fallbacks */

/* The value of the first header of this name (given in lower case); ptr NULL: there is none. */
struct bf_slice exchange_find_header(const struct exchange *x, struct bf_slice name);

static inline struct bf_slice exchange_header(const struct exchange *x, const char *name)
{
	return exchange_find_header(x, bf_slice_from(name));
}

/* A fresh exchange in state READING, or NULL when memory is out. */
struct exchange *exchange_new(struct worker *w);
/* Gives its charges back and keeps or frees it. Must be DONE, READING or GATE: never while a
 * provider has it. */
void exchange_free(struct exchange *x);
/* Frees what exchange_free kept. */
void exchange_free_spares(struct worker *w);

/* Appends to the body within client.max_request_body_size (BF_E_LIMIT) and server.body_memory
 * (BF_E_FULL); -ENOMEM. */
int exchange_add_body(struct exchange *x, const char *bytes, size_t len);

/*
 * What so many tokens and x->paid cost, as the provider says or at the price of x's present target:
 * nano-dollars, at most what a meter takes at once; 0: it has no price. Where the provider does not
 * say at which tier it served, a tier that was asked for makes it dearer, never cheaper.
 */
int64_t exchange_cost_nusd(const struct exchange *x, uint64_t prompt, uint64_t completion,
			   uint64_t cached);
/* The most that so many tokens can cost there, which is what is reserved. */
int64_t exchange_bound_nusd(const struct exchange *x, uint64_t prompt, uint64_t completion);

/* The one place that changes x->state; asserts that the step is legal. */
void exchange_set_state(struct exchange *x, enum exchange_state next);
const char *exchange_state_name(enum exchange_state s);

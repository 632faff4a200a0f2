/* One provider of the OpenAI family and its calls, for proxyd/provider/openai*.c. */
#pragma once

#include "proxyd/provider/openai_said.h"
#include "proxyd/provider/openai_table.h"
#include "proxyd/provider/provider.h"
#include "proxyd/provider/sse.h"
#include "proxyd/provider/upstream.h"

#define OPENAI_EVENT_MAX   (4u << 20)  /* largest event of a stream */
#define OPENAI_SCRATCH_MAX (64u << 20) /* tape of a plain answer */

/* One server. */
struct openai_pool {
	struct upstream up;
	bool named;                          /* its host is known to the resolver */
	struct bf_buf heads[OPENAI_OBJECTS]; /* first lines of every request, by operation */
};

/* State of a provider; process lifetime. */
struct openai {
	const struct openai_family *family;
	struct upstream_queue queue;
	struct openai_pool *pools; /* the first is at base_url */
	uint32_t pool_count;
	uint32_t *pool_of_key;    /* by index of the key */
	struct bf_slice own_auth; /* Authorization of extra_headers: sent when there is no key */
	struct bf_arena scratch;  /* one tape at a time; no-dump */
	struct bf_buf joined;     /* data of an event of several lines; no-dump */
};

enum openai_mode {
	OPENAI_WAITING,  /* for the head */
	OPENAI_PLAIN,    /* relayed as it is, once it is whole */
	OPENAI_REPLACED, /* an error that is no JSON: only its status is told */
	OPENAI_STREAM,
};

/* Lives in the exchange's arena. */
struct openai_call {
	struct upstream_call up;
	struct exchange *x;
	struct provider *p;
	enum shm_usage_object object;
	enum openai_mode mode;
	int status;
	/* Of a stream: */
	struct sse_scan scan;
	struct bf_buf partial; /* the beginning of an event; no-dump */
	uint64_t partial_charged;
	uint64_t events; /* with data */
	uint64_t tokens; /* of the answer, about, while nobody tells */
	bool usage_seen, stop_seen, framed;
};

/* Starts one attempt. */
void openai_call_start(struct provider *p, struct exchange *x);
/* Asks for the names of models. */
void openai_models_start(struct provider *p, struct exchange *x);

/* The server of x->key. */
struct openai_pool *openai_pool_of(const struct provider *p, const struct exchange *x);
/* The name of an error that is an answer of this status. */
const char *openai_status_type(int http_status);
/* Tells the sink, before anything was sent. */
void openai_refuse(struct exchange *x, int http_status, const char *type, const char *text);

/* The call is over: gives back what it holds and tells the sink. Nothing may be touched after. */
void openai_finish(struct openai_call *call, const struct exchange_outcome *outcome);
/* The same for an answer that cannot be relayed to its end; type and text must be literals. */
void openai_give_up(struct openai_call *call, enum exchange_fault fault, int http_status,
		    const char *type, const char *text);
/* Numbers that were not told, until they are. */
void openai_estimate(struct openai_call *call, uint64_t completion_tokens);
/* Takes what an answer says about itself into the row; completion_tokens where it says nothing. */
void openai_heard(struct openai_call *call, const struct openai_said *said,
		  uint64_t completion_tokens);

/* A piece of a stream's body. False: the call is over. */
bool openai_stream_body(struct openai_call *call, struct bf_slice bytes);
/* The body ended in order. The call is over. */
void openai_stream_end(struct openai_call *call);

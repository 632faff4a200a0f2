/* One call to an OpenAI-compatible provider, for proxyd/provider/openai*.c. */
#pragma once

#include "proxyd/provider/openai_table.h"
#include "proxyd/provider/provider.h"
#include "proxyd/provider/sse.h"
#include "proxyd/provider/upstream.h"

#define OPENAI_EVENT_MAX   (4u << 20)  /* largest event of a stream */
#define OPENAI_SCRATCH_MAX (64u << 20) /* tape of a plain answer */
/* Where the provider tells no numbers: about this many bytes of JSON are a token. */
#define OPENAI_BYTES_PER_TOKEN 4u

/* State of a provider; process lifetime. */
struct openai {
	struct upstream up;
	const struct openai_family *family;
	struct bf_buf head;      /* first lines of every request */
	struct bf_arena scratch; /* one tape at a time; no-dump */
	struct bf_buf joined;    /* data of an event of several lines; no-dump */
};

enum openai_mode {
	OPENAI_WAITING,  /* for the head */
	OPENAI_PLAIN,    /* relayed as it is */
	OPENAI_REPLACED, /* an error that is no JSON: only its status is told */
	OPENAI_STREAM,
};

/* Lives in the exchange's arena. */
struct openai_call {
	struct upstream_call up;
	struct exchange *x;
	struct provider *p;
	enum openai_mode mode;
	int status;
	/* Of a stream: */
	struct sse_scan scan;
	struct bf_buf partial; /* the beginning of an event; no-dump */
	uint64_t partial_charged;
	uint64_t events;
	bool usage_seen;
};

/* The call is over: gives back what it holds and tells the sink. Nothing may be touched after. */
void openai_finish(struct openai_call *call, const struct exchange_outcome *outcome);
/* The same for an answer that cannot be relayed to its end; type and text must be literals. */
void openai_give_up(struct openai_call *call, int http_status, const char *type, const char *text);
/* Numbers that were not told, until they are. */
void openai_estimate(struct openai_call *call, uint64_t completion_tokens);
void openai_told(struct openai_call *call, uint64_t prompt_tokens, uint64_t completion_tokens,
		 uint64_t cached_tokens);

/* A piece of a stream's body. False: the call is over. */
bool openai_stream_body(struct openai_call *call, struct bf_slice bytes);

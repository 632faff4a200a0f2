/*
 * HTTP/1.1 answers from bytes: llhttp in strict mode for unusual heads and for chunks, our own code
 * for the rest. No I/O, no clock: fed by connections, by tests and by a fuzzer, in pieces of any
 * size, without keeping any.
 */
#pragma once

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/slice.h"
#include "proxyd/head_scan.h"
#include "proxyd/provider/upstream_lines.h"

#define UPSTREAM_HEAD_MAX          (64u << 10)
#define UPSTREAM_INFORMATIONAL_MAX 8u

enum upstream_http_phase {
	UPSTREAM_HTTP_HEAD,
	UPSTREAM_HTTP_LENGTH,
	UPSTREAM_HTTP_CHUNKS,
	UPSTREAM_HTTP_TRAILER,
	UPSTREAM_HTTP_TO_CLOSE, /* a body that ends with the connection */
	UPSTREAM_HTTP_DONE,
	UPSTREAM_HTTP_FAILED,
};

struct upstream_head {
	int status;
	bool encoded;          /* a Content-Encoding other than identity */
	bool framed;           /* the body has an end of its own, other than the connection's */
	char content_type[48]; /* lower case, without parameters; empty: none */
	char retry_after[32];  /* as it came; empty: none */
	char retry_after_ms[16];
	struct bf_slice lines; /* to be passed on, in the arena that was given */
};

struct upstream_http {
	enum upstream_http_phase phase;
	struct upstream_head head;
	bool keep_alive;    /* another answer may follow on this connection */
	const char *reason; /* FAILED: what is wrong */

	llhttp_t parser;
	struct head_scan scan;
	struct upstream_lines lines; /* its arena is given after a reset */
	char name[24], value[64];    /* header being read; longer ones are cut */
	size_t name_len, value_len;  /* in full */
	unsigned length_count, te_count;
	bool te_chunked, complete;
	unsigned informational;
	uint64_t left; /* LENGTH */
	uint64_t body_bytes, frame_bytes;
	/* During a feed only. */
	const struct upstream_http_events *events;
	void *ctx;
	bool stopped;
};

struct upstream_http_events {
	/* The head of the final answer. False stops the feed. */
	bool (*on_head)(void *ctx, const struct upstream_head *head);
	/* A piece of the body. False stops the feed. */
	bool (*on_body)(void *ctx, struct bf_slice bytes);
};

void upstream_http_reset(struct upstream_http *h);
/*
 * Returns how many bytes were used; fewer than len when the answer is DONE, FAILED or an event
 * stopped it (it must then be reset before it is fed again).
 */
size_t upstream_http_feed(struct upstream_http *h, const char *bytes, size_t len,
			  const struct upstream_http_events *events, void *ctx);
/* The peer closed. Phase is DONE or FAILED afterwards; orderly false: a cut, not an end. */
void upstream_http_end(struct upstream_http *h, bool orderly);

/*
 * HTTP/1.1 requests from bytes: llhttp in strict mode, with what it lets pass refused here. No I/O,
 * no clock: fed by the connection, by tests and by a fuzzer, in pieces of any size.
 */
#pragma once

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxyd/exchange.h"
#include "proxyd/head_scan.h"

/* Slices refer to the bytes that http1_read_head was given. */
struct http1_head {
	enum exchange_method method;
	struct bf_slice path, query;
	struct bf_slice
	    request_id; /* x-request-id when it is 1..128 bytes of visible ASCII, else empty */
	uint64_t content_length;
	bool has_length, chunked;
	bool keep_alive;
	bool http10;
	bool expect_continue;
	bool body_encoded;                     /* content-encoding other than identity */
	bool star;                             /* OPTIONS * */
	const struct exchange_header *headers; /* all of them, in their order */
	uint32_t header_count;
};

/* Where a header section's names and values are noted while it is parsed, which is within one call:
 * all connections of a worker share one. */
struct http1_table {
	struct exchange_header rows[EXCHANGE_HEADERS_MAX];
};

enum http1_phase {
	HTTP1_HEAD,
	HTTP1_LENGTH, /* a body of known length */
	HTTP1_CHUNKS,
	HTTP1_TRAILER,
	HTTP1_DONE,
	HTTP1_FAILED,
};

struct http1 {
	enum http1_phase phase;
	llhttp_t parser;
	struct http1_table *table;
	struct head_scan scan;
	struct http1_head head;
	struct bf_slice name, value; /* header being read */
	struct bf_slice url;
	unsigned host_count, te_count;
	bool complete;          /* llhttp saw the end of the header section */
	uint64_t left;          /* LENGTH: bytes still to come */
	uint64_t body_bytes;    /* delivered */
	uint64_t frame_bytes;   /* bytes of a chunked body that are no content */
	const char *piece;      /* during read_chunks: where it began, */
	uint64_t piece_content; /* and body_bytes then */
	int status;             /* FAILED: HTTP status that says why */
	const char *reason;
	/* During http1_read_body only. */
	int (*on_body)(void *ctx, const char *bytes, size_t len);
	void *ctx;
};

/* Ready for the first request. table must outlive h. */
void http1_init(struct http1 *h, struct http1_table *table);
/* Ready for the next request. */
void http1_reset(struct http1 *h);

/*
 * bytes is everything received since the last request's end; call again with the same bytes and
 * more behind them. Returns the length of the header section once it is complete and good (h->head
 * is valid until the table is used again, phase is DONE when there is no body), 0 when more is
 * needed, negative on an error: h->status (400, 414, 431, 501, 505) and h->reason.
 */
long http1_read_head(struct http1 *h, const char *bytes, size_t len, size_t max_head_bytes);

/*
 * Hands the body in pieces to on_body, which returns 0, or an HTTP status to give up with. Returns
 * how many bytes were used; phase is then DONE, FAILED or still reading.
 */
size_t http1_read_body(struct http1 *h, const char *bytes, size_t len,
		       int (*on_body)(void *ctx, const char *bytes, size_t len), void *ctx);

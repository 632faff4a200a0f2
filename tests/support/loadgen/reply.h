/*
 * One HTTP/1.1 answer out of a byte stream, however it is cut: by length, chunked, or to the end of
 * the connection. Pure. On purpose not the gateway's parser.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/slice.h"

#define REPLY_HEAD_MAX (64u << 10)
#define REPLY_ID_LEN   40

enum reply_state {
	REPLY_HEAD,
	REPLY_LENGTH,
	REPLY_TO_END,
	REPLY_CHUNK_SIZE,
	REPLY_CHUNK_DATA,
	REPLY_CHUNK_END,
	REPLY_TRAILER,
	REPLY_WHOLE,
	REPLY_FAILED,
};

enum reply_got {
	REPLY_MORE,    /* all bytes are used; more are needed */
	REPLY_PAYLOAD, /* some of the body */
	REPLY_DONE,    /* whole; further bytes belong to the next answer */
	REPLY_BAD,     /* not HTTP/1.1 */
};

struct reply {
	enum reply_state state;
	struct bf_buf head; /* of a head that came in pieces */
	int status;         /* 0: no head yet */
	bool close, chunked, has_length, is_stream;
	uint64_t rest; /* of the body or the chunk */
	char line[24]; /* of a chunk's size, or how much of a trailer's line is there */
	uint32_t line_len;
	char id[REPLY_ID_LEN + 1]; /* x-request-id, cut */
};

void reply_init(struct reply *r);
void reply_done(struct reply *r);
/* Ready for the next answer. */
void reply_reset(struct reply *r);

/* Takes bytes off *in. PAYLOAD: call again with the rest. */
enum reply_got reply_next(struct reply *r, struct bf_slice *in, struct bf_slice *ret_payload);
/* The connection ended: was that the answer's end? */
bool reply_ends_here(const struct reply *r);

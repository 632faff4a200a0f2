/*
 * One HTTP/1.1 request in a buffer that grows: by length or chunked. Pure; feeds no callbacks. As
 * strict as a mock needs to be, and on purpose not the gateway's parser.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"

#define HTTP_IN_HEAD_MAX (256u << 10)

/* Zeroed before each request; kept while its bytes arrive. */
struct http_in {
	size_t head_bytes; /* 0: the head is not whole */
	size_t scanned;    /* of the raw bytes */
	size_t body_bytes; /* of a chunked body so far, moved together behind the head */
	uint64_t length;
	bool chunked, whole;
	bool close;              /* Connection: close, or HTTP/1.0 */
	bool expects;            /* Expect: 100-continue */
	size_t line_method;      /* bytes of the method, at the start */
	size_t path, path_bytes; /* in the buffer, without the query */
	size_t bearer, bearer_bytes;
};

/*
 * Looks at all bytes that came since the request's first one; call again with more of the same.
 * 1: whole (body stands at head_bytes, the next request at scanned), 0: more is needed, -1: not
 * HTTP. Chunked bodies are moved together in place.
 */
int http_in_read(struct http_in *in, char *data, size_t len);

/* Length of the body once it is whole. */
static inline size_t http_in_body_len(const struct http_in *in)
{
	return in->chunked ? in->body_bytes : (size_t)in->length;
}

/*
 * Reads requests for conn.c. Must not look at a byte twice where bodies are large: chunked ones are
 * continued where they stopped.
 */
#include "tests/support/mockllm/http_in.h"

#include <strings.h>

#include "common/base/num.h"

static struct bf_slice trimmed(const char *start, const char *end)
{
	while (start < end && (*start == ' ' || *start == '\t'))
		start++;
	while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return (struct bf_slice){start, (size_t)(end - start)};
}

static bool name_is(const char *name, size_t len, const char *want)
{
	return strlen(want) == len && strncasecmp(name, want, len) == 0;
}

static bool value_is(struct bf_slice value, const char *want)
{
	return name_is(value.ptr, value.len, want);
}

static int read_field(struct http_in *in, const char *data, const char *line, const char *end)
{
	const char *colon = memchr(line, ':', (size_t)(end - line));
	size_t len = colon ? (size_t)(colon - line) : 0;
	struct bf_slice value;

	if (!len)
		return -1;
	value = trimmed(colon + 1, end);
	/* The first letter and the length tell most fields apart. */
	if (name_is(line, len, "content-length"))
		return bf_parse_u64(value, &in->length) == 0 ? 0 : -1;
	if (name_is(line, len, "transfer-encoding")) {
		in->chunked = true;
		return value_is(value, "chunked") ? 0 : -1;
	}
	if (name_is(line, len, "connection")) {
		in->close = in->close || value_is(value, "close");
	} else if (name_is(line, len, "expect")) {
		in->expects = value_is(value, "100-continue");
	} else if (name_is(line, len, "authorization") && value.len > 7 &&
		   strncasecmp(value.ptr, "Bearer ", 7) == 0) {
		in->bearer = (size_t)(value.ptr + 7 - data);
		in->bearer_bytes = value.len - 7;
	}
	return 0;
}

static int read_request_line(struct http_in *in, const char *data, const char *end)
{
	size_t len = (size_t)(end - data);
	const char *space = memchr(data, ' ', len);
	const char *path = space ? space + 1 : NULL;
	const char *second = space ? memchr(path, ' ', (size_t)(end - path)) : NULL;
	const char *query;

	if (!second || (size_t)(end - second) != 9 || memcmp(second + 1, "HTTP/1.", 7) != 0)
		return -1;
	in->close = second[8] == '0';
	in->line_method = (size_t)(space - data);
	query = memchr(path, '?', (size_t)(second - path));
	in->path = (size_t)(path - data);
	in->path_bytes = (size_t)((query ? query : second) - path);
	return 0;
}

static int read_head(struct http_in *in, const char *data, size_t len)
{
	const char *blank = memmem(data, len, "\r\n\r\n", 4);
	const char *line, *end;

	if (!blank)
		return len > HTTP_IN_HEAD_MAX ? -1 : 0;
	end = memmem(data, len, "\r\n", 2);
	if (read_request_line(in, data, end) != 0)
		return -1;
	while (end < blank) {
		line = end + 2;
		end = memmem(line, (size_t)(blank + 2 - line), "\r\n", 2);
		if (read_field(in, data, line, end) != 0)
			return -1;
	}
	in->head_bytes = (size_t)(blank + 4 - data);
	in->scanned = in->head_bytes;
	return 1;
}

/* The line of a chunk's size: 1 and *ret_size, 0 when it is not whole, -1. */
static int chunk_size(const char *data, size_t len, size_t *ret_line, uint64_t *ret_size)
{
	const char *end = memmem(data, len, "\r\n", 2);
	uint64_t size = 0;
	size_t i;

	if (!end)
		return len > 4096 ? -1 : 0;
	for (i = 0; data + i < end && data[i] != ';'; i++) {
		char c = data[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;
		if (digit < 0 || i > 8)
			return -1;
		size = size << 4 | (unsigned)digit;
	}
	*ret_line = (size_t)(end + 2 - data);
	*ret_size = size;
	return i ? 1 : -1;
}

static int read_chunks(struct http_in *in, char *data, size_t len)
{
	for (;;) {
		size_t line;
		uint64_t size;
		int r = chunk_size(data + in->scanned, len - in->scanned, &line, &size);

		if (r <= 0)
			return r;
		/* The data and its line end; behind the last chunk the empty line (no trailers). */
		if (len - in->scanned < line + size + 2)
			return 0;
		if (memcmp(data + in->scanned + line + size, "\r\n", 2) != 0)
			return -1;
		memmove(data + in->head_bytes + in->body_bytes, data + in->scanned + line, size);
		in->body_bytes += size;
		in->scanned += line + size + 2;
		if (!size)
			return 1;
	}
}

int http_in_read(struct http_in *in, char *data, size_t len)
{
	int r = 1;

	if (!in->head_bytes)
		r = read_head(in, data, len);
	if (r <= 0)
		return r;
	if (in->chunked) {
		r = read_chunks(in, data, len);
	} else {
		r = len - in->head_bytes >= in->length;
		in->scanned = in->head_bytes + (r ? (size_t)in->length : 0);
	}
	in->whole = r > 0;
	return r;
}

/*
 * Framing of server-sent events. Called for every byte of a stream: one pass, no copy. Must never
 * look behind the bytes it was given.
 */
#include "proxyd/provider/sse.h"

#include <string.h>

static size_t sse_end(struct sse_scan *s, size_t len)
{
	*s = (struct sse_scan){0};
	return len;
}

/* Bytes looked at in one step: a line end beyond them must not cost a look at all there is. */
#define SSE_STEP 256u

/* To the next CR or LF. */
static size_t sse_skip_text(const char *bytes, size_t i, size_t len)
{
	while (i < len) {
		size_t until = BF_MIN(len, i + SSE_STEP);
		const char *lf = memchr(bytes + i, '\n', until - i);
		until = lf ? (size_t)(lf - bytes) : until;
		const char *cr = memchr(bytes + i, '\r', until - i);
		if (cr || lf)
			return cr ? (size_t)(cr - bytes) : until;
		i = until;
	}
	return len;
}

size_t sse_next(struct sse_scan *s, const char *bytes, size_t len)
{
	size_t i = s->scanned;

	while (i < len) {
		char ch = bytes[i];
		if (s->ended)
			return sse_end(s, ch == '\n' ? i + 1 : i);
		if (ch == '\n' && s->after_cr) {
			s->after_cr = false; /* second half of a line end */
			i++;
			continue;
		}
		if (ch != '\n' && ch != '\r') {
			s->after_cr = false;
			s->in_line = true;
			i = sse_skip_text(bytes, i, len);
			continue;
		}
		i++;
		if (!s->in_line && ch == '\n')
			return sse_end(s, i);
		s->ended = !s->in_line;
		s->in_line = false;
		s->after_cr = ch == '\r';
	}
	s->scanned = i;
	return 0;
}

/* The next line without its end. */
static struct bf_slice sse_line(struct bf_slice *left)
{
	struct bf_slice line = {left->ptr, sse_skip_text(left->ptr, 0, left->len)};
	size_t used = line.len;

	if (used + 1 < left->len && left->ptr[used] == '\r' && left->ptr[used + 1] == '\n')
		used++;
	used += used < left->len ? 1 : 0;
	left->ptr += used;
	left->len -= used;
	return line;
}

/* The value of a data line; false for other lines. */
static bool sse_is_data(struct bf_slice line, struct bf_slice *ret_value)
{
	if (!bf_slice_starts(line, BF_SLICE_LIT("data")))
		return false;
	line = (struct bf_slice){line.ptr + 4, line.len - 4};
	if (line.len && line.ptr[0] != ':')
		return false;
	size_t skip = line.len >= 2 && line.ptr[1] == ' ' ? 2 : BF_MIN(line.len, (size_t)1);
	*ret_value = (struct bf_slice){line.ptr + skip, line.len - skip};
	return true;
}

int sse_data(struct bf_slice event, struct bf_buf *scratch, struct bf_slice *ret_data)
{
	struct bf_slice data = {NULL, 0}, value;
	unsigned lines = 0;
	int r = 0;

	while (event.len && r == 0) {
		if (!sse_is_data(sse_line(&event), &value))
			continue;
		if (lines++ == 0) {
			data = value;
			continue;
		}
		if (lines == 2) {
			bf_buf_clear(scratch);
			r = bf_buf_append_slice(scratch, data);
		}
		if (r == 0)
			r = bf_buf_append(scratch, "\n", 1);
		if (r == 0)
			r = bf_buf_append_slice(scratch, value);
	}
	if (r < 0)
		return r;
	*ret_data = lines > 1 ? bf_buf_slice(scratch) : data;
	return 0;
}

/*
 * Builds what is sent, for load.c. Bodies look like what gateways get: a system text, a question
 * with quoted text, code and line ends, that is with escapes.
 */
#include "tests/support/loadgen/message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/macros.h"

#define MESSAGE_MAX (1u << 30)
#define ZEROS       "0000000000"

/* No escape lies across a line, so that the text can end at any of them. */
static const char *const filling[] = {
    "Please look at this function and say what it does: ",
    "\\n    if (path == \\\"/v1/models\\\") {\\n",
    "        return cache.get(key) ?? fetch(url);\\n    }\\n",
    "It says \\\"connection reset by peer\\\" now and then; ",
    "we saw it on three of the machines since the last change. ",
    "Temperatures were between 20\\u00b0C and 65\\u00b0C; ",
    "the log has \\\"upstream timed out\\\" at 10:42:07.\\n",
};

static int hole(struct message *m, struct bf_buf *out)
{
	if (m->hole_count == MESSAGE_HOLES)
		return BF_E_LIMIT;
	m->holes[m->hole_count++] = bf_buf_len(out);
	return bf_buf_append(out, ZEROS, MESSAGE_DIGITS);
}

static bool path_ends(const struct options *o, const char *end)
{
	size_t n = strlen(o->path), k = strlen(end);

	return n >= k && strcmp(o->path + n - k, end) == 0;
}

/* Whole pieces of text while they fit, then letters. */
static int fill(struct bf_buf *out, size_t bytes)
{
	int r = 0;

	for (size_t i = 0; r == 0; i++) {
		size_t n = strlen(filling[i % BF_ARRAY_LEN(filling)]);

		if (n > bytes)
			break;
		r = bf_buf_append(out, filling[i % BF_ARRAY_LEN(filling)], n);
		bytes -= n;
	}
	for (; r == 0 && bytes; bytes--)
		r = bf_buf_append(out, "x", 1);
	return r;
}

static int user_member(struct message *m, const struct options *o, struct bf_buf *b)
{
	int r;

	if (!o->user_prefix)
		return 0;
	r = bf_buf_printf(b, "\"user\":\"%s-", o->user_prefix);
	r = r < 0 ? r : hole(m, b);
	return r < 0 ? r : bf_buf_append(b, "\",", 2);
}

static int built_body(struct message *m, const struct options *o, struct bf_buf *b)
{
	bool chat = path_ends(o, "/chat/completions");
	const char *before =
	    chat ? "\"messages\":[{\"role\":\"system\",\"content\":\"You are a patient "
		   "assistant.\"},{\"role\":\"user\",\"content\":\""
	    : path_ends(o, "/completions") ? "\"prompt\":\""
					   : "\"input\":\"";
	const char *after = chat ? "\"}]}" : "\"}";
	bool embeds = path_ends(o, "/embeddings");
	int r = bf_buf_printf(b, "{\"model\":\"%s\",", o->model);

	r = r < 0 ? r : user_member(m, o, b);
	if (r == 0 && !embeds)
		r = bf_buf_printf(b, "\"temperature\":0.7,%s", o->stream ? "\"stream\":true," : "");
	if (r == 0 && o->usage && o->stream && !embeds && !path_ends(o, "/responses"))
		r = bf_buf_printf(b, "\"stream_options\":{\"include_usage\":true},");
	r = r < 0 ? r : bf_buf_append_slice(b, bf_slice_from(before));
	if (r == 0 && o->body_bytes > bf_buf_len(b) + strlen(after))
		r = fill(b, o->body_bytes - bf_buf_len(b) - strlen(after));
	return r < 0 ? r : bf_buf_append_slice(b, bf_slice_from(after));
}

/* A file's bytes; the user goes behind its first brace. */
static int file_body(struct message *m, const struct options *o, struct bf_buf *b)
{
	FILE *f = fopen(o->body_file, "rb");
	int r = f ? 0 : -errno;
	size_t n = 1;

	while (r == 0 && n) {
		r = bf_buf_reserve(b, 64u << 10);
		n = r == 0 ? fread(b->data + b->end, 1, 64u << 10, f) : 0;
		b->end += n;
		if (r == 0 && b->end == n && n && o->user_prefix) {
			struct bf_buf rest = *b;

			if (b->data[0] != '{') {
				r = BF_E_SYNTAX;
				break;
			}
			bf_buf_init(b, rest.max_bytes);
			r = bf_buf_append(b, "{", 1);
			r = r < 0 ? r : user_member(m, o, b);
			r = r < 0 ? r : bf_buf_append(b, rest.data + 1, n - 1);
			bf_buf_done(&rest);
		}
	}
	if (f)
		(void)fclose(f);
	return r;
}

static int head(struct message *m, const struct options *o, size_t body_bytes)
{
	struct bf_buf *t = &m->text;
	int r = bf_buf_printf(t,
			      "POST %s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: loadgen\r\n"
			      "Accept: application/json\r\nContent-Type: application/json\r\n",
			      o->path, o->host, o->port);

	for (uint32_t i = 0; i < o->header_count && r == 0; i++)
		r = bf_buf_printf(t, "%s\r\n", o->headers[i]);
	if (r == 0 && o->request_ids) {
		r = bf_buf_printf(t, "X-Request-Id: %s-", o->user_prefix);
		r = r < 0 ? r : hole(m, t);
		r = r < 0 ? r : bf_buf_append(t, "\r\n", 2);
	}
	return r < 0 ? r : bf_buf_printf(t, "Content-Length: %zu\r\n\r\n", body_bytes);
}

int message_build(struct message *m, const struct options *o, struct bf_err *err)
{
	struct message body_holes = {0};
	struct bf_buf body;
	int r;

	*m = (struct message){0};
	bf_buf_init(&m->text, MESSAGE_MAX);
	bf_buf_init(&body, MESSAGE_MAX);
	r = o->body_file ? file_body(&body_holes, o, &body) : built_body(&body_holes, o, &body);
	r = r < 0 ? r : head(m, o, bf_buf_len(&body));
	for (uint32_t i = 0; r == 0 && i < body_holes.hole_count; i++)
		m->holes[m->hole_count++] = body_holes.holes[i] + bf_buf_len(&m->text);
	r = r < 0 ? r : bf_buf_append_slice(&m->text, bf_buf_slice(&body));
	bf_buf_done(&body);
	if (r < 0) {
		message_done(m);
		return bf_err_sys(err, r, "body: %s", o->body_file ? o->body_file : "too large");
	}
	return 0;
}

void message_done(struct message *m)
{
	bf_buf_done(&m->text);
}

void message_digits(uint64_t number, char out[MESSAGE_DIGITS])
{
	for (int i = MESSAGE_DIGITS - 1; i >= 0; i--, number /= 10)
		out[i] = (char)('0' + number % 10);
}

static void add_part(struct iovec *parts, int *count, size_t *skip, const char *bytes, size_t len)
{
	size_t dropped = BF_MIN(*skip, len);

	*skip -= dropped;
	if (dropped == len)
		return;
	bytes += dropped;
	memcpy(&parts[*count].iov_base, &bytes, sizeof(bytes));
	parts[(*count)++].iov_len = len - dropped;
}

int message_parts(const struct message *m, const char digits[MESSAGE_DIGITS], size_t sent,
		  struct iovec parts[MESSAGE_PARTS])
{
	struct bf_slice text = bf_buf_slice(&m->text);
	size_t at = 0;
	int count = 0;

	for (uint32_t i = 0; i < m->hole_count; i++) {
		add_part(parts, &count, &sent, text.ptr + at, m->holes[i] - at);
		add_part(parts, &count, &sent, digits, MESSAGE_DIGITS);
		at = m->holes[i] + MESSAGE_DIGITS;
	}
	add_part(parts, &count, &sent, text.ptr + at, text.len - at);
	return count;
}

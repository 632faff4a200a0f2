/*
 * Which headers of an answer the client sees, and their bytes. Called by the answer's parser for
 * each piece. Must never pass on what is about the connection to the provider or about the bytes of
 * the body, which the front frames anew.
 */
#include "proxyd/provider/upstream_lines.h"

#include <string.h>

#include "common/base/macros.h"

#define LINES_FIRST_BYTES 256u

/* By the first letter: most names are decided by one comparison. */
bool upstream_lines_passes(struct bf_slice name)
{
	switch (name.len ? name.ptr[0] | 0x20 : 0) {
	case 'a':
		return !bf_slice_starts_nocase(name, BF_SLICE_LIT("access-control-")) &&
		       !bf_slice_is_nocase(name, "alt-svc");
	case 'c':
		return !bf_slice_starts_nocase(name, BF_SLICE_LIT("content-")) &&
		       !bf_slice_is_nocase(name, "connection");
	case 'd':
		return !bf_slice_is_nocase(name, "date");
	case 'k':
		return !bf_slice_is_nocase(name, "keep-alive");
	case 'p':
		return !bf_slice_starts_nocase(name, BF_SLICE_LIT("proxy-"));
	case 'r':
		return !bf_slice_starts_nocase(name,
					       BF_SLICE_LIT("retry-after")); /* goes its own way */
	case 's':
		return !bf_slice_is_nocase(name, "server") &&
		       !bf_slice_starts_nocase(name, BF_SLICE_LIT("set-cookie")) &&
		       !bf_slice_is_nocase(name, "strict-transport-security");
	case 't':
		return !bf_slice_is_nocase(name, "te") && !bf_slice_is_nocase(name, "trailer") &&
		       !bf_slice_is_nocase(name, "transfer-encoding") &&
		       !bf_slice_is_nocase(name, "traceparent") &&
		       !bf_slice_is_nocase(name, "tracestate");
	case 'u':
		return !bf_slice_is_nocase(name, "upgrade");
	case 'x':
		return !bf_slice_is_nocase(name, "x-request-id");
	case 0:
		return false;
	default:
		return true;
	}
}

static void lines_skip(struct upstream_lines *l)
{
	l->skipped = true;
	l->len = l->begin;
}

static bool lines_grow(struct upstream_lines *l, size_t want)
{
	size_t size = l->size ? l->size : LINES_FIRST_BYTES;

	if (want <= l->size)
		return true;
	if (!l->arena || want > UPSTREAM_LINES_BYTES)
		return false;
	while (size < want)
		size *= 2;
	char *text = bf_arena_resize(l->arena, l->text, l->size, size);
	if (!text)
		return false;
	l->text = text;
	l->size = size;
	return true;
}

static void lines_put(struct upstream_lines *l, const char *at, size_t len)
{
	if (l->skipped || len == 0)
		return;
	if (!lines_grow(l, l->len + len)) {
		lines_skip(l);
		return;
	}
	memcpy(l->text + l->len, at, len);
	l->len += len;
}

void upstream_lines_name(struct upstream_lines *l, const char *at, size_t len)
{
	if (l->count == UPSTREAM_LINES_MAX)
		l->skipped = true;
	lines_put(l, at, len);
}

/* The name is complete. */
static void lines_judge(struct upstream_lines *l)
{
	l->in_value = true;
	if (l->skipped)
		return;
	const struct bf_slice name = {l->text + l->begin, l->len - l->begin};
	l->connection = bf_slice_is_nocase(name, "connection");
	if (l->connection || upstream_lines_passes(name))
		lines_put(l, ": ", 2);
	else
		lines_skip(l);
}

void upstream_lines_value(struct upstream_lines *l, const char *at, size_t len)
{
	if (!l->in_value)
		lines_judge(l);
	lines_put(l, at, len);
}

void upstream_lines_add(struct upstream_lines *l, struct bf_slice name, struct bf_slice value)
{
	if (l->count == UPSTREAM_LINES_MAX || !upstream_lines_passes(name) ||
	    !lines_grow(l, l->len + name.len + value.len + 4))
		return;
	lines_put(l, name.ptr, name.len);
	lines_put(l, ": ", value.len ? 2 : 1);
	lines_put(l, value.ptr, value.len);
	lines_put(l, "\r\n", 2);
	l->begin = l->len;
	l->count++;
}

void upstream_lines_names(struct upstream_lines *l)
{
	if (!l->in_value)
		lines_judge(l);
	l->names = true;
}

void upstream_lines_end(struct upstream_lines *l)
{
	if (!l->in_value)
		lines_judge(l);
	if (l->connection && !l->names)
		lines_skip(l);
	while (!l->skipped && l->len > l->begin && strchr(" \t", l->text[l->len - 1]))
		l->len--;
	lines_put(l, "\r\n", 2);
	if (!l->skipped) {
		l->begin = l->len;
		l->count += !l->connection;
	}
	l->barred = l->barred || (l->names && l->skipped);
	l->named = l->named || l->names;
	l->in_value = l->skipped = l->connection = l->names = false;
}

void upstream_lines_restart(struct upstream_lines *l)
{
	*l = (struct upstream_lines){.arena = l->arena, .text = l->text, .size = l->size};
}

/* ---- headers that the answer names as of this hop */

/* Takes the next line off io_text, which ends with one. */
static struct bf_slice lines_next(struct bf_slice *io_text)
{
	const char *end = memchr(io_text->ptr, '\n', io_text->len);
	struct bf_slice line = {io_text->ptr, (size_t)(end - io_text->ptr) + 1};

	io_text->ptr += line.len;
	io_text->len -= line.len;
	return line;
}

static struct bf_slice line_name(struct bf_slice line)
{
	const char *colon = memchr(line.ptr, ':', line.len);

	return (struct bf_slice){line.ptr, (size_t)(colon - line.ptr)};
}

static bool line_names(struct bf_slice line, struct bf_slice name)
{
	static const char between[] = ", \t\r\n";
	size_t at = sizeof("connection:") - 1;

	while (at < line.len) {
		size_t end = at;
		while (end < line.len && !strchr(between, line.ptr[end]))
			end++;
		if (bf_slice_eq_nocase((struct bf_slice){line.ptr + at, end - at}, name))
			return true;
		at = end + 1;
	}
	return false;
}

static bool lines_name(struct bf_slice all, struct bf_slice name)
{
	while (all.len) {
		struct bf_slice line = lines_next(&all);
		if (bf_slice_is_nocase(line_name(line), "connection") && line_names(line, name))
			return true;
	}
	return false;
}

/* Two passes, since a name may stand before or behind what it is named by. */
static void lines_drop_named(struct upstream_lines *l)
{
	const struct bf_slice all = {l->text, l->begin};
	struct bf_slice rest = all;
	size_t len = 0;

	while (rest.len) {
		char *line = l->text + (rest.ptr - l->text);
		struct bf_slice name = line_name(lines_next(&rest));
		if (!bf_slice_is_nocase(name, "connection") && lines_name(all, name))
			line[0] = '\0'; /* no name begins so */
	}
	for (rest = all; rest.len;) {
		struct bf_slice line = lines_next(&rest);
		if (line.ptr[0] == '\0' || bf_slice_is_nocase(line_name(line), "connection"))
			continue;
		memmove(l->text + len, line.ptr, line.len);
		len += line.len;
	}
	l->begin = len;
}

struct bf_slice upstream_lines_done(struct upstream_lines *l)
{
	if (l->named && !l->barred)
		lines_drop_named(l);
	struct bf_slice text = {l->text, l->barred ? 0 : l->begin};

	/* Making smaller never moves, and gives the rest back. */
	if (l->text)
		text.ptr = bf_arena_resize(l->arena, l->text, l->size, BF_MAX(text.len, (size_t)1));
	*l = (struct upstream_lines){0};
	return text;
}

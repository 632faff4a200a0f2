/*
 * One traced frame as text or JSON. Called by cmd_trace.c for every frame. Must never print a
 * secret: bodies are written by their tables, which mask them.
 */
#include "ctl/trace_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "common/base/macros.h"
#include "common/codec/json_writer.h"

struct flag_name {
	uint8_t flag;
	const char *name;
};

static const struct flag_name flag_names[] = {
    {BF_FRAME_REPLY, "reply"},   {BF_FRAME_MORE, "more"}, {BF_FRAME_ERROR, "error"},
    {BF_FRAME_CANCEL, "cancel"}, {BF_FRAME_FD, "fd"},
};

/* What a line is made of. */
struct line {
	struct bf_frame frame;
	uint32_t length; /* of the body, as announced */
	bool cut;        /* only the beginning of the body is here */
	char time[40];
	char source[24], target[24], type[24];
};

static void format_time(int64_t wall_ns, char out[40])
{
	time_t seconds = (time_t)(wall_ns / 1000000000);
	struct tm tm;

	if (wall_ns < 0 || !gmtime_r(&seconds, &tm)) {
		(void)snprintf(out, 40, "%" PRId64 "ns", wall_ns);
		return;
	}
	size_t n = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(out + n, 40 - n, ".%06uZ", (unsigned)(wall_ns % 1000000000 / 1000));
}

/* A frame longer than TRACED carries comes with the beginning of its body; its length stands in the
 * header. */
static int split(const struct bf_msg_traced *t, struct line *l)
{
	/* The descriptor itself does not travel with the trace. */
	const int announced = t->has_fd ? 0 : -1;
	int r = bf_frame_decode(t->frame, announced, &l->frame, NULL);

	l->cut = r < 0 && t->frame.len == BF_TRACED_MAX_BYTES;
	if (l->cut) {
		char header[BF_FRAME_HEADER_SIZE];
		const uint8_t *h = (const uint8_t *)t->frame.ptr + 12;
		memcpy(header, t->frame.ptr, sizeof(header));
		memset(header + 12, 0, 4);
		l->length = (uint32_t)h[0] | (uint32_t)h[1] << 8 | (uint32_t)h[2] << 16 |
			    (uint32_t)h[3] << 24;
		return bf_frame_decode((struct bf_slice){header, sizeof(header)}, announced,
				       &l->frame, NULL);
	}
	if (r == 0)
		l->length = (uint32_t)l->frame.body.len;
	return r;
}

static int prepare(const struct bf_msg_traced *t, struct line *l)
{
	const struct bf_msg_def *def;

	memset(l, 0, sizeof(*l));
	format_time(t->wall_ns, l->time);
	int r = split(t, l);
	if (r < 0)
		return r;
	(void)bf_endpoint_format(l->frame.source, l->source);
	(void)bf_endpoint_format(l->frame.target, l->target);
	def = bf_msg_def(l->frame.type);
	if (def)
		(void)snprintf(l->type, sizeof(l->type), "%s", def->name);
	else
		(void)snprintf(l->type, sizeof(l->type), "type %u", l->frame.type);
	return 0;
}

/* The body by its table; a text where there is none to show. */
static void write_body(const struct line *l, struct bf_arena *arena, struct bf_json_writer *w)
{
	const struct bf_msg_def *def = bf_msg_def(l->frame.type);
	struct bf_err err = {0};

	if (l->cut) {
		bf_jw_cstr(w, "too long for a trace");
		return;
	}
	if (!def || !def->body || l->frame.body.len == 0) {
		bf_jw_null(w);
		return;
	}
	void *message = bf_arena_alloc(arena, def->body->size);
	int r = message ? bf_msg_decode(l->frame.type, l->frame.body, message, arena, &err)
			: bf_err_set(&err, BF_E_LIMIT, "too large");
	if (r < 0)
		bf_jw_cstr(w, err.text);
	else
		bf_table_write_json(def->body, message, w);
}

int ctl_trace_json(const struct bf_msg_traced *t, struct bf_arena *arena, struct bf_buf *out)
{
	struct bf_json_writer w;
	struct line l;
	int readable = prepare(t, &l);

	bf_jw_init(&w, out);
	bf_jw_object(&w);
	bf_jw_key(&w, "time");
	bf_jw_cstr(&w, l.time);
	if (readable < 0) {
		bf_jw_key(&w, "malformed");
		bf_jw_cstr(&w, bf_err_text(readable));
	} else {
		bf_jw_key(&w, "source");
		bf_jw_cstr(&w, l.source);
		bf_jw_key(&w, "target");
		bf_jw_cstr(&w, l.target);
		bf_jw_key(&w, "type");
		bf_jw_cstr(&w, l.type);
		bf_jw_key(&w, "request");
		bf_jw_u64(&w, l.frame.request);
		bf_jw_key(&w, "flags");
		bf_jw_array(&w);
		for (size_t i = 0; i < BF_ARRAY_LEN(flag_names); i++) {
			if (l.frame.flags & flag_names[i].flag)
				bf_jw_cstr(&w, flag_names[i].name);
		}
		bf_jw_end_array(&w);
		bf_jw_key(&w, "length");
		bf_jw_u64(&w, l.length);
		bf_jw_key(&w, "body");
		write_body(&l, arena, &w);
	}
	bf_jw_end_object(&w);
	int r = bf_jw_finish(&w);
	return r < 0 ? r : bf_buf_append(out, "\n", 1);
}

static int append_flags(uint8_t flags, struct bf_buf *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < BF_ARRAY_LEN(flag_names); i++) {
		if (flags & flag_names[i].flag)
			r = bf_buf_printf(out, " %s", flag_names[i].name);
	}
	return r;
}

int ctl_trace_text(const struct bf_msg_traced *t, struct bf_arena *arena, struct bf_buf *out)
{
	struct bf_json_writer w;
	struct line l;
	int readable = prepare(t, &l);

	if (readable < 0)
		return bf_buf_printf(out, "%s malformed frame of %zu bytes: %s\n", l.time,
				     t->frame.len, bf_err_text(readable));
	int r = bf_buf_printf(out, "%s %s > %s %s #%u", l.time, l.source, l.target, l.type,
			      l.frame.request);
	if (r == 0)
		r = append_flags(l.frame.flags, out);
	if (r == 0)
		r = bf_buf_printf(out, " %u bytes", l.length);
	if (r == 0 && l.length) {
		r = bf_buf_append(out, " ", 1);
		bf_jw_init(&w, out);
		write_body(&l, arena, &w);
		r = r < 0 ? r : bf_jw_finish(&w);
	}
	return r < 0 ? r : bf_buf_append(out, "\n", 1);
}

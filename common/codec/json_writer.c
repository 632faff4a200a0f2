/*
 * JSON writer. Called by everything that answers in JSON. Never writes text that a strict reader
 * would refuse: misuse (a value without a key, a wrong bracket) is a sticky error, and bad UTF-8 is
 * replaced.
 */
#include "common/codec/json_writer.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/codec/scan_priv.h"
#include "common/codec/utf8.h"

void bf_jw_init(struct bf_json_writer *w, struct bf_buf *out)
{
	*w = (struct bf_json_writer){.out = out};
}

static void put(struct bf_json_writer *w, const char *bytes, size_t len)
{
	if (w->error == 0)
		w->error = bf_buf_append(w->out, bytes, len);
}

static bool in_object(const struct bf_json_writer *w)
{
	return w->depth > 0 && w->stack[w->depth - 1] == '{';
}

/* What stands before a value; false when none may stand here. */
static bool begin_value(struct bf_json_writer *w)
{
	if (w->error)
		return false;
	if (in_object(w) ? !w->after_key : w->depth == 0 && w->need_comma)
		w->error = BF_E_STATE;
	else if (w->need_comma && !w->after_key)
		put(w, ",", 1);
	w->after_key = false;
	w->need_comma = true;
	return w->error == 0;
}

static void open_container(struct bf_json_writer *w, char bracket)
{
	if (!begin_value(w))
		return;
	if (w->depth == BF_JSON_WRITER_DEPTH) {
		w->error = BF_E_LIMIT;
		return;
	}
	w->stack[w->depth++] = (uint8_t)bracket;
	w->need_comma = false;
	put(w, &bracket, 1);
}

static void close_container(struct bf_json_writer *w, char opened, char bracket)
{
	if (w->error)
		return;
	if (w->depth == 0 || w->stack[w->depth - 1] != opened || w->after_key) {
		w->error = BF_E_STATE;
		return;
	}
	w->depth--;
	w->need_comma = true;
	put(w, &bracket, 1);
}

void bf_jw_object(struct bf_json_writer *w)
{
	open_container(w, '{');
}

void bf_jw_end_object(struct bf_json_writer *w)
{
	close_container(w, '{', '}');
}

void bf_jw_array(struct bf_json_writer *w)
{
	open_container(w, '[');
}

void bf_jw_end_array(struct bf_json_writer *w)
{
	close_container(w, '[', ']');
}

static void put_escape(struct bf_json_writer *w, unsigned char c)
{
	static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";
	char text[8];

	for (const char *s = shorts; *s; s += 2)
		if (c == (unsigned char)s[0]) {
			text[0] = '\\';
			text[1] = s[1];
			put(w, text, 2);
			return;
		}
	(void)snprintf(text, sizeof(text), "\\u%04x", c);
	put(w, text, 6);
}

/* Valid UTF-8, as it stands in quotes. */
static void put_text(struct bf_json_writer *w, const char *p, const char *end)
{
	unsigned high = 0;

	while (p < end && w->error == 0) {
		const char *plain = p;
		p = bf_scan_plain(p, end, &high);
		put(w, plain, (size_t)(p - plain));
		if (p < end)
			put_escape(w, (unsigned char)*p++);
	}
}

static void put_quoted(struct bf_json_writer *w, struct bf_slice text)
{
	put(w, "\"", 1);
	while (text.len && w->error == 0) {
		size_t valid = bf_utf8_valid_prefix(text.ptr, text.len);
		put_text(w, text.ptr, text.ptr + valid);
		if (valid < text.len) {
			put(w, "\xef\xbf\xbd", 3);
			valid++;
		}
		text.ptr += valid;
		text.len -= valid;
	}
	put(w, "\"", 1);
}

void bf_jw_key_slice(struct bf_json_writer *w, struct bf_slice key)
{
	if (w->error)
		return;
	if (!in_object(w) || w->after_key) {
		w->error = BF_E_STATE;
		return;
	}
	if (w->need_comma)
		put(w, ",", 1);
	put_quoted(w, key);
	put(w, ":", 1);
	w->after_key = true;
}

void bf_jw_key(struct bf_json_writer *w, const char *key)
{
	bf_jw_key_slice(w, bf_slice_from(key));
}

void bf_jw_string(struct bf_json_writer *w, struct bf_slice text)
{
	if (begin_value(w))
		put_quoted(w, text);
}

void bf_jw_cstr(struct bf_json_writer *w, const char *text)
{
	bf_jw_string(w, bf_slice_from(text));
}

void bf_jw_raw(struct bf_json_writer *w, struct bf_slice json)
{
	if (w->error == 0 && json.len == 0)
		w->error = BF_E_SYNTAX;
	if (begin_value(w))
		put(w, json.ptr, json.len);
}

void bf_jw_i64(struct bf_json_writer *w, int64_t value)
{
	if (!begin_value(w))
		return;
	w->error = bf_buf_printf(w->out, "%" PRId64, value);
}

void bf_jw_u64(struct bf_json_writer *w, uint64_t value)
{
	if (!begin_value(w))
		return;
	w->error = bf_buf_printf(w->out, "%" PRIu64, value);
}

void bf_jw_bool(struct bf_json_writer *w, bool value)
{
	bf_jw_raw(w, value ? BF_SLICE_LIT("true") : BF_SLICE_LIT("false"));
}

void bf_jw_null(struct bf_json_writer *w)
{
	bf_jw_raw(w, BF_SLICE_LIT("null"));
}

void bf_jw_micro(struct bf_json_writer *w, int64_t micro)
{
	char text[40];
	uint64_t magnitude = micro < 0 ? 0 - (uint64_t)micro : (uint64_t)micro;

	int n = snprintf(text, sizeof(text), "%s%" PRIu64 ".%06" PRIu64, micro < 0 ? "-" : "",
			 magnitude / 1000000, magnitude % 1000000);
	size_t len = n < 0 ? 0 : (size_t)n;
	while (len && text[len - 1] == '0')
		len--;
	if (len && text[len - 1] == '.')
		len--;
	bf_jw_raw(w, (struct bf_slice){text, len});
}

int bf_jw_finish(struct bf_json_writer *w)
{
	if (w->error == 0 && w->depth > 0)
		w->error = BF_E_STATE;
	return w->error;
}

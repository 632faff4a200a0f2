/*
 * The attempt trail. Called by call.c after failed attempts. Must never write half an entry: what
 * stands in the row is JSON, whatever the keys are called.
 */
#include "proxyd/gate/trail.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TRAIL_TAIL_MAX 14u /* ,"+4294967295"] */
#define TRAIL_NAME_MAX 48u /* bytes of a key's name, as in the row */

void trail_reset(struct trail *t)
{
	t->text[0] = '[';
	t->len = 1;
	t->left_out = 0;
}

/* A piece of text as it stands within JSON's quotes. Names are valid UTF-8 when they are whole. */
static size_t trail_escape(struct bf_slice text, char out[6 * TRAIL_NAME_MAX])
{
	size_t n = 0;

	if (text.len > TRAIL_NAME_MAX) {
		text.len = TRAIL_NAME_MAX;
		while (text.len > 0 && ((unsigned char)text.ptr[text.len] & 0xc0) == 0x80)
			text.len--; /* not in the middle of a character */
	}
	for (size_t i = 0; i < text.len; i++) {
		unsigned char ch = (unsigned char)text.ptr[i];
		if (ch < ' ' || ch == '"' || ch == '\\')
			n += (size_t)snprintf(out + n, 7, "\\u%04x", ch);
		else
			out[n++] = (char)ch;
	}
	return n;
}

void trail_add(struct trail *t, struct bf_slice key, int http_status, const char *type,
	       int64_t duration_ms)
{
	char name[6 * TRAIL_NAME_MAX + 1], entry[6 * TRAIL_NAME_MAX + 100];
	size_t name_len = trail_escape(key, name);
	int n;

	if (http_status > 0)
		n = snprintf(entry, sizeof(entry), "%s[\"%.*s\",%d,%" PRId64 "]",
			     t->len > 1 ? "," : "", (int)name_len, name, http_status, duration_ms);
	else
		n = snprintf(entry, sizeof(entry), "%s[\"%.*s\",\"%.32s\",%" PRId64 "]",
			     t->len > 1 ? "," : "", (int)name_len, name, type ? type : "failed",
			     duration_ms);
	if (t->left_out || t->len + (size_t)n + TRAIL_TAIL_MAX > sizeof(t->text)) {
		t->left_out++;
		return;
	}
	memcpy(t->text + t->len, entry, (size_t)n);
	t->len += (uint32_t)n;
}

void trail_write(const struct trail *t, char out[sizeof(((struct trail *)0)->text)])
{
	char tail[TRAIL_TAIL_MAX + 1];
	int n = t->left_out
		    ? snprintf(tail, sizeof(tail), "%s\"+%u\"]", t->len > 1 ? "," : "", t->left_out)
		    : snprintf(tail, sizeof(tail), "]");

	memset(out, 0, sizeof(t->text));
	memcpy(out, t->text, t->len);
	memcpy(out + t->len, tail, (size_t)n);
}

/*
 * Text for people. Called by all commands. Must never pass a control character of another process
 * to the terminal.
 */
#include "ctl/output.h"

#include <inttypes.h>
#include <stdbool.h>

#include "common/codec/utf8.h"

/* Bytes of the control character there: C0 and DEL one, C1 in its UTF-8 form (0xC2 0x80..0x9F) two;
 * 0: it is none. */
static size_t control_len(struct bf_slice text, size_t at)
{
	unsigned char c = (unsigned char)text.ptr[at];
	unsigned char next = at + 1 < text.len ? (unsigned char)text.ptr[at + 1] : 0;

	if (c < 0x20 || c == 0x7f)
		return 1;
	return c == 0xc2 && next >= 0x80 && next <= 0x9f ? 2 : 0;
}

void ctl_print_text(FILE *out, struct bf_slice text)
{
	bool utf8 = bf_utf8_valid(text.ptr, text.len);

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		size_t control = control_len(text, i);
		bool plain = control == 0 && (utf8 || c < 0x80);

		(void)fputc(plain ? c : '?', out);
		i += control == 2;
	}
}

const char *ctl_format_age(int64_t ms, char out[32])
{
	int64_t s = ms / 1000;

	if (ms < 0)
		(void)snprintf(out, 32, "-");
	else if (ms < 1000)
		(void)snprintf(out, 32, "%" PRId64 "ms", ms);
	else if (s < 60)
		(void)snprintf(out, 32, "%" PRId64 "s", s);
	else if (s < 3600)
		(void)snprintf(out, 32, "%" PRId64 "m%" PRId64 "s", s / 60, s % 60);
	else if (s < 86400)
		(void)snprintf(out, 32, "%" PRId64 "h%" PRId64 "m", s / 3600, s / 60 % 60);
	else
		(void)snprintf(out, 32, "%" PRId64 "d%" PRId64 "h", s / 86400, s / 3600 % 24);
	return out;
}

void ctl_print_buf(FILE *out, struct bf_buf *buf)
{
	struct bf_slice text = bf_buf_slice(buf);

	if (text.len)
		(void)fwrite(text.ptr, 1, text.len, out);
	bf_buf_clear(buf);
}

/*
 * Percent-encoded text. Called by handlers of GET routes. Must never let a NUL or broken UTF-8
 * through: what comes out may stand in an answer.
 */
#include "proxyd/gate/query.h"

#include <errno.h>

#include "common/base/err.h"
#include "common/codec/utf8.h"

static int hex_digit(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	ch = (char)(ch | 0x20);
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* The byte of the escape at text[at]; -1: it is none. */
static int percent_byte(struct bf_slice text, size_t at)
{
	int high, low;

	if (text.len - at < 3)
		return -1;
	high = hex_digit(text.ptr[at + 1]);
	low = hex_digit(text.ptr[at + 2]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool is_plain(struct bf_slice text, bool plus_is_space)
{
	return text.len == 0 || (!memchr(text.ptr, '%', text.len) &&
				 !(plus_is_space && memchr(text.ptr, '+', text.len)));
}

int percent_decode(struct bf_slice text, bool plus_is_space, struct bf_arena *arena,
		   struct bf_slice *ret_text)
{
	char *out;
	size_t n = 0;

	*ret_text = text;
	if (!is_plain(text, plus_is_space)) {
		out = bf_arena_alloc(arena, text.len);
		if (!out)
			return -ENOMEM;
		for (size_t i = 0; i < text.len; i++) {
			int ch = (unsigned char)text.ptr[i];
			if (ch == '%') {
				ch = percent_byte(text, i);
				i += 2;
			} else if (ch == '+' && plus_is_space) {
				ch = ' ';
			}
			if (ch < 0)
				return BF_E_SYNTAX;
			out[n++] = (char)ch;
		}
		*ret_text = (struct bf_slice){out, n};
	}
	if (ret_text->len && memchr(ret_text->ptr, '\0', ret_text->len))
		return BF_E_SYNTAX;
	return bf_utf8_valid(ret_text->ptr, ret_text->len) ? 0 : BF_E_SYNTAX;
}

int query_value(struct exchange *x, const char *name, struct bf_slice *ret_value)
{
	struct bf_slice wanted = bf_slice_from(name), left = x->query;

	*ret_value = (struct bf_slice){NULL, 0};
	while (left.len) {
		const char *amp = memchr(left.ptr, '&', left.len);
		struct bf_slice part = {left.ptr, amp ? (size_t)(amp - left.ptr) : left.len};
		size_t used = part.len + (amp ? 1 : 0);
		left = (struct bf_slice){left.ptr + used, left.len - used};
		if (part.len <= wanted.len || part.ptr[wanted.len] != '=' ||
		    !bf_slice_starts(part, wanted))
			continue;
		part = (struct bf_slice){part.ptr + wanted.len + 1, part.len - wanted.len - 1};
		int r = percent_decode(part, true, &x->arena, ret_value);
		if (r < 0)
			*ret_value = (struct bf_slice){NULL, 0};
		return r < 0 ? r : 1;
	}
	return 0;
}

/*
 * The half of the JSON reader that few values need. Called by it alone. Must never accept in a
 * string what the reader's contract refuses: text reaches providers as it came.
 */
#include "common/codec/json_slow_priv.h"

#include "common/codec/json_skim_priv.h"
#include "common/codec/json_text_priv.h"
#include "common/codec/scan_priv.h"
#include "common/codec/utf8.h"

int bf_json_fail_at(struct bf_json_parser *ps, const char *at, int code, const char *what)
{
	uint32_t line, col;

	bf_json_position(ps->text, (size_t)(at - ps->text.ptr), &line, &col);
	return bf_err_set(ps->err, code, "%u:%u: %s", line, col, what);
}

int bf_json_unexpected(struct bf_json_parser *ps, const char *at, const char *wanted)
{
	uint32_t line, col;
	unsigned char c = at < ps->end ? (unsigned char)*at : 0;

	bf_json_position(ps->text, (size_t)(at - ps->text.ptr), &line, &col);
	if (at == ps->end)
		return bf_err_set(ps->err, BF_E_SYNTAX, "%u:%u: the text ends where %s should be",
				  line, col, wanted);
	if (c > 0x20 && c < 0x7f)
		return bf_err_set(ps->err, BF_E_SYNTAX, "%u:%u: '%c' where %s should be", line, col,
				  c, wanted);
	return bf_err_set(ps->err, BF_E_SYNTAX, "%u:%u: byte 0x%02x where %s should be", line, col,
			  c, wanted);
}

/* Of the escape at p, which a scan stopped at inside a string; 0: it is none. */
static inline size_t escape_length(const struct bf_json_parser *ps, const char *p)
{
	if (p >= ps->end || *p != '\\')
		return 0;
	return bf_json_escape_skip(p, ps->end, ps->limits->lenient_text);
}

/* Why a string cannot go on here. */
static int refuse_special(struct bf_json_parser *ps, const char *p)
{
	if (p >= ps->end)
		return bf_json_fail_at(ps, ps->end, BF_E_SYNTAX, "the text ends inside a string");
	return bf_json_fail_at(ps, p, BF_E_SYNTAX,
			       *p == '\\' ? "not a valid escape"
					  : "a control character in a string must be escaped");
}

static int check_utf8(struct bf_json_parser *ps, const char *start, size_t len)
{
	size_t valid = bf_utf8_valid_prefix(start, len);

	return valid < len ? bf_json_fail_at(ps, start + valid, BF_E_SYNTAX, "not valid UTF-8") : 0;
}

/* Goes on at the first escape of a string. The blocks do not wait for what stands in them, which
 * is what makes text full of escapes cheap. */
static struct bf_json_string_end escaped_end(struct bf_json_parser *ps, const char *base,
					     unsigned *io_high)
{
	char copy[BF_SCAN_BLOCK];
	size_t passed = 0; /* bytes of the block that belong to an escape before */

	for (;; base += BF_SCAN_BLOCK) {
		uint64_t special = bf_scan_mask(bf_scan_block(base, ps->end, copy), io_high);
		for (special &= bf_scan_from(passed); special; special &= bf_scan_from(passed)) {
			const char *at = base + __builtin_ctzll(special);
			if (at < ps->end && *at == '"')
				return (struct bf_json_string_end){at, 1};
			size_t n = escape_length(ps, at);
			if (n == 0)
				return (struct bf_json_string_end){at, refuse_special(ps, at)};
			passed = (size_t)(at - base) + n;
		}
		passed = passed > BF_SCAN_BLOCK ? passed - BF_SCAN_BLOCK : 0;
	}
}

struct bf_json_string_end bf_json_string_end(struct bf_json_parser *ps, const char *start)
{
	unsigned high = 0;
	struct bf_json_string_end e = {bf_scan_plain(start, ps->end, &high), 0};

	if (e.at >= ps->end || *e.at != '"')
		e = escaped_end(ps, e.at, &high);
	if (high & 0x80 && e.escaped >= 0 && !ps->limits->lenient_text) {
		int r = check_utf8(ps, start, (size_t)(e.at - start));
		e.escaped = r < 0 ? r : e.escaped;
	}
	return e;
}

int bf_json_skim_container(struct bf_json_parser *ps, const char *start, uint32_t depth,
			   const char **ret_end)
{
	struct bf_json_skim s = {.end = ps->end,
				 .levels = ps->limits->max_depth - depth,
				 .lone_passes = ps->limits->lenient_text};

	switch (bf_json_skim(&s, start)) {
	case BF_JSON_SKIM_DONE:
		break;
	case BF_JSON_SKIM_END:
		return bf_json_unexpected(ps, s.at, "a closing bracket");
	case BF_JSON_SKIM_STRING:
		return refuse_special(ps, s.at);
	case BF_JSON_SKIM_BYTE:
		return bf_json_unexpected(ps, s.at, "a value or the closing bracket");
	case BF_JSON_SKIM_DEPTH:
		return bf_json_fail_at(ps, s.at, BF_E_LIMIT, "nested too deeply");
	}
	*ret_end = s.at;
	return s.high && !ps->limits->lenient_text ? check_utf8(ps, start, (size_t)(s.at - start))
						   : 0;
}

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

/* What a scan stopped at inside a string, when it is not the closing quote: the length of the
 * escape, or an error. */
static int string_special(struct bf_json_parser *ps, const char *p)
{
	if (p >= ps->end)
		return bf_json_fail_at(ps, ps->end, BF_E_SYNTAX, "the text ends inside a string");
	if (*p != '\\')
		return bf_json_fail_at(ps, p, BF_E_SYNTAX,
				       "a control character in a string must be escaped");
	size_t n = bf_json_escape_skip(p, ps->end, ps->limits->lenient_text);
	if (n == 0)
		return bf_json_fail_at(ps, p, BF_E_SYNTAX, "not a valid escape");
	return (int)n;
}

static int check_utf8(struct bf_json_parser *ps, const char *start, size_t len)
{
	size_t valid = bf_utf8_valid_prefix(start, len);

	return valid < len ? bf_json_fail_at(ps, start + valid, BF_E_SYNTAX, "not valid UTF-8") : 0;
}

struct bf_json_string_end bf_json_string_end(struct bf_json_parser *ps, const char *start)
{
	struct bf_json_string_end e = {.escaped = 0};
	unsigned high = 0;

	e.at = bf_scan_plain(start, ps->end, &high);
	while (e.at >= ps->end || *e.at != '"') {
		int n = string_special(ps, e.at);
		if (n < 0)
			return (struct bf_json_string_end){start, n};
		e.escaped = 1;
		e.at = bf_scan_plain(e.at + n, ps->end, &high);
	}
	if (high & 0x80 && !ps->limits->lenient_text) {
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
		return string_special(ps, s.at);
	case BF_JSON_SKIM_BYTE:
		return bf_json_unexpected(ps, s.at, "a value or the closing bracket");
	case BF_JSON_SKIM_DEPTH:
		return bf_json_fail_at(ps, s.at, BF_E_LIMIT, "nested too deeply");
	}
	*ret_end = s.at;
	return s.high && !ps->limits->lenient_text ? check_utf8(ps, start, (size_t)(s.at - start))
						   : 0;
}

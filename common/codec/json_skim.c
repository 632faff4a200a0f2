/*
 * Skims a container: 64 bytes at once are sorted into quotes, escapes and brackets, and only the
 * brackets outside of strings are looked at one by one. Called by the JSON reader for what lies
 * deeper than its caller reads. Must never let a string or a container end elsewhere than a strict
 * reader would.
 */
#include "common/codec/json_skim_priv.h"

#include "common/base/macros.h"
#include "common/codec/json_text_priv.h"
#include "common/codec/scan_priv.h"

/* What goes on from one block of 64 bytes to the next. */
struct walk {
	struct bf_json_skim *s;
	const char *base;       /* of the block */
	const char *escape_end; /* behind the last escape */
	uint64_t in_string;     /* all ones when the block begins within a string */
	uint64_t objects;       /* bit of a level: it is an object; the innermost is bit 0 */
	uint32_t level;
};

/* From each odd bit up to the next one. */
static uint64_t between(uint64_t bits)
{
	for (unsigned shift = 1; shift < BF_SCAN_BLOCK; shift *= 2)
		bits ^= bits << shift;
	return bits;
}

/* Takes the escapes of the block out of its quotes. The bit of the first one that is none, or 0. */
static uint64_t pass_escapes(struct walk *w, struct bf_scan_marks *m)
{
	uint64_t slashes = m->slash;

	if (w->escape_end > w->base) {
		slashes &= bf_scan_from((size_t)(w->escape_end - w->base));
		m->quote &= bf_scan_from((size_t)(w->escape_end - w->base));
	}
	while (slashes) {
		unsigned at = (unsigned)__builtin_ctzll(slashes);
		size_t n = bf_json_escape_skip(w->base + at, w->s->end, w->s->lone_passes);
		if (n == 0)
			return UINT64_C(1) << at;
		uint64_t inside = bf_scan_from(at) & ~bf_scan_from(at + n);
		slashes &= ~inside;
		m->quote &= ~inside;
		w->escape_end = w->base + at + n;
	}
	return 0;
}

static enum bf_json_skimmed stop(struct walk *w, unsigned at, enum bf_json_skimmed why)
{
	w->s->at = BF_MIN(w->base + at, w->s->end);
	return why;
}

/* Goes through the brackets of a block that stand outside of strings. END: the container goes on.
 */
static enum bf_json_skimmed pass_brackets(struct walk *w, uint64_t brackets)
{
	for (; brackets; brackets &= brackets - 1) {
		unsigned at = (unsigned)__builtin_ctzll(brackets);
		char byte = w->base[at];
		if (byte == '{' || byte == '[') {
			if (w->level == w->s->levels)
				return stop(w, at, BF_JSON_SKIM_DEPTH);
			w->objects = w->objects << 1 | (byte == '{');
			w->level++;
			continue;
		}
		if ((byte == '}') != (w->objects & 1))
			return stop(w, at, BF_JSON_SKIM_BYTE);
		w->objects >>= 1;
		if (--w->level == 0)
			return stop(w, at + 1, BF_JSON_SKIM_DONE);
	}
	return BF_JSON_SKIM_END;
}

static enum bf_json_skimmed pass_block(struct walk *w)
{
	char copy[BF_SCAN_BLOCK];
	struct bf_scan_marks m = bf_scan_mark(bf_scan_block(w->base, w->s->end, copy));
	uint64_t no_escape = pass_escapes(w, &m);
	uint64_t in_string = between(m.quote) ^ w->in_string;
	uint64_t wrong = no_escape | (m.control & in_string) | ((m.foreign | m.slash) & ~in_string);
	uint64_t first = wrong & -wrong;
	enum bf_json_skimmed r = pass_brackets(w, m.bracket & ~in_string & (first - 1));

	w->s->high |= m.high != 0;
	w->in_string = in_string >> (BF_SCAN_BLOCK - 1) ? UINT64_MAX : 0;
	if (r != BF_JSON_SKIM_END || !wrong)
		return r;
	return stop(w, (unsigned)__builtin_ctzll(first),
		    first & in_string ? BF_JSON_SKIM_STRING : BF_JSON_SKIM_BYTE);
}

enum bf_json_skimmed bf_json_skim(struct bf_json_skim *s, const char *p)
{
	struct walk w = {.s = s, .base = p, .escape_end = p};
	enum bf_json_skimmed r = BF_JSON_SKIM_END;

	s->levels = BF_MIN(s->levels, BF_JSON_SKIM_LEVELS);
	s->high = false;
	for (; r == BF_JSON_SKIM_END && w.base < s->end; w.base += BF_SCAN_BLOCK)
		r = pass_block(&w);
	if (r == BF_JSON_SKIM_END)
		s->at = s->end;
	return r;
}

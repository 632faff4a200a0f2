/*
 * Line framing of a header or trailer section, checked before a parser sees it: CRLF only, no
 * folding, no NUL, no empty name. Pure, resumable at any byte.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum head_scan_state {
	HEAD_SCAN_BLANK, /* before a request line: up to two empty lines are skipped */
	HEAD_SCAN_BLANK_CR,
	HEAD_SCAN_LINE_START,
	HEAD_SCAN_LINE,
	HEAD_SCAN_CR,
	HEAD_SCAN_END_CR,
	HEAD_SCAN_END,
	HEAD_SCAN_BAD,
};

struct head_scan {
	enum head_scan_state state;
	size_t scanned;     /* bytes looked at */
	uint32_t lines;     /* complete non-empty lines */
	uint32_t blanks;    /* empty lines skipped before the first line */
	const char *reason; /* BAD: what is wrong */
};

void head_scan_request(struct head_scan *s); /* expects a request line first */
void head_scan_trailer(struct head_scan *s); /* expects trailer fields or the final empty line */

/*
 * Looks at bytes[0..len) and stops behind the final empty line. Returns how many bytes it took; see
 * s->state: END, BAD, or more is needed.
 */
size_t head_scan_feed(struct head_scan *s, const char *bytes, size_t len);

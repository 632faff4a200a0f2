/*
 * Line framing of header and trailer sections. Called by http1.c in front of llhttp, because
 * llhttp 8.1, strict mode included, lets folded trailer lines, a lone LF as last line end and empty
 * names pass; two parsers that disagree about where a line ends are how requests are smuggled. Must
 * never allocate or look beyond the bytes it was given.
 */
#include "proxyd/head_scan.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#define HEAD_SCAN_MAX_BLANKS 2u
#define HEAD_SCAN_LOW        0x0eu /* CR, LF and NUL are below it, and little else that is sent */

void head_scan_request(struct head_scan *s)
{
	*s = (struct head_scan){.state = HEAD_SCAN_BLANK};
}

void head_scan_trailer(struct head_scan *s)
{
	*s = (struct head_scan){.state = HEAD_SCAN_LINE_START, .lines = 1};
}

static void scan_bad(struct head_scan *s, const char *reason)
{
	s->state = HEAD_SCAN_BAD;
	s->reason = reason;
}

/* The first byte of a line. */
static void scan_line_start(struct head_scan *s, char ch)
{
	switch (ch) {
	case '\r':
		s->state = HEAD_SCAN_END_CR;
		break;
	case ' ':
	case '\t':
		scan_bad(s, "folded header line");
		break;
	case ':':
		scan_bad(s, "header without a name");
		break;
	case '\n':
		scan_bad(s, "line ended by a lone LF");
		break;
	case '\0':
		scan_bad(s, "NUL in the header section");
		break;
	default:
		s->state = HEAD_SCAN_LINE;
	}
}

static void scan_blank(struct head_scan *s, char ch)
{
	/* Answered at once: a TLS client on this port would otherwise wait for the header timeout.
	 */
	if (ch != '\r' && (ch < 'A' || ch > 'Z'))
		scan_bad(s, "this is not an HTTP request");
	else if (ch != '\r')
		s->state = HEAD_SCAN_LINE;
	else if (s->blanks >= HEAD_SCAN_MAX_BLANKS)
		scan_bad(s, "empty lines before the request line");
	else
		s->state = HEAD_SCAN_BLANK_CR;
}

/* A byte that can end or break a line. */
static void scan_control(struct head_scan *s, char ch)
{
	if (ch == '\r')
		s->state = HEAD_SCAN_CR;
	else
		scan_bad(s, ch == '\n' ? "line ended by a lone LF" : "NUL in the header section");
}

static void scan_lf(struct head_scan *s, char ch, enum head_scan_state next)
{
	if (ch != '\n')
		scan_bad(s, "CR that is not followed by LF");
	else
		s->state = next;
}

static bool scan_is_plain(char ch)
{
	return ch != '\r' && ch != '\n' && ch != '\0';
}

static void scan_byte(struct head_scan *s, char ch)
{
	switch (s->state) {
	case HEAD_SCAN_BLANK:
		scan_blank(s, ch);
		break;
	case HEAD_SCAN_BLANK_CR:
		s->blanks++;
		scan_lf(s, ch, HEAD_SCAN_BLANK);
		break;
	case HEAD_SCAN_LINE_START:
		scan_line_start(s, ch);
		break;
	case HEAD_SCAN_LINE:
		if (!scan_is_plain(ch))
			scan_control(s, ch);
		break;
	case HEAD_SCAN_CR:
		s->lines++;
		scan_lf(s, ch, HEAD_SCAN_LINE_START);
		break;
	case HEAD_SCAN_END_CR:
		scan_lf(s, ch, HEAD_SCAN_END);
		break;
	case HEAD_SCAN_END:
	case HEAD_SCAN_BAD:
		break;
	}
}

/* How many bytes from here are no low ones, looked at by eights. */
static size_t scan_high(const char *bytes, size_t len)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	size_t i = 0;

	for (; len - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
		uint64_t word, low;
		memcpy(&word, bytes + i, sizeof(word));
		word = le64toh(word);
		/* A borrow may mark a byte behind a low one, but the first mark is true. */
		low = (word - ones * HEAD_SCAN_LOW) & ~word & ones * 0x80;
		if (low)
			return i + (size_t)__builtin_ctzll(low) / 8;
	}
	while (i < len && (unsigned char)bytes[i] >= HEAD_SCAN_LOW)
		i++;
	return i;
}

/* Does a line end here, and another begin with a letter? So do most, and need no states. */
static bool scan_is_joint(const char *bytes, size_t len)
{
	return len >= 3 && bytes[0] == '\r' && bytes[1] == '\n' && bytes[2] > ':';
}

/* From within a line to where its states are needed again, over as many lines as do without. */
static size_t scan_lines(struct head_scan *s, const char *bytes, size_t len)
{
	size_t i = scan_high(bytes, len);
	uint32_t lines = 0;

	while (scan_is_joint(bytes + i, len - i)) {
		lines++;
		i += 3;
		i += scan_high(bytes + i, len - i);
	}
	s->lines += lines;
	return i;
}

size_t head_scan_feed(struct head_scan *s, const char *bytes, size_t len)
{
	size_t i = 0;

	while (i < len && s->state != HEAD_SCAN_END && s->state != HEAD_SCAN_BAD) {
		if (s->state == HEAD_SCAN_LINE) {
			i += scan_lines(s, bytes + i, len - i);
			if (i == len)
				break;
		}
		scan_byte(s, bytes[i]);
		i++;
	}
	s->scanned += i;
	return i;
}

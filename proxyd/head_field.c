/*
 * Usual header lines. Called by the readers of requests and of answers before they ask llhttp,
 * which costs ten times as much. Must never take a line that llhttp would refuse or read otherwise.
 */
#include "proxyd/head_field.h"

#include <endian.h>
#include <stddef.h>
#include <string.h>

#define LENGTH_DIGITS 18u

#define IN_NAME    1
#define IN_TARGET  2
#define BOTH(ch)   [ch] = IN_NAME | IN_TARGET
#define TARGET(ch) [ch] = IN_TARGET

static const uint8_t usual_bytes[256] = {
    BOTH('-'),   BOTH('_'),   BOTH('0'),   BOTH('1'),   BOTH('2'),   BOTH('3'),   BOTH('4'),
    BOTH('5'),   BOTH('6'),   BOTH('7'),   BOTH('8'),   BOTH('9'),   BOTH('A'),   BOTH('B'),
    BOTH('C'),   BOTH('D'),   BOTH('E'),   BOTH('F'),   BOTH('G'),   BOTH('H'),   BOTH('I'),
    BOTH('J'),   BOTH('K'),   BOTH('L'),   BOTH('M'),   BOTH('N'),   BOTH('O'),   BOTH('P'),
    BOTH('Q'),   BOTH('R'),   BOTH('S'),   BOTH('T'),   BOTH('U'),   BOTH('V'),   BOTH('W'),
    BOTH('X'),   BOTH('Y'),   BOTH('Z'),   BOTH('a'),   BOTH('b'),   BOTH('c'),   BOTH('d'),
    BOTH('e'),   BOTH('f'),   BOTH('g'),   BOTH('h'),   BOTH('i'),   BOTH('j'),   BOTH('k'),
    BOTH('l'),   BOTH('m'),   BOTH('n'),   BOTH('o'),   BOTH('p'),   BOTH('q'),   BOTH('r'),
    BOTH('s'),   BOTH('t'),   BOTH('u'),   BOTH('v'),   BOTH('w'),   BOTH('x'),   BOTH('y'),
    BOTH('z'),   TARGET('.'), TARGET('/'), TARGET('?'), TARGET('='), TARGET('&'), TARGET('%'),
    TARGET(':'), TARGET('+'), TARGET(','), TARGET('~'),
};

/* By eights. */
const char *head_value_end(const char *p, const char *end)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;

	while (end - p >= (ptrdiff_t)sizeof(uint64_t)) {
		uint64_t word, other;
		memcpy(&word, p, sizeof(word));
		word = le64toh(word);
		/* Borrows and carries mark bytes behind one that is marked: the first mark is true.
		 */
		other = (((word - ones * ' ') & ~word) | word | (word + ones)) & highs;
		if (other)
			return p + __builtin_ctzll(other) / 8;
		p += sizeof(word);
	}
	while (p < end && *p >= ' ' && *p < 0x7f)
		p++;
	return p;
}

const char *head_target_end(const char *p)
{
	while (usual_bytes[(unsigned char)*p] & IN_TARGET)
		p++;
	return p;
}

const char *head_field_read(const char *p, const char *end, struct exchange_header *ret_field)
{
	const char *name = p, *value;

	while (usual_bytes[(unsigned char)*p] & IN_NAME)
		p++;
	if (p == name || *p != ':')
		return NULL;
	ret_field->name = (struct bf_slice){name, (size_t)(p - name)};
	do
		p++;
	while (*p == ' ');
	value = p;
	p = head_value_end(p, end);
	if (*p != '\r' || (p > value && p[-1] == ' '))
		return NULL;
	ret_field->value = (struct bf_slice){value, (size_t)(p - value)};
	return p + 2;
}

bool head_field_is_framing(const struct exchange_header *field)
{
	switch (field->name.len) {
	case 7:
		return bf_slice_is_nocase(field->name, "upgrade");
	case 10:
		return bf_slice_is_nocase(field->name, "connection") &&
		       !bf_slice_is_nocase(field->value, "keep-alive");
	case 16:
		return bf_slice_is_nocase(field->name, "proxy-connection");
	case 17:
		return bf_slice_is_nocase(field->name, "transfer-encoding");
	default:
		return false;
	}
}

bool head_field_length(struct bf_slice value, uint64_t *ret_length)
{
	uint64_t length = 0;

	if (value.len == 0 || value.len > LENGTH_DIGITS)
		return false;
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			return false;
		length = length * 10 + (uint64_t)(value.ptr[i] - '0');
	}
	*ret_length = length;
	return true;
}

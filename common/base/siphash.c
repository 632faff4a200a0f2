/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012). Called to name secrets in shared memory, and for
 * tables whose keys come from outside. Must never be changed: values are compared across processes.
 */
#include "common/base/siphash.h"

#include <endian.h>
#include <string.h>

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t sip_turn(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

/* Little-endian. */
static uint64_t sip_whole_word(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return le64toh(word);
}

/* The same of n < 8 bytes. */
static uint64_t sip_word(const uint8_t *p, size_t n)
{
	uint64_t word = 0;

	for (size_t i = 0; i < n; i++)
		word |= (uint64_t)p[i] << (8 * i);
	return word;
}

static void sip_rounds(struct sip *s, int n)
{
	while (n-- > 0) {
		s->v0 += s->v1;
		s->v1 = sip_turn(s->v1, 13) ^ s->v0;
		s->v0 = sip_turn(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = sip_turn(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = sip_turn(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = sip_turn(s->v1, 17) ^ s->v2;
		s->v2 = sip_turn(s->v2, 32);
	}
}

static void sip_take(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_rounds(s, 2);
	s->v0 ^= word;
}

uint64_t bf_siphash(const uint8_t key[16], const void *bytes, size_t len)
{
	uint64_t k0 = sip_whole_word(key), k1 = sip_whole_word(key + 8);
	struct sip s = {k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
			k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
	const uint8_t *p = bytes ? bytes : key; /* none of it is read when len is 0 */
	size_t whole = len / 8 * 8;

	for (size_t i = 0; i < whole; i += 8)
		sip_take(&s, sip_whole_word(p + i));
	sip_take(&s, sip_word(p + whole, len - whole) | (uint64_t)len << 56);
	s.v2 ^= 0xff;
	sip_rounds(&s, 4);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

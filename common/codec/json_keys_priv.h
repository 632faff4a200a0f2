/* Duplicate keys of the objects on a tape. Private to common/codec. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/macros.h"
#include "common/codec/json_tape.h"

/* Objects up to here are checked pair by pair as soon as they end; larger ones by hash at last. */
#define BF_JSON_PAIRWISE_MAX 24u

/*
 * A number of a key, from its length, its first and its last 8 bytes; the upper bits are mixed
 * best, and the factor is one under which the members of common requests differ in the upper five.
 * Equal keys have equal numbers. Whoever writes the text can make others collide: it filters,
 * no more. end is that of the text.
 */
static inline uint64_t bf_json_key_mix(const char *key, size_t len, const char *end)
{
	uint64_t word = 0, last;

	if (BF_LIKELY(len < 8 && end - key >= 8 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)) {
		memcpy(&word, key, sizeof(word));
		word &= (UINT64_C(1) << 8 * len) - 1;
	} else if (len >= 8) {
		memcpy(&word, key, sizeof(word));
		memcpy(&last, key + len - sizeof(last), sizeof(last));
		word ^= last << 23 ^ last >> 41;
	} else {
		memcpy(&word, key, len);
	}
	return (word ^ len) * UINT64_C(0x98b81c66e10c167d);
}

/*
 * Compares all pairs of keys of a small object: the token of the second of two equal keys, or
 * BF_JSON_NONE. An escaped key cannot be compared as it stands: then, and for a larger object,
 * *io_undecided is set and the object is left to bf_json_keys_hashed.
 */
uint32_t bf_json_keys_pairwise(const struct bf_json_tape *t, uint32_t obj, bool *io_undecided);

/*
 * Checks every object of a finished tape that is marked by the escaped bit of its token, and takes
 * the mark away, in time linear in the tape and its keys, whatever they are: the hash has a random
 * key. *ret_twin as above. 0 or -ENOMEM; the arena memory it takes is given back where it was the
 * newest.
 */
int bf_json_keys_hashed(const struct bf_json_tape *t, struct bf_arena *arena, uint32_t *ret_twin);

/*
 * Search for duplicate keys. Called by the JSON reader when its limits ask for it. Must stay linear
 * for hostile input: an object may have a million members, and whoever wrote it knows this code but
 * not the key of the hash.
 */
#include "common/codec/json_keys_priv.h"

#include <errno.h>

#include "common/base/rand.h"
#include "common/codec/json_text_priv.h"

struct slot {
	uint32_t hash;
	uint32_t token; /* 0: empty, since token 0 is never a key */
};

/* What one check works with; sized for the largest object, then used for all. */
struct key_check {
	const struct bf_json_tape *t;
	struct slot *slots;
	char *plain[2]; /* room for two unescaped keys */
	uint64_t seed[2];
};

static struct bf_slice raw_key(const struct bf_json_tape *t, uint32_t token)
{
	return (struct bf_slice){t->text.ptr + t->tokens[token].start, t->tokens[token].len};
}

uint32_t bf_json_keys_pairwise(const struct bf_json_tape *t, uint32_t obj, bool *io_undecided)
{
	const struct bf_json_token *tokens = t->tokens;
	const char *end = t->text.ptr + t->text.len;
	uint32_t keys[BF_JSON_PAIRWISE_MAX], count = 0;
	uint64_t mixed[BF_JSON_PAIRWISE_MAX];

	for (uint32_t i = bf_json_first(obj); i < tokens[obj].next; i = tokens[i + 1].next) {
		struct bf_slice key = raw_key(t, i);
		if (tokens[i].escaped || count == BF_JSON_PAIRWISE_MAX) {
			*io_undecided = true;
			return BF_JSON_NONE;
		}
		mixed[count] = bf_json_key_mix(key.ptr, key.len, end);
		for (uint32_t k = 0; k < count; k++)
			if (mixed[k] == mixed[count] && bf_slice_eq(raw_key(t, keys[k]), key))
				return i;
		keys[count++] = i;
	}
	return BF_JSON_NONE;
}

static inline uint64_t rotate(uint64_t v, unsigned bits)
{
	return v << bits | v >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
}

/* SipHash-1-3 (Aumasson and Bernstein), the variant for hash tables. */
static uint64_t sip_hash(const uint64_t seed[2], struct bf_slice s)
{
	uint64_t v[4] = {
	    seed[0] ^ UINT64_C(0x736f6d6570736575), seed[1] ^ UINT64_C(0x646f72616e646f6d),
	    seed[0] ^ UINT64_C(0x6c7967656e657261), seed[1] ^ UINT64_C(0x7465646279746573)};
	size_t whole = s.len & ~(size_t)7;
	uint64_t word;

	for (size_t i = 0; i < whole; i += 8) {
		memcpy(&word, s.ptr + i, sizeof(word));
		sip_word(v, word);
	}
	word = 0;
	if (s.len > whole)
		memcpy(&word, s.ptr + whole, s.len - whole);
	sip_word(v, word ^ (uint64_t)s.len << 56);
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct bf_slice plain_key(struct key_check *c, uint32_t token, int which)
{
	struct bf_slice raw = raw_key(c->t, token);

	if (!c->t->tokens[token].escaped)
		return raw;
	return (struct bf_slice){c->plain[which], bf_json_unescape(raw, c->plain[which])};
}

static uint32_t slots_for(uint32_t members)
{
	uint32_t n = 16;

	while (n < members * 2)
		n *= 2;
	return n;
}

/* The first key of the object that stood there before, or BF_JSON_NONE. Half of the slots stay
 * empty. */
static uint32_t check_object(struct key_check *c, uint32_t obj)
{
	const struct bf_json_token *tokens = c->t->tokens;
	uint32_t mask = slots_for(tokens[obj].count) - 1;

	memset(c->slots, 0, ((size_t)mask + 1) * sizeof(*c->slots));
	for (uint32_t i = bf_json_first(obj); i < tokens[obj].next; i = tokens[i + 1].next) {
		struct bf_slice key = plain_key(c, i, 0);
		uint32_t hash = (uint32_t)sip_hash(c->seed, key);
		uint32_t at = hash & mask;
		for (; c->slots[at].token; at = (at + 1) & mask)
			if (c->slots[at].hash == hash &&
			    bf_slice_eq(plain_key(c, c->slots[at].token, 1), key))
				return i;
		c->slots[at] = (struct slot){hash, i};
	}
	return BF_JSON_NONE;
}

static bool is_marked(const struct bf_json_token *token)
{
	return token->type == BF_JSON_OBJECT && token->escaped;
}

/* The members of the largest marked object, and the bytes of the longest escaped key. */
static void find_sizes(const struct bf_json_tape *t, uint32_t *ret_members, uint32_t *ret_escaped)
{
	*ret_members = *ret_escaped = 0;
	for (uint32_t obj = 0; obj < t->count; obj++) {
		const struct bf_json_token *o = &t->tokens[obj];
		if (!is_marked(o))
			continue;
		if (o->count > *ret_members)
			*ret_members = o->count;
		for (uint32_t i = bf_json_first(obj); i < o->next; i = t->tokens[i + 1].next)
			if (t->tokens[i].escaped && t->tokens[i].len > *ret_escaped)
				*ret_escaped = t->tokens[i].len;
	}
}

int bf_json_keys_hashed(const struct bf_json_tape *t, struct bf_arena *arena, uint32_t *ret_twin)
{
	struct key_check c = {.t = t};
	uint32_t members, escaped;

	find_sizes(t, &members, &escaped);
	size_t slot_bytes = slots_for(members) * sizeof(*c.slots);
	size_t size = slot_bytes + 2 * (size_t)escaped;
	char *scratch = bf_arena_alloc(arena, size);
	if (!scratch)
		return -ENOMEM;
	c.slots = (struct slot *)(void *)scratch;
	c.plain[0] = scratch + slot_bytes;
	c.plain[1] = c.plain[0] + escaped;
	bf_rand_bytes(c.seed, sizeof(c.seed));
	*ret_twin = BF_JSON_NONE;
	for (uint32_t obj = 0; obj < t->count && *ret_twin == BF_JSON_NONE; obj++)
		if (is_marked(&t->tokens[obj])) {
			*ret_twin = check_object(&c, obj);
			t->tokens[obj].escaped = false;
		}
	return bf_arena_resize(arena, scratch, size, 0) ? 0 : -ENOMEM;
}

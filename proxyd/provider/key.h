/*
 * Which key of a provider serves a request: pure choices over the configuration, and what this
 * worker knows of the keys' health.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/schema/config.h"
#include "shm/keyhealth.h"

struct provider_set;
struct worker;

#define KEY_MAX 256u /* keys of one provider; the configuration has no more */

/* Keys by their index in the configuration. */
struct key_set {
	uint64_t words[KEY_MAX / 64];
};

static inline bool key_set_has(const struct key_set *s, int key)
{
	return key >= 0 && key < (int)KEY_MAX && (s->words[key / 64] >> key % 64 & 1);
}

static inline void key_set_add(struct key_set *s, int key)
{
	if (key >= 0 && key < (int)KEY_MAX)
		s->words[key / 64] |= UINT64_C(1) << key % 64;
}

/* Those of a that are not in b. */
static inline struct key_set key_set_minus(const struct key_set *a, const struct key_set *b)
{
	struct key_set s;

	for (unsigned i = 0; i < KEY_MAX / 64; i++)
		s.words[i] = a->words[i] & ~b->words[i];
	return s;
}

/* Those of a that are in b too. */
static inline struct key_set key_set_common(const struct key_set *a, const struct key_set *b)
{
	struct key_set s;

	for (unsigned i = 0; i < KEY_MAX / 64; i++)
		s.words[i] = a->words[i] & b->words[i];
	return s;
}

static inline unsigned key_set_count(const struct key_set *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < KEY_MAX / 64; i++)
		n += (unsigned)__builtin_popcountll(s->words[i]);
	return n;
}

/* The first one at or after from; -1: none. */
static inline int key_set_next(const struct key_set *s, int from)
{
	for (int i = from; i < (int)KEY_MAX; i = (i / 64 + 1) * 64) {
		uint64_t word = s->words[i / 64] >> i % 64;
		if (word)
			return i + __builtin_ctzll(word);
	}
	return -1;
}

enum provider_key_verdict {
	PROVIDER_KEY_SOME,
	PROVIDER_KEY_NOT_NEEDED,  /* the provider has no keys and asks for none */
	PROVIDER_KEY_NONE,        /* none is enabled, usable and admits the model */
	PROVIDER_KEY_PIN_UNKNOWN, /* the request names a key that the provider does not have */
	PROVIDER_KEY_PIN_UNFIT,   /* that key is off, unusable, or does not admit the model */
	PROVIDER_KEY_BLOCKED,     /* those that would serve are not for who asks */
};

/* A key that the request insists on; both empty: any. The id wins. */
struct provider_key_pin {
	struct bf_slice id, name;
};

/* Enabled keys that can stand in a header: the same for all requests. */
struct key_set provider_keys_usable(const struct bf_conf_provider *p);
/*
 * Those of usable that admit the model (blacklisted_models win over models; none or "*" are all; a
 * server with one model admits that one) and that the pin allows.
 */
enum provider_key_verdict provider_key_candidates(const struct bf_conf_provider *p,
						  const struct key_set *usable,
						  struct bf_slice model,
						  const struct provider_key_pin *pin,
						  struct key_set *ret_keys);
/* In place of a model: those are candidates that admit any, whatever single ones they refuse. */
#define PROVIDER_KEY_ANY_MODEL BF_SLICE_LIT("")
/* The keys whose id or name is in a list of struct bf_slice. */
struct key_set provider_keys_listed(const struct bf_conf_provider *p, const struct bf_array *ids);
/* The same for who may use only the keys of a list (NULL: any): PROVIDER_KEY_BLOCKED when only the
 * list speaks against those that there are, and for any pin that is not in it. */
enum provider_key_verdict
provider_key_candidates_of(const struct bf_conf_provider *p, const struct key_set *usable,
			   const struct bf_array *ids, struct bf_slice model,
			   const struct provider_key_pin *pin, struct key_set *ret_keys);
/*
 * One of the keys. Of those that do not cool, by weight; keys of weight 0 serve only when all have
 * weight 0. When all cool, the one that is first to be up again. cooling: by index, 0 for a key
 * that is up; NULL: all are. random is uniform over 64 bits. -1: the set is empty.
 */
int provider_key_draw(const struct bf_conf_provider *p, const struct key_set *from,
		      const int64_t *cooling_until, uint64_t random);

/* Can it stand in a header? */
bool provider_key_is_sendable(const struct bf_conf_provider_key *key);

/* What a worker keeps about the keys of one provider. */
struct provider_keys {
	struct key_set usable;
	struct shm_key_ref *health; /* by index */
	uint32_t count;
};

/* Finds the keys' places in the segment; those without room are counted. -ENOMEM. */
int provider_keys_open(struct provider_keys *keys, const struct bf_conf_provider *p,
		       struct worker *w);
void provider_keys_close(struct provider_keys *keys);
/* The same without places: for a provider that was put together by hand. */
void provider_keys_without_health(struct provider_keys *keys, const struct bf_conf_provider *p);

/* Fills cooling_until[index] for the keys of a set. */
void provider_keys_cooling(const struct provider_keys *keys, const struct worker *w,
			   const struct key_set *of, int64_t now_mono_ms,
			   int64_t cooling_until[KEY_MAX]);
void provider_keys_report(struct provider_keys *keys, struct worker *w, int key,
			  const struct shm_key_report *report, int64_t now_mono_ms);

/*
 * Counters by name. Called by workers at the end of a row and by whoever shows sums; must never
 * wait, nor give one name two places.
 *
 * Proof. A place is taken by one swap of a keyed hash of the name into a word that was zero, and is
 * never given back: so a name is looked for along the same places by everybody, and two who take
 * one at once meet in the first free word, where one of them finds the other's hash and, if it is
 * its own too, stays. The text follows; whoever finds its hash without the text writes it. Several
 * may do that at once: they write the same words. A worker that is killed between the two leaves a
 * hash that counts nothing and is not shown until someone comes with that name. Two names of one
 * hash would be counted as one; the key is the segment's secret, so nobody can look for such.
 */
#include "shm/series.h"

#include <assert.h>
#include <string.h>

#include "shm/killpoint.h"
#include "shm/layout.h"
#include "shm/parts.h"

#define PLACES_PER_PAGE 16u
#define PROBES          32u /* places that are looked at: a full table must not make rows dear */

_Static_assert(PLACES_PER_PAGE * sizeof(struct shm_series_place) == 4096, "the smallest page");
_Static_assert((int)SHM_SERIES_NUMBER_COUNT <= (int)SHM_SERIES_NUMBERS, "a shard has room");
_Static_assert(sizeof(struct shm_series_name) == SHM_SERIES_TEXT_WORDS * sizeof(uint64_t),
	       "names are whole words");

/* Up to the first word of zeros: names are short and their fields are not. */
static uint64_t mix(uint64_t h, uint64_t by, const char *text, size_t size)
{
	uint64_t word;

	for (size_t at = 0; at < size; at += sizeof(word)) {
		memcpy(&word, text + at, sizeof(word));
		if (word == 0)
			break;
		h = (h ^ word) * by;
		h ^= h >> 32;
	}
	return h;
}

/* Never 0. What is added after a text tells where it ended. */
static uint64_t identity_of(const struct shm_segment *seg, const struct shm_series_name *name,
			    uint32_t method)
{
	uint64_t key[2], h;

	memcpy(key, seg->map->header.secret, sizeof(key));
	key[1] |= 1;
	h = mix(key[0] + method, key[1], name->provider, sizeof(name->provider));
	h = mix(h + ~key[0], key[1], name->model, sizeof(name->model));
	return h ? h : 1;
}

static void write_text(struct shm_series_place *place, const struct shm_series_name *name,
		       uint32_t method)
{
	uint64_t words[SHM_SERIES_TEXT_WORDS];

	memcpy(words, name, sizeof(words));
	for (size_t i = 0; i < SHM_SERIES_TEXT_WORDS; i++)
		/* mo: relaxed, published by named; others may be writing the same */
		atomic_store_explicit(&place->text[i], words[i], memory_order_relaxed);
	/* mo: relaxed, as above */
	atomic_store_explicit(&place->method, method, memory_order_relaxed);
	SHM_KILLPOINT("series_text");
	/* mo: release, pairs with shm_series_name(): the text is whole */
	atomic_store_explicit(&place->named, 1, memory_order_release);
}

/* Takes a free place; what stands there then. Its page first: a write to one that a full file
 * system does not have would be the end. */
static uint64_t take(struct shm_segment *seg, uint32_t i, uint64_t identity)
{
	struct shm_series_place *places = seg->map->series_places;
	uint64_t have = 0;

	if (!shm_touch(&places[i - i % PLACES_PER_PAGE], PLACES_PER_PAGE * sizeof(places[0])))
		return 0;
	/* mo: relaxed (both), a word that publishes nothing but itself */
	if (atomic_compare_exchange_strong_explicit(&places[i].identity, &have, identity,
						    memory_order_relaxed, memory_order_relaxed))
		have = identity;
	SHM_KILLPOINT("series_taken");
	return have;
}

uint32_t shm_series_find(struct shm_segment *seg, const struct shm_series_name *name,
			 uint32_t method, bool make)
{
	uint64_t identity = identity_of(seg, name, method);

	for (uint32_t k = 0; k < PROBES; k++) {
		uint32_t i = (uint32_t)(identity + k) % SHM_SERIES;
		struct shm_series_place *place = &seg->map->series_places[i];
		/* mo: relaxed, a word that publishes nothing but itself */
		uint64_t have = atomic_load_explicit(&place->identity, memory_order_relaxed);

		if (i == SHM_SERIES_REST)
			continue;
		if (have == 0 && make)
			have = take(seg, i, identity);
		if (have == 0)
			break;
		if (have != identity)
			continue;
		/* mo: relaxed, the text is only written here */
		if (!atomic_load_explicit(&place->named, memory_order_relaxed))
			write_text(place, name, method);
		return i;
	}
	return SHM_SERIES_REST;
}

static void add(_Atomic int64_t *word, int64_t n)
{
	/* mo: relaxed, a number with one writer that publishes nothing but itself */
	int64_t had = atomic_load_explicit(word, memory_order_relaxed);

	/* mo: relaxed, as above */
	atomic_store_explicit(word, had + n, memory_order_relaxed);
}

void shm_series_add(struct shm_segment *seg, uint32_t p, uint32_t series,
		    const struct shm_series_row *row)
{
	_Atomic int64_t *words = seg->map->series[p].value[series];

	assert(p < SHM_PROC_SLOTS && series < SHM_SERIES);
	add(&words[row->is_ok ? SHM_SERIES_OK : SHM_SERIES_FAILED], 1);
	add(&words[SHM_SERIES_ATTEMPTS], row->attempts);
	add(&words[SHM_SERIES_INPUT], row->input_tokens);
	add(&words[SHM_SERIES_OUTPUT], row->output_tokens);
}

bool shm_series_name(const struct shm_segment *seg, uint32_t series,
		     struct shm_series_name *ret_name, uint32_t *ret_method)
{
	const struct shm_series_place *place = &seg->map->series_places[series];
	uint64_t words[SHM_SERIES_TEXT_WORDS];

	assert(series < SHM_SERIES);
	/* mo: acquire, pairs with write_text() */
	if (!atomic_load_explicit(&place->named, memory_order_acquire))
		return false;
	for (size_t i = 0; i < SHM_SERIES_TEXT_WORDS; i++)
		/* mo: relaxed, behind the acquire */
		words[i] = atomic_load_explicit(&place->text[i], memory_order_relaxed);
	memcpy(ret_name, words, sizeof(words));
	/* mo: relaxed, as above */
	*ret_method = atomic_load_explicit(&place->method, memory_order_relaxed);
	return true;
}

int64_t shm_series_sum(const struct shm_segment *seg, uint32_t series,
		       enum shm_series_number number)
{
	int64_t sum = 0;

	assert(series < SHM_SERIES);
	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		if (shm_slot_used(seg, p))
			/* mo: relaxed, a number that publishes nothing but itself */
			sum += atomic_load_explicit(&seg->map->series[p].value[series][number],
						    memory_order_relaxed);
	}
	return sum;
}

/*
 * Health of providers' keys. Called by workers: one look per candidate before a call, one report
 * after it. Must never make a key unusable for longer than SHM_KEY_COOL_MAX, whatever is found in
 * the words.
 *
 * Why nothing here needs valid() or repair(). Each word is read alone and believed only within
 * bounds: a time in the future beyond them, or before the machine started, counts as "not cooling"
 * or "long unused". So garbage, a half-written take-over and a writer killed between any two stores
 * all read as a healthy key, and the next report of anyone sets the words right.
 *
 * Finding. A key's entries are the SHM_KEY_PROBES places from its hash on. Entries are never freed,
 * only taken over, so a free place ends the search: no key was ever put behind it. Who finds
 * nothing swaps its identity into the first free or long unused place; of several only one wins
 * each place, and the losers look again, so they find what the winner put there when it is the same
 * key. Two workers may still put one key into two places when only one of them sees an entry as
 * unused: each then knows half, until the next start. A taken-over entry shows the old key's words
 * for an instant: it was unused for a day, so it is not cooling any more.
 *
 * Times are monotonic milliseconds of this boot (a segment never outlives one): a Retry-After is a
 * duration, and a clock set by hand must neither free a key nor lock it.
 */
#include "shm/keyhealth.h"

#include "shm/killpoint.h"
#include "shm/layout.h"

#define SLACK_MS   60000 /* readers' clocks are read at different instants */
#define CLAIMS_MAX 4     /* looks again after a lost claim */

static struct shm_key *entry(const struct shm_segment *seg, uint64_t at)
{
	return &seg->map->keys[at % SHM_KEYS];
}

static uint64_t identity_of(const struct shm_key *k)
{
	/* mo: acquire, pairs with claim(): before the words of the key that stands there now */
	return atomic_load_explicit(&k->identity, memory_order_acquire);
}

static int64_t load_time(const _Atomic int64_t *word)
{
	/* mo: relaxed, a time that publishes nothing but itself */
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void store_time(_Atomic int64_t *word, int64_t t)
{
	/* mo: relaxed, as above */
	atomic_store_explicit(word, t, memory_order_relaxed);
}

static void store_number(_Atomic uint32_t *word, uint32_t n)
{
	/* mo: relaxed, a number that publishes nothing but itself */
	atomic_store_explicit(word, n, memory_order_relaxed);
}

/* Unsigned, so that a time in the future is as long ago as one can be. */
static bool long_unused(const struct shm_key *k, int64_t now)
{
	int64_t used = load_time(&k->used_mono_ms);
	uint64_t age = (uint64_t)now + (uint64_t)SLACK_MS - (uint64_t)used;

	return used < 0 || age > (uint64_t)(SHM_KEY_IDLE_MS + SLACK_MS);
}

static bool claim(struct shm_key *k, uint64_t seen, uint64_t identity, int64_t now)
{
	SHM_KILLPOINT("key_claim_before");
	/* mo: acq_rel, pairs with identity_of(): one winner for each place */
	if (!atomic_compare_exchange_strong_explicit(&k->identity, &seen, identity,
						     memory_order_acq_rel, memory_order_relaxed))
		return false;
	SHM_KILLPOINT("key_claim_taken");
	store_time(&k->used_mono_ms, now);
	store_time(&k->cooling_until_mono_ms, 0);
	store_time(&k->ok_mono_ms, 0);
	store_number(&k->failures, 0);
	store_number(&k->http_status, 0);
	return true;
}

/* One pass: where the key stands, or the place it may have (*ret_free, -1: none) and what stood
 * there. */
static int32_t look(const struct shm_segment *seg, uint64_t identity, int64_t now,
		    int32_t *ret_free, uint64_t *ret_seen)
{
	*ret_free = -1;
	for (uint32_t i = 0; i < SHM_KEY_PROBES; i++) {
		const struct shm_key *k = entry(seg, identity + i);
		uint64_t seen = identity_of(k);

		if (seen == identity)
			return (int32_t)((identity + i) % SHM_KEYS);
		if (*ret_free < 0 && (seen == 0 || long_unused(k, now))) {
			*ret_free = (int32_t)((identity + i) % SHM_KEYS);
			*ret_seen = seen;
		}
		if (seen == 0)
			break;
	}
	return -1;
}

struct shm_key_ref shm_key_find(struct shm_segment *seg, uint64_t identity, int64_t now_mono_ms)
{
	struct shm_key_ref ref = {.identity = identity ? identity : 1, .index = -1};

	for (int tries = 0; tries < CLAIMS_MAX; tries++) {
		uint64_t seen = 0;
		int32_t place;

		ref.index = look(seg, ref.identity, now_mono_ms, &place, &seen);
		if (ref.index >= 0 || place < 0)
			return ref;
		if (claim(entry(seg, (uint64_t)place), seen, ref.identity, now_mono_ms)) {
			ref.index = place;
			return ref;
		}
	}
	return ref;
}

/* The entry, while it is still this key's; NULL otherwise. */
static struct shm_key *still(const struct shm_segment *seg, const struct shm_key_ref *ref)
{
	struct shm_key *k;

	if (ref->identity == 0 || ref->index < 0 || ref->index >= (int32_t)SHM_KEYS)
		return NULL;
	k = entry(seg, (uint64_t)ref->index);
	return identity_of(k) == ref->identity ? k : NULL;
}

static void report_ok(struct shm_key *k, int64_t now)
{
	/* Written only when it changes something: the line is shared by all workers, and most
	 * answers are good. */
	if ((uint64_t)now - (uint64_t)load_time(&k->ok_mono_ms) >= (uint64_t)SHM_KEY_OK_MS)
		store_time(&k->ok_mono_ms, now);
	/* mo: relaxed, a number that publishes nothing but itself */
	if (atomic_load_explicit(&k->failures, memory_order_relaxed) != 0)
		store_number(&k->failures, 0);
}

static void report_bad(struct shm_key *k, const struct shm_key_report *report, int64_t now)
{
	int64_t cool = report->cool_ms < SHM_KEY_COOL_MAX ? report->cool_ms : SHM_KEY_COOL_MAX;

	/* mo: relaxed, a count that publishes nothing but itself; it may wrap */
	(void)atomic_fetch_add_explicit(&k->failures, 1, memory_order_relaxed);
	/* The last one to be told is right: a shorter time is as true as a longer one. */
	if (report->outcome != SHM_KEY_FAILED && cool > 0)
		store_time(&k->cooling_until_mono_ms, now + cool);
}

void shm_key_report(struct shm_segment *seg, struct shm_key_ref *ref,
		    const struct shm_key_report *report, int64_t now_mono_ms)
{
	struct shm_key *k = still(seg, ref);
	uint32_t status = report->http_status > 0 ? (uint32_t)report->http_status : 0;

	if (!k && ref->identity != 0) {
		*ref = shm_key_find(seg, ref->identity, now_mono_ms);
		k = still(seg, ref);
	}
	if (!k)
		return;
	if ((uint64_t)now_mono_ms - (uint64_t)load_time(&k->used_mono_ms) >=
	    (uint64_t)SHM_KEY_TOUCH_MS)
		store_time(&k->used_mono_ms, now_mono_ms);
	/* mo: relaxed, a number that publishes nothing but itself */
	if (atomic_load_explicit(&k->http_status, memory_order_relaxed) != status)
		store_number(&k->http_status, status);
	SHM_KILLPOINT("key_report_half");
	if (report->outcome == SHM_KEY_OK)
		report_ok(k, now_mono_ms);
	else
		report_bad(k, report, now_mono_ms);
}

static int64_t cooling_of(const struct shm_key *k, int64_t now)
{
	int64_t until = load_time(&k->cooling_until_mono_ms);

	return until > now && until <= now + SHM_KEY_COOL_MAX + SLACK_MS ? until : 0;
}

int64_t shm_key_cooling_until(const struct shm_segment *seg, const struct shm_key_ref *ref,
			      int64_t now_mono_ms)
{
	const struct shm_key *k = still(seg, ref);

	return k ? cooling_of(k, now_mono_ms) : 0;
}

bool shm_key_info(const struct shm_segment *seg, const struct shm_key_ref *ref, int64_t now_mono_ms,
		  struct shm_key_info *ret_info)
{
	const struct shm_key *k = still(seg, ref);

	*ret_info = (struct shm_key_info){.failures = 0};
	if (!k)
		return false;
	ret_info->cooling_until_mono_ms = cooling_of(k, now_mono_ms);
	ret_info->ok_mono_ms = load_time(&k->ok_mono_ms);
	/* mo: relaxed (both), numbers that publish nothing but themselves */
	ret_info->failures = atomic_load_explicit(&k->failures, memory_order_relaxed);
	/* mo: relaxed, as above */
	ret_info->http_status = atomic_load_explicit(&k->http_status, memory_order_relaxed);
	return true;
}

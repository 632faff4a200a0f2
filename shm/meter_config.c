/*
 * What is told to meters from outside: limits, grants, what other nodes used, what is shown; and
 * the reading of them. Called by writerd and clusterd, one writer per word. Must never change a
 * value but to begin a new window, and never leave a changed limit without a touch.
 */
#include "shm/killpoint.h"
#include "shm/meter_op.h"
#include "shm/parts.h"

#define READ_TRIES 16u

uint32_t shm_meter_config(const struct shm_segment *seg, uint32_t m)
{
	/* mo: acquire, pairs with shm_meter_configure() */
	return atomic_load_explicit(&meter_at(seg, m)->config, memory_order_acquire);
}

uint32_t shm_meter_next_epoch(const struct shm_segment *seg, uint32_t m)
{
	/* mo: acquire, the word as it is */
	uint64_t hi = atomic_load_explicit(&meter_at(seg, m)->word.hi, memory_order_acquire);

	/* Beyond what a worker may be ahead of us. */
	return (meter_hi_epoch(hi) + METER_AHEAD + 1) & (METER_EPOCHS - 1);
}

void meter_touch(struct shm_segment *seg, uint32_t m, bool restart, uint32_t epoch, int64_t value)
{
	const struct shm_meter_writer nobody = {.seg = seg, .p = METER_NOBODY};
	struct shm_meter *meter = meter_at(seg, m);
	struct shm_pair from = shm_load128(&meter->word), next;

	do {
		meter_acknowledge(&nobody, m, from.hi);
		next.lo = restart ? (uint64_t)value : from.lo;
		next.hi =
		    meter_hi(restart ? epoch : meter_hi_epoch(from.hi), METER_NOBODY, from.hi + 1);
		SHM_KILLPOINT("meter_touch");
		/* mo: full barrier, pairs with the swap of who decided on what was before */
	} while (!shm_cas128(&meter->word, &from, next));
}

static uint32_t flags_of(const struct shm_meter *meter)
{
	/* mo: relaxed, the only writer's own word */
	return atomic_load_explicit(&meter->granted, memory_order_relaxed);
}

uint32_t shm_meter_configure(struct shm_segment *seg, uint32_t m, int64_t limit, bool granted,
			     bool restart, uint32_t epoch)
{
	struct shm_meter *meter = meter_at(seg, m);
	/* mo: relaxed, the only writer's own word */
	uint32_t version = atomic_load_explicit(&meter->config, memory_order_relaxed) | 1u;

	assert(limit >= 0 && limit <= SHM_METER_LIMIT_MAX);
	/* mo: release, before the fields: no version names a mixture */
	atomic_store_explicit(&meter->config, version, memory_order_release);
	SHM_KILLPOINT("meter_config_odd");
	/* mo: release (both), after the odd version */
	atomic_store_explicit(&meter->limit, limit, memory_order_release);
	/* mo: release, as above */
	atomic_store_explicit(&meter->granted,
			      (flags_of(meter) & METER_MISSED) | (granted ? METER_GRANTED : 0),
			      memory_order_release);
	SHM_KILLPOINT("meter_config_stored");
	/* mo: release, pairs with room() */
	atomic_store_explicit(&meter->config, version + 1, memory_order_release);
	SHM_KILLPOINT("meter_config_even");
	meter_touch(seg, m, restart, epoch, 0);
	return version + 1;
}

void meter_make_stale(struct shm_segment *seg, uint32_t m)
{
	struct shm_meter *meter = meter_at(seg, m);

	(void)shm_meter_configure(seg, m,
				  /* mo: relaxed, the only writer's own word */
				  atomic_load_explicit(&meter->limit, memory_order_relaxed),
				  (flags_of(meter) & METER_GRANTED) != 0, false, 0);
}

bool shm_meter_configured(const struct shm_segment *seg, uint32_t m, int64_t limit, bool granted)
{
	const struct shm_meter *meter = meter_at(seg, m);

	/* mo: relaxed (both), the only writer's own words */
	return (atomic_load_explicit(&meter->config, memory_order_relaxed) & 1u) == 0 &&
	       /* mo: relaxed, as above */
	       atomic_load_explicit(&meter->limit, memory_order_relaxed) == limit &&
	       ((flags_of(meter) & METER_GRANTED) != 0) == granted;
}

/* A word of one writer: its version is in hi, so readers see when it moves. */
static void set_side_word(struct shm_u128 *word, uint32_t epoch, int64_t sum)
{
	struct shm_pair from = shm_load128(word), next;

	do {
		next.lo = (uint64_t)sum;
		next.hi = (uint64_t)(epoch & (METER_EPOCHS - 1)) << 40 |
			  ((from.hi + 1) & ((UINT64_C(1) << 40) - 1));
		/* mo: full barrier, pairs with side_word(); one writer: it swaps at once */
	} while (!shm_cas128(word, &from, next));
}

void shm_meter_set_remote(struct shm_segment *seg, uint32_t m, uint32_t epoch, int64_t sum)
{
	assert(sum >= 0 && sum <= SHM_METER_LIMIT_MAX);
	set_side_word(&meter_at(seg, m)->remote, epoch, sum);
}

void shm_meter_set_allowance(struct shm_segment *seg, uint32_t m, uint32_t epoch, int64_t sum)
{
	assert(sum >= 0 && sum <= SHM_METER_LIMIT_MAX);
	set_side_word(&meter_at(seg, m)->allowance, epoch, sum);
}

void shm_meter_set_settled(struct shm_segment *seg, uint32_t m, uint32_t epoch, int64_t sum)
{
	set_side_word(&meter_at(seg, m)->settled, epoch, sum);
}

void shm_meter_set_missed(struct shm_segment *seg, uint32_t m, uint32_t epoch, int64_t sum)
{
	struct shm_meter *meter = meter_at(seg, m);
	uint32_t flags = flags_of(meter) & ~METER_MISSED;

	assert(sum >= -SHM_METER_LIMIT_MAX && sum <= SHM_METER_LIMIT_MAX);
	set_side_word(&meter->missed, epoch, sum);
	SHM_KILLPOINT("meter_missed");
	/* mo: release, pairs with meter_room(): the word before it */
	atomic_store_explicit(&meter->granted, flags | (sum != 0 ? METER_MISSED : 0),
			      memory_order_release);
}

void shm_meter_set_resets(struct shm_segment *seg, uint32_t m, uint32_t epoch, uint64_t count)
{
	uint64_t word = (uint64_t)(epoch & (METER_EPOCHS - 1)) << 40;

	assert(count <= SHM_METER_RESETS_MAX);
	/* mo: release, pairs with shm_meter_read(): the sums that know of them before it */
	atomic_store_explicit(&meter_at(seg, m)->resets, word | count, memory_order_release);
}

/* Half the way round: what is further behind than this would soon look like ahead. */
static bool long_idle(uint32_t word_epoch, uint32_t epoch)
{
	uint32_t behind = (epoch - word_epoch) & (METER_EPOCHS - 1);

	return behind > METER_EPOCHS / 2 && behind < METER_EPOCHS - METER_AHEAD;
}

static void janitor_of_sums(struct shm_segment *seg, uint32_t m, uint32_t epoch)
{
	struct shm_meter *meter = meter_at(seg, m);
	struct shm_pair settled = shm_load128(&meter->settled), missed;
	uint64_t resets;

	if (settled.lo != 0 && long_idle(meter_hi_epoch(settled.hi), epoch))
		shm_meter_set_settled(seg, m, epoch, 0);
	missed = shm_load128(&meter->missed);
	if (missed.lo != 0 && long_idle(meter_hi_epoch(missed.hi), epoch))
		shm_meter_set_missed(seg, m, epoch, 0);
	/* mo: relaxed, the only writer's own word */
	resets = atomic_load_explicit(&meter->resets, memory_order_relaxed);
	if (resets != 0 && long_idle((uint32_t)(resets >> 40), epoch))
		shm_meter_set_resets(seg, m, epoch, 0);
}

bool shm_meter_janitor(struct shm_segment *seg, uint32_t m, uint32_t epoch)
{
	const struct shm_meter_writer nobody = {.seg = seg, .p = METER_NOBODY};
	struct shm_meter *meter = meter_at(seg, m);
	struct shm_pair from = shm_load128(&meter->word);

	janitor_of_sums(seg, m, epoch);
	if (!long_idle(meter_hi_epoch(from.hi), epoch))
		return false;
	meter_acknowledge(&nobody, m, from.hi);
	/* mo: full barrier; lost: whoever moved it has turned it */
	return shm_cas128(&meter->word, &from,
			  (struct shm_pair){0, meter_hi(epoch, METER_NOBODY, from.hi + 1)});
}

static bool read_whole(const struct shm_u128 *word, struct shm_pair *ret_v)
{
	for (unsigned i = 0; i < READ_TRIES; i++) {
		if (shm_load128_whole(word, ret_v))
			return true;
	}
	return false;
}

bool shm_meter_read(const struct shm_segment *seg, uint32_t m, struct shm_meter_info *ret_info)
{
	const struct shm_meter *meter = meter_at(seg, m);
	/* mo: acquire, pairs with shm_meter_set_resets() */
	uint64_t resets = atomic_load_explicit(&meter->resets, memory_order_acquire);
	struct shm_pair word, settled, missed;

	if (!read_whole(&meter->word, &word) || !read_whole(&meter->settled, &settled) ||
	    !read_whole(&meter->missed, &missed))
		return false;
	*ret_info = (struct shm_meter_info){
	    .epoch = meter_hi_epoch(word.hi),
	    .value = (int64_t)word.lo,
	    /* mo: acquire, a number for people */
	    .limit = atomic_load_explicit(&meter->limit, memory_order_acquire),
	    .settled_epoch = meter_hi_epoch(settled.hi),
	    .settled = (int64_t)settled.lo,
	    .missed_epoch = meter_hi_epoch(missed.hi),
	    .missed = (int64_t)missed.lo,
	    .resets_epoch = (uint32_t)(resets >> 40),
	    .resets = resets & SHM_METER_RESETS_MAX,
	};
	return true;
}

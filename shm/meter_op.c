/*
 * The meter: one recoverable 128-bit word. Called by workers (admission, settlement) and, for dead
 * ones, by writerd; every step may be the last of its process. Must never lock, wait, or touch a
 * meter in any other way than op().
 *
 * Proof. (1) Only the holder of identity p puts tag (p, s) into a word, by one swap, and only after
 * it announced (meter, s) in its note; op() takes another number when the word carries that tag
 * from 2^32 operations ago. So tag and note together mean: it took effect. (2) A note becomes DONE
 * by another process only after that one read the tag in the word: DONE means it took effect. (3)
 * Who replaces a tag first looks at its writer's note and marks it DONE if it is that operation's;
 * the swap names all 16 bytes, so no other tag came between. Hence for a dead p the announced
 * operation took effect exactly if the word carries its tag or the note is DONE, looked at in this
 * order. (4) The progress word says, in one store, which operations are recorded; at most the
 * announced one is open, and (3) decides it. A sweeper works as p, with the same words: killed, it
 * leaves the same question with the same answer. (5) Every swap starts from the true old value and
 * adds the amount or the delta of one entry in the window it was reserved in, once; so the value is
 * the sum of what is held and settled in its window. A reservation succeeds only from the word on
 * which the limit was checked. (6) What a decision rests on (limit, allowance, configuration) is
 * stored before the word is touched: a decision on old data loses its swap.
 */
#include "shm/meter_op.h"

#include "shm/killpoint.h"

void meter_progress(struct shm_meter_writer *w, enum meter_phase phase, uint32_t entry, uint32_t k,
		    uint32_t n)
{
	const struct meter_progress g = {phase, entry, k, n, w->seq};

	/* mo: release, pairs with the sweeper's load after the death; entries before it */
	atomic_store_explicit(&w->seg->map->slots[w->p].progress, meter_progress_pack(&g),
			      memory_order_release);
	SHM_KILLPOINT("meter_progress");
}

void meter_step(struct shm_meter_writer *w, enum meter_phase phase, uint32_t entry, uint32_t k,
		uint32_t n)
{
	w->seq++;
	meter_progress(w, phase, entry, k, n);
}

/* The word's writer may be dead, or die before it records its operation: tell it that it took
 * effect, before its tag is gone. */
void meter_acknowledge(const struct shm_meter_writer *w, uint32_t m, uint64_t hi)
{
	uint32_t q = meter_hi_writer(hi);
	uint64_t note;

#ifdef SHM_MUTANT_NO_ACK
	q = METER_NOBODY; /* the stress must find this out */
#endif
	if (q == w->p || q >= SHM_PROC_SLOTS)
		return;
	/* mo: acquire, pairs with announce(): the announcement that belongs to the tag */
	note = atomic_load_explicit(meter_note_of(w, q), memory_order_acquire);
	if (meter_note_state(note) != METER_NOTE_PENDING || meter_note_meter(note) != m ||
	    (uint32_t)note != (uint32_t)hi)
		return;
	SHM_KILLPOINT("meter_acknowledge");
	/* mo: acq_rel / relaxed, pairs with recovery's look at the note; lost: q has moved on */
	atomic_compare_exchange_strong_explicit(meter_note_of(w, q), &note,
						meter_note_with(note, METER_NOTE_DONE),
						memory_order_acq_rel, memory_order_relaxed);
	SHM_KILLPOINT("meter_acknowledged");
}

/* Announces the next operation: what this process dies in is known from here on. */
static void announce(struct shm_meter_writer *w, const struct meter_op *o)
{
	uint32_t m = meter_of(o->entry);
	/* mo: acquire, only to see our own tag of long ago */
	uint64_t hi = atomic_load_explicit(&o->meter->word.hi, memory_order_acquire);

	if (meter_hi_is(hi, w->p, w->seq))
		meter_step(w, o->phase, o->i, o->k, o->n);
	SHM_KILLPOINT("meter_announce");
	/* mo: release, pairs with meter_acknowledge(); the swap's barrier makes it visible before
	 * the tag */
	atomic_store_explicit(meter_note_of(w, w->p), meter_note(METER_NOTE_PENDING, m, w->seq),
			      memory_order_release);
	SHM_KILLPOINT("meter_announced");
}

/* A word of one writer, counted only in the window it speaks about. false: it is moving. */
static bool side_word(const struct shm_u128 *word, uint32_t epoch, int64_t *ret_sum)
{
	struct shm_pair v;

	if (!shm_load128_whole(word, &v))
		return false;
	*ret_sum = (uint32_t)(v.hi >> 40) == epoch ? (int64_t)v.lo : 0;
	return true;
}

enum meter_result meter_room(const struct shm_meter *m, uint32_t want, int64_t most, uint32_t epoch,
			     int64_t *ret_room)
{
	int64_t remote = 0, allowance = 0, missed = 0, limit;
	uint32_t granted;
	/* mo: acquire, pairs with shm_meter_configure(): the limit that belongs to it */
	uint32_t config = atomic_load_explicit(&m->config, memory_order_acquire);

	if (want != METER_ANY_CONFIG && config != want)
		return METER_OP_STALE;
	if (config & 1u)
		return METER_OP_BUSY; /* an extension: owner and period are those of the epoch */
	/* mo: acquire, before the second look at config */
	limit = atomic_load_explicit(&m->limit, memory_order_acquire);
	limit = most < limit ? most : limit;
	if (!side_word(&m->remote, epoch, &remote))
		return METER_OP_BUSY;
	/* mo: acquire, pairs with shm_meter_set_missed(): the word that it speaks of */
	granted = atomic_load_explicit(&m->granted, memory_order_acquire);
	if (granted & METER_GRANTED) {
		if (!side_word(&m->allowance, epoch, &allowance))
			return METER_OP_BUSY;
		limit = allowance < limit ? allowance : limit;
	}
	if ((granted & METER_MISSED) && !side_word(&m->missed, epoch, &missed))
		return METER_OP_BUSY;
	/* mo: relaxed, after the acquire loads above */
	if (atomic_load_explicit(&m->config, memory_order_relaxed) != config)
		return METER_OP_BUSY;
	*ret_room = limit - remote - missed;
	return METER_OP_DONE;
}

/*
 * A window that ended is not begun again because its caller slept between its clock and this word:
 * only when it comes a second time, with a clock that it read after it saw this very word.
 */
static bool may_turn_back(struct shm_meter_writer *w, uint32_t m, uint64_t hi)
{
	uint32_t at = m % SHM_METER_AHEAD_SEEN;

	if (w->ahead[at].meter == m && w->ahead[at].hi == hi)
		return true;
	w->ahead[at].meter = m;
	w->ahead[at].hi = hi;
	return false;
}

/* The word after a reservation from `from`, or why there is none. */
static enum meter_result reserve_from(struct shm_meter_writer *w, const struct meter_op *o,
				      struct shm_pair from, struct shm_pair *ret_next)
{
	uint32_t epoch = meter_epoch_later(meter_hi_epoch(from.hi), o->now_epoch);
	int64_t value = epoch == meter_hi_epoch(from.hi) ? (int64_t)from.lo : 0;
	int64_t left = 0;
	enum meter_result r = meter_room(o->meter, o->entry->config, o->most, epoch, &left);

	if (r != METER_OP_DONE)
		return r;
	if (meter_epoch_far_ahead(meter_hi_epoch(from.hi), o->now_epoch) &&
	    !may_turn_back(w, meter_of(o->entry), from.hi))
		return METER_OP_AHEAD;
	if (o->entry->amount > left - value)
		return METER_OP_REFUSED;
	/* Before every swap: another window may have come between two tries. */
	o->entry->epoch = epoch;
	*ret_next =
	    (struct shm_pair){(uint64_t)(value + o->entry->amount), meter_hi(epoch, w->p, w->seq)};
	return METER_OP_DONE;
}

/* In the window of the reservation only. */
static enum meter_result adjust_from(const struct shm_meter_writer *w, const struct meter_op *o,
				     struct shm_pair from, struct shm_pair *ret_next)
{
	int64_t delta = o->entry->delta, left = 0;
	uint32_t epoch = o->entry->epoch;
	enum meter_result r;

	if (meter_hi_epoch(from.hi) != epoch)
		return METER_OP_DROPPED;
	if (o->phase == METER_EXTEND) {
		r = meter_room(o->meter, METER_ANY_CONFIG, o->most, epoch, &left);
		if (r != METER_OP_DONE)
			return r;
		if (delta > left - (int64_t)from.lo)
			return METER_OP_REFUSED;
	}
	*ret_next = (struct shm_pair){from.lo + (uint64_t)delta, meter_hi(epoch, w->p, w->seq)};
	return METER_OP_DONE;
}

/*
 * One operation on one meter. Only reservations give up: an adjustment loses a swap only to another
 * process's success, so somebody always gets on.
 */
enum meter_result meter_op(struct shm_meter_writer *w, const struct meter_op *o)
{
	struct shm_pair from, next;
	enum meter_result r;

	announce(w, o);
	from = shm_load128(&o->meter->word);
	for (unsigned tries = 0; o->phase == METER_ADJUST || tries < SHM_METER_TRIES; tries++) {
		r = o->phase == METER_RESERVE ? reserve_from(w, o, from, &next)
					      : adjust_from(w, o, from, &next);
		/* mo: acquire: a no is right only if the word is still the one it was decided on */
		if (r == METER_OP_REFUSED &&
		    atomic_load_explicit(&o->meter->word.hi, memory_order_acquire) != from.hi)
			r = METER_OP_BUSY;
		if (r == METER_OP_BUSY) {
			from = shm_load128(&o->meter->word);
			continue;
		}
		if (r != METER_OP_DONE)
			return r;
		meter_acknowledge(w, meter_of(o->entry), from.hi);
		SHM_KILLPOINT("meter_swap");
		/* mo: full barrier, pairs with shm_load128(): note and acknowledgement before it */
		if (shm_cas128(&o->meter->word, &from, next)) {
			SHM_KILLPOINT("meter_swapped");
			return METER_OP_DONE;
		}
	}
	return METER_OP_BUSY;
}

/* A hint that spares others the acknowledgement; only after progress has moved on. */
void meter_note_done(const struct shm_meter_writer *w)
{
	_Atomic uint64_t *note = meter_note_of(w, w->p);
	/* mo: relaxed, our own word; others only turn PENDING into DONE */
	uint64_t v = atomic_load_explicit(note, memory_order_relaxed);

	/* mo: release, progress before it */
	atomic_store_explicit(note, meter_note_with(v, METER_NOTE_DONE), memory_order_release);
}

/*
 * The phases of a request's meters: reserve all or nothing, extend, settle. Called by workers; the
 * parts that finish a phase also by the sweep. Must never begin a phase while another of the same
 * identity is open: its progress word is one.
 */
#include "shm/killpoint.h"
#include "shm/meter_op.h"

static void set_state(struct shm_inflight_entry *e, enum shm_meter_state s)
{
	/* mo: release, pairs with meter_state_of() of a sweeper */
	atomic_store_explicit(&e->meter_state, (uint32_t)s, memory_order_release);
	SHM_KILLPOINT("meter_state");
}

/* ---- phases */

/* Applies deltas from k on, then closes the phase. Progress stands at (ADJUST, i, k, n). */
void meter_adjust(struct shm_meter_writer *w, uint32_t i, uint32_t k, uint32_t n)
{
	struct shm_inflight_entry *e = meter_entry_at(w, i);

	for (; k < n; k++) {
		const struct meter_op o = {meter_at(w->seg, meter_of(&e->meters[k])),
					   &e->meters[k],
					   METER_ADJUST,
					   i,
					   k,
					   n,
					   0,
					   SHM_METER_LIMIT_MAX};
		if (o.entry->delta != 0)
			(void)meter_op(w, &o);
		meter_step(w, METER_ADJUST, i, k + 1, n);
	}
	meter_note_done(w);
	if (meter_state_of(e) == SHM_METER_CLOSING)
		set_state(e, SHM_METER_SETTLED);
	meter_progress(w, METER_IDLE, 0, 0, 0);
}

/* Takes the first k reservations back. May be begun again: it depends on nothing it changes. */
void meter_undo(struct shm_meter_writer *w, uint32_t i, uint32_t k, enum meter_phase phase)
{
	struct shm_inflight_entry *e = meter_entry_at(w, i);

	if (phase == METER_RESERVE)
		set_state(e, SHM_METER_NONE);
	for (uint32_t m = 0; m < k; m++) {
		struct shm_meter_entry *x = &e->meters[m];
		x->delta = phase == METER_EXTEND ? x->amount - x->target : -x->amount;
	}
	SHM_KILLPOINT("meter_undo");
	meter_step(w, METER_ADJUST, i, 0, k);
	meter_adjust(w, i, 0, k);
}

void meter_extended(struct shm_meter_writer *w, uint32_t i, uint32_t n)
{
	struct shm_inflight_entry *e = meter_entry_at(w, i);

	for (uint32_t m = 0; m < n; m++) {
		e->meters[m].amount = e->meters[m].target;
		SHM_KILLPOINT("meter_extended");
	}
	meter_note_done(w);
	meter_progress(w, METER_IDLE, 0, 0, 0);
}

static const enum shm_meter_verdict verdicts[] = {
    [METER_OP_DONE] = SHM_METER_OK,     [METER_OP_REFUSED] = SHM_METER_REFUSED,
    [METER_OP_STALE] = SHM_METER_STALE, [METER_OP_BUSY] = SHM_METER_BUSY,
    [METER_OP_AHEAD] = SHM_METER_BUSY,
};

/* Number k of a reservation (wants) or an extension (most, or as the meters say). */
static struct meter_op reservation(const struct shm_meter_writer *w, uint32_t i, uint32_t k,
				   uint32_t n, const struct shm_meter_want *wants,
				   const int64_t *most)
{
	struct shm_meter_entry *x = &meter_entry_at(w, i)->meters[k];
	struct meter_op o = {.meter = meter_at(w->seg, meter_of(x)),
			     .entry = x,
			     .phase = wants ? METER_RESERVE : METER_EXTEND,
			     .i = i,
			     .k = k,
			     .n = n,
			     .most = most ? most[k] : SHM_METER_LIMIT_MAX};

	if (wants) {
		o.now_epoch = wants[k].epoch;
		o.most = meter_most(&wants[k]);
	}
	return o;
}

/* Reserves meters 0 .. n - 1 of entry i, for the first time or on top; undoes all at the first no.
 */
static enum shm_meter_verdict reserve_all(struct shm_meter_writer *w, uint32_t i,
					  const struct shm_meter_want *wants, const int64_t *most,
					  uint32_t n, unsigned *ret_which)
{
	enum meter_phase phase = wants ? METER_RESERVE : METER_EXTEND;

	meter_step(w, phase, i, 0, n);
	for (uint32_t k = 0; k < n; k++) {
		const struct meter_op o = reservation(w, i, k, n, wants, most);
		bool nothing = phase == METER_EXTEND && o.entry->delta == 0;
		enum meter_result r = nothing ? METER_OP_DROPPED : meter_op(w, &o);
		if (r != METER_OP_DONE && r != METER_OP_DROPPED) {
			*ret_which = k;
			meter_undo(w, i, k, phase);
			return verdicts[r];
		}
		meter_step(w, phase, i, k + 1, n);
	}
	return SHM_METER_OK;
}

/* ---- public */

enum shm_meter_verdict shm_meter_admit(struct shm_meter_writer *w, int entry,
				       const struct shm_meter_want *wants, unsigned n,
				       unsigned *ret_which)
{
	uint32_t i = (uint32_t)entry;
	struct shm_inflight_entry *e = meter_entry_at(w, i);
	enum shm_meter_verdict v;

	assert(n <= SHM_METERS_PER_REQUEST);
	set_state(e, SHM_METER_NONE);
	for (unsigned k = 0; k < n; k++) {
		struct shm_meter_entry *x = &e->meters[k];

		assert(wants[k].amount >= 0 && wants[k].amount <= SHM_METER_AMOUNT_MAX);
		/* mo: relaxed, published by meter_count */
		atomic_store_explicit(&x->meter, wants[k].meter, memory_order_relaxed);
		x->config = wants[k].config;
		x->epoch = wants[k].epoch;
		x->amount = wants[k].amount;
	}
	/* mo: release, pairs with shm_meter_collect() */
	atomic_store_explicit(&e->meter_count, n, memory_order_release);
	v = reserve_all(w, i, wants, NULL, n, ret_which);
	if (v != SHM_METER_OK)
		return v;
	set_state(e, SHM_METER_HELD);
	meter_note_done(w);
	meter_progress(w, METER_IDLE, 0, 0, 0);
	return SHM_METER_OK;
}

enum shm_meter_verdict shm_meter_extend(struct shm_meter_writer *w, int entry, const int64_t *more,
					const int64_t *most, unsigned *ret_which)
{
	uint32_t i = (uint32_t)entry;
	struct shm_inflight_entry *e = meter_entry_at(w, i);
	uint32_t n = meter_count_of(e);
	enum shm_meter_verdict v;

	assert(meter_state_of(e) == SHM_METER_HELD);
	for (uint32_t k = 0; k < n; k++) {
		assert(more[k] >= 0 && e->meters[k].amount <= SHM_METER_AMOUNT_MAX - more[k]);
		e->meters[k].delta = more[k];
		e->meters[k].target = e->meters[k].amount + more[k];
	}
	v = reserve_all(w, i, NULL, most, n, ret_which);
	if (v == SHM_METER_OK)
		meter_extended(w, i, n);
	return v;
}

void shm_meter_closing(struct shm_meter_writer *w, int entry, const int64_t *actual)
{
	struct shm_inflight_entry *e = meter_entry_at(w, (uint32_t)entry);

	assert(meter_state_of(e) == SHM_METER_HELD);
	for (uint32_t k = 0, n = meter_count_of(e); k < n; k++) {
		assert(actual[k] >= 0 && actual[k] <= SHM_METER_AMOUNT_MAX);
		e->meters[k].delta = actual[k] - e->meters[k].amount;
	}
	set_state(e, SHM_METER_CLOSING);
}

void shm_meter_close(struct shm_meter_writer *w, int entry)
{
	uint32_t i = (uint32_t)entry;
	struct shm_inflight_entry *e = meter_entry_at(w, i);

	assert(meter_state_of(e) == SHM_METER_CLOSING);
	meter_step(w, METER_ADJUST, i, 0, meter_count_of(e));
	meter_adjust(w, i, 0, meter_count_of(e));
}

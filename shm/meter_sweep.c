/*
 * What a dead process left open in its meters: decided, then finished with the same operations and
 * the same numbers as its own. Called by the next holder of the identity and by writerd's sweep,
 * never while a holder lives. May be killed anywhere and begun again by another.
 */
#include "shm/killpoint.h"
#include "shm/meter_op.h"

/* Did the announced operation take effect? The word first, then the note: a tag vanishes only after
 * its note is DONE. */
static bool took_effect(const struct shm_meter_writer *w, const struct meter_progress *g)
{
	const struct shm_meter_entry *x = &meter_entry_at(w, g->entry)->meters[g->k];
	/* mo: acquire, pairs with announce() of the last holder */
	uint64_t note = atomic_load_explicit(meter_note_of(w, w->p), memory_order_acquire);
	uint64_t hi;

	if (meter_note_state(note) == METER_NOTE_NONE || meter_note_meter(note) != meter_of(x) ||
	    (note & METER_SEQ_MASK) != g->seq)
		return false;
	/* mo: acquire, before the second look at the note */
	hi = atomic_load_explicit(&meter_at(w->seg, meter_of(x))->word.hi, memory_order_acquire);
	SHM_KILLPOINT("meter_sweep_word");
	if (meter_hi_is(hi, w->p, g->seq))
		return true;
	/* mo: acquire, pairs with meter_acknowledge() */
	note = atomic_load_explicit(meter_note_of(w, w->p), memory_order_acquire);
	return meter_note_state(note) == METER_NOTE_DONE;
}

static void finish_phase(struct shm_meter_writer *w, const struct meter_progress *g)
{
	switch (g->phase) {
	case METER_IDLE:
		break;
	case METER_RESERVE:
		meter_undo(w, g->entry, g->k, METER_RESERVE);
		break;
	case METER_ADJUST:
		meter_adjust(w, g->entry, g->k, g->n);
		break;
	case METER_EXTEND:
		if (g->k < g->n)
			meter_undo(w, g->entry, g->k, METER_EXTEND);
		else
			meter_extended(w, g->entry, g->n);
		break;
	}
}

/* Entries that a holder had begun to close, and only those: one at a time, but its death may have
 * come before the phase began. */
static void finish_closing(struct shm_meter_writer *w)
{
	const struct shm_desk *d = &w->seg->map->desks[w->p];

	for (uint32_t word = 0; word < SHM_INFLIGHT_WORDS; word++) {
		/* mo: acquire, the last holder's stores are behind its death */
		uint64_t bits = atomic_load_explicit(&d->held_bits[word], memory_order_acquire);
		for (; bits; bits &= bits - 1) {
			uint32_t i = word * 64 + (uint32_t)__builtin_ctzll(bits);
			if (meter_state_of(meter_entry_at(w, i)) == SHM_METER_CLOSING)
				shm_meter_close(w, (int)i);
		}
	}
}

void shm_meter_enter(struct shm_meter_writer *w, struct shm_segment *seg, uint32_t p)
{
	struct meter_progress g;

	assert(p < SHM_PROC_SLOTS);
	*w = (struct shm_meter_writer){.seg = seg, .p = p};
	/* mo: acquire, pairs with meter_progress(): the entries it speaks about */
	g = meter_progress_unpack(
	    atomic_load_explicit(&seg->map->slots[p].progress, memory_order_acquire));
	w->seq = g.seq;
	if (g.n > SHM_METERS_PER_REQUEST || g.k > g.n)
		g = (struct meter_progress){.phase = METER_IDLE, .seq = g.seq}; /* not ours */
	if (g.phase != METER_IDLE && g.k < g.n && took_effect(w, &g)) {
		g.k++;
		meter_step(w, g.phase, g.entry, g.k, g.n);
	}
	finish_phase(w, &g);
	finish_closing(w);
}

unsigned shm_meter_names(const struct shm_meter_writer *w, int entry,
			 uint32_t meters[SHM_METERS_PER_REQUEST],
			 uint32_t epochs[SHM_METERS_PER_REQUEST])
{
	const struct shm_inflight_entry *e = meter_entry_at(w, (uint32_t)entry);
	uint32_t n = meter_count_of(e);

	for (uint32_t k = 0; k < n; k++) {
		meters[k] = meter_of(&e->meters[k]);
		epochs[k] = e->meters[k].epoch;
	}
	return n;
}

unsigned shm_meter_charges(const struct shm_meter_writer *w, int entry,
			   enum shm_meter_state *ret_state, int64_t charged[SHM_METERS_PER_REQUEST])
{
	const struct shm_inflight_entry *e = meter_entry_at(w, (uint32_t)entry);
	uint32_t n = meter_count_of(e);

	*ret_state = meter_state_of(e);
	if (*ret_state == SHM_METER_NONE)
		return 0;
	for (uint32_t k = 0; k < n; k++)
		charged[k] =
		    e->meters[k].amount + (*ret_state == SHM_METER_HELD ? 0 : e->meters[k].delta);
	return n;
}

/* The dead identity, with what it left open finished. */
static struct shm_meter_writer resume(struct shm_segment *seg, uint32_t p)
{
	/* mo: acquire, pairs with meter_progress() of the last holder or sweeper */
	const struct meter_progress g = meter_progress_unpack(
	    atomic_load_explicit(&seg->map->slots[p].progress, memory_order_acquire));
	struct shm_meter_writer w = {.seg = seg, .p = p, .seq = g.seq};

	if (g.phase != METER_IDLE)
		shm_meter_enter(&w, seg, p);
	return w;
}

uint32_t meter_sweep_decide(struct shm_segment *seg, uint32_t p, uint32_t i,
			    int64_t charged[SHM_METERS_PER_REQUEST])
{
	struct shm_meter_writer w = resume(seg, p);
	const struct shm_inflight_entry *e = meter_entry_at(&w, i);
	enum shm_meter_state s;
	uint32_t n = shm_meter_charges(&w, (int)i, &s, charged);

	if (s != SHM_METER_HELD)
		return n;
	/* As reserved, which is at least what was seen; requests that run do so no more. */
	for (uint32_t k = 0; k < n; k++) {
		if (shm_meter_quantity(seg, meter_of(&e->meters[k])) == SHM_METER_CONCURRENT)
			charged[k] = 0;
	}
	shm_meter_closing(&w, (int)i, charged);
	return n;
}

void meter_sweep_close(struct shm_segment *seg, uint32_t p, uint32_t i)
{
	struct shm_meter_writer w = resume(seg, p);

	if (meter_state_of(meter_entry_at(&w, i)) == SHM_METER_CLOSING)
		shm_meter_close(&w, (int)i);
}

/*
 * The machine of flips. snapshot.c feeds it and does what it says. It must never put in force what
 * somebody who serves has not taken, so that every order of events can be tried.
 */
#include "supervisor/flip.h"

#include <assert.h>
#include <string.h>

#include "common/ipc/deadlines.h"

static struct flip_order *order(struct flip_orders *out, enum flip_order_kind kind)
{
	struct flip_order *o = &out->items[out->count++];

	assert(out->count <= sizeof(out->items) / sizeof(out->items[0]));
	*o = (struct flip_order){.kind = kind};
	return o;
}

void flip_init(struct flip *f, uint64_t segment_generation)
{
	memset(f, 0, sizeof(*f));
	f->last = segment_generation;
}

uint32_t flip_request(uint64_t generation)
{
	return (uint32_t)(generation % UINT32_MAX) + 1;
}

uint32_t flip_waits_for(const struct flip *f)
{
	uint32_t n = 0;

	for (uint32_t s = 0; f->next && s < FLIP_MEMBERS; s++)
		n += f->members[s].role == FLIP_SERVER && !f->members[s].has_next;
	return n;
}

/* ------------------------------------------------------------------ telling */

static void tell(struct flip_member *m, uint32_t slot, enum flip_order_kind kind,
		 uint64_t generation, uint64_t base, struct flip_orders *out)
{
	struct flip_order *o = order(out, kind);

	o->slot = slot;
	o->generation = m->asked = generation;
	o->with_base = m->base != base;
	m->base = base;
}

/* One question at a time; what is in force first, so that whoever comes has it if what comes is
 * refused. */
static void tell_member(struct flip *f, uint32_t slot, struct flip_orders *out)
{
	struct flip_member *m = &f->members[slot];

	if (m->role == FLIP_NOBODY || m->asked)
		return;
	if (f->now && !m->has_now)
		tell(m, slot, FLIP_TELL_NOW, f->now, f->now_base, out);
	else if (f->next && !m->has_next)
		tell(m, slot, FLIP_TELL_NEXT, f->next, f->next_base, out);
}

static void tell_all(struct flip *f, struct flip_orders *out)
{
	for (uint32_t s = 0; s < FLIP_MEMBERS; s++)
		tell_member(f, s, out);
}

/* ------------------------------------------------------------------ begin and end */

static void answer_writer(struct flip *f, enum flip_order_kind kind, struct flip_orders *out)
{
	if (f->answer_waits)
		order(out, kind)->request = f->answer;
	f->answer_waits = false;
}

static void put_in_force(struct flip *f, struct flip_orders *out)
{
	order(out, FLIP_IN_FORCE)->generation = f->next;
	f->now = f->next;
	f->now_base = f->next_base;
	f->next = 0;
	for (uint32_t s = 0; s < FLIP_MEMBERS; s++) {
		f->members[s].has_now = f->members[s].has_next;
		f->members[s].has_next = false;
	}
	answer_writer(f, FLIP_TAKEN, out);
}

_Static_assert(FLIP_TIMEOUT_MS + FLIP_LATE_MS + FLIP_GRACE_MS < BF_FLIP_LIMIT_MS,
	       "the writer waits longer than for one flip");

static void begin(struct flip *f, uint32_t request, int64_t now_ms, struct flip_orders *out)
{
	struct flip_order *o = order(out, FLIP_BEGIN);

	o->with_base = f->base_waits;
	o->generation = f->next = ++f->last;
	f->next_base = f->base_waits ? ++f->last_base : f->now_base;
	f->base_waits = false;
	f->deadline_mono_ms = now_ms + FLIP_TIMEOUT_MS;
	f->answer_waits = true;
	f->answer = request;
}

/* Goes on as far as nobody is to be waited for. */
static void advance(struct flip *f, int64_t now_ms, struct flip_orders *out)
{
	if (f->next && flip_waits_for(f) == 0)
		put_in_force(f, out);
	if (!f->next && f->queue_waits) {
		f->queue_waits = false;
		begin(f, f->queue, now_ms, out);
		if (flip_waits_for(f) == 0)
			put_in_force(f, out);
	}
	tell_all(f, out);
}

static void refuse_next(struct flip *f, uint32_t slot, int64_t now_ms, struct flip_orders *out)
{
	order(out, FLIP_FORGET)->slot = slot;
	f->next = 0;
	for (uint32_t s = 0; s < FLIP_MEMBERS; s++)
		f->members[s].has_next = false;
	answer_writer(f, FLIP_REFUSED, out);
	advance(f, now_ms, out);
}

/* ------------------------------------------------------------------ members */

void flip_joined(struct flip *f, uint32_t slot, struct flip_orders *out)
{
	f->members[slot] = (struct flip_member){.role = FLIP_FOLLOWER};
	tell_member(f, slot, out);
}

void flip_serves(struct flip *f, uint32_t slot)
{
	if (f->members[slot].role == FLIP_FOLLOWER)
		f->members[slot].role = FLIP_SERVER;
}

static void forget(struct flip *f, uint32_t slot)
{
	f->members[slot] = (struct flip_member){.role = FLIP_NOBODY};
}

void flip_gone(struct flip *f, uint32_t slot, int64_t now_ms, struct flip_orders *out)
{
	forget(f, slot);
	advance(f, now_ms, out);
}

static void kill_member(struct flip *f, uint32_t slot, enum flip_order_kind kind,
			struct flip_orders *out)
{
	order(out, kind)->slot = slot;
	forget(f, slot);
}

void flip_answered(struct flip *f, uint32_t slot, uint32_t request, bool taken, int64_t now_ms,
		   struct flip_orders *out)
{
	struct flip_member *m = &f->members[slot];
	uint64_t generation = m->asked;

	/* What nobody asked is no answer. */
	if (!generation || flip_request(generation) != request)
		return;
	m->asked = 0;
	if (generation == f->next && !taken) {
		refuse_next(f, slot, now_ms, out);
		return;
	}
	if (generation == f->next)
		m->has_next = true;
	else if (generation == f->now && taken)
		m->has_now = true;
	else if (generation == f->now)
		kill_member(f, slot, FLIP_KILL_REFUSER, out);
	advance(f, now_ms, out);
}

/* ------------------------------------------------------------------ the writer */

bool flip_base(struct flip *f, uint32_t request, struct flip_orders *out)
{
	bool keep = !f->queue_waits;

	order(out, keep ? FLIP_TAKEN : FLIP_REFUSED)->request = request;
	f->base_waits |= keep;
	return keep;
}

bool flip_overlay(struct flip *f, uint32_t request, int64_t now_ms, struct flip_orders *out)
{
	/* While another comes only a writer that is new gives one, and it gives all. */
	if (f->queue_waits || (!f->base_waits && (f->next || !f->now))) {
		order(out, FLIP_REFUSED)->request = request;
		return false;
	}
	f->queue_waits = true;
	f->queue = request;
	advance(f, now_ms, out);
	return true;
}

void flip_writer_gone(struct flip *f)
{
	f->base_waits = f->queue_waits = f->answer_waits = false;
}

/* ------------------------------------------------------------------ time */

void flip_late(struct flip *f, int64_t now_ms, struct flip_orders *out)
{
	if (!f->next || now_ms < f->deadline_mono_ms)
		return;
	if (now_ms - f->deadline_mono_ms > FLIP_LATE_MS) {
		f->deadline_mono_ms = now_ms + FLIP_GRACE_MS;
		return;
	}
	for (uint32_t s = 0; s < FLIP_MEMBERS; s++) {
		if (f->members[s].role == FLIP_SERVER && !f->members[s].has_next)
			kill_member(f, s, FLIP_KILL_SILENT, out);
	}
	advance(f, now_ms, out);
}

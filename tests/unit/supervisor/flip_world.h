/* What may happen to the processes and the writer of flip_judge.h, one thing at a time. Only for
 * tests. */
#pragma once

#include "flip_judge.h"

enum {
	STARTS,
	GETS_READY,
	DIES,
	TAKES,
	REFUSES,
	EVENTS_OF_A_PROC,
	BASE = EVENTS_OF_A_PROC * PROCS,
	OVERLAY,
	WRITER_DIES,
	TIME,
	HAPPENINGS,
};

/* As proxyd keeps them: what is in force, and what was taken last. */
static inline void take(struct world *w, struct proc *p, uint64_t generation)
{
	if (p->next == w->header) {
		p->in_force = p->next;
		p->in_force_base = p->next_base;
	}
	p->next = generation;
	p->next_base = p->question_base;
	if (generation == w->header)
		p->synced = true;
}

static inline bool of_proc(struct world *w, uint32_t slot, unsigned h, struct flip_orders *out)
{
	struct proc *p = &w->procs[slot];
	uint64_t question = p->question;

	if ((h == STARTS) == p->alive || (p->killed && h != DIES))
		return false;
	switch (h) {
	case STARTS:
		*p = (struct proc){.alive = true};
		flip_joined(&w->f, slot, out);
		return true;
	case GETS_READY:
		if (p->serves || slot == READER)
			return false;
		p->serves = true;
		flip_serves(&w->f, slot);
		return true;
	case DIES:
		*p = (struct proc){.alive = false};
		flip_gone(&w->f, slot, w->now_ms, out);
		return true;
	default:
		if (!question)
			return false;
		if (h == TAKES)
			take(w, p, question);
		p->question = 0;
		flip_answered(&w->f, slot, flip_request(question), h == TAKES, w->now_ms, out);
		return true;
	}
}

static inline void base(struct world *w)
{
	struct flip_orders out = {.count = 0};
	bool keep = flip_base(&w->f, 1000000, &out);

	assert_int_equal(out.count, 1);
	assert_int_equal(out.items[0].request, 1000000);
	assert_int_equal(out.items[0].kind, keep ? FLIP_TAKEN : FLIP_REFUSED);
	/* A writer that waits for its answers is never told no. */
	assert_true(keep);
	w->coming_base = ++w->bases;
}

static inline bool overlay(struct world *w, struct flip_orders *out)
{
	if (w->asked_overlay)
		return false;
	w->asked_overlay = ++w->request;
	w->begun = 0;
	w->coming_overlay = true;
	if (!flip_overlay(&w->f, w->asked_overlay, w->now_ms, out))
		w->coming_overlay = false;
	return true;
}

static inline bool happens(struct world *w, unsigned h)
{
	struct flip_orders out;

	out.count = 0;
	if (h < BASE) {
		if (!of_proc(w, h / EVENTS_OF_A_PROC, h % EVENTS_OF_A_PROC, &out))
			return false;
	} else if (h == BASE) {
		if (w->asked_overlay)
			return false;
		base(w);
	} else if (h == OVERLAY) {
		if (!overlay(w, &out))
			return false;
	} else if (h == WRITER_DIES) {
		w->asked_overlay = w->begun = 0;
		w->coming_base = 0;
		w->coming_overlay = false;
		flip_writer_gone(&w->f);
	} else {
		if (!w->next)
			return false;
		w->now_ms = w->f.deadline_mono_ms;
		flip_late(&w->f, w->now_ms, &out);
	}
	obey(w, &out);
	check(w);
	return true;
}

/* Everybody answers, nobody dies: then everybody has what is in force and nobody waits. */
static inline void settle(struct world *w)
{
	bool more = true;

	for (int turn = 0; more; turn++) {
		assert_true(turn < 100);
		more = false;
		for (uint32_t i = 0; i < PROCS; i++)
			more |= happens(w, i * EVENTS_OF_A_PROC + TAKES);
	}
	assert_true(w->next == 0 && w->asked_overlay == 0);
	for (uint32_t i = 0; i < PROCS && w->now_base; i++) {
		const struct proc *p = &w->procs[i];

		if (p->alive && !p->killed)
			assert_true(has_now(w, p));
	}
}

/* From two workers and a reader that serve by a first snapshot. */
static inline void serving(struct world *w, uint64_t header)
{
	begin_world(w, header);
	for (uint32_t i = 0; i < PROCS; i++) {
		assert_true(happens(w, i * EVENTS_OF_A_PROC + STARTS));
		if (i != READER)
			assert_true(happens(w, i * EVENTS_OF_A_PROC + GETS_READY));
	}
	assert_true(happens(w, BASE) && happens(w, OVERLAY));
	settle(w);
	assert_int_equal(w->header, header + 1);
}

/*
 * Processes and a writer as the machine of flips sees them: its orders are obeyed, and judged by
 * what must always hold. Only for tests.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/flip.h"

#define PROCS  3u
#define READER 2u /* never ready in the sense of flips */

/* What a process has, from what it was told. */
struct proc {
	bool alive, killed, serves;
	uint64_t question, question_base; /* told and not answered */
	uint64_t in_force, in_force_base; /* taken */
	uint64_t next, next_base;
	bool synced; /* it has what is in force from now on */
};

struct world {
	struct flip f;
	int64_t now_ms;
	uint64_t header;
	uint64_t now_base, next_base, coming_base, bases; /* the descriptors that the shell keeps */
	uint64_t next;
	bool coming_overlay;
	struct proc procs[PROCS];
	uint32_t request;       /* of the writer */
	uint32_t asked_overlay; /* without an answer; 0: none */
	uint32_t begun;         /* that overlay, once it began */
	uint64_t begun_gen;     /* as what */
	unsigned taken, refused, flips, kills;
};

static inline void begin_world(struct world *w, uint64_t header)
{
	memset(w, 0, sizeof(*w));
	w->header = header;
	w->now_ms = 1000;
	flip_init(&w->f, header);
}

/* ---- orders are obeyed, and judged */

static inline void on_tell(struct world *w, const struct flip_order *o)
{
	struct proc *p = &w->procs[o->slot];
	bool now = o->kind == FLIP_TELL_NOW;
	uint64_t base = now ? w->now_base : w->next_base;

	assert_true(o->slot < PROCS && p->alive && !p->killed);
	assert_true(p->question == 0);
	assert_true(o->generation == (now ? w->header : w->next));
	assert_true(base != 0);
	if (o->with_base)
		p->question_base = base;
	assert_true(p->question_base == base);
	p->question = o->generation;
}

static inline void on_in_force(struct world *w, const struct flip_order *o)
{
	assert_true(o->generation == w->next && w->next > w->header);
	w->header = w->next;
	w->now_base = w->next_base;
	w->next = 0;
	w->flips++;
	for (uint32_t i = 0; i < PROCS; i++) {
		struct proc *p = &w->procs[i];

		if (p->alive && !p->killed && p->serves)
			assert_true(p->next == w->header);
		/* Who did not serve is behind now, and must not serve before it has caught up. */
		p->synced = p->next == w->header;
	}
}

static inline void on_kill(struct world *w, const struct flip_order *o)
{
	struct proc *p = &w->procs[o->slot];

	assert_true(p->alive && !p->killed);
	/* A reader is never killed for being slow. */
	assert_true(o->kind == FLIP_KILL_REFUSER || p->serves);
	p->killed = true;
	w->kills++;
}

static inline void on_answer(struct world *w, const struct flip_order *o)
{
	bool taken = o->kind == FLIP_TAKEN;

	assert_int_equal(o->request, w->asked_overlay);
	/* Whoever is told so finds it in force everywhere. */
	if (taken)
		assert_true(w->begun == o->request && w->header == w->begun_gen);
	else if (w->begun == o->request)
		assert_true(w->header != w->begun_gen);
	w->asked_overlay = 0;
	w->taken += taken;
	w->refused += !taken;
}

static inline void on_begin(struct world *w, const struct flip_order *o)
{
	assert_true(w->next == 0 && w->coming_overlay);
	assert_true(o->with_base == (w->coming_base != 0));
	w->next = o->generation;
	assert_true(w->next > w->header);
	w->next_base = o->with_base ? w->coming_base : w->now_base;
	assert_true(w->next_base != 0);
	w->coming_base = 0;
	w->coming_overlay = false;
	w->begun = w->asked_overlay;
	w->begun_gen = w->next;
}

static inline void obey(struct world *w, const struct flip_orders *out)
{
	for (uint32_t i = 0; i < out->count; i++) {
		const struct flip_order *o = &out->items[i];

		switch (o->kind) {
		case FLIP_TELL_NOW:
		case FLIP_TELL_NEXT:
			on_tell(w, o);
			break;
		case FLIP_KILL_SILENT:
		case FLIP_KILL_REFUSER:
			on_kill(w, o);
			break;
		case FLIP_BEGIN:
			on_begin(w, o);
			break;
		case FLIP_IN_FORCE:
			on_in_force(w, o);
			break;
		case FLIP_FORGET:
			assert_true(w->next != 0);
			w->next = w->next_base = 0;
			break;
		case FLIP_TAKEN:
		case FLIP_REFUSED:
			on_answer(w, o);
			break;
		}
	}
}

static inline bool has_now(const struct world *w, const struct proc *p)
{
	return (p->next == w->header && p->next_base == w->now_base) ||
	       (p->in_force == w->header && p->in_force_base == w->now_base);
}

static inline void check(const struct world *w)
{
	assert_true((w->next != 0) == (w->f.next != 0));
	/* A flip that nobody is waited for has ended. */
	assert_true(w->next == 0 || flip_waits_for(&w->f) > 0);
	for (uint32_t i = 0; i < PROCS; i++) {
		const struct proc *p = &w->procs[i];

		if (p->alive && !p->killed && p->serves && p->synced)
			assert_true(has_now(w, p));
		/* Nobody is forgotten: what it lacks it was asked, or is asked when it answers. */
		if (p->alive && !p->killed && w->now_base && !p->question)
			assert_true(has_now(w, p) || w->next != 0);
	}
}

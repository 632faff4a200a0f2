/*
 * How what is in force changes: what comes is told to all that serve, and is put in force when the
 * last of them has taken it, so that whoever hears of the change finds it on every worker. A worker
 * that is silent is killed, one that refuses stops the flip, and the old one stays. Pure: events
 * in, orders out; knows processes by their slots and snapshots by their generation.
 *
 * Who serves (a worker that is ready or drains) is waited for. Who does not (a process that starts,
 * the reader) is told too, and not waited for: it is told of the next one only when it has answered
 * the last, so that nothing piles up at it, and must not serve by an older one than the segment
 * names.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FLIP_MEMBERS    64u  /* process slots */
#define FLIP_TIMEOUT_MS 5000 /* for all answers */
/* We were stopped ourselves: answers may wait unread, so this long nobody is judged. */
#define FLIP_LATE_MS  250
#define FLIP_GRACE_MS 1000

enum flip_role {
	FLIP_NOBODY,
	FLIP_FOLLOWER, /* told, not waited for */
	FLIP_SERVER,
};

enum flip_order_kind {
	FLIP_TELL_NOW,     /* `slot` shall map what is in force */
	FLIP_TELL_NEXT,    /* `slot` shall map what comes */
	FLIP_KILL_SILENT,  /* `slot`: it did not answer; it is forgotten already */
	FLIP_KILL_REFUSER, /* `slot`: it refused what is in force; so is it */
	FLIP_BEGIN,        /* what was given by the writer is what comes */
	FLIP_IN_FORCE,     /* what comes is in force: its generation goes into the segment */
	FLIP_FORGET,       /* what comes was refused by `slot`: the old one stays */
	FLIP_TAKEN,        /* the writer's `request` is answered so */
	FLIP_REFUSED,
};

struct flip_order {
	enum flip_order_kind kind;
	uint32_t slot;
	bool with_base; /* of a TELL: it has another base, or none; of BEGIN: there is a new one */
	uint32_t request;
	uint64_t generation; /* of TELL, BEGIN and IN_FORCE */
};

/* To be done in their order. */
struct flip_orders {
	uint32_t count;
	struct flip_order items[4u * FLIP_MEMBERS + 16];
};

struct flip_member {
	enum flip_role role;
	bool has_now, has_next;
	uint64_t asked; /* generation that it has not answered yet; 0: none */
	uint64_t base;  /* number of the base that it was told last */
};

struct flip {
	uint64_t last;                /* generation that was given out last */
	uint64_t now, next;           /* 0: none */
	uint64_t now_base, next_base; /* numbers of bases, ours */
	uint64_t last_base;
	int64_t deadline_mono_ms; /* of next */
	bool base_waits;          /* the writer gave a base, and no overlay of it yet */
	bool answer_waits, queue_waits;
	uint32_t answer, queue; /* requests of the writer: of what comes, and of what waits */
	struct flip_member members[FLIP_MEMBERS];
};

/* Generations go on behind the one that the segment names: no process has those. */
void flip_init(struct flip *f, uint64_t segment_generation);

/* A process was forked, which will hear what it is told in this order; it serves from now on; it is
 * gone, or will not hear any more. */
void flip_joined(struct flip *f, uint32_t slot, struct flip_orders *out);
void flip_serves(struct flip *f, uint32_t slot);
void flip_gone(struct flip *f, uint32_t slot, int64_t now_mono_ms, struct flip_orders *out);

/* The request that a TELL is sent with, and that its answer names. Never 0. */
uint32_t flip_request(uint64_t generation);
void flip_answered(struct flip *f, uint32_t slot, uint32_t request, bool taken, int64_t now_mono_ms,
		   struct flip_orders *out);

/*
 * What the writer gives: a base, of which the overlay follows; an overlay, of the base that was
 * given before it or else of the one in force. It waits for the answer before it gives another; one
 * that comes all the same while another waits is refused, and is not to be kept: false. After a no
 * the base is forgotten too.
 */
bool flip_base(struct flip *f, uint32_t request, struct flip_orders *out);
bool flip_overlay(struct flip *f, uint32_t request, int64_t now_mono_ms, struct flip_orders *out);
/* What it gave and what has not begun is forgotten, what has begun goes on. */
void flip_writer_gone(struct flip *f);

/* The deadline has passed. */
void flip_late(struct flip *f, int64_t now_mono_ms, struct flip_orders *out);

/* Whom the present flip waits for. */
uint32_t flip_waits_for(const struct flip *f);

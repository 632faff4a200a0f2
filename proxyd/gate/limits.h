/*
 * A key's limits: what a call reserves of them before it begins and on top in mid-stream. What it
 * used in the end is settled with its row (proxyd/record/charge.h).
 */
#pragma once

#include "proxyd/gate/govern.h"
#include "shm/meter.h"

enum limits_verdict {
	LIMITS_OK,
	LIMITS_REFUSED,
	LIMITS_BUSY, /* others move the meters: in the next turn again */
};

/* What the client is told; lines are for x->answer_head. */
struct limits_refusal {
	int http_status;
	const char *type;
	unsigned retry_after_s; /* 0: no such header */
	bool of_target;         /* another model may be within the limits: fallbacks are asked */
	struct bf_slice lines;
	struct shm_usage_blame blame; /* all zero: no limit's */
	char text[320];
};

/* What a target wants of each limit, and what was left of it. */
struct limits_wish {
	unsigned n;
	struct shm_meter_want wants[SHM_METERS_PER_REQUEST];
	int64_t room[SHM_METERS_PER_REQUEST];
};

/*
 * Before the row is opened: finds the price of x's present target, what it will take, and whether
 * there is room; reads only. Needs w->governance; without a virtual key, or one without limits,
 * always OK with nothing wished.
 */
enum limits_verdict limits_look(struct exchange *x, struct limits_wish *ret_wish,
				struct limits_refusal *ret_no);
/* Reserves it, in x->inflight: x->metered. On another verdict nothing is reserved. */
enum limits_verdict limits_take(struct exchange *x, struct limits_wish *wish,
				struct limits_refusal *ret_no);
/* x->key is another one of the same provider: its price may be another one too. Needs
 * w->governance. */
void limits_rekey(struct exchange *x);
/* The meters were not to be had in time. */
void limits_busy(struct exchange *x, struct limits_refusal *ret_no);

/* A stream of a metered exchange has seen so many output tokens. False: it has to end, ret_no says
 * why. */
bool limits_seen(struct exchange *x, uint64_t output_tokens,
		 struct limits_refusal *ret_no) BF_MUST_CHECK;
/* An answer is whole: what it took is remembered for the next estimate. */
void limits_learn(const struct exchange *x);
/* Before an answer or a stream's head leaves: x->answer_head tells the limits, instead of what a
 * provider said of its own. */
void limits_tell(struct exchange *x);

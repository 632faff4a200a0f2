/*
 * What follows a failed attempt: the same key again, another key, the next target, or the end. A
 * pure machine: (state, event, world) -> action.
 *
 * | outcome | action |
 * |---|---|
 * | network error, 500, 502, 503, 504 | the same key after a back-off; counts against max_retries |
 * | 429 | another key that was not tried yet, after a back-off; when all were, any, and that counts
 * | | 401, 402, 403 | the key is dead for this request; another at once; none left: exhausted | |
 * all else | no retry |
 *
 * Nothing begins at or after the deadline, and nobody waits for a key that cools for longer than
 * the longest back-off. A key that cools is tried all the same when the others were refused.
 */
#pragma once

#include "proxyd/exchange.h"
#include "proxyd/provider/key.h"

struct retry_policy {
	uint64_t max_retries;
	int64_t backoff_initial_ms, backoff_max_ms;
};

/* Of one target. */
struct retry {
	struct retry_policy policy;
	struct key_set candidates;
	struct key_set used; /* tried since the beginning, or since all were */
	struct key_set dead; /* refused: never tried again */
	int key;             /* of the present attempt; -1: none is needed */
	uint32_t attempts;
	uint64_t retries; /* counted against max_retries */
	uint32_t waits;   /* back-offs so far */
};

/* How an attempt failed. */
struct retry_event {
	enum exchange_fault fault;
	int http_status;        /* with EXCHANGE_FAULT_STATUS */
	int64_t retry_after_ms; /* 0: not told */
};

struct retry_world {
	const struct bf_conf_provider *conf;
	const int64_t *cooling_until; /* of the candidates, by index; 0: up */
	int64_t now_ms, deadline_ms;  /* deadline 0: none */
	uint64_t random;
	bool has_fallback;
};

enum retry_verb {
	RETRY_SAME,
	RETRY_ROTATE,
	RETRY_FALLBACK, /* the next target */
	RETRY_GIVE_UP,  /* the client gets the primary's error */
};

struct retry_action {
	enum retry_verb verb;
	int64_t at_ms;  /* SAME, ROTATE: when; r->key says with what */
	bool exhausted; /* FALLBACK, GIVE_UP: every key was refused: 502, not what the last one said
			 */
};

/* The first attempt with a target; key as chosen among the candidates, -1 when none is needed. */
void retry_begin(struct retry *r, const struct retry_policy *policy,
		 const struct key_set *candidates, int key);
/* Counts the next attempt when there is one: r->key and r->attempts are of it. */
struct retry_action retry_next(struct retry *r, const struct retry_event *e,
			       const struct retry_world *w);

/* The most attempts with one target: an invariant, for tests. */
uint64_t retry_attempts_max(unsigned keys, uint64_t max_retries);
/* Is this a key that the provider will not take? */
bool retry_is_refusal(int http_status);

/* How limits are told: header lines and refusals. */
#pragma once

#include "proxyd/gate/limits.h"

/* Seconds until the end of a limit's window, at least 1. */
unsigned limits_text_retry_s(const struct bf_limit *limit, int64_t ends_in_ms);

/* Of a limit, in its quantity. */
struct limits_state {
	int64_t max, used; /* used: or reserved; perhaps more than max */
	int64_t amount;    /* what was refused; 0: no request, a stream that ran */
};

/* Kind of a limit's owner, as people say it: "virtual key". */
const char *limits_text_owner(const struct bf_limit *limit);

/* Whose it is and which, for the row of who was refused by it. */
struct shm_usage_blame limits_text_blame(const struct bf_limit *limit);

/*
 * "virtual key "x": ...": what was used of what, and what one more would take. What the limit can
 * never give is told as that: retry_after_s is 0.
 */
void limits_text_refusal(const struct bf_limit *limit, const struct limits_state *state,
			 int64_t ends_in_ms, struct limits_refusal *ret_no);

/* What is left of a limit, for the x-ratelimit lines. limit NULL: there is none. */
struct limits_left {
	const struct bf_limit *limit;
	int64_t max;
	int64_t left; /* below 0 is told as 0 */
	int64_t ends_in_ms;
};

#define LIMITS_TEXT_LINES_MAX 384u

/* The x-ratelimit lines of both, somewhere in out. */
struct bf_slice limits_text_lines(char out[LIMITS_TEXT_LINES_MAX],
				  const struct limits_left *requests,
				  const struct limits_left *tokens);

/* The lines of `theirs` without those that begin with x-ratelimit-, then ours. In the arena; theirs
 * when memory is out. */
struct bf_slice limits_text_merge(struct bf_arena *arena, struct bf_slice theirs,
				  struct bf_slice ours);

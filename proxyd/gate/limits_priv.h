/* What limits.c and limits_stream.c share. */
#pragma once

#include "proxyd/gate/limits_text.h"
#include "shm/wall.h"

/* One reading of both clocks serves all limits of an admission. */
struct limits_now {
	struct shm_wall wall;
	int64_t boot_ns;
};

struct limits_now limits_now_of(const struct exchange *x);
int64_t limits_now_ms(const struct limits_now *now, const struct bf_limit *limit);

/* Until the window ends that its meter counts. */
int64_t limits_ends_in_ms(const struct exchange *x, const struct bf_limit *limit,
			  const struct limits_now *now);

/* How many output tokens of x's target this money buys; never negative. */
uint64_t limits_tokens_for(const struct exchange *x, int64_t nusd);

/* What x's present target wants of each limit of its key. False: a meter is not there yet. */
bool limits_wants(const struct exchange *x, const struct limits_now *now, struct limits_wish *wish);
/* What is left of a limit now, below 0 what was used beyond it; a question that changes nothing. */
int64_t limits_room(const struct exchange *x, const struct shm_meter_want *want);
struct limits_state limits_state_of(const struct exchange *x, const struct bf_limit *limit,
				    int64_t room, int64_t amount);

/* What limits.c and limits_stream.c share. */
#pragma once

#include "proxyd/gate/limits_text.h"
#include "proxyd/gate/place.h"
#include "shm/wall.h"

/* One reading of both clocks serves all limits of an admission. */
struct limits_now {
	struct shm_wall wall;
	int64_t boot_ns;
};

struct limits_now limits_now_of(const struct exchange *x);
int64_t limits_now_ms(const struct limits_now *now, const struct bf_limit *limit);

/* The most that a limit gives, whatever its meter says: where a budget was raised until now,
 * writerd may not have been there to take that back. */
int64_t limits_most(const struct bf_limit *limit, int64_t now_ms);

/* Until the window ends that its meter counts. */
int64_t limits_ends_in_ms(const struct bf_limit *limit, const struct limits_now *now);

/* How many output tokens, beside its prompt, are sure not to cost more than this. */
uint64_t limits_output_within(const struct exchange *x, int64_t nusd);

/* What is known of x's present target. */
struct tariff_model *limits_model(const struct exchange *x);
/* x->spend.price and bound, by unpriced_models where the model has none. False: no memory. */
bool limits_price(struct exchange *x, const struct tariff_model *model);
/* Of a target without a price. True: it must not be called; else it was counted. */
bool limits_uncharged(struct exchange *x);

/* What x's present target wants of each limit of its key. False: a meter is not there yet. */
bool limits_wants(const struct exchange *x, const struct limits_now *now, struct limits_wish *wish);
/* What is left of a limit now, below 0 what was used beyond it; a question that changes nothing. */
int64_t limits_room(const struct exchange *x, const struct shm_meter_want *want);
struct limits_state limits_state_of(const struct bf_limit *limit, int64_t room, int64_t amount);

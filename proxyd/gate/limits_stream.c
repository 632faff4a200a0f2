/*
 * Reservations of a stream that runs. Called by the relay for each event. Must never end a stream
 * while there is something left for it, nor let one run on what is not reserved.
 */
#include "proxyd/gate/limits_priv.h"

/* Of each of its limits, NULL: as the meters say. */
static const int64_t *stream_most(const struct exchange *x, int64_t most[SHM_METERS_PER_REQUEST])
{
	struct limits_now now = {.boot_ns = 0};

	for (uint32_t k = 0; k < x->limits.count; k++) {
		const struct bf_limit *limit = x->limits.items[k];

		most[k] = SHM_METER_LIMIT_MAX;
		if (limit->extra == 0)
			continue;
		if (now.boot_ns == 0)
			now = limits_now_of(x);
		most[k] = limits_most(limit, limits_now_ms(&now, limit));
	}
	return now.boot_ns ? most : NULL;
}

/* Reserves more output for all limits, or nothing. */
static enum shm_meter_verdict stream_extend(struct exchange *x, uint64_t more, unsigned *ret_which)
{
	struct exchange_spend *s = &x->spend;
	int64_t nusd = exchange_bound_nusd(x, s->prompt_tokens, s->output_tokens + more);
	int64_t amounts[SHM_METERS_PER_REQUEST], most[SHM_METERS_PER_REQUEST];
	enum shm_meter_verdict v;

	for (uint32_t k = 0; k < x->limits.count; k++) {
		enum bf_quantity quantity = x->limits.items[k]->quantity;

		amounts[k] = 0;
		if (quantity == BF_QUANTITY_TOKENS)
			amounts[k] = (int64_t)more;
		else if (quantity == BF_QUANTITY_NUSD)
			amounts[k] = nusd - s->nusd;
	}
	v = shm_meter_extend(&x->worker->meters, x->inflight, amounts, stream_most(x, most),
			     ret_which);
	if (v == SHM_METER_OK) {
		s->output_tokens += more;
		s->nusd = nusd;
	}
	return v;
}

/* Its limits, in the windows that it began in. */
static bool stream_wants(const struct exchange *x, const struct limits_now *now,
			 struct limits_wish *wish)
{
	uint32_t meters[SHM_METERS_PER_REQUEST], epochs[SHM_METERS_PER_REQUEST];

	/* A configuration that is stale would look like nothing left. */
	places_forget(&x->limits);
	if (!limits_wants(x, now, wish))
		return false;
	(void)shm_meter_names(&x->worker->meters, x->inflight, meters, epochs);
	for (unsigned k = 0; k < wish->n; k++)
		wish->wants[k].epoch = epochs[k];
	return true;
}

/* How many tokens a limit has left for it. */
static uint64_t stream_room(const struct exchange *x, const struct bf_limit *limit, int64_t room)
{
	const struct exchange_spend *s = &x->spend;
	uint64_t tokens;

	if (limit->quantity == BF_QUANTITY_TOKENS)
		return room > 0 ? (uint64_t)room : 0;
	if (limit->quantity != BF_QUANTITY_NUSD)
		return ESTIMATE_TOKENS_MAX;
	tokens = limits_output_within(x, s->nusd + BF_MAX(room, (int64_t)0));
	return tokens > s->output_tokens ? tokens - s->output_tokens : 0;
}

/* What all of them have left, and which has least. */
static uint64_t stream_rest(const struct exchange *x, const struct limits_wish *wish,
			    unsigned *ret_which)
{
	uint64_t rest = ESTIMATE_TOKENS_MAX;

	for (unsigned k = 0; k < wish->n; k++) {
		const struct bf_limit *limit = x->limits.items[k];
		uint64_t room = stream_room(x, limit, limits_room(x, &wish->wants[k]));

		if (room >= rest)
			continue;
		rest = room;
		*ret_which = k;
	}
	return rest;
}

/* All that is left, up to more; when others were faster, half of what is left then. */
static enum shm_meter_verdict stream_extend_by_rest(struct exchange *x, uint64_t more,
						    const struct limits_wish *wish,
						    unsigned *ret_which)
{
	enum shm_meter_verdict v = SHM_METER_REFUSED;
	unsigned refused;

	for (unsigned tries = 0; v == SHM_METER_REFUSED; tries++) {
		uint64_t rest = BF_MIN(stream_rest(x, wish, ret_which), more) >> tries;

		if (rest == 0)
			break;
		v = stream_extend(x, rest, &refused);
	}
	return v;
}

static void stream_cut(struct exchange *x, const struct limits_wish *wish, unsigned which,
		       const struct limits_now *now, struct limits_refusal *no)
{
	const struct bf_limit *limit = x->limits.items[which];
	int64_t room = wish->n ? limits_room(x, &wish->wants[which]) : 0;
	const struct limits_state state = limits_state_of(limit, room, 0);

	*no = (struct limits_refusal){0};
	limits_text_refusal(limit, &state, limits_ends_in_ms(limit, now), no);
	worker_count(x->worker, SHM_M_LIMIT_CUT);
	x->spend.over = true;
}

/* More was refused. True: it may go on with what it has, or got. */
static bool stream_goes_on(struct exchange *x, uint64_t output_tokens, uint64_t more,
			   unsigned which, struct limits_refusal *no)
{
	const struct limits_now now = limits_now_of(x);
	struct exchange_spend *s = &x->spend;
	struct limits_wish wish;
	enum shm_meter_verdict v = SHM_METER_REFUSED;

	if (stream_wants(x, &now, &wish))
		v = stream_extend_by_rest(x, more, &wish, &which);
	else
		wish.n = 0;
	if (v == SHM_METER_OK)
		worker_count(x->worker, SHM_M_LIMIT_EXTENSIONS);
	s->last = v != SHM_METER_BUSY;
	if (output_tokens <= s->output_tokens || v == SHM_METER_BUSY)
		return true;
	stream_cut(x, &wish, which, &now, no);
	return false;
}

bool limits_seen(struct exchange *x, uint64_t output_tokens, struct limits_refusal *no)
{
	struct exchange_spend *s = &x->spend;
	uint64_t more = estimate_more(output_tokens, s->output_tokens, s->bounded || s->last);
	unsigned which = 0;

	if (more == 0 || s->output_tokens + more > ESTIMATE_TOKENS_MAX)
		return true;
	switch (stream_extend(x, more, &which)) {
	case SHM_METER_OK:
		worker_count(x->worker, SHM_M_LIMIT_EXTENSIONS);
		s->last = false;
		return true;
	case SHM_METER_BUSY: /* there is time until the next event */
		s->last = false;
		return true;
	case SHM_METER_REFUSED:
	case SHM_METER_STALE:
		break;
	}
	return stream_goes_on(x, output_tokens, more, which, no);
}

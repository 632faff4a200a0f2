/*
 * Reservations. Called by call_admit.c before a target is called. Must never let a call begin that
 * has not reserved all of what it may take, nor refuse as used up what is only not to be had at
 * this moment.
 */
#include "proxyd/gate/limits_priv.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "proxyd/gate/limits_text.h"

#define LIMITS_NO_RETRY BF_SLICE_LIT("x-should-retry: false\r\n") /* the SDKs know it */

static const enum shm_metric refusal_counters[] = {
    [BF_QUANTITY_REQUESTS] = SHM_M_LIMIT_REQUESTS,
    [BF_QUANTITY_TOKENS] = SHM_M_LIMIT_TOKENS,
    [BF_QUANTITY_CONCURRENT] = SHM_M_LIMIT_CONCURRENT,
    [BF_QUANTITY_NUSD] = SHM_M_LIMIT_COST,
};

struct limits_now limits_now_of(const struct exchange *x)
{
	return (struct limits_now){shm_wall_read(x->worker->seg), bf_boot_ns()};
}

int64_t limits_now_ms(const struct limits_now *now, const struct bf_limit *limit)
{
	return shm_wall_ms(&now->wall, now->boot_ns, bf_limit_length_ms(limit));
}

int64_t limits_most(const struct bf_limit *limit, int64_t now_ms)
{
	bool is_raised = !limit->extra || bf_limit_max_at(limit, now_ms) > limit->max;

	return is_raised ? SHM_METER_LIMIT_MAX : limit->max;
}

/* ---- how much */

/* Of a limit, as far as this worker knows: a reload may have changed the one of its plan. */
static int64_t maximum_of(const struct bf_limit *limit)
{
	const struct place *place = place_of(limit);

	return place->meter != SHM_METER_NOWHERE ? BF_MIN(place->max, place->most) : limit->max;
}

uint64_t limits_output_within(const struct exchange *x, int64_t nusd)
{
	uint64_t prompt = x->spend.prompt_tokens, low = 0, high = ESTIMATE_TOKENS_MAX;

	/* The more tokens, the higher may the price of all of them be: no division tells. */
	while (low < high) {
		uint64_t middle = high - (high - low) / 2;

		if (exchange_bound_nusd(x, prompt, middle) <= nusd)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* What a limit could give to the answer alone, if nothing of it were used. */
static uint64_t output_room(const struct exchange *x, const struct bf_limit *limit)
{
	const struct exchange_spend *s = &x->spend;
	int64_t left = maximum_of(limit);

	if (limit->quantity == BF_QUANTITY_TOKENS)
		return left > (int64_t)s->prompt_tokens ? (uint64_t)left - s->prompt_tokens : 0;
	if (limit->quantity != BF_QUANTITY_NUSD || s->nusd <= left)
		return s->output_tokens;
	return limits_output_within(x, left);
}

static struct estimate_asked asked_of(const struct exchange *x)
{
	const struct exchange_spend *s = &x->spend;

	return (struct estimate_asked){
	    .streams = x->wants_stream,
	    .bounded = s->bounded,
	    .max_tokens = s->max_tokens,
	    .choices = s->choices,
	    .prompts = s->prompts,
	    .listed_tokens = s->listed_tokens,
	    .listed_bytes = s->listed_bytes,
	};
}

/*
 * What the target may take. A guess of ours is never more than a limit could ever give: a small
 * limit would otherwise refuse all who give no maximum. The stream is held to it.
 */
static void limits_estimate(struct exchange *x, const struct tariff_model *model)
{
	struct exchange_spend *s = &x->spend;
	const struct estimate_asked asked = asked_of(x);
	struct estimate e = estimate_make(x->object, x->body.len, &asked, &model->lengths);
	uint64_t output = e.output_tokens;

	s->prompt_tokens = e.prompt_tokens;
	s->output_tokens = e.output_tokens;
	s->nusd = exchange_bound_nusd(x, s->prompt_tokens, s->output_tokens);
	s->last = s->over = false;
	for (uint32_t k = 0; !s->bounded && k < x->limits.count; k++)
		output = BF_MIN(output, output_room(x, x->limits.items[k]));
	if (output == s->output_tokens)
		return;
	s->output_tokens = output;
	s->nusd = exchange_bound_nusd(x, s->prompt_tokens, output);
}

static int64_t amount_of(const struct exchange *x, enum bf_quantity quantity)
{
	const struct exchange_spend *s = &x->spend;

	switch (quantity) {
	case BF_QUANTITY_REQUESTS:
	case BF_QUANTITY_CONCURRENT:
		return 1;
	case BF_QUANTITY_TOKENS:
		return (int64_t)(s->prompt_tokens + s->output_tokens);
	case BF_QUANTITY_NUSD:
		return s->nusd;
	}
	return 0;
}

/* ---- refusals */

static enum limits_verdict limits_not_now(struct exchange *x, enum shm_metric reason,
					  const char *type, const char *text,
					  struct limits_refusal *no)
{
	worker_count(x->worker, reason);
	no->http_status = 503;
	no->type = type;
	no->retry_after_s = 1;
	(void)snprintf(no->text, sizeof(no->text), "%s", text);
	return LIMITS_REFUSED;
}

void limits_busy(struct exchange *x, struct limits_refusal *no)
{
	*no = (struct limits_refusal){0};
	(void)limits_not_now(x, SHM_M_LIMIT_TOO_BUSY, "limits_busy",
			     "the limits of this request are in use by too many at once; try "
			     "again",
			     no);
}

static enum limits_verdict limits_no_memory(struct exchange *x, struct limits_refusal *no)
{
	return limits_not_now(x, SHM_M_LIMIT_TOO_BUSY, "out_of_memory",
			      "no memory for the limits of the call", no);
}

/* The first that wants a price. */
static const struct bf_limit *budget_of(const struct exchange *x)
{
	const struct bf_limit *limit = x->limits.items[x->limits.count - 1];

	for (uint32_t k = x->limits.count; k-- > 0 && limit->quantity != BF_QUANTITY_NUSD;)
		limit = x->limits.items[k];
	return limit;
}

static enum limits_verdict limits_unpriced(struct exchange *x, struct limits_refusal *no)
{
	const struct bf_limit *budget = budget_of(x);

	worker_count(x->worker, SHM_M_LIMIT_UNPRICED);
	x->worker->governance->unpriced_mono_ms = bf_mono_ms();
	no->http_status = 403;
	no->type = "model_unpriced";
	no->of_target = true;
	no->blame = limits_text_blame(budget);
	(void)snprintf(
	    no->text, sizeof(no->text),
	    "%s \"%.*s\" has a budget, and no price is known of model \"%.*s\" at provider "
	    "\"%.*s\": add one to governance.pricing_overrides or to the price sheet",
	    limits_text_owner(budget), (int)BF_MIN(budget->owner_name.len, 64u),
	    budget->owner_name.ptr, (int)BF_MIN(x->model.len, 80u), x->model.ptr,
	    (int)BF_MIN(x->provider.len, 32u), x->provider.ptr);
	return LIMITS_REFUSED;
}

int64_t limits_room(const struct exchange *x, const struct shm_meter_want *want)
{
	struct shm_meter_want nothing = *want;
	int64_t room = 0;
	unsigned which;

	nothing.amount = 0;
	(void)shm_meter_look(x->worker->seg, &nothing, 1, &which, &room);
	return room;
}

struct limits_state limits_state_of(const struct bf_limit *limit, int64_t room, int64_t amount)
{
	int64_t max = maximum_of(limit);

	return (struct limits_state){max, max - room, amount};
}

int64_t limits_ends_in_ms(const struct bf_limit *limit, const struct limits_now *now)
{
	return place_of(limit)->ends_ms - limits_now_ms(now, limit);
}

static struct limits_left limits_left_of(const struct bf_limit *limit, int64_t room,
					 const struct limits_now *now)
{
	return (struct limits_left){limit, maximum_of(limit), room, limits_ends_in_ms(limit, now)};
}

/* The lines of all requests and tokens limits: of each quantity the one with the least left. */
static struct bf_slice limits_lines(struct exchange *x, const struct limits_wish *wish,
				    const struct limits_now *now, bool taken)
{
	struct limits_left left[BF_QUANTITY_TOKENS + 1] = {0};
	char *text;

	for (unsigned k = 0; k < wish->n; k++) {
		const struct bf_limit *limit = x->limits.items[k];
		int64_t room = wish->room[k] - (taken ? wish->wants[k].amount : 0);

		if (limit->quantity > BF_QUANTITY_TOKENS)
			continue;
		if (!left[limit->quantity].limit || room < left[limit->quantity].left)
			left[limit->quantity] = limits_left_of(limit, room, now);
	}
	if (!left[BF_QUANTITY_REQUESTS].limit && !left[BF_QUANTITY_TOKENS].limit)
		return (struct bf_slice){NULL, 0};
	text = bf_arena_alloc(&x->arena, LIMITS_TEXT_LINES_MAX);
	if (!text)
		return (struct bf_slice){NULL, 0};
	return limits_text_lines(text, &left[BF_QUANTITY_REQUESTS], &left[BF_QUANTITY_TOKENS]);
}

/* Whether another provider or model may be within its limits. Requests of a key are the same of
 * every model. */
static bool limits_are_of_target(const struct bf_limit *limit)
{
	return limit->quantity == BF_QUANTITY_TOKENS || limit->quantity == BF_QUANTITY_NUSD ||
	       limit->owner == BF_OWNER_PROVIDER || limit->owner == BF_OWNER_MODEL_CONFIG ||
	       limit->owner == BF_OWNER_PROVIDER_CONFIG;
}

static enum limits_verdict limits_used_up(struct exchange *x, struct limits_wish *wish,
					  unsigned which, struct limits_refusal *no)
{
	const struct bf_limit *limit = x->limits.items[which];
	const struct limits_now now = limits_now_of(x);
	struct limits_state state;

	for (unsigned k = 0; k < wish->n; k++)
		wish->room[k] = limits_room(x, &wish->wants[k]);
	state = limits_state_of(limit, wish->room[which], wish->wants[which].amount);
	worker_count(x->worker, refusal_counters[limit->quantity]);
	limits_text_refusal(limit, &state, limits_ends_in_ms(limit, &now), no);
	no->lines = limits_lines(x, wish, &now, false);
	if (no->retry_after_s == 0)
		no->lines = limits_text_merge(&x->arena, LIMITS_NO_RETRY, no->lines);
	no->of_target = limits_are_of_target(limit);
	return LIMITS_REFUSED;
}

/* ---- where the meters stand */

/* A maximum that changes in between makes the configuration stale. */
static void limits_resolve(const struct shm_segment *seg, const struct bf_limit *limit,
			   struct place *place)
{
	place->meter = shm_meter_resolve(seg, limit->identity, &place->config);
	if (place->meter == SHM_METER_NOWHERE)
		return;
	place->max = shm_meter_limit(seg, place->meter);
	place->until_ms = 0;
}

/* Once in a window, and when a clock was turned back. */
static void limits_turn(const struct shm_segment *seg, const struct bf_limit *limit, int64_t ms,
			struct place *place)
{
	struct shm_meter_info info;

	place->epoch = bf_limit_epoch(limit, ms);
	place->since_ms = ms;
	place->until_ms = place->ends_ms = bf_limit_ends_ms(limit, ms);
	if (place->meter != SHM_METER_NOWHERE && shm_meter_read(seg, place->meter, &info))
		place->ends_ms =
		    bf_limit_window_end_ms(limit, bf_limit_window_counted(limit, info.epoch, ms));
}

static bool limits_want(const struct exchange *x, const struct bf_limit *limit,
			const struct limits_now *now, struct shm_meter_want *ret_want)
{
	struct place *place = place_of(limit);
	int64_t ms = limits_now_ms(now, limit);

	if (place->meter == SHM_METER_NOWHERE)
		limits_resolve(x->worker->seg, limit, place);
	if (ms >= place->until_ms || ms < place->since_ms)
		limits_turn(x->worker->seg, limit, ms, place);
	place->most = limits_most(limit, ms);
	*ret_want = (struct shm_meter_want){.meter = place->meter,
					    .config = place->config,
					    .epoch = place->epoch,
					    .amount = amount_of(x, limit->quantity),
					    .lowered = true,
					    .most = place->most};
	return place->meter != SHM_METER_NOWHERE;
}

bool limits_wants(const struct exchange *x, const struct limits_now *now, struct limits_wish *wish)
{
	wish->n = x->limits.count;
	for (unsigned k = 0; k < wish->n; k++) {
		if (!limits_want(x, x->limits.items[k], now, &wish->wants[k]))
			return false;
	}
	return true;
}

/* A meter that was another one when it was looked up, or has another maximum now. */
static enum limits_verdict limits_stale(struct exchange *x)
{
	worker_count(x->worker, SHM_M_LIMIT_STALE);
	places_forget(&x->limits);
	return LIMITS_BUSY;
}

/* What is to be done about a no of the meters. */
static enum limits_verdict limits_judge(struct exchange *x, enum shm_meter_verdict v,
					struct limits_wish *wish, unsigned which,
					struct limits_refusal *no)
{
	switch (v) {
	case SHM_METER_OK:
		return LIMITS_OK;
	case SHM_METER_REFUSED:
		return limits_used_up(x, wish, which, no);
	case SHM_METER_STALE:
		return limits_stale(x);
	case SHM_METER_BUSY:
		break;
	}
	return LIMITS_BUSY;
}

static enum limits_verdict limits_look_once(struct exchange *x, const struct limits_now *now,
					    struct limits_wish *wish, struct limits_refusal *no)
{
	unsigned which = 0;

	if (!limits_wants(x, now, wish))
		return limits_not_now(x, SHM_M_LIMIT_NOT_READY, "limits_not_ready",
				      "the limits of this request are being loaded; try again", no);
	enum shm_meter_verdict v =
	    shm_meter_look(x->worker->seg, wish->wants, wish->n, &which, wish->room);
	if (v == SHM_METER_OK)
		x->spend.lines = limits_lines(x, wish, now, true);
	return limits_judge(x, v, wish, which, no);
}

/* What x's present target meets. */
static enum limits_verdict limits_path(struct exchange *x, struct limits_refusal *no)
{
	int r = bf_plan_path(&x->everybody->plan, x->virtual_key, x->provider, x->model, &x->arena,
			     &x->limits);

	if (r == 0)
		return LIMITS_OK;
	if (r != BF_E_LIMIT)
		return limits_no_memory(x, no);
	/* Who changes limits is told so before; here nothing may be left out. */
	return limits_not_now(x, SHM_M_LIMIT_NOT_READY, "limits_not_ready",
			      "this request meets more limits than can be decided at once", no);
}

enum limits_verdict limits_look(struct exchange *x, struct limits_wish *wish,
				struct limits_refusal *no)
{
	const struct tariff_model *model;

	wish->n = 0;
	*no = (struct limits_refusal){0};
	x->spend.lines = (struct bf_slice){NULL, 0};
	/* What is in force now may be another one than at the target before. */
	if (!govern_hold(x))
		return limits_not_now(x, SHM_M_GOVERNANCE_NOT_LOADED, "governance_not_loaded",
				      "limits are being loaded; try again", no);
	model = limits_model(x);
	if (!limits_price(x, model))
		return limits_no_memory(x, no);
	if (limits_path(x, no) != LIMITS_OK)
		return LIMITS_REFUSED;
	if (!x->spend.price && limits_uncharged(x))
		return limits_unpriced(x, no);
	if (x->limits.count == 0)
		return LIMITS_OK;
	limits_estimate(x, model);
	const struct limits_now now = limits_now_of(x);
	enum limits_verdict v = limits_look_once(x, &now, wish, no);
	/* What was stale is looked up anew at once. */
	return v == LIMITS_BUSY ? limits_look_once(x, &now, wish, no) : v;
}

enum limits_verdict limits_take(struct exchange *x, struct limits_wish *wish,
				struct limits_refusal *no)
{
	struct worker *w = x->worker;
	unsigned which = 0;

	if (wish->n == 0)
		return LIMITS_OK;
	enum shm_meter_verdict v =
	    shm_meter_admit(&w->meters, x->inflight, wish->wants, wish->n, &which);
	if (v == SHM_METER_OK) {
		x->spend.metered = true;
		worker_count(w, SHM_M_LIMIT_ADMITTED);
	}
	return limits_judge(x, v, wish, which, no);
}

/* ---- after it */

void limits_learn(const struct exchange *x)
{
	const struct estimate_asked asked = asked_of(x);

	if (x->spend.metered && !(x->record.flags & SHM_USAGE_ESTIMATED))
		estimate_learn(&limits_model(x)->lengths, &asked, x->record.completion_tokens);
}

void limits_tell(struct exchange *x)
{
	if (x->spend.lines.len)
		x->answer_head = limits_text_merge(&x->arena, x->answer_head, x->spend.lines);
}

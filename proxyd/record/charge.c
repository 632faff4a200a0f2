/*
 * Settlement of one request. Called by record.c when a row is closed. Must never let row and meters
 * say different things: both come from charge_row's numbers.
 */
#include "proxyd/record/charge.h"

#include "common/govern/plan.h"
#include "proxyd/worker.h"
#include "shm/inflight.h"
#include "shm/meter.h"

#define CHARGE_TOKENS_MAX (UINT64_C(1) << 40) /* of one request */

uint64_t charge_tokens(uint64_t n)
{
	return n < CHARGE_TOKENS_MAX ? n : 0;
}

/* How much more was reserved than used: what others could not have meanwhile. */
static void charge_count(const struct exchange *x)
{
	const struct worker *w = x->worker;
	const struct exchange_spend *s = &x->spend;
	uint64_t reserved = s->prompt_tokens + s->output_tokens;

	if (reserved > x->record.tokens_charged)
		shm_metric_add(w->seg, w->proc_slot, SHM_M_LIMIT_UNUSED_TOKENS,
			       (int64_t)(reserved - x->record.tokens_charged));
	if (s->nusd > x->record.cost_nusd)
		shm_metric_add(w->seg, w->proc_slot, SHM_M_LIMIT_UNUSED_NUSD,
			       s->nusd - x->record.cost_nusd);
}

static void charge_meters(struct exchange *x)
{
	struct worker *w = x->worker;
	struct shm_usage_record *r = &x->record;
	int64_t actual[SHM_METERS_PER_REQUEST];

	for (uint32_t k = 0; k < x->limits.count; k++)
		actual[k] = shm_usage_charge(r, x->limits.items[k]->quantity);
	shm_meter_closing(&w->meters, x->inflight, actual);
	r->meter_count = shm_meter_names(&w->meters, x->inflight, r->meters, r->epochs);
}

void charge_row(struct exchange *x, bool counts)
{
	struct shm_usage_record *r = &x->record;
	uint64_t prompt = charge_tokens(r->prompt_tokens);
	uint64_t completion = charge_tokens(r->completion_tokens);

	/* Also where nothing limits it: a limit that comes later begins with its rows. */
	r->tokens_charged = prompt + completion;
	r->requests_charged = counts;
	if (!x->governed)
		return;
	/* What nobody answered has no price of its request either. */
	if (counts || prompt || completion || x->paid.reported_nusd)
		r->cost_nusd =
		    exchange_cost_nusd(x, prompt, completion, charge_tokens(r->cached_tokens));
	if (!x->spend.metered)
		return;
	charge_meters(x);
	charge_count(x);
}

void charge_settle(struct exchange *x)
{
	shm_meter_close(&x->worker->meters, x->inflight);
	x->spend.metered = false;
}

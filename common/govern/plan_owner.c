/*
 * The limits of one owner, of whichever kind. Called by plan_owners.c. Must never let a limit
 * depend on where in its list an owner stands.
 */
#include <inttypes.h>
#include <stddef.h>

#include "common/base/macros.h"
#include "common/govern/limit_priv.h"
#include "common/govern/plan_priv.h"

const char *bf_owner_name(enum bf_owner owner)
{
	static const char *const names[] = {
	    [BF_OWNER_PROVIDER] = "provider",
	    [BF_OWNER_MODEL_CONFIG] = "model_config",
	    [BF_OWNER_PROVIDER_CONFIG] = "provider_config",
	    [BF_OWNER_VIRTUAL_KEY] = "virtual_key",
	    [BF_OWNER_TEAM] = "team",
	    [BF_OWNER_CUSTOMER] = "customer",
	};

	return names[owner];
}

_Static_assert(offsetof(struct bf_conf_model_config, own) == 0 &&
		   offsetof(struct bf_conf_provider_config, own) == 0,
	       "what owners have comes first");

static const char *const nouns[] = {
    [BF_OWNER_PROVIDER] = "provider",
    [BF_OWNER_MODEL_CONFIG] = "model",
    [BF_OWNER_PROVIDER_CONFIG] = "provider config",
    [BF_OWNER_VIRTUAL_KEY] = "key",
    [BF_OWNER_TEAM] = "team",
    [BF_OWNER_CUSTOMER] = "customer",
};

/* For people. Those that no file names are called what they are about. */
static struct bf_slice called(const struct plan_owned *o)
{
	if (o->conf->name.len)
		return o->conf->name;
	if (o->kind == BF_OWNER_MODEL_CONFIG)
		return ((const struct bf_conf_model_config *)o->conf)->model_name;
	if (o->kind == BF_OWNER_PROVIDER_CONFIG)
		return ((const struct bf_conf_provider_config *)o->conf)->provider;
	return o->conf->id;
}

static struct bf_limit *add(struct plan_maker *m, const struct plan_owned *o,
			    struct bf_plan_owner *own, enum bf_quantity quantity, int64_t max,
			    struct bf_slice id)
{
	struct bf_limit *limit = &m->plan->limits[m->plan->limit_count + own->limit_count++];

	*limit = (struct bf_limit){.quantity = quantity,
				   .max = max,
				   .endless = true,
				   .owner = o->kind,
				   .rows = o->rows,
				   .owner_id = o->conf->id,
				   .owner_name = called(o),
				   .limit_id = id};
	return limit;
}

static int set_window(struct plan_maker *m, struct bf_limit *limit, const struct limit_window *from)
{
	int r = limit_window_make(limit, from, &m->err);

	if (r == 0)
		limit->identity = bf_limit_identity(limit);
	return r;
}

static const struct bf_conf_rate_limit *rate_of(const struct plan_maker *m,
						const struct bf_conf_owner *conf)
{
	const struct bf_conf_rate_limit *items = m->governance->rate_limits.items;
	uint32_t i =
	    conf->rate_limit_id.len ? plan_ids_find(&m->rates, conf->rate_limit_id) : PLAN_ID_NONE;

	return i == PLAN_ID_NONE ? NULL : &items[i];
}

static int add_rates(struct plan_maker *m, const struct plan_owned *o,
		     const struct bf_conf_rate_limit *rate, struct bf_plan_owner *own)
{
	const struct limit_window requests = {rate->request_reset_duration,
					      rate->request_last_reset,
					      .where_possible = o->conf->calendar_aligned};
	const struct limit_window tokens = {rate->token_reset_duration, rate->token_last_reset,
					    .where_possible = o->conf->calendar_aligned};
	struct bf_limit *limit;
	int r;

	if (rate->request_max_limit) {
		limit = add(m, o, own, BF_QUANTITY_REQUESTS, rate->request_max_limit, rate->id);
		r = set_window(m, limit, &requests);
		if (r < 0)
			return plan_no(m, BF_PLAN_REQUESTS, r);
	}
	if (rate->token_max_limit) {
		limit = add(m, o, own, BF_QUANTITY_TOKENS, rate->token_max_limit, rate->id);
		r = set_window(m, limit, &tokens);
		if (r < 0)
			return plan_no(m, BF_PLAN_TOKENS, r);
	}
	if (rate->concurrent_max_limit) {
		limit =
		    add(m, o, own, BF_QUANTITY_CONCURRENT, rate->concurrent_max_limit, rate->id);
		limit->identity = bf_limit_identity(limit);
	}
	own->rate_count = own->limit_count;
	return 0;
}

static bool same_windows(const struct bf_limit *a, const struct bf_limit *b)
{
	return a->window.kind == b->window.kind && a->window.length_ms == b->window.length_ms;
}

#define LIMIT_MAX (INT64_C(1) << 61) /* of a meter */

/* When its override holds. */
static void date_extra(struct bf_limit *limit, const struct bf_conf_budget *budget)
{
	int64_t first;

	limit->extra_end_ms = budget->override_until_ms ? budget->override_until_ms : INT64_MAX;
	if (budget->override_cycles == 0)
		return;
	first = bf_limit_window(limit, budget->override_anchor_ms);
	limit->extra_begin_ms = bf_window_start_ms(&limit->window, first);
	limit->extra_end_ms =
	    bf_limit_window_end_ms(limit, first + (int64_t)budget->override_cycles - 1);
}

static int add_budget(struct plan_maker *m, const struct plan_owned *o,
		      const struct bf_conf_budget *budget, struct bf_plan_owner *own)
{
	struct bf_limit *first = &m->plan->limits[m->plan->limit_count];
	uint32_t before = own->limit_count, place = before;
	struct limit_window w = {budget->reset_duration, budget->last_reset,
				 .aligned = budget->calendar_aligned,
				 .where_possible = o->conf->calendar_aligned,
				 .quarter_start_month = (uint32_t)budget->quarter_start_month};
	struct bf_limit made =
	    *add(m, o, own, BF_QUANTITY_NUSD, budget->max_limit_nusd, budget->id);
	int r = set_window(m, &made, &w);

	if (r < 0)
		return r;
	made.extra = BF_MIN(budget->override_amount_nusd, LIMIT_MAX - made.max);
	if (made.extra)
		date_extra(&made, budget);
	for (uint32_t i = own->rate_count; i < before; i++)
		if (same_windows(&first[i], &made))
			return bf_err_set(&m->err, BF_E_DUPLICATE,
					  "\"%.*s\" is the window of another budget of this %s "
					  "too: keep the lower one",
					  BF_SLICE_FMT(budget->reset_duration), nouns[o->kind]);
	/* The shortest window first. */
	while (place > own->rate_count &&
	       bf_limit_length_ms(&first[place - 1]) > bf_limit_length_ms(&made))
		place--;
	memmove(&first[place + 1], &first[place], (before - place) * sizeof(*first));
	first[place] = made;
	return 0;
}

static int check_count(struct plan_maker *m, const struct bf_conf_owner *conf,
		       const struct bf_conf_rate_limit *rate)
{
	uint32_t count = conf->budgets.count;

	if (rate) {
		count += rate->request_max_limit != 0;
		count += rate->token_max_limit != 0;
		count += rate->concurrent_max_limit != 0;
	}
	if (count <= BF_PLAN_LIMITS_PER_REQUEST)
		return 0;
	return plan_no(m, BF_PLAN_OWNER,
		       bf_err_set(&m->err, BF_E_LIMIT,
				  "has %" PRIu32 " limits: at most %u can be decided at once: "
				  "remove budgets",
				  count, BF_PLAN_LIMITS_PER_REQUEST));
}

static int add_limits(struct plan_maker *m, const struct plan_owned *o, struct bf_plan_owner *own)
{
	const struct bf_conf_rate_limit *rate = rate_of(m, o->conf);
	const struct bf_conf_budget *budgets = o->conf->budgets.items;
	int r = check_count(m, o->conf, rate);

	if (r == 0 && o->conf->rate_limit_id.len && !rate)
		r = plan_no(m, BF_PLAN_RATE_LIMIT,
			    bf_err_set(&m->err, BF_E_UNKNOWN,
				       "no rate limit has the id \"%.*s\": add it to "
				       "governance.rate_limits, or remove rate_limit_id",
				       BF_SLICE_FMT(o->conf->rate_limit_id)));
	if (r == 0 && rate)
		r = add_rates(m, o, rate, own);
	for (uint32_t i = 0; r == 0 && i < o->conf->budgets.count; i++) {
		m->fault.budget = i;
		r = add_budget(m, o, &budgets[i], own);
		if (r < 0)
			return plan_no(m, BF_PLAN_BUDGET, r);
	}
	return r;
}

int plan_owner_add(struct plan_maker *m, const struct plan_owned *o, uint32_t index, uint32_t key,
		   struct bf_plan_owner *ret_own)
{
	struct bf_plan_owner own = {.limits = &m->plan->limits[m->plan->limit_count]};
	int r;

	m->fault = (struct bf_plan_fault){.owner = o->kind, .index = index, .key = key};
	r = add_limits(m, o, &own);
	if (r < 0)
		return plan_judge(m, r);
	m->plan->limit_count += own.limit_count;
	*ret_own = own;
	return 0;
}

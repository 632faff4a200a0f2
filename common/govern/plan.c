/*
 * From the configuration to its limits. Called by every worker and by writerd at their start, and
 * by the loader, which asks what they would say. Must never depend on anything but the
 * configuration: two processes that disagree would count into different meters.
 */
#include "common/govern/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/base/wall.h"
#include "common/govern/limit_priv.h"

/* Beside its budgets a key has at most a limit of requests, one of tokens, one of those that run.
 */
#define RATE_LIMITS_PER_KEY 3u

struct maker {
	const struct bf_conf_governance *governance;
	const struct bf_conf_rate_limit **rates; /* by id */
	struct bf_plan *plan;
	struct bf_plan_fault fault; /* of the key that is being made */
	struct bf_err err;
};

static const struct bf_conf_virtual_key *key_at(const struct bf_conf_governance *g, uint32_t i)
{
	return (const struct bf_conf_virtual_key *)g->virtual_keys.items + i;
}

/* ---- finding a rate limit */

static int compare_texts(struct bf_slice a, struct bf_slice b)
{
	size_t shorter = BF_MIN(a.len, b.len);
	int r = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;

	return r ? r : (a.len > b.len) - (a.len < b.len);
}

static int compare_rates(const void *va, const void *vb)
{
	const struct bf_conf_rate_limit *const *a = va, *const *b = vb;

	return compare_texts((*a)->id, (*b)->id);
}

static int sort_rates(struct maker *m, struct bf_arena *arena)
{
	const struct bf_conf_rate_limit *items = m->governance->rate_limits.items;
	uint32_t count = m->governance->rate_limits.count;

	m->rates = bf_arena_alloc(arena, count * sizeof(*m->rates));
	if (!m->rates)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		m->rates[i] = &items[i];
	if (count)
		qsort(m->rates, count, sizeof(*m->rates), compare_rates);
	return 0;
}

static const struct bf_conf_rate_limit *find_rate(const struct maker *m, struct bf_slice id)
{
	struct bf_conf_rate_limit wanted = {.id = id};
	const struct bf_conf_rate_limit *key = &wanted;
	uint32_t count = m->governance->rate_limits.count;
	const struct bf_conf_rate_limit *const *found =
	    count ? bsearch(&key, m->rates, count, sizeof(*m->rates), compare_rates) : NULL;

	return found ? *found : NULL;
}

/* ---- one key */

static int no(struct maker *m, enum bf_plan_part part, int code)
{
	m->fault.part = part;
	m->fault.text = m->err.text;
	return code;
}

static struct bf_limit *add(struct maker *m, struct bf_plan_key *key, enum bf_quantity quantity,
			    int64_t max, struct bf_slice id)
{
	struct bf_limit *limit = &m->plan->limits[m->plan->limit_count + key->own.limit_count++];

	*limit = (struct bf_limit){.quantity = quantity,
				   .max = max,
				   .endless = true,
				   .owner = BF_OWNER_VIRTUAL_KEY,
				   .rows = {.virtual_key_id = key->conf->own.id},
				   .owner_id = key->conf->own.id,
				   .owner_name = key->conf->own.name,
				   .limit_id = id};
	return limit;
}

static int set_window(struct maker *m, struct bf_limit *limit, const struct limit_window *from)
{
	int r = limit_window_make(limit, from, &m->err);

	if (r == 0)
		limit->identity = bf_limit_identity(limit);
	return r;
}

static int add_rate_limit(struct maker *m, struct bf_plan_key *key)
{
	const struct bf_conf_rate_limit *rate = find_rate(m, key->conf->own.rate_limit_id);
	bool aligned = key->conf->own.calendar_aligned;
	int r;

	if (!rate) {
		r = bf_err_set(&m->err, BF_E_UNKNOWN,
			       "no rate limit has the id \"%.*s\": add it to "
			       "governance.rate_limits, or remove rate_limit_id",
			       BF_SLICE_FMT(key->conf->own.rate_limit_id));
		return no(m, BF_PLAN_RATE_LIMIT, r);
	}
	if (rate->request_max_limit) {
		struct limit_window w = {rate->request_reset_duration, rate->request_last_reset,
					 .where_possible = aligned};
		r = set_window(
		    m, add(m, key, BF_QUANTITY_REQUESTS, rate->request_max_limit, rate->id), &w);
		if (r < 0)
			return no(m, BF_PLAN_REQUESTS, r);
	}
	if (rate->token_max_limit) {
		struct limit_window w = {rate->token_reset_duration, rate->token_last_reset,
					 .where_possible = aligned};
		r = set_window(m, add(m, key, BF_QUANTITY_TOKENS, rate->token_max_limit, rate->id),
			       &w);
		if (r < 0)
			return no(m, BF_PLAN_TOKENS, r);
	}
	if (rate->concurrent_max_limit) {
		struct bf_limit *limit =
		    add(m, key, BF_QUANTITY_CONCURRENT, rate->concurrent_max_limit, rate->id);
		limit->identity = bf_limit_identity(limit);
	}
	return 0;
}

static bool same_windows(const struct bf_limit *a, const struct bf_limit *b)
{
	return a->window.kind == b->window.kind && a->window.length_ms == b->window.length_ms;
}

static int add_budget(struct maker *m, struct bf_plan_key *key, const struct bf_conf_budget *budget)
{
	struct bf_limit *first = &m->plan->limits[m->plan->limit_count];
	uint32_t before = key->own.limit_count, place = before;
	struct limit_window w = {budget->reset_duration, budget->last_reset,
				 .aligned = budget->calendar_aligned,
				 .where_possible = key->conf->own.calendar_aligned,
				 .quarter_start_month = (uint32_t)budget->quarter_start_month};
	struct bf_limit made = *add(m, key, BF_QUANTITY_NUSD, budget->max_limit_nusd, budget->id);
	int r = set_window(m, &made, &w);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < before; i++)
		if (first[i].quantity == BF_QUANTITY_NUSD && same_windows(&first[i], &made))
			return bf_err_set(&m->err, BF_E_DUPLICATE,
					  "\"%.*s\" is the window of another budget of this key "
					  "too: keep the lower one",
					  BF_SLICE_FMT(budget->reset_duration));
	/* The shortest window first; budgets are the last limits of a key. */
	while (place > 0 && first[place - 1].quantity == BF_QUANTITY_NUSD &&
	       bf_limit_length_ms(&first[place - 1]) > bf_limit_length_ms(&made))
		place--;
	memmove(&first[place + 1], &first[place], (before - place) * sizeof(*first));
	first[place] = made;
	return 0;
}

static int check_count(struct maker *m, const struct bf_conf_virtual_key *conf)
{
	const struct bf_conf_rate_limit *rate =
	    conf->own.rate_limit_id.len ? find_rate(m, conf->own.rate_limit_id) : NULL;
	uint32_t count = conf->own.budgets.count;

	if (rate) {
		count += rate->request_max_limit != 0;
		count += rate->token_max_limit != 0;
		count += rate->concurrent_max_limit != 0;
	}
	if (count <= BF_PLAN_LIMITS_PER_REQUEST)
		return 0;
	return no(m, BF_PLAN_OWNER,
		  bf_err_set(&m->err, BF_E_LIMIT,
			     "has %" PRIu32 " limits: at most %u can be decided at once: remove "
			     "budgets",
			     count, BF_PLAN_LIMITS_PER_REQUEST));
}

static int make_key(struct maker *m, const struct bf_conf_virtual_key *conf)
{
	const struct bf_conf_budget *budgets = conf->own.budgets.items;
	struct bf_plan_key *key = &m->plan->keys[m->plan->key_count];
	int r = check_count(m, conf);

	*key = (struct bf_plan_key){.conf = conf,
				    .own.limits = &m->plan->limits[m->plan->limit_count],
				    .always.has_budget = conf->own.budgets.count > 0};
	if (r == 0 && conf->own.rate_limit_id.len)
		r = add_rate_limit(m, key);
	for (uint32_t i = 0; r == 0 && i < conf->own.budgets.count; i++) {
		m->fault.budget = i;
		r = add_budget(m, key, &budgets[i]);
		if (r < 0)
			return no(m, BF_PLAN_BUDGET, r);
	}
	if (r == 0) {
		m->plan->key_count++;
		m->plan->limit_count += key->own.limit_count;
	}
	return r;
}

/* ---- paths */

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

int bf_plan_path(const struct bf_plan *plan, const struct bf_plan_key *key,
		 struct bf_slice provider, struct bf_slice model, struct bf_arena *arena,
		 struct bf_plan_path *ret_path)
{
	(void)plan;
	(void)provider;
	(void)model;
	(void)arena;
	*ret_path = key ? key->always : (struct bf_plan_path){NULL, 0, false};
	return 0;
}

const struct bf_plan_provider_config *bf_plan_provider_config(const struct bf_plan_key *key,
							      struct bf_slice provider)
{
	(void)key;
	(void)provider;
	return NULL;
}

static int make_paths(struct bf_plan *plan, struct bf_arena *arena)
{
	const struct bf_limit **items =
	    bf_arena_alloc(arena, (plan->limit_count + 1) * sizeof(*items));

	if (!items)
		return -ENOMEM;
	for (uint32_t i = 0; i < plan->limit_count; i++)
		items[i] = &plan->limits[i];
	for (uint32_t k = 0; k < plan->key_count; k++) {
		struct bf_plan_key *key = &plan->keys[k];

		key->always.items = items + (key->own.limits - plan->limits);
		key->always.count = key->own.limit_count;
	}
	return 0;
}

/* ---- all of them */

static int start(struct maker *m, struct bf_arena *arena)
{
	uint32_t keys = m->governance->virtual_keys.count;
	size_t most = 0;

	for (uint32_t i = 0; i < keys; i++)
		most += key_at(m->governance, i)->own.budgets.count + RATE_LIMITS_PER_KEY;
	/* One place more than is used: each budget is made behind the others and then moved. */
	m->plan->keys = bf_arena_alloc(arena, keys * sizeof(*m->plan->keys));
	m->plan->limits = bf_arena_alloc(arena, (most + 1) * sizeof(*m->plan->limits));
	return m->plan->keys && m->plan->limits ? sort_rates(m, arena) : -ENOMEM;
}

static int compare_identities(const void *va, const void *vb)
{
	const struct bf_limit *const *a = va, *const *b = vb;

	return ((*a)->identity > (*b)->identity) - ((*a)->identity < (*b)->identity);
}

/* Keys with one id, or, once in 2^64, a coincidence. */
static int check_identities(struct maker *m, struct bf_arena *arena)
{
	uint32_t count = m->plan->limit_count;
	const struct bf_limit **sorted = bf_arena_alloc(arena, count * sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		sorted[i] = &m->plan->limits[i];
	if (count)
		qsort(sorted, count, sizeof(*sorted), compare_identities);
	for (uint32_t i = 1; i < count; i++) {
		if (sorted[i - 1]->identity != sorted[i]->identity)
			continue;
		return bf_err_set(&m->err, BF_E_DUPLICATE,
				  "a limit \"%.*s\" of the same identity stands there twice: "
				  "give keys and limits ids of their own",
				  BF_SLICE_FMT(sorted[i]->limit_id));
	}
	return 0;
}

static struct bf_slice name_of(const struct maker *m)
{
	const struct bf_conf_virtual_key *key = key_at(m->governance, m->fault.index);

	return key->own.name.len ? key->own.name : key->own.id;
}

int bf_plan_make(struct bf_plan *ret_plan, const struct bf_config *config, struct bf_arena *arena,
		 struct bf_err *err)
{
	struct bf_plan plan = {.key_count = 0};
	struct maker m = {
	    .governance = &config->governance, .plan = &plan, .fault.owner = BF_OWNER_VIRTUAL_KEY};
	uint32_t keys = m.governance->virtual_keys.count;
	int r = start(&m, arena);

	if (r < 0)
		return bf_err_sys(err, r, "governance: the plan of limits");
	for (; r == 0 && m.fault.index < keys; m.fault.index += r == 0)
		r = make_key(&m, key_at(m.governance, m.fault.index));
	if (r < 0)
		return bf_err_set(err, r, "governance.virtual_keys: \"%.*s\": %s",
				  BF_SLICE_FMT(name_of(&m)), m.err.text);
	r = check_identities(&m, arena);
	if (r == 0)
		r = make_paths(&plan, arena);
	if (r < 0)
		return bf_err_set(err, r, "governance.virtual_keys: %s",
				  m.err.code ? m.err.text : bf_err_text(r));
	*ret_plan = plan;
	return 0;
}

int bf_plan_check(const struct bf_config *config, struct bf_arena *arena,
		  const struct bf_plan_report *report)
{
	struct bf_plan plan = {.key_count = 0};
	struct maker m = {
	    .governance = &config->governance, .plan = &plan, .fault.owner = BF_OWNER_VIRTUAL_KEY};
	uint32_t keys = m.governance->virtual_keys.count;
	int first = start(&m, arena);

	if (first < 0)
		return first;
	for (; m.fault.index < keys; m.fault.index++) {
		int r = make_key(&m, key_at(m.governance, m.fault.index));

		if (r < 0)
			report->told(report->ctx, &m.fault);
		if (first == 0)
			first = r;
	}
	if (first == 0)
		first = check_identities(&m, arena);
	return first ? first : make_paths(&plan, arena);
}

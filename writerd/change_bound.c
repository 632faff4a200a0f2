/*
 * The bound on limits of one request, from what each entity has at most. Called by change_check.c
 * for a changed entity, and by entity_make.c to count. Must never be below what a request can meet.
 */
#include "writerd/change_bound.h"

#include "common/base/macros.h"
#include "common/govern/plan.h"

#define RATES_MOST 3u /* of a rate limit that is named: requests, tokens, concurrent ones */
#define COUNT_MOST 255u

/* Which of two models a request may meet both of: by provider and without, this one and any. */
#define PLACES 4u

/* ---- counting */

static uint32_t count_own(const struct bf_conf_owner *own)
{
	const struct bf_conf_rate_limit *rate = own->rate_limit.items;
	uint32_t count = own->budgets.count;

	if (own->rate_limit.count)
		count += (rate->request_max_limit ? 1u : 0u) + (rate->token_max_limit ? 1u : 0u) +
			 (rate->concurrent_max_limit ? 1u : 0u);
	else if (own->rate_limit_id.len)
		count += RATES_MOST;
	return count;
}

static uint32_t count_key(const struct bf_conf_virtual_key *key)
{
	const struct bf_conf_provider_config *configs = key->provider_configs.items;
	uint32_t most = 0;

	for (uint32_t i = 0; i < key->provider_configs.count; i++)
		most = BF_MAX(most, count_own(&configs[i].own));
	return count_own(&key->own) + most;
}

void entity_count_limits(struct entity *x, const void *object)
{
	const struct bf_conf_model_config *model = object;
	uint32_t count = 0;

	if (x->e.type == BF_ENTITY_VIRTUAL_KEY)
		count = count_key(object);
	else if (x->e.type == BF_ENTITY_CUSTOMER || x->e.type == BF_ENTITY_TEAM ||
		 x->e.type == BF_ENTITY_MODEL_CONFIG || x->e.type == BF_ENTITY_PROVIDER_LIMITS)
		count = count_own(object);
	x->limits = (uint8_t)BF_MIN(count, COUNT_MOST);
	if (x->e.type == BF_ENTITY_MODEL_CONFIG)
		x->places = (uint8_t)((model->provider.len ? 1u : 0u) +
				      (bf_slice_is(model->model_name, "*") ? 2u : 0u));
}

/* ---- the most of each kind */

/* Those of a type, x instead of the one with its id. */
struct looking {
	const struct entities *t;
	const struct entity *x;
};

static const struct entity *as_it_will_be(const struct looking *l, const struct entity *at)
{
	return at->e.type == l->x->e.type && bf_slice_eq(at->e.id, l->x->e.id) ? l->x : at;
}

/* Of those of a type that name whom (0: of all). */
static uint32_t most_of(struct looking *l, uint32_t type, uint64_t whom)
{
	uint32_t most = 0;

	if (l->x->e.type == type && (whom == 0 || entity_names(l->x, whom)))
		most = l->x->limits;
	for (const struct entity *at = entities_next(l->t, type, NULL); at;
	     at = entities_next(l->t, type, at)) {
		const struct entity *is = as_it_will_be(l, at);

		if (whom == 0 || entity_names(is, whom))
			most = BF_MAX(most, is->limits);
	}
	return most;
}

enum scope {
	SCOPE_EVERYBODY,
	SCOPE_ONE_KEY, /* the one with this id */
	SCOPE_ANY_KEY,
};

static bool is_in(const struct entity *x, enum scope scope, struct bf_slice key)
{
	if (scope == SCOPE_ANY_KEY)
		return x->e.scope.len > 0;
	return bf_slice_eq(x->e.scope, scope == SCOPE_ONE_KEY ? key : (struct bf_slice){NULL, 0});
}

static uint32_t most_of_models(struct looking *l, enum scope scope, struct bf_slice key)
{
	uint32_t most[PLACES] = {0}, sum = 0;

	if (l->x->e.type == BF_ENTITY_MODEL_CONFIG && is_in(l->x, scope, key))
		most[l->x->places] = l->x->limits;
	for (const struct entity *at = entities_next(l->t, BF_ENTITY_MODEL_CONFIG, NULL); at;
	     at = entities_next(l->t, BF_ENTITY_MODEL_CONFIG, at)) {
		const struct entity *is = as_it_will_be(l, at);

		if (is_in(is, scope, key))
			most[is->places] = BF_MAX(most[is->places], is->limits);
	}
	for (uint32_t i = 0; i < PLACES; i++)
		sum += most[i];
	return sum;
}

/* ---- the bound */

struct sums {
	uint32_t everybody, key, models, team, customer;
};

/* Of those of a type that x names: there is one at most. */
static const struct entity *named_by(const struct looking *l, const struct entity *x, uint32_t type)
{
	for (uint32_t i = 0; x && i < x->need_count; i++) {
		const struct entity *named = entities_with_key(l->t, x->names[i]);

		if (named && named->e.type == type)
			return as_it_will_be(l, named);
	}
	return NULL;
}

static uint32_t limits_of(const struct entity *x)
{
	return x ? x->limits : 0;
}

static const struct entity *key_of(const struct looking *l)
{
	if (l->x->e.type == BF_ENTITY_VIRTUAL_KEY)
		return l->x;
	if (l->x->e.type == BF_ENTITY_MODEL_CONFIG && l->x->e.scope.len)
		return entities_live(l->t, BF_ENTITY_VIRTUAL_KEY, l->x->e.scope);
	return NULL;
}

static struct sums sums_of(struct looking *l)
{
	const struct bf_slice any = {NULL, 0};
	const struct entity *key = key_of(l);
	uint64_t self = entity_key(l->x->e.type, l->x->e.id);
	bool is_team = l->x->e.type == BF_ENTITY_TEAM;
	bool is_customer = l->x->e.type == BF_ENTITY_CUSTOMER;
	struct sums s = {.everybody = most_of(l, BF_ENTITY_PROVIDER_LIMITS, 0) +
				      most_of_models(l, SCOPE_EVERYBODY, any)};

	if (key) {
		s.key = key->limits;
		s.models = most_of_models(l, SCOPE_ONE_KEY, key->e.id);
		const struct entity *team = named_by(l, key, BF_ENTITY_TEAM);

		s.team = limits_of(team);
		s.customer = limits_of(named_by(l, team ? team : key, BF_ENTITY_CUSTOMER));
		return s;
	}
	s.key = most_of(l, BF_ENTITY_VIRTUAL_KEY, is_team ? self : 0);
	s.models = most_of_models(l, SCOPE_ANY_KEY, any);
	s.team = is_team ? l->x->limits : most_of(l, BF_ENTITY_TEAM, is_customer ? self : 0);
	s.customer = is_customer ? l->x->limits
		     : is_team   ? limits_of(named_by(l, l->x, BF_ENTITY_CUSTOMER))
				 : most_of(l, BF_ENTITY_CUSTOMER, 0);
	return s;
}

int change_bound(const struct entities *t, const struct entity *x, struct bf_err *err)
{
	struct looking l = {.t = t, .x = x};
	struct sums s;
	uint32_t sum;

	if (x->limits == 0 && x->e.type != BF_ENTITY_VIRTUAL_KEY && x->e.type != BF_ENTITY_TEAM)
		return 0;
	s = sums_of(&l);
	sum = s.everybody + s.key + s.models + s.team + s.customer;
	if (sum <= BF_PLAN_LIMITS_PER_REQUEST)
		return 0;
	return bf_err_set(err, BF_E_LIMIT,
			  "a request might meet %u limits, and at most %u can be decided at once: "
			  "%u of providers and models, %u of a key and its provider, %u of its "
			  "models, %u of a team, %u of a customer: remove some",
			  sum, BF_PLAN_LIMITS_PER_REQUEST, s.everybody, s.key, s.models, s.team,
			  s.customer);
}

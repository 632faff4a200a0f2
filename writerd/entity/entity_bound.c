/*
 * The bound on limits of one request, from what each entity has at most. Called by change_check.c
 * for a changed entity, and by entity_make.c to count. Must never be below what a request can meet.
 */
#include "writerd/entity/entity_bound.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/govern/plan.h"

#define RATES_MOST 3u /* of a rate limit that is named: requests, tokens, concurrent ones */
#define COUNT_MOST 255u

/* Which of two models a request may meet both of: by provider and without, this one and any. */
#define PLACES         4u
#define PLACE_PROVIDER 1u
#define PLACE_ANY      2u

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

static size_t put_text(char *out, size_t at, size_t room, struct bf_slice text)
{
	size_t n = BF_MIN(text.len, room - at - 1);

	for (size_t i = 0; i < n; i++)
		out[at++] = (char)tolower((unsigned char)text.ptr[i]);
	out[at++] = '\0';
	return at;
}

/* In one place a request meets more than one: its model with a vendor in front and without, in any
 * case of letters, and behind a provider's name (plan_path.c). They end alike. */
static uint64_t group_of(const struct bf_conf_model_config *model)
{
	struct bf_slice last = model->model_name;
	const char *slash = last.len ? memrchr(last.ptr, '/', last.len) : NULL;
	char text[BF_ENTITY_NAME_MAX];
	size_t at;

	if (slash)
		last = (struct bf_slice){slash + 1, last.len - (size_t)(slash + 1 - last.ptr)};
	at = put_text(text, 0, sizeof(text) - 2, model->scope_id);
	at = put_text(text, at, sizeof(text) - 1, model->provider);
	at = put_text(text, at, sizeof(text), last);
	return entity_key(BF_ENTITY_MODEL_CONFIG, (struct bf_slice){text, at});
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
	if (x->e.type != BF_ENTITY_MODEL_CONFIG)
		return;
	x->places = (uint8_t)((model->provider.len ? PLACE_PROVIDER : 0u) +
			      (bf_slice_is(model->model_name, "*") ? PLACE_ANY : 0u));
	x->group = group_of(model);
}

/* ---- the most of each kind */

/* Those of a type, x instead of the one with its id. */
struct looking {
	const struct entities *t;
	const struct entity *x;
};

static bool is_x(const struct looking *l, const struct entity *at)
{
	return at->e.type == l->x->e.type && bf_slice_eq(at->e.id, l->x->e.id);
}

static const struct entity *as_it_will_be(const struct looking *l, const struct entity *at)
{
	return is_x(l, at) ? l->x : at;
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

/* Of each group and place what its models have together. */
struct groups {
	struct group {
		uint64_t key; /* 0: nobody's */
		uint32_t sum;
	} * items;
	uint64_t mask;
	uint32_t most[PLACES];
};

static int groups_open(struct groups *g, uint32_t count)
{
	uint64_t room = 2;

	while (room < 2 * (uint64_t)count)
		room *= 2;
	*g = (struct groups){.items = calloc(room, sizeof(*g->items)), .mask = room - 1};
	return g->items ? 0 : -ENOMEM;
}

static void groups_add(struct groups *g, const struct entity *x)
{
	uint64_t key = (x->group ^ x->places) | UINT64_C(1) << 63, at = key & g->mask;

	if (x->limits == 0)
		return;
	while (g->items[at].key && g->items[at].key != key)
		at = (at + 1) & g->mask;
	g->items[at].key = key;
	g->items[at].sum += x->limits;
	g->most[x->places] = BF_MAX(g->most[x->places], g->items[at].sum);
}

static uint32_t most_of_models(struct looking *l, enum scope scope, struct bf_slice key)
{
	bool is_model = l->x->e.type == BF_ENTITY_MODEL_CONFIG;
	uint32_t count = entities_count(l->t, BF_ENTITY_MODEL_CONFIG) + is_model, sum = 0;
	struct groups g;

	if (count == 0)
		return 0;
	/* Without memory to count them they might be too many. */
	if (groups_open(&g, count) < 0)
		return BF_PLAN_LIMITS_PER_REQUEST + 1;
	if (is_model && is_in(l->x, scope, key))
		groups_add(&g, l->x);
	for (const struct entity *at = entities_next(l->t, BF_ENTITY_MODEL_CONFIG, NULL); at;
	     at = entities_next(l->t, BF_ENTITY_MODEL_CONFIG, at))
		if (!is_x(l, at) && is_in(at, scope, key))
			groups_add(&g, at);
	for (uint32_t i = 0; i < PLACES; i++)
		sum += g.most[i];
	free(g.items);
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

static uint32_t everybodys(struct looking *l)
{
	const struct bf_slice any = {NULL, 0};

	return most_of(l, BF_ENTITY_PROVIDER_LIMITS, 0) + most_of_models(l, SCOPE_EVERYBODY, any);
}

static struct sums sums_of(struct looking *l)
{
	const struct bf_slice any = {NULL, 0};
	const struct entity *key = key_of(l);
	uint64_t self = entity_key(l->x->e.type, l->x->e.id);
	bool is_team = l->x->e.type == BF_ENTITY_TEAM;
	bool is_customer = l->x->e.type == BF_ENTITY_CUSTOMER;
	struct sums s = {.everybody = everybodys(l)};

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

/* What holds for the most that anybody ever had needs no look at a million keys. */
static bool fits_in_any_case(struct looking *l)
{
	static const uint32_t types[] = {BF_ENTITY_PROVIDER_LIMITS, BF_ENTITY_VIRTUAL_KEY,
					 BF_ENTITY_TEAM, BF_ENTITY_CUSTOMER};
	const struct bf_slice any = {NULL, 0};
	uint32_t sum = 0;

	for (size_t i = 0; i < BF_ARRAY_LEN(types); i++)
		sum += BF_MAX(entities_peak(l->t, types[i]),
			      types[i] == l->x->e.type ? l->x->limits : 0u);
	if (sum <= BF_PLAN_LIMITS_PER_REQUEST)
		sum +=
		    most_of_models(l, SCOPE_EVERYBODY, any) + most_of_models(l, SCOPE_ANY_KEY, any);
	return sum <= BF_PLAN_LIMITS_PER_REQUEST;
}

int entity_bound(const struct entities *t, const struct entity *x, struct bf_err *err)
{
	struct looking l = {.t = t, .x = x};
	struct sums s;
	uint32_t sum;

	if (x->limits == 0 && x->e.type != BF_ENTITY_VIRTUAL_KEY && x->e.type != BF_ENTITY_TEAM)
		return 0;
	if (!key_of(&l) && fits_in_any_case(&l))
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

uint32_t entity_bound_everybody(const struct entities *t)
{
	static const struct entity nobody;
	struct looking l = {.t = t, .x = &nobody};

	return everybodys(&l);
}

/*
 * Plans of single entities. Called by limits_follow.c for each that is loaded or changed. Must give
 * each limit the identity that workers give it, and leave none out that they may meet.
 */
#include "writerd/limits/limited.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/macros.h"

#define LOOK_BACK 512u /* bytes of texts in which an equal one is looked for */

/* Between an entity and its block: all in the arena. */
struct making {
	const struct entities *t;
	const struct entity *x;
	struct bf_arena *arena;
	struct bf_config *config;
	struct bf_plan plan;
	uint64_t *refs;
	uint32_t ref_count, room; /* of rate limits, and of references */
};

_Static_assert(offsetof(struct bf_conf_virtual_key, own) == 0 &&
		   offsetof(struct bf_conf_provider_config, own) == 0 &&
		   offsetof(struct bf_conf_team, own) == 0 &&
		   offsetof(struct bf_conf_customer, own) == 0 &&
		   offsetof(struct bf_conf_model_config, own) == 0 &&
		   offsetof(struct bf_conf_provider_limits, own) == 0,
	       "an owner comes first");

bool limited_may_be(uint32_t type)
{
	return type == BF_ENTITY_CUSTOMER || type == BF_ENTITY_TEAM ||
	       type == BF_ENTITY_VIRTUAL_KEY || type == BF_ENTITY_MODEL_CONFIG ||
	       type == BF_ENTITY_PROVIDER_LIMITS;
}

/* ---- a configuration of it alone */

static int named_rate(struct making *m, struct bf_conf_owner *own,
		      struct bf_conf_rate_limit *ret_rate, bool *ret_is)
{
	const struct entity *rate = entities_live(m->t, BF_ENTITY_RATE_LIMIT, own->rate_limit_id);

	m->refs[m->ref_count++] = entity_key(BF_ENTITY_RATE_LIMIT, own->rate_limit_id);
	*ret_is = rate != NULL;
	return rate ? bf_entity_decode(&rate->e, ret_rate, m->arena, NULL) : 0;
}

/* The one that it names or holds goes where a plan looks for it. */
static int settle_rate(struct making *m, struct bf_conf_owner *own)
{
	struct bf_array *list = &m->config->governance.rate_limits;
	struct bf_conf_rate_limit *at = (struct bf_conf_rate_limit *)list->items + list->count;
	bool is = own->rate_limit.count > 0;
	int r = 0;

	if (is)
		*at = *(const struct bf_conf_rate_limit *)own->rate_limit.items;
	else if (own->rate_limit_id.len)
		r = named_rate(m, own, at, &is);
	own->rate_limit = (struct bf_array){NULL, 0};
	own->rate_limit_id = is ? at->id : (struct bf_slice){NULL, 0};
	list->count += is;
	return r;
}

static int settle_rates(struct making *m, void *object, struct bf_array *configs)
{
	struct bf_conf_provider_config *items = configs ? configs->items : NULL;
	uint32_t count = configs ? configs->count : 0;
	int r;

	m->room = 1 + count;
	m->refs = bf_arena_alloc(m->arena, m->room * sizeof(*m->refs));
	m->config->governance.rate_limits.items =
	    bf_arena_alloc(m->arena, m->room * sizeof(struct bf_conf_rate_limit));
	if (!m->refs || !m->config->governance.rate_limits.items)
		return -ENOMEM;
	r = settle_rate(m, object);
	for (uint32_t i = 0; i < count && r == 0; i++)
		r = settle_rate(m, &items[i].own);
	return r;
}

/* A model config of a key wants that key to be there; that is all it wants of it. */
static int add_scope(struct making *m, const struct bf_conf_model_config *model)
{
	struct bf_conf_virtual_key *key;

	if (model->scope != BF_MODEL_VIRTUAL_KEY)
		return 0;
	key = bf_arena_alloc(m->arena, sizeof(*key));
	if (!key)
		return -ENOMEM;
	*key = (struct bf_conf_virtual_key){.own = {.id = model->scope_id}};
	m->config->governance.virtual_keys = (struct bf_array){key, 1};
	return 0;
}

static int make_config(struct making *m, void *object)
{
	struct bf_conf_governance *g = &m->config->governance;
	struct bf_conf_virtual_key *key;

	switch (m->x->e.type) {
	case BF_ENTITY_VIRTUAL_KEY:
		/* Theirs are limits of their own. */
		key = object;
		key->team_id = key->customer_id = (struct bf_slice){NULL, 0};
		g->virtual_keys = (struct bf_array){object, 1};
		return settle_rates(m, object, &key->provider_configs);
	case BF_ENTITY_TEAM:
		g->teams = (struct bf_array){object, 1};
		break;
	case BF_ENTITY_CUSTOMER:
		g->customers = (struct bf_array){object, 1};
		break;
	case BF_ENTITY_PROVIDER_LIMITS:
		g->providers = (struct bf_array){object, 1};
		break;
	default:
		g->model_configs = (struct bf_array){object, 1};
		if (add_scope(m, object) < 0)
			return -ENOMEM;
		break;
	}
	return settle_rates(m, object, NULL);
}

/* ---- the block */

struct texts {
	char *bytes;
	uint32_t len;
};

/* Most are there already: owners and windows repeat. */
static uint32_t found(const struct texts *t, struct bf_slice text)
{
	uint32_t at = t->len > LOOK_BACK ? t->len - LOOK_BACK : 0;

	while (at > 0 && t->bytes[at - 1] != '\0')
		at++;
	while (at < t->len) {
		size_t len = strlen(t->bytes + at);

		if (len == text.len && memcmp(t->bytes + at, text.ptr, len) == 0)
			return at;
		at += (uint32_t)len + 1;
	}
	return 0;
}

static uint32_t add_text(struct texts *t, struct bf_slice text)
{
	uint32_t at = text.len ? found(t, text) : 0;

	if (at || text.len == 0)
		return at;
	at = t->len;
	memcpy(t->bytes + at, text.ptr, text.len);
	t->bytes[at + text.len] = '\0';
	t->len += (uint32_t)text.len + 1;
	return at;
}

static size_t most_text(const struct making *m)
{
	size_t bytes = 1 + m->x->e.id.len + m->x->e.scope.len + 2;

	for (uint32_t i = 0; i < m->plan.limit_count; i++) {
		const struct bf_limit *l = &m->plan.limits[i];

		bytes += l->reset.len + l->owner_id.len + l->owner_name.len + l->limit_id.len +
			 l->rows.provider.len + l->rows.model.len + 6;
	}
	return bytes;
}

/* Not linked yet. */
static struct limit make_limit(const struct bf_limit *from, struct texts *t)
{
	return (struct limit){.identity = from->identity,
			      .max = from->max,
			      .window = from->window,
			      .endless = from->endless,
			      .quantity = (uint8_t)from->quantity,
			      .owner = (uint8_t)from->owner,
			      .owner_id = add_text(t, from->owner_id),
			      .owner_name = add_text(t, from->owner_name),
			      .limit_id = add_text(t, from->limit_id),
			      .reset = add_text(t, from->reset),
			      .provider = add_text(t, from->rows.provider),
			      .model = add_text(t, from->rows.model)};
}

/* Those of its limits that have some. */
static uint32_t extras_of(const struct making *m)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->plan.limit_count; i++)
		n += m->plan.limits[i].extra > 0;
	return n;
}

static void place_extras(const struct making *m, struct limited *of, struct limit_extra *extra)
{
	for (uint32_t i = 0; i < of->count; i++) {
		const struct bf_limit *from = &m->plan.limits[i];

		if (from->extra == 0)
			continue;
		*extra = (struct limit_extra){.limit = &of->limits[i],
					      .amount = from->extra,
					      .begin_ms = from->extra_begin_ms,
					      .end_ms = from->extra_end_ms};
		bf_list_init(&extra->node);
		of->limits[i].extra = extra++;
	}
}

/* plain: what is known of it; limits and texts are copied behind it. */
static struct limited *join(const struct making *m, const struct limited *plain,
			    const struct limit *limits, const struct texts *t)
{
	size_t limits_end = sizeof(*plain) + plain->count * sizeof(*limits);
	size_t head = limits_end + extras_of(m) * sizeof(struct limit_extra);
	size_t refs = m->ref_count * sizeof(struct limited_ref);
	struct limited *of = calloc(1, head + refs + t->len);
	char *behind = (char *)of + head;

	if (!of)
		return NULL;
	*of = *plain;
	for (uint32_t i = 0; i < of->count; i++) {
		of->limits[i] = limits[i];
		of->limits[i].of = of;
		bf_list_init(&of->limits[i].node);
	}
	place_extras(m, of, (struct limit_extra *)(void *)((char *)of + limits_end));
	of->refs = (struct limited_ref *)(void *)behind;
	of->ref_count = m->ref_count;
	for (uint32_t i = 0; i < of->ref_count; i++)
		of->refs[i] = (struct limited_ref){.key = m->refs[i], .who = of};
	memcpy(behind + refs, t->bytes, t->len);
	of->texts = behind + refs;
	return of;
}

static int make_block(const struct making *m, struct limited **ret)
{
	struct texts t = {.bytes = bf_arena_alloc(m->arena, most_text(m)), .len = 1};
	struct limited plain = {.type = m->x->e.type, .count = m->plan.limit_count};
	struct limit *limits = bf_arena_alloc(m->arena, plain.count * sizeof(*limits));

	if (!t.bytes || !limits)
		return -ENOMEM;
	t.bytes[0] = '\0';
	plain.id = add_text(&t, m->x->e.id);
	plain.scope = add_text(&t, m->x->e.scope);
	for (uint32_t i = 0; i < plain.count; i++)
		limits[i] = make_limit(&m->plan.limits[i], &t);
	*ret = join(m, &plain, limits, &t);
	return *ret ? 0 : -ENOMEM;
}

int limited_make(const struct entities *t, const struct entity *x, struct bf_arena *arena,
		 struct limited **ret, struct bf_err *err)
{
	struct making m = {.t = t, .x = x, .arena = arena};
	void *object = bf_arena_alloc(arena, bf_entity_def(x->e.type)->table->size);
	int r;

	*ret = NULL;
	m.config = bf_arena_alloc(arena, sizeof(*m.config));
	if (!m.config || !object)
		return bf_err_sys(err, -ENOMEM, "limits");
	memset(m.config, 0, sizeof(*m.config));
	r = bf_entity_decode(&x->e, object, arena, err);
	if (r < 0)
		return r;
	r = make_config(&m, object);
	if (r < 0)
		return bf_err_sys(err, r, "limits");
	r = bf_plan_make(&m.plan, m.config, arena, err);
	if (r == 0 && (m.plan.limit_count || m.ref_count)) {
		r = make_block(&m, ret);
		if (r < 0)
			(void)bf_err_sys(err, r, "limits");
	}
	return r;
}

/* ---- as the plan said it */

struct bf_limit_rows limit_rows(const struct limit *limit)
{
	const struct limited *of = limit->of;
	struct bf_slice id = limited_text(of, of->id);
	struct bf_limit_rows rows = {.provider = limited_text(of, limit->provider),
				     .model = limited_text(of, limit->model)};

	if (of->type == BF_ENTITY_VIRTUAL_KEY)
		rows.virtual_key_id = id;
	else if (of->type == BF_ENTITY_TEAM)
		rows.team_id = id;
	else if (of->type == BF_ENTITY_CUSTOMER)
		rows.customer_id = id;
	else if (of->type == BF_ENTITY_MODEL_CONFIG)
		rows.virtual_key_id = limited_text(of, of->scope);
	return rows;
}

struct bf_limit limit_whole(const struct limit *limit)
{
	const struct limited *of = limit->of;

	return (struct bf_limit){.identity = limit->identity,
				 .quantity = (enum bf_quantity)limit->quantity,
				 .max = limit->max,
				 .extra = limit->extra ? limit->extra->amount : 0,
				 .extra_begin_ms = limit->extra ? limit->extra->begin_ms : 0,
				 .extra_end_ms = limit->extra ? limit->extra->end_ms : 0,
				 .endless = limit->endless,
				 .window = limit->window,
				 .reset = limited_text(of, limit->reset),
				 .owner = (enum bf_owner)limit->owner,
				 .rows = limit_rows(limit),
				 .owner_id = limited_text(of, limit->owner_id),
				 .owner_name = limited_text(of, limit->owner_name),
				 .limit_id = limited_text(of, limit->limit_id)};
}

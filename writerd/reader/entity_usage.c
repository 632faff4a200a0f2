/*
 * Usage of limits. Called for each entity of an answer. Must never change anything: what it tells
 * are words that others write.
 */
#include "writerd/reader/entity_usage.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "shm/meter.h"

/* ---- the plan of one entity */

struct making {
	const struct bf_snapshot *s;
	struct bf_arena *arena;
	struct bf_conf_governance *g;
};

static int take_rate(struct making *m, struct bf_conf_rate_limit rate)
{
	struct bf_conf_rate_limit *items = m->g->rate_limits.items;

	items[m->g->rate_limits.count++] = rate;
	return 0;
}

/* What stands at the owner, or what it names, goes where a plan looks for it. */
static int settle(struct making *m, struct bf_conf_owner *own)
{
	struct bf_conf_rate_limit *rate = own->rate_limit.items;
	struct bf_entity e;
	int r;

	if (own->rate_limit.count) {
		own->rate_limit = (struct bf_array){NULL, 0};
		own->rate_limit_id = rate->id;
		return take_rate(m, *rate);
	}
	if (own->rate_limit_id.len == 0)
		return 0;
	rate = bf_arena_alloc(m->arena, sizeof(*rate));
	if (!rate)
		return -ENOMEM;
	r = bf_snapshot_find(m->s, BF_ENTITY_RATE_LIMIT, own->rate_limit_id, &e)
		? bf_entity_decode(&e, rate, m->arena, NULL)
		: BF_E_UNKNOWN;
	if (r == 0)
		return take_rate(m, *rate);
	own->rate_limit_id = (struct bf_slice){NULL, 0};
	return r == -ENOMEM ? r : 0;
}

/* Whom it belongs to does not matter for whose its limits are. */
static int settle_key(struct making *m, struct bf_conf_virtual_key *key)
{
	struct bf_conf_provider_config *configs = NULL;
	uint32_t count = key->provider_configs.count;
	int r = settle(m, &key->own);

	key->team_id = key->customer_id = (struct bf_slice){NULL, 0};
	if (count) {
		configs = bf_arena_alloc(m->arena, count * sizeof(*configs));
		if (!configs)
			return -ENOMEM;
		memcpy(configs, key->provider_configs.items, count * sizeof(*configs));
	}
	for (uint32_t i = 0; r == 0 && i < count; i++) {
		configs[i].own.name = configs[i].provider;
		r = settle(m, &configs[i].own);
	}
	key->provider_configs.items = configs;
	return r;
}

static struct bf_array *list_of(struct bf_conf_governance *g, uint32_t type)
{
	switch (type) {
	case BF_ENTITY_CUSTOMER:
		return &g->customers;
	case BF_ENTITY_TEAM:
		return &g->teams;
	case BF_ENTITY_VIRTUAL_KEY:
		return &g->virtual_keys;
	case BF_ENTITY_MODEL_CONFIG:
		return &g->model_configs;
	case BF_ENTITY_PROVIDER_LIMITS:
		return &g->providers;
	default:
		return NULL;
	}
}

/* All that can own limits begins with what owners have. */
static int settle_copy(struct making *m, uint32_t type, void *copy)
{
	struct bf_conf_model_config *model = copy;

	if (type == BF_ENTITY_VIRTUAL_KEY)
		return settle_key(m, copy);
	if (type == BF_ENTITY_TEAM)
		((struct bf_conf_team *)copy)->customer_id = (struct bf_slice){NULL, 0};
	if (type == BF_ENTITY_MODEL_CONFIG) {
		model->own.name = model->model_name;
		model->scope = BF_MODEL_GLOBAL;
		model->scope_id = (struct bf_slice){NULL, 0};
	}
	return settle(m, copy);
}

static int make_config(struct making *m, struct bf_array *list, uint32_t type, const void *object)
{
	size_t size = bf_entity_def(type)->table->size;
	const struct bf_conf_virtual_key *key = object;
	uint32_t owners = type == BF_ENTITY_VIRTUAL_KEY ? key->provider_configs.count + 1 : 1;

	m->g->rate_limits.items =
	    bf_arena_alloc(m->arena, owners * sizeof(struct bf_conf_rate_limit));
	list->items = bf_arena_alloc(m->arena, size);
	if (!m->g->rate_limits.items || !list->items)
		return -ENOMEM;
	memcpy(list->items, object, size);
	list->count = 1;
	return settle_copy(m, type, list->items);
}

/* ---- the meters */

static const struct bf_limit *limit_of(const struct bf_plan *plan, struct bf_slice owner_id,
				       struct bf_slice limit_id, enum bf_quantity quantity)
{
	for (uint32_t i = 0; i < plan->limit_count; i++) {
		const struct bf_limit *l = &plan->limits[i];

		if (l->quantity == quantity && bf_slice_eq(l->limit_id, limit_id) &&
		    bf_slice_eq(l->owner_id, owner_id))
			return l;
	}
	return NULL;
}

static bool usage_of(void *ctx, struct bf_slice owner_id, struct bf_slice limit_id,
		     enum bf_quantity quantity, struct entity_usage *ret_usage)
{
	const struct entity_meters *m = ctx;
	const struct bf_limit *l = limit_of(&m->plan, owner_id, limit_id, quantity);
	struct shm_meter_info info;
	uint32_t meter, epoch;
	int64_t window, now_ms;

	if (!l)
		return false;
	meter = shm_meter_find(m->seg, l->identity);
	if (meter == SHM_METER_NOWHERE || !shm_meter_read(m->seg, meter, &info))
		return false;
	now_ms = shm_wall_ms(&m->wall, m->boot_ns, bf_limit_length_ms(l));
	window = bf_limit_window_counted(l, info.epoch, now_ms);
	epoch = (uint32_t)window & BF_EPOCH_MASK;
	*ret_usage = (struct entity_usage){.used = info.settled_epoch == epoch ? info.settled : 0};
	ret_usage->extra = bf_limit_max_at(l, now_ms) - l->max;
	ret_usage->extra_windows = bf_limit_extra_windows(l, now_ms);
	ret_usage->extra_end_ms = l->extra_end_ms;
	ret_usage->held = shm_meter_counted(&info, epoch) - ret_usage->used;
	if (!l->endless) {
		ret_usage->start_ms = bf_window_start_ms(&l->window, window);
		ret_usage->end_ms = bf_limit_window_end_ms(l, window);
	}
	return true;
}

void entity_meters_init(struct entity_meters *m, const struct shm_segment *seg)
{
	*m = (struct entity_meters){
	    .seg = seg,
	    .wall = shm_wall_read(seg),
	    .boot_ns = bf_boot_ns(),
	    .usages = {.of = usage_of, .ctx = m},
	};
}

int entity_meters_of(struct entity_meters *m, const struct bf_snapshot *s, uint32_t type,
		     const void *object, struct bf_arena *arena)
{
	struct bf_config *config = bf_arena_alloc(arena, sizeof(*config));
	struct bf_array *list;
	struct making making;
	int r;

	m->plan = (struct bf_plan){.limit_count = 0};
	if (!config)
		return -ENOMEM;
	making = (struct making){s, arena, &config->governance};
	list = list_of(&config->governance, type);
	if (!list)
		return 0;
	r = make_config(&making, list, type, object);
	if (r == 0)
		r = bf_plan_make(&m->plan, config, arena, NULL);
	if (r < 0)
		m->plan.limit_count = 0;
	return r == -ENOMEM ? r : 0;
}

int entity_meters_spent(struct entity_meters *m, const struct bf_snapshot *s,
			const struct bf_conf_virtual_key *key, struct bf_arena *arena,
			int64_t *ret_spent)
{
	const struct bf_conf_budget *budgets = key->own.budgets.items;
	struct entity_usage u;
	int r = 0;

	*ret_spent = 0;
	if (key->own.budgets.count)
		r = entity_meters_of(m, s, BF_ENTITY_VIRTUAL_KEY, key, arena);
	for (uint32_t i = 0; r == 0 && i < key->own.budgets.count; i++) {
		if (usage_of(m, key->own.id, budgets[i].id, BF_QUANTITY_NUSD, &u))
			*ret_spent = BF_MAX(*ret_spent, u.used);
	}
	return r;
}

/*
 * Whether a request has the right to ask at all. Called at the start, and by every route that a
 * key opens. Must never say more about a key that is not known than that.
 */
#include "proxyd/gate/govern.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "proxyd/gate/decide.h"
#include "shm/health.h"

#define GOVERN_PLAN_MAX    (1u << 30)
#define GOVERN_UNPRICED_MS 60000

_Static_assert(sizeof(struct govern_place) == 48, "common/schema/worst_case.c counts so much");

static int govern_plan(struct governance *g, const struct bf_config *config, struct bf_err *err)
{
	int r = bf_plan_make(&g->plan, config, &g->arena, err);

	if (r < 0)
		return r;
	g->places = calloc(g->plan.limit_count + 1u, sizeof(g->places[0]));
	if (!g->places || vkey_open(&g->keys, &g->plan) < 0)
		return bf_err_sys(err, -ENOMEM, "governance");
	for (uint32_t i = 0; i < g->plan.limit_count; i++)
		g->places[i].meter = SHM_METER_NOWHERE;
	return 0;
}

/* Is there anything that costs, or anything that limits those without a key? */
static bool govern_others(const struct bf_config *config)
{
	const struct bf_conf_governance *g = &config->governance;

	return g->pricing_overrides.count > 0 || config->pricing.sheet.entries.count > 0 ||
	       g->unpriced_models == BF_UNPRICED_DEFAULT_PRICE || g->providers.count > 0 ||
	       g->model_configs.count > 0;
}

int govern_open(struct worker *w, struct bf_err *err)
{
	const struct bf_config *config = w->config;
	bool keyed =
	    config->governance.virtual_keys.count > 0 || config->client.enforce_auth_on_inference;

	if (!keyed && !govern_others(config))
		return 0;
	w->governance = calloc(1, sizeof(*w->governance));
	if (!w->governance)
		return bf_err_sys(err, -ENOMEM, "governance");
	w->governance->keyed = keyed;
	bf_arena_init(&w->governance->arena, GOVERN_PLAN_MAX);
	if (tariff_open(&w->governance->tariff, config, &w->governance->arena) < 0)
		return bf_err_sys(err, -ENOMEM, "prices");
	shm_meter_enter(&w->meters, w->seg, w->proc_slot);
	return govern_plan(w->governance, config, err);
}

void govern_close(struct worker *w)
{
	struct governance *g = w->governance;

	if (!g)
		return;
	w->governance = NULL;
	vkey_close(&g->keys);
	free(g->places);
	bf_arena_done(&g->arena);
	free(g);
}

void govern_beat(struct worker *w)
{
	const struct governance *g = w->governance;

	if (!g)
		return;
	shm_health_set(w->seg, w->proc_slot, SHM_H_MODEL_UNPRICED,
		       g->unpriced_mono_ms &&
			   bf_mono_ms() - g->unpriced_mono_ms < GOVERN_UNPRICED_MS);
	shm_health_set(w->seg, w->proc_slot, SHM_H_MODEL_UNCHARGED,
		       g->uncharged_mono_ms &&
			   bf_mono_ms() - g->uncharged_mono_ms < GOVERN_UNPRICED_MS);
}

bool govern_limits(const struct exchange *x)
{
	const struct governance *g = x->worker->governance;

	return (x->virtual_key && x->virtual_key->always.count > 0) || (g && g->plan.by_target);
}

bool govern_counts_tokens(const struct exchange *x)
{
	const struct governance *g = x->worker->governance;
	const struct bf_plan_key *key = x->virtual_key;

	for (uint32_t i = 0; key && i < key->always.count; i++) {
		enum bf_quantity quantity = key->always.items[i]->quantity;

		if (quantity == BF_QUANTITY_TOKENS || quantity == BF_QUANTITY_NUSD)
			return true;
	}
	return g && g->plan.by_target;
}

void govern_forget(struct governance *g, const struct bf_plan_path *path)
{
	for (uint32_t k = 0; k < path->count; k++)
		*govern_place(g, path->items[k]) =
		    (struct govern_place){.meter = SHM_METER_NOWHERE};
}

static int govern_no(struct exchange *x, enum shm_metric reason, struct infer_error *e,
		     int http_status, const char *type, const char *text)
{
	worker_count(x->worker, reason);
	return infer_fail(e, http_status, type, "%s", text);
}

static int govern_unknown(struct exchange *x, struct infer_error *e)
{
	return govern_no(x, SHM_M_KEYS_UNKNOWN, e, 401, "virtual_key_not_found",
			 "this virtual key does not exist");
}

/* By the wall clock as the request began. A key that is to be deleted when it expires is gone then.
 */
static int govern_state(struct exchange *x, const struct bf_conf_virtual_key *key,
			struct infer_error *e)
{
	enum decide_state state = decide_state(key, x->started_wall_ns / 1000000);
	char text[DECIDE_TEXT];

	if (state == DECIDE_IN_FORCE)
		return 0;
	if (state == DECIDE_EXPIRED && key->delete_after_expire)
		return govern_unknown(x, e);
	decide_state_text(key, state, text);
	return govern_no(x, SHM_M_KEYS_BLOCKED, e, 403, "virtual_key_blocked", text);
}

int govern_key(struct exchange *x, struct infer_error *e)
{
	const struct governance *g = x->worker->governance;
	struct bf_slice given;

	if (!g->keyed)
		return 0;
	given = vkey_given(x);
	if (given.len == 0 && !x->worker->config->client.enforce_auth_on_inference)
		return 0;
	if (given.len == 0)
		return govern_no(x, SHM_M_KEYS_MISSING, e, 401, "virtual_key_required",
				 "a virtual key is required: send it as x-bf-vk, or as the API key "
				 "if it begins with sk-bf-");
	x->virtual_key = vkey_find(&g->keys, given);
	return x->virtual_key ? govern_state(x, x->virtual_key->conf, e) : govern_unknown(x, e);
}

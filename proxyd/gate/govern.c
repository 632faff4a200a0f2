/*
 * Whether a request has the right to ask at all, by what is in force. Called at the start, for each
 * snapshot that comes, and by every route that a key opens. Must never say more about a key that is
 * not known than that, and never that one is unknown while a newer snapshot is on its way here.
 */
#include "proxyd/gate/govern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/log/log.h"
#include "proxyd/gate/decide.h"
#include "proxyd/gate/vkey.h"
#include "proxyd/snapshot.h"
#include "shm/health.h"

#define GOVERN_UNPRICED_MS 60000
#define GOVERN_RETRY_S     1

static void govern_keep_up(struct worker *w)
{
	(void)govern_follow(w);
}

int govern_open(struct worker *w, struct bf_err *err)
{
	struct governance *g = calloc(1, sizeof(*g));

	if (!g || keyring_open(&g->keys) < 0) {
		free(g);
		return bf_err_sys(err, -ENOMEM, "governance");
	}
	w->governance = g;
	w->follow = govern_keep_up;
	tariff_open(&g->tariff);
	told_open(&g->told);
	shm_meter_enter(&w->meters, w->seg, w->proc_slot);
	return 0;
}

void govern_close(struct worker *w)
{
	struct governance *g = w->governance;

	if (!g)
		return;
	w->governance = NULL;
	w->follow = NULL;
	w->client = &w->config->client;
	keyring_close(&g->keys);
	told_close(&g->told);
	everybody_drop(g->next);
	everybody_drop(g->everybody);
	free(g);
}

/* ---- what is in force */

static bool is_as_now(const struct governance *g, uint64_t mark)
{
	return g->everybody && g->everybody->mark == mark;
}

int govern_prepare(struct worker *w, struct bf_err *err)
{
	const struct bf_snapshot_generation *next = &w->snapshots->next;
	const struct bf_snapshot s = {next->base, next->overlay};
	struct governance *g = w->governance;
	uint64_t mark;

	if (!next->number)
		return 0;
	mark = bf_snapshot_common(&s);
	if (g->next && g->next->mark == mark)
		return 0;
	everybody_drop(g->next);
	g->next = NULL;
	return is_as_now(g, mark) ? 0 : everybody_make(&g->next, w, &s, w->providers, err);
}

static void take_over(struct worker *w, const struct everybody *e)
{
	struct provider_set *before = w->providers;

	w->client = e->has_client ? &e->config.client : &w->config->client;
	w->providers = provider_set_hold(e->providers);
	provider_set_drop(before);
}

/* False: it could not be made; what was in force before serves nobody either. */
static bool follow_everybody(struct worker *w, const struct bf_snapshot *s)
{
	struct governance *g = w->governance;
	uint64_t mark = bf_snapshot_common(s);
	struct everybody *fresh = NULL;
	struct bf_err err = {0};

	if (is_as_now(g, mark))
		return true;
	if (g->next && g->next->mark == mark) {
		fresh = g->next;
		g->next = NULL;
	} else if (everybody_make(&fresh, w, s, w->providers, &err) < 0) {
		bf_log(BF_LOG_ERROR, "governance_failed", "reason=%s", bf_log_quote(err.text));
		return false;
	}
	everybody_drop(g->everybody);
	g->everybody = fresh;
	take_over(w, fresh);
	tariff_renew(&g->tariff, &fresh->config, &fresh->book);
	return true;
}

static void follow_keys(struct governance *g, const struct bf_snapshot *s)
{
	const uint8_t *pepper = bf_snapshot_pepper(s->base);

	if (memcmp(g->pepper, pepper, sizeof(g->pepper)) == 0)
		return;
	memcpy(g->pepper, pepper, sizeof(g->pepper));
	keyring_flush(&g->keys);
}

static bool follow(struct worker *w)
{
	const struct bf_snapshot *s = snapshots_now(w);
	struct governance *g = w->governance;

	if (!s)
		return false;
	if (g->everybody && g->generation == w->snapshots->now.number)
		return true;
	if (!follow_everybody(w, s))
		return false;
	follow_keys(g, s);
	g->generation = w->snapshots->now.number;
	return true;
}

/* What the segment names is what this worker has. */
static inline bool is_followed(const struct worker *w)
{
	const struct governance *g = w->governance;

	return g->everybody && g->generation == shm_generation(w->seg);
}

bool govern_follow(struct worker *w)
{
	return is_followed(w) || follow(w);
}

static void tell_numbers(const struct worker *w)
{
	const struct keyring *ring = &w->governance->keys;

	shm_metric_set(w->seg, w->proc_slot, SHM_M_KEYS_CACHED, ring->count);
	shm_metric_set(w->seg, w->proc_slot, SHM_M_KEYS_CACHED_BYTES, (int64_t)ring->bytes);
}

void govern_beat(struct worker *w)
{
	const struct governance *g = w->governance;

	if (!g)
		return;
	(void)govern_follow(w);
	tell_numbers(w);
	shm_health_set(w->seg, w->proc_slot, SHM_H_MODEL_UNPRICED,
		       g->unpriced_mono_ms &&
			   bf_mono_ms() - g->unpriced_mono_ms < GOVERN_UNPRICED_MS);
	shm_health_set(w->seg, w->proc_slot, SHM_H_MODEL_UNCHARGED,
		       g->uncharged_mono_ms &&
			   bf_mono_ms() - g->uncharged_mono_ms < GOVERN_UNPRICED_MS);
}

/* ---- what a request holds */

static void govern_release(struct exchange *x)
{
	keyring_drop(x->held_key);
	everybody_drop(x->everybody);
	provider_set_drop(x->providers);
	x->held_key = NULL;
	x->providers = NULL;
	x->everybody = NULL;
	x->virtual_key = NULL;
}

bool govern_hold(struct exchange *x)
{
	const struct governance *g = x->worker->governance;

	if (!govern_follow(x->worker))
		return false;
	if (!x->providers)
		x->providers = provider_set_hold(x->worker->providers);
	if (x->everybody != g->everybody) {
		everybody_drop(x->everybody);
		x->everybody = everybody_hold(g->everybody);
		x->release = govern_release;
		x->governed |= !g->everybody->idle;
	}
	return true;
}

void govern_hold_key(struct exchange *x, struct keyring_key *key)
{
	keyring_drop(x->held_key);
	x->held_key = key;
	x->release = govern_release;
	x->virtual_key = keyring_plan_key(key);
	x->governed = true;
}

bool govern_limits(const struct exchange *x)
{
	return (x->virtual_key && (x->virtual_key->always.count > 0 || x->virtual_key->targets)) ||
	       (x->everybody && x->everybody->plan.by_target);
}

bool govern_counts_tokens(const struct exchange *x)
{
	const struct bf_plan_key *key = x->virtual_key;

	for (uint32_t i = 0; key && i < key->always.count; i++) {
		enum bf_quantity quantity = key->always.items[i]->quantity;

		if (quantity == BF_QUANTITY_TOKENS || quantity == BF_QUANTITY_NUSD)
			return true;
	}
	return (key && key->targets) || (x->everybody && x->everybody->plan.by_target);
}

/* ---- who asks */

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

/* Soon, but not now. */
static int govern_not_yet(struct exchange *x, struct infer_error *e, const char *type,
			  const char *text)
{
	x->retry_after_s = GOVERN_RETRY_S;
	return govern_no(x, SHM_M_GOVERNANCE_NOT_LOADED, e, 503, type, text);
}

static int govern_not_loaded(struct exchange *x, struct infer_error *e)
{
	return govern_not_yet(x, e, "governance_not_loaded",
			      "virtual keys and limits are being loaded; try again");
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
	if (state == DECIDE_GONE)
		return govern_unknown(x, e);
	decide_state_text(key, state, text);
	return govern_no(x, SHM_M_KEYS_BLOCKED, e, 403, "virtual_key_blocked", text);
}

/* By the snapshot itself. 0, or -1 with e. */
static int govern_find(struct exchange *x, struct bf_slice value, struct keyring_key **ret_key,
		       struct infer_error *e)
{
	struct worker *w = x->worker;
	struct keyring *ring = &w->governance->keys;
	uint64_t made = ring->made, evicted = ring->evicted;
	const struct bf_snapshot *s = snapshots_now(w);
	int r = s ? keyring_find(ring, s, w->governance->generation, value, ret_key) : BF_E_STATE;

	shm_metric_add(w->seg, w->proc_slot, SHM_M_KEYS_HYDRATED, (int64_t)(ring->made - made));
	shm_metric_add(w->seg, w->proc_slot, SHM_M_KEYS_EVICTED,
		       (int64_t)(ring->evicted - evicted));
	if (r == 0)
		return 0;
	if (r == BF_E_UNKNOWN)
		return is_followed(w) ? govern_unknown(x, e) : govern_not_loaded(x, e);
	if (r == -ENOMEM)
		return govern_not_yet(x, e, "out_of_memory", "no memory for this virtual key");
	return govern_not_loaded(x, e);
}

static int govern_given(struct exchange *x, struct bf_slice value, struct infer_error *e)
{
	const struct governance *g = x->worker->governance;
	struct keyring_key *key = keyring_look(&x->worker->governance->keys, g->generation, value);

	if (!key && govern_find(x, value, &key, e) < 0)
		return -1;
	govern_hold_key(x, key);
	if (!x->virtual_key)
		return govern_no(x, SHM_M_KEYS_BLOCKED, e, 403, "virtual_key_blocked", key->broken);
	return govern_state(x, x->virtual_key->conf, e);
}

int govern_key(struct exchange *x, struct infer_error *e)
{
	bool must = x->worker->client->enforce_auth_on_inference;
	struct bf_slice given;

	if (!govern_hold(x))
		return govern_not_loaded(x, e);
	/* Also where there are none: the last one may be gone. */
	given = vkey_given(x);
	if (given.len)
		return govern_given(x, given, e);
	if (!must)
		return 0;
	return govern_no(x, SHM_M_KEYS_MISSING, e, 401, "virtual_key_required",
			 "a virtual key is required: send it as x-bf-vk, or as the API key if it "
			 "begins with sk-bf-");
}

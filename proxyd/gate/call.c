/*
 * Attempts: whom the next one is with, and when it begins. Called by the gate once a request is
 * admitted, and by call_next.c. Must never start an attempt from within a report of the one before
 * it, and never choose a key that does not admit the model.
 */
#include "proxyd/gate/call.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/rand.h"
#include "proxyd/gate/call_priv.h"
#include "proxyd/gate/decide.h"
#include "proxyd/gate/limits.h"
#include "proxyd/gate/relay.h"

/* ---- choice of the first key of a target */

uint64_t call_random(void)
{
	uint64_t random;

	bf_rand_bytes(&random, sizeof(random));
	return random;
}

static int call_draw(const struct call *call, const struct provider_keys *keys,
		     const struct key_set *from, int64_t now_ms)
{
	int64_t cooling_until[KEY_MAX];

	if (key_set_count(from) < 2)
		return key_set_next(from, 0);
	provider_keys_cooling(keys, call->x->worker, from, now_ms, cooling_until);
	return provider_key_draw(call->p->conf, from, cooling_until, call_random());
}

void call_set_key(struct call *call)
{
	const struct bf_conf_provider_key *keys = call->p->conf->keys.items;

	call->x->key = call->retry.key < 0 ? NULL : &keys[call->retry.key];
	if (call->x->governed)
		limits_rekey(call->x);
}

/* The provider's keys that x's virtual key may use; NULL: any. */
static const struct bf_array *call_key_ids(const struct exchange *x)
{
	const struct bf_plan_key *key = x->virtual_key;

	if (!key || key->conf->provider_configs.count == 0)
		return NULL;
	return decide_key_ids(key->conf, x->provider);
}

void call_choose(struct call *call, int64_t now_ms)
{
	struct exchange *x = call->x;
	const struct provider_key_pin pin = {x->pin_key_id, x->pin_key_name};
	struct key_set candidates;
	int key = -1;

	call->p = provider_find(provider_set_of(x), x->provider);
	const struct bf_conf_network *net = &call->p->conf->network_config;
	const struct retry_policy policy = {net->max_retries, net->retry_backoff_initial_ms,
					    net->retry_backoff_max_ms};
	const struct provider_keys *keys = &call->p->keys;
	call->verdict = provider_key_candidates_of(call->p->conf, &keys->usable, call_key_ids(x),
						   x->model, &pin, &candidates);
	if (call->verdict == PROVIDER_KEY_SOME)
		key = call_draw(call, keys, &candidates, now_ms);
	retry_begin(&call->retry, &policy, &candidates, key);
	call->exhausted = false;
	call->repeats = 0;
	call_set_key(call);
}

bool call_prepare(struct exchange *x)
{
	struct call *call = bf_arena_alloc(&x->arena, sizeof(*call));

	if (!call)
		return false;
	call->x = x;
	x->call = call;
	call->attempt_ms = call->quiet_ms = bf_mono_ms();
	call_choose(call, call->attempt_ms);
	return true;
}

/* ---- an attempt */

static void call_no_key(struct call *call)
{
	struct exchange *x = call->x;
	bool by_id = x->pin_key_id.len > 0;
	struct bf_slice pin = by_id ? x->pin_key_id : x->pin_key_name;
	char text[320];
	const struct exchange_outcome outcome = {
	    .fault = EXCHANGE_FAULT_LOCAL,
	    .http_status = 400,
	    .error_type = "no_provider_key",
	    .error_text = text,
	};

	x->record.attempts = 0;
	if (call->verdict == PROVIDER_KEY_NONE)
		(void)snprintf(text, sizeof(text),
			       "no enabled key of provider \"%.*s\" admits the model \"%.*s\"",
			       BF_SLICE_FMT(x->provider), (int)BF_MIN(x->model.len, 100u),
			       x->model.ptr);
	else if (call->verdict == PROVIDER_KEY_PIN_UNFIT)
		(void)snprintf(text, sizeof(text),
			       "provider \"%.*s\" has no key with the %s \"%.*s\" that is enabled "
			       "and admits the model",
			       BF_SLICE_FMT(x->provider), by_id ? "id" : "name",
			       (int)BF_MIN(pin.len, 100u), pin.ptr);
	else
		/* Not quoted: people put the key itself there. */
		(void)snprintf(text, sizeof(text), "provider \"%.*s\" has no key with this %s",
			       BF_SLICE_FMT(x->provider), by_id ? "id" : "name");
	x->sink->on_done(x, &outcome);
}

static void call_attempt(struct call *call)
{
	struct exchange *x = call->x;

	x->call_cancel = NULL;
	x->call_resume = NULL;
	if (call->verdict > PROVIDER_KEY_NOT_NEEDED) {
		call_no_key(call);
		return;
	}
	worker_count(x->worker, SHM_M_UPSTREAM_ATTEMPTS);
	call->p->ops->start(call->p, x);
}

/* All attempts of a request are within one deadline. */
void call_begin(struct call *call)
{
	struct exchange *x = call->x;
	int64_t total_ms = call->p->conf->network_config.total_timeout_ms;

	if (!x->deadline_mono_ms && total_ms > 0)
		x->deadline_mono_ms = call->attempt_ms + total_ms;
	call_attempt(call);
}

void call_start(struct exchange *x)
{
	relay_attach(x);
	call_begin(x->call);
}

/* ---- the pause before the next one */

static void call_pause_cancel(struct exchange *x)
{
	ev_timer_stop(x->worker->loop, &x->call->timer);
}

static void call_pause_resume(struct exchange *x)
{
	(void)x;
}

static void on_call_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct call *call = timer->data;

	(void)loop;
	(void)revents;
	call->attempt_ms = bf_mono_ms();
	call_attempt(call);
}

static void on_admission_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	call_admit_again(timer->data);
}

static void call_pause_for(struct call *call, int64_t ms,
			   void (*then)(struct ev_loop *loop, ev_timer *timer, int revents))
{
	struct exchange *x = call->x;

	x->call_cancel = call_pause_cancel;
	x->call_resume = call_pause_resume;
	ev_timer_init(&call->timer, then, (double)BF_MAX(ms, 0) / 1000.0, 0.0);
	call->timer.data = call;
	ev_timer_start(x->worker->loop, &call->timer);
}

void call_pause(struct call *call, int64_t ms)
{
	call_pause_for(call, ms, on_call_timer);
}

void call_pause_admission(struct call *call)
{
	call_pause_for(call, 1, on_admission_timer);
}

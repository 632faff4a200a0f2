/*
 * Asks a provider which models it has, and collects what it says. Called by the management API.
 * Must never tell anything of a provider's answer but names, nor judge a key by it: one that may
 * not list models may serve them.
 */
#include "proxyd/gate/listing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "proxyd/gate/govern.h"
#include "proxyd/provider/provider.h"

/* In the exchange's arena; x->sink is in it. */
struct listing_call {
	struct exchange_sink sink;
	listing_done done;
};

static struct listing_call *call_of(const struct exchange *x)
{
	return (struct listing_call *)((uintptr_t)x->sink - offsetof(struct listing_call, sink));
}

/* ---- the end */

static void tell(struct exchange *x, const struct listing *listing)
{
	listing_done done = call_of(x)->done;

	worker_count(x->worker,
		     listing->http_status ? SHM_M_MODEL_LIST_FAILURES : SHM_M_MODEL_LISTS);
	x->cancel = NULL;
	done(x, listing);
}

static void fail(struct exchange *x, int http_status, const char *type, const char *text)
{
	const struct listing listing = {.http_status = http_status, .type = type, .text = text};

	if (http_status == 503)
		x->retry_after_s = 1;
	tell(x, &listing);
}

static void cancel(struct exchange *x, const char *why)
{
	if (x->call_cancel)
		x->call_cancel(x);
	if (strcmp(why, EXCHANGE_WORKER_LEFT) == 0) {
		fail(x, 503, EXCHANGE_WORKER_LEFT, EXCHANGE_WORKER_LEFT_TEXT);
		return;
	}
	worker_count(x->worker, SHM_M_MODEL_LIST_FAILURES);
	x->cancel = NULL;
	exchange_set_state(x, EXCHANGE_DONE);
}

/* ---- what the provider reports */

static void on_head(struct exchange *x, int http_status, bool is_stream)
{
	(void)x;
	(void)http_status;
	(void)is_stream;
}

/* 0, BF_E_LIMIT, BF_E_FULL, -ENOMEM. */
static int keep(struct exchange *x, struct bf_slice bytes)
{
	if (bytes.len > LISTING_MAX_BYTES - bf_buf_len(&x->answer))
		return BF_E_LIMIT;
	if (!worker_answer_take(x->worker, bytes.len))
		return BF_E_FULL;
	x->answer_charged += bytes.len;
	return bf_buf_append_slice(&x->answer, bytes);
}

static bool on_body(struct exchange *x, struct bf_slice bytes)
{
	int r = keep(x, bytes);

	if (r == 0)
		return true;
	x->call_cancel(x);
	if (r == BF_E_LIMIT)
		fail(x, 502, "answer_too_large",
		     "the provider's list of models is larger than 4 MiB");
	else
		fail(x, 503, "answer_memory_full", "no memory to hold the provider's answer");
	return false;
}

/* Attempts and retries are counted of requests to models, whose rows tell them too. */
static void on_repeat(struct exchange *x)
{
	(void)x;
}

/* All of it is there. */
static void read_answer(struct exchange *x)
{
	struct bf_arena *scratch = &x->worker->tape_arena;
	struct listing listing = {.http_status = 0};
	struct bf_err err = {0};
	const char *text;
	int r = listing_read(&listing.names, bf_buf_slice(&x->answer), scratch, &x->arena, &err);

	bf_arena_reset(scratch);
	if (r == 0) {
		tell(x, &listing);
		return;
	}
	text = bf_arena_printf(
	    &x->arena, "the provider's answer cannot be used as a list of models: %s", err.text);
	if (!text)
		text = "the provider's answer cannot be used as a list of models";
	if (r == -ENOMEM)
		fail(x, 503, "out_of_memory", text);
	else
		fail(x, 502, r == BF_E_LIMIT ? "answer_too_large" : "upstream_protocol_error",
		     text);
}

static void on_done(struct exchange *x, const struct exchange_outcome *o)
{
	if (!o->error_type)
		read_answer(x);
	else if (o->fault == EXCHANGE_FAULT_STATUS)
		fail(x, 502, o->error_type, o->error_text);
	else
		fail(x, o->http_status, o->error_type, o->error_text);
}

/* ---- whom to ask */

/* The first one that is not spared just now, else the first. */
static int choose_key(const struct provider *p, struct worker *w, const struct key_set *from)
{
	int64_t cooling_until[KEY_MAX];

	provider_keys_cooling(&p->keys, w, from, bf_mono_ms(), cooling_until);
	for (int i = key_set_next(from, 0); i >= 0; i = key_set_next(from, i + 1)) {
		if (cooling_until[i] == 0)
			return i;
	}
	return key_set_next(from, 0);
}

/* x->key; false: the provider may not be asked. */
static bool take_key(struct exchange *x, const struct provider *p)
{
	const struct provider_key_pin none = {{NULL, 0}, {NULL, 0}};
	const struct bf_conf_provider_key *keys = p->conf->keys.items;
	struct key_set candidates;
	enum provider_key_verdict verdict = provider_key_candidates(
	    p->conf, &p->keys.usable, PROVIDER_KEY_ANY_MODEL, &none, &candidates);

	x->key = NULL;
	if (verdict == PROVIDER_KEY_SOME)
		x->key = &keys[choose_key(p, x->worker, &candidates)];
	return verdict == PROVIDER_KEY_SOME || verdict == PROVIDER_KEY_NOT_NEEDED;
}

/* False: x was told why. */
static bool take_any_key(struct exchange *x, const struct provider *p)
{
	char text[320];

	if (take_key(x, p))
		return true;
	(void)snprintf(text, sizeof(text),
		       "no enabled key of provider \"%.*s\" serves any model: give it one whose "
		       "list of models is empty or has \"*\"",
		       BF_SLICE_FMT(p->conf->name));
	fail(x, 409, "no_provider_key", text);
	return false;
}

static bool take_named_key(struct exchange *x, const struct provider *p, struct bf_slice id)
{
	const struct bf_conf_provider_key *keys = p->conf->keys.items;
	struct key_set usable = provider_keys_usable(p->conf);

	for (uint32_t i = 0; i < p->conf->keys.count; i++) {
		if (!bf_slice_eq(keys[i].id, id))
			continue;
		x->key = &keys[i];
		if (key_set_has(&usable, (int)i))
			return true;
		fail(x, 409, "no_provider_key", "this key is not enabled, or has no value");
		return false;
	}
	fail(x, 404, "not_found", "no provider of this name has a key with this id");
	return false;
}

static void start(struct exchange *x, struct provider *p)
{
	int64_t total_ms = p->conf->network_config.total_timeout_ms;

	x->deadline_mono_ms = total_ms > 0 ? bf_mono_ms() + total_ms : 0;
	x->call_cancel = NULL;
	x->cancel = cancel;
	exchange_set_state(x, EXCHANGE_CALLING);
	p->ops->list(p, x);
}

static void ask(struct exchange *x, struct bf_slice name, struct bf_slice key_id)
{
	struct provider *p;
	char text[320];

	if (x->worker->governance && !govern_hold(x)) {
		fail(x, 503, "governance_not_loaded", "providers are being loaded; try again");
		return;
	}
	p = provider_find(provider_set_of(x), name);
	if (!p) {
		(void)snprintf(text, sizeof(text), "there is no provider \"%.*s\"",
			       (int)BF_MIN(name.len, 100u), name.ptr);
		fail(x, 404, "not_found", text);
		return;
	}
	if (key_id.len ? take_named_key(x, p, key_id) : take_any_key(x, p))
		start(x, p);
}

void listing_ask(struct exchange *x, struct bf_slice provider, struct bf_slice key_id,
		 listing_done done)
{
	const struct listing no_memory = {503, "out_of_memory", "no memory for the call", {0}};
	struct listing_call *call = bf_arena_alloc(&x->arena, sizeof(*call));

	if (!call) {
		done(x, &no_memory);
		return;
	}
	call->sink = (struct exchange_sink){
	    .on_head = on_head, .on_body = on_body, .on_repeat = on_repeat, .on_done = on_done};
	call->done = done;
	x->sink = &call->sink;
	ask(x, provider, key_id);
}

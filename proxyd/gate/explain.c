/*
 * Explanations. Called by the route table; walks the same steps as a request does, with the same
 * functions, and stops where something would change. Must never move a meter, count a refusal, or
 * show a key's value.
 */
#include "proxyd/gate/explain.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/num.h"
#include "proxyd/gate/call.h"
#include "proxyd/gate/call_priv.h"
#include "proxyd/gate/error.h"
#include "proxyd/gate/limits_priv.h"
#include "proxyd/gate/query.h"
#include "proxyd/snapshot.h"

/* As many as a request could ever have. */
#define EXPLAIN_TOKENS_MAX 1000000000u
/* A look through so many takes a few milliseconds, in which nobody else is served. */
#define EXPLAIN_NAMES_MAX 50000u

static void explain_say(struct explain_verdict *v, int http_status, const char *type,
			const char *fmt, ...) BF_PRINTF(4, 5);

static void explain_say(struct explain_verdict *v, int http_status, const char *type,
			const char *fmt, ...)
{
	va_list ap;

	v->http_status = http_status;
	v->type = type;
	va_start(ap, fmt);
	(void)vsnprintf(v->text, sizeof(v->text), fmt, ap);
	va_end(ap);
}

/* ---- limits */

static void explain_numbers(const struct exchange *x, const struct shm_meter_want *want,
			    const struct limits_now *now, struct explain_limit *l)
{
	int64_t now_ms = limits_now_ms(now, l->limit), room = limits_room(x, want);
	struct limits_state state = limits_state_of(l->limit, room, want->amount);
	struct shm_meter_info info;

	l->ready = true;
	l->max = state.max;
	l->left = BF_MAX(room, 0);
	l->wants = want->amount;
	l->end_ms = l->limit->endless ? 0 : now_ms + limits_ends_in_ms(l->limit, now);
	if (shm_meter_read(x->worker->seg, want->meter, &info) &&
	    info.settled_epoch ==
		((uint32_t)bf_limit_window_counted(l->limit, info.epoch, now_ms) & BF_EPOCH_MASK))
		l->used = info.settled;
	l->held = state.used - l->used;
}

/* What admission would say of the first limit that has no room. */
static void explain_judge(struct explain_target *t, const struct limits_now *now)
{
	for (uint32_t k = 0; k < t->limit_count && t->verdict.http_status == 200; k++) {
		const struct explain_limit *l = &t->limits[k];
		const struct limits_state state = {l->max, l->used + l->held, l->wants};
		struct limits_refusal no = {0};

		if (!l->ready)
			explain_say(&t->verdict, 503, "limits_not_ready",
				    "the limits of this request are being loaded");
		if (!l->ready || l->wants <= l->max - state.used)
			continue;
		limits_text_refusal(l->limit, &state, limits_ends_in_ms(l->limit, now), &no);
		explain_say(&t->verdict, no.http_status, no.type, "%s", no.text);
	}
}

/* False: no memory. */
static bool explain_limits(struct explain_target *t, struct exchange *x)
{
	const struct limits_now now = limits_now_of(x);
	struct limits_wish wish;

	/* As they stand now, not when the last request looked. */
	places_forget(&x->limits);
	bool all = limits_wants(x, &now, &wish);
	t->limit_count = x->limits.count;
	t->limits = bf_arena_alloc(&x->arena, (t->limit_count + 1u) * sizeof(t->limits[0]));
	if (!t->limits)
		return false;
	for (uint32_t k = 0; k < t->limit_count; k++) {
		t->limits[k] = (struct explain_limit){.limit = x->limits.items[k]};
		if (all)
			explain_numbers(x, &wish.wants[k], &now, &t->limits[k]);
	}
	explain_judge(t, &now);
	return true;
}

/* ---- a target */

static void explain_decide(struct explain_target *t, const struct exchange *x)
{
	enum decide_verdict why = x->virtual_key
				      ? decide_target(x->virtual_key->conf, x->provider, x->model)
				      : DECIDE_ALLOWED;

	if (why == DECIDE_ALLOWED && x->call->verdict == PROVIDER_KEY_BLOCKED)
		why = DECIDE_PROVIDER_KEY;
	if (why == DECIDE_ALLOWED)
		return;
	t->verdict.http_status = 403;
	t->verdict.type = decide_type(why);
	decide_text(x->virtual_key->conf, x->provider, x->model, why, t->verdict.text);
}

/* Whose budget needs a price. */
static void explain_unpriced(struct explain_target *t, const struct exchange *x)
{
	const struct bf_limit *of = x->limits.items[0];

	for (uint32_t k = 0; k < x->limits.count; k++) {
		if (x->limits.items[k]->quantity == BF_QUANTITY_NUSD)
			of = x->limits.items[k];
	}
	explain_say(&t->verdict, 403, "model_unpriced",
		    "%s \"%.*s\" has a budget, and no price is known of model \"%.*s\" at provider "
		    "\"%.*s\": add one to governance.pricing_overrides or to the price sheet",
		    limits_text_owner(of), (int)BF_MIN(of->owner_name.len, 64u), of->owner_name.ptr,
		    (int)BF_MIN(x->model.len, 64u), x->model.ptr, BF_SLICE_FMT(x->provider));
}

/* What it costs, and whose limits it meets. False: no memory. */
static bool explain_spend(const struct explain *e, struct explain_target *t, struct exchange *x)
{
	const struct governance *g = x->worker->governance;
	struct exchange_spend *s = &x->spend;

	if (!limits_price(x, limits_model(x)) ||
	    bf_plan_path(&x->everybody->plan, x->virtual_key, x->provider, x->model, &x->arena,
			 &x->limits) < 0)
		return false;
	s->prompt_tokens = e->prompt_tokens;
	s->output_tokens = e->max_tokens;
	s->nusd = exchange_bound_nusd(x, s->prompt_tokens, s->output_tokens);
	t->priced = s->price != NULL;
	t->nusd = s->nusd;
	if (!t->priced && x->limits.has_budget && t->verdict.http_status == 200 &&
	    g->tariff.config->governance.unpriced_models != BF_UNPRICED_WARN)
		explain_unpriced(t, x);
	return explain_limits(t, x);
}

/* Those of the provider's keys that would be tried, and whether it serves such a request. */
static void explain_keys(struct explain_target *t, const struct exchange *x)
{
	const struct call *call = x->call;
	struct provider_unable no;

	t->provider = call->p->conf;
	t->keys = call->retry.candidates;
	if (t->verdict.http_status == 200 && call->verdict == PROVIDER_KEY_NONE)
		explain_say(&t->verdict, 400, "no_provider_key",
			    "no enabled key of provider \"%.*s\" admits the model \"%.*s\"",
			    BF_SLICE_FMT(x->provider), (int)BF_MIN(x->model.len, 100u),
			    x->model.ptr);
	if (t->verdict.http_status == 200 && !provider_serves(call->p, x->object, &no))
		explain_say(&t->verdict, no.http_status, no.type, "%s", no.text);
}

static bool explain_target(const struct explain *e, struct explain_target *t, uint32_t i)
{
	struct exchange *x = e->x;

	call_aim(x, i);
	if (!call_prepare(x))
		return false;
	*t = (struct explain_target){.target = x->targets[i],
				     .tokens = e->prompt_tokens + e->max_tokens,
				     .verdict = {.http_status = 200}};
	explain_decide(t, x);
	if (x->worker->governance && !explain_spend(e, t, x))
		return false;
	explain_keys(t, x);
	return true;
}

/* ---- the question */

static const char *const explain_names[] = {"virtual_key_id", "virtual_key_name", "model",
					    "object",         "prompt_tokens",    "max_tokens"};

/* A name that is written wrong would ask another question. Empty: all are known. */
static struct bf_slice explain_unknown(struct bf_slice query)
{
	while (query.len) {
		const char *amp = memchr(query.ptr, '&', query.len);
		struct bf_slice part = {query.ptr, amp ? (size_t)(amp - query.ptr) : query.len};
		const char *equals = part.len ? memchr(part.ptr, '=', part.len) : NULL;
		struct bf_slice name = {part.ptr, equals ? (size_t)(equals - part.ptr) : part.len};
		size_t used = part.len + (amp ? 1 : 0), i = 0;

		while (i < BF_ARRAY_LEN(explain_names) && !bf_slice_is(name, explain_names[i]))
			i++;
		if (part.len && i == BF_ARRAY_LEN(explain_names))
			return name;
		query = (struct bf_slice){query.ptr + used, query.len - used};
	}
	return (struct bf_slice){NULL, 0};
}

/* What has prices and reservations of its own. 0, or -1: refused, and x is gone. */
static int explain_read_object(struct explain *e)
{
	static const struct {
		const char *name;
		enum shm_usage_object object;
	} objects[] = {{"chat.completion", SHM_OBJECT_CHAT},
		       {"text.completion", SHM_OBJECT_COMPLETION},
		       {"embedding", SHM_OBJECT_EMBEDDING},
		       {"response", SHM_OBJECT_RESPONSES}};
	struct exchange *x = e->x;
	struct bf_slice name;
	int r = query_value(x, "object", &name);

	if (r == 0)
		name = bf_slice_from(objects[0].name);
	for (size_t i = 0; r >= 0 && i < BF_ARRAY_LEN(objects); i++) {
		if (!bf_slice_is(name, objects[i].name))
			continue;
		x->object = objects[i].object;
		e->object = objects[i].name;
		return 0;
	}
	gate_refuse(x, 400, "invalid_request",
		    "object must be chat.completion, text.completion, embedding or response");
	return -1;
}

/* 0, or -1: refused, and x is gone. */
static int explain_number(struct exchange *x, const char *name, uint64_t missing,
			  uint64_t *ret_value)
{
	struct bf_slice text;
	int r = query_value(x, name, &text);

	*ret_value = missing;
	if (r == 0)
		return 0;
	if (r == 1 && bf_parse_u64(text, ret_value) == 0 && *ret_value <= EXPLAIN_TOKENS_MAX)
		return 0;
	gate_refuse(x, 400, "invalid_request", "%s must be 0 to %u", name, EXPLAIN_TOKENS_MAX);
	return -1;
}

/* By id, else by name; the only one, as its maker saw to. 0, BF_E_UNKNOWN, or BF_E_LIMIT: there are
 * more than may be looked through here. */
static int explain_find_key(const struct bf_snapshot *s, struct bf_slice id, struct bf_slice name,
			    struct bf_entity *ret_entity)
{
	struct bf_snapshot_cursor cursor = {0};
	uint32_t looked = 0;

	if (id.len)
		return bf_snapshot_find(s, BF_ENTITY_VIRTUAL_KEY, id, ret_entity) ? 0
										  : BF_E_UNKNOWN;
	while (bf_snapshot_next(s, BF_ENTITY_VIRTUAL_KEY, &cursor, ret_entity)) {
		if (bf_slice_eq(ret_entity->name, name))
			return 0;
		if (++looked == EXPLAIN_NAMES_MAX)
			return BF_E_LIMIT;
	}
	return BF_E_UNKNOWN;
}

/* 0, or -1: refused, and x is gone. */
static int explain_hold_key(struct exchange *x, struct bf_slice id, struct bf_slice name)
{
	const struct bf_snapshot *s = snapshots_now(x->worker);
	struct keyring_key *key;
	struct bf_entity entity;
	int r = s ? explain_find_key(s, id, name, &entity) : BF_E_UNKNOWN;

	if (r == 0)
		r = keyring_make(s, &entity, (struct bf_slice){NULL, 0}, &key);
	if (r == 0) {
		govern_hold_key(x, key);
		return 0;
	}
	if (r == BF_E_UNKNOWN)
		gate_refuse(x, 404, "not_found", "no virtual key has this id or name");
	else if (r == BF_E_LIMIT)
		gate_refuse(x, 400, "invalid_request",
			    "there are too many virtual keys to look for a name here: name the key "
			    "by virtual_key_id");
	else
		gate_refuse(x, 503, "out_of_memory", "no memory for this virtual key");
	return -1;
}

static int explain_read_key(struct exchange *x)
{
	struct bf_slice id, name;
	int with_id = query_value(x, "virtual_key_id", &id);
	int with_name = query_value(x, "virtual_key_name", &name);

	if (with_id == 0 && with_name == 0)
		return 0;
	if (with_id < 0 || with_name < 0 || (with_id && with_name)) {
		gate_refuse(x, 400, "invalid_request",
			    "name the key by virtual_key_id or by virtual_key_name, as "
			    "percent-encoded text");
		return -1;
	}
	return explain_hold_key(x, id, name);
}

static int explain_read(struct explain *e)
{
	struct exchange *x = e->x;
	struct bf_slice unknown = explain_unknown(x->query);

	if (unknown.len) {
		gate_refuse(x, 400, "invalid_request",
			    "%.*s is no parameter of this path; it takes virtual_key_id or "
			    "virtual_key_name, model, object, prompt_tokens, max_tokens",
			    (int)BF_MIN(unknown.len, 64u), unknown.ptr);
		return -1;
	}
	if (x->worker->governance && !govern_hold(x)) {
		gate_refuse(x, 503, "governance_not_loaded",
			    "virtual keys and limits are being loaded; try again");
		return -1;
	}
	if (explain_read_key(x) < 0 || explain_read_object(e) < 0 ||
	    explain_number(x, "prompt_tokens", 1, &e->prompt_tokens) < 0 ||
	    explain_number(x, "max_tokens", x->object != SHM_OBJECT_EMBEDDING, &e->max_tokens) < 0)
		return -1;
	if (query_value(x, "model", &e->model) >= 0)
		return 0;
	gate_refuse(x, 400, "invalid_request", "model is not percent-encoded text");
	return -1;
}

/* ---- the answer */

static void explain_key(struct explain *e)
{
	const struct exchange *x = e->x;
	const struct bf_conf_virtual_key *key = x->virtual_key ? x->virtual_key->conf : NULL;
	enum decide_state state;

	e->key.http_status = 200;
	if (x->held_key && x->held_key->broken) {
		explain_say(&e->key, 403, "virtual_key_blocked", "%s", x->held_key->broken);
		return;
	}
	if (!key && x->worker->client->enforce_auth_on_inference)
		explain_say(&e->key, 401, "virtual_key_required", "a virtual key is required");
	if (!key)
		return;
	state = decide_state(key, x->started_wall_ns / 1000000);
	if (state == DECIDE_IN_FORCE)
		return;
	e->key.http_status = state == DECIDE_GONE ? 401 : 403;
	e->key.type = state == DECIDE_GONE ? "virtual_key_not_found" : "virtual_key_blocked";
	decide_state_text(key, state, e->key.text);
}

const struct explain_verdict *explain_verdict_of(const struct explain *e)
{
	if (e->key.http_status != 200)
		return &e->key;
	if (e->target_count == 0)
		return &e->nobody;
	for (uint32_t i = 0; i < e->target_count; i++) {
		if (e->targets[i].verdict.http_status == 200)
			return &e->targets[i].verdict;
	}
	return &e->targets[0].verdict;
}

/* Whom it would be sent to, and each of them. False: no memory. */
static bool explain_targets(struct explain *e, const struct infer_choice *choice)
{
	struct exchange *x = e->x;

	if (choice->count == 0)
		return true;
	x->targets = bf_arena_alloc(&x->arena, choice->count * sizeof(x->targets[0]));
	e->targets = bf_arena_alloc(&x->arena, choice->count * sizeof(e->targets[0]));
	if (!x->targets || !e->targets)
		return false;
	memcpy(x->targets, choice->targets, choice->count * sizeof(x->targets[0]));
	x->target_count = e->target_count = choice->count;
	for (uint32_t i = 0; i < choice->count; i++) {
		if (!explain_target(e, &e->targets[i], i))
			return false;
	}
	return true;
}

/* A name that nobody can be asked for: keys are decided on before it is read. False: it is no
 * question, and x is gone. */
static bool explain_nobody(struct explain *e, const struct infer_error *no)
{
	if (e->key.http_status == 200 && no->http_status == 400) {
		gate_refuse(e->x, no->http_status, no->type, "%s", no->text);
		return false;
	}
	explain_say(&e->nobody, no->http_status, no->type, "%s", no->text);
	return true;
}

void explain_answer(struct exchange *x)
{
	struct bf_buf *out = &x->worker->text;
	struct explain e = {.x = x};
	struct infer_choice choice;
	struct infer_error no;

	if (explain_read(&e) < 0)
		return;
	explain_key(&e);
	if (infer_choose(x, e.model, x->worker->providers, &choice, &no) < 0) {
		if (!explain_nobody(&e, &no))
			return;
		choice.count = 0;
	}
	bf_buf_clear(out);
	if (!explain_targets(&e, &choice) || explain_write(&e, out) < 0) {
		gate_refuse(x, 503, "out_of_memory", "no memory for the answer");
		return;
	}
	exchange_set_state(x, EXCHANGE_DONE);
	x->out->answer(x, 200, BF_SLICE_LIT("application/json"), bf_buf_slice(out));
}

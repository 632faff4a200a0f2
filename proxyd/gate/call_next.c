/*
 * What follows an attempt: reports to the key's health and to the trail, then what retry.c says.
 * Called by the relay when an attempt is over. Must never let a row go unfinished, nor a client
 * without the primary's error when all else failed.
 */
#include "proxyd/gate/call_priv.h"

#include "common/base/clock.h"
#include "proxyd/gate/error_status.h"
#include "proxyd/record/record.h"

#define CALL_REFUSED_COOL_MS 60000 /* how long other requests spare a key that was refused */

/* What the attempt left in x is not the next one's. */
static void call_forget(struct call *call)
{
	struct exchange *x = call->x;

	worker_answer_give(x->worker, x->answer_charged - call->kept_charged);
	x->answer_charged = call->kept_charged;
	bf_buf_clear(&x->answer);
	x->answer_status = 0;
	x->answer_head = (struct bf_slice){NULL, 0};
	x->retry_after_s = 0;
	x->stream_events = 0;
	call->is_stream = false;
}

/* ---- what an attempt tells */

/* Some say "rate limit" with another status: for keys it is what it says. */
static int call_status(const struct call *call, const struct exchange_outcome *o)
{
	if (o->fault != EXCHANGE_FAULT_STATUS || call->is_stream)
		return o->http_status;
	return error_status_meant(o->http_status, bf_buf_slice(&call->x->answer));
}

static struct shm_key_report call_judge(const struct call *call, const struct exchange_outcome *o)
{
	const struct retry_policy *policy = &call->retry.policy;
	int64_t told_ms = (int64_t)call->x->retry_after_s * 1000;
	struct shm_key_report r = {.outcome = SHM_KEY_FAILED};
	int status = call_status(call, o);

	if (o->fault != EXCHANGE_FAULT_STATUS)
		return r;
	r.http_status = o->http_status;
	if (status == 429) {
		r.outcome = SHM_KEY_RATE_LIMITED;
		/* As long as we ourselves would wait, when the provider does not say. */
		r.cool_ms = told_ms > 0
				? told_ms
				: BF_MIN(policy->backoff_initial_ms, policy->backoff_max_ms);
	} else if (status == 401 || status == 402) {
		r.outcome = SHM_KEY_REFUSED;
		r.cool_ms = CALL_REFUSED_COOL_MS;
	} else if (status != 403 && status < 500) {
		r.outcome = SHM_KEY_OK; /* the request was wrong, the key was taken */
	}
	return r;
}

/* The row says so, too; its status stays the provider's. */
static void call_name(const struct call *call, struct exchange_outcome *o)
{
	int status = call_status(call, o);

	if (status != o->http_status)
		o->error_type =
		    status == 429 ? "upstream_rate_limited" : "upstream_quota_exhausted";
	else if (o->fault == EXCHANGE_FAULT_STATUS && !call->is_stream &&
		 error_status_no_model(o->http_status, bf_buf_slice(&call->x->answer)))
		o->error_type = "model_not_found";
}

static void call_report(struct call *call, const struct shm_key_report *report, int64_t now_ms)
{
	if (call->retry.key >= 0)
		provider_keys_report(&call->p->keys, call->x->worker, call->retry.key, report,
				     now_ms);
}

static void call_note(struct call *call, int http_status, const char *type, int64_t now_ms)
{
	struct exchange *x = call->x;

	if (!call->trail) {
		call->trail = bf_arena_alloc(&x->arena, sizeof(*call->trail));
		if (!call->trail)
			return;
		trail_reset(call->trail);
	}
	trail_add(call->trail, x->key ? x->key->name : (struct bf_slice){NULL, 0}, http_status,
		  type, now_ms - call->attempt_ms);
}

static uint32_t call_attempts(const struct call *call)
{
	return call->retry.attempts + call->repeats;
}

/* An attempt that went well is told by the row itself when it is the only one. */
static void call_write(struct call *call)
{
	struct shm_usage_record *r = &call->x->record;

	if (call->verdict <= PROVIDER_KEY_NOT_NEEDED)
		r->attempts = call_attempts(call);
	if (call->trail && !trail_is_empty(call->trail))
		trail_write(call->trail, r->attempt_trail);
}

void call_succeeded(struct exchange *x)
{
	struct call *call = x->call;
	const struct shm_key_report report = {SHM_KEY_OK, x->answer_status, 0};

	/* The beginning of the attempt is exact enough here, and costs no look at the clock. */
	call_report(call, &report, call->attempt_ms);
	if (call_attempts(call) > 1)
		call_note(call, x->answer_status, NULL, bf_mono_ms());
	call_write(call);
}

void call_repeated(struct exchange *x)
{
	struct call *call = x->call;
	int64_t now_ms = bf_mono_ms();

	worker_count(x->worker, SHM_M_UPSTREAM_RETRIES);
	worker_count(x->worker, SHM_M_UPSTREAM_ATTEMPTS);
	call_note(call, 0, "connection_lost", now_ms);
	call->attempt_ms = now_ms;
	call->repeats++;
	record_attempt(x, call_attempts(call));
}

void call_stopped(struct exchange *x)
{
	call_write(x->call);
}

void call_failed(struct exchange *x, const struct exchange_outcome *outcome)
{
	struct call *call = x->call;
	int64_t now_ms = bf_mono_ms();
	const struct shm_key_report report = call_judge(call, outcome);

	if (outcome->fault != EXCHANGE_FAULT_LOCAL)
		call_report(call, &report, now_ms);
	if (call->verdict <= PROVIDER_KEY_NOT_NEEDED)
		call_note(call, outcome->fault == EXCHANGE_FAULT_STATUS ? outcome->http_status : 0,
			  outcome->error_type, now_ms);
	call_write(call);
}

/* ---- what follows */

static struct retry_action call_decide(struct call *call, const struct exchange_outcome *o)
{
	struct exchange *x = call->x;
	int64_t cooling_until[KEY_MAX];
	const struct retry_event event = {o->fault, call_status(call, o),
					  (int64_t)x->retry_after_s * 1000};
	const struct retry_world world = {
	    .conf = call->p->conf,
	    .cooling_until = cooling_until,
	    .now_ms = bf_mono_ms(),
	    .deadline_ms = x->deadline_mono_ms,
	    .random = call_random(),
	    .has_fallback = x->target + 1 < x->target_count,
	};

	provider_keys_cooling(&call->p->keys, x->worker, &call->retry.candidates, world.now_ms,
			      cooling_until);
	struct retry_action a = retry_next(&call->retry, &event, &world);
	a.at_ms = BF_MAX(a.at_ms - world.now_ms, 0);
	return a;
}

static void call_repeat(struct call *call, const struct retry_action *a)
{
	struct exchange *x = call->x;

	worker_count(x->worker,
		     a->verb == RETRY_SAME ? SHM_M_UPSTREAM_RETRIES : SHM_M_KEY_ROTATIONS);
	call_forget(call);
	call_set_key(call);
	record_attempt(x, call_attempts(call));
	call_pause(call, a->at_ms);
}

/* Every key was refused: that is the gateway's trouble, not the client's. */
static void call_exhausted(struct call *call, struct exchange_outcome *o)
{
	struct exchange *x = call->x;
	char *text = bf_arena_printf(&x->arena,
				     "no key of provider \"%.*s\" is left: the last one was "
				     "refused with status %d",
				     BF_SLICE_FMT(x->provider), o->http_status);

	call->exhausted = true;
	call_forget(call);
	*o = (struct exchange_outcome){
	    .fault = EXCHANGE_FAULT_STATUS,
	    .http_status = 502,
	    .error_type = "upstream_credentials_exhausted",
	    .error_text = text ? text : "no key of the provider is left",
	};
}

/* The primary's error, for the case that no fallback does better. */
static void call_keep(struct call *call, const struct exchange_outcome *o)
{
	struct exchange *x = call->x;
	struct call_error *kept;

	if (call->kept)
		return;
	kept = bf_arena_alloc(&x->arena, sizeof(*kept));
	if (!kept)
		return;
	kept->outcome = *o;
	kept->outcome.tail = (struct bf_slice){NULL, 0};
	kept->outcome.error_type = bf_arena_dup(&x->arena, bf_slice_from(o->error_type)).ptr;
	kept->outcome.error_text = bf_arena_dup(&x->arena, bf_slice_from(o->error_text)).ptr;
	kept->answer_status = x->answer_status;
	kept->answer_head = x->answer_head;
	kept->retry_after_s = x->retry_after_s;
	kept->key = x->key;
	if (bf_buf_len(&x->answer))
		kept->answer = bf_arena_dup(&x->arena, bf_buf_slice(&x->answer));
	/* Its memory stays charged until the exchange ends. */
	call->kept_charged = kept->answer.len ? x->answer_charged : 0;
	call->kept = kept;
}

void call_aim(struct exchange *x, uint32_t target)
{
	x->target = target;
	x->provider = x->targets[target].provider;
	x->model = x->targets[target].model;
}

/* The failed target's row ends, the next one's begins. False: there is no room for it, neither here
 * nor within its key's limits. */
static bool call_fall_back(struct call *call, const struct exchange_outcome *o)
{
	struct exchange *x = call->x;

	call_keep(call, o);
	record_close(x, o);
	call_forget(call);
	call_aim(x, x->target + 1);
	call->attempt_ms = bf_mono_ms();
	call_choose(call, call->attempt_ms);
	if (call->trail)
		trail_reset(call->trail);
	x->id = bf_uuid7(bf_wall_ms());
	switch (call_admit(call)) {
	case CALL_REFUSED:
		return false;
	case CALL_ADMITTED:
		call_pause(call, 0);
		break;
	case CALL_WAITS:
		break;
	}
	return true;
}

void call_restore(struct call *call, struct exchange_outcome *o)
{
	struct exchange *x = call->x;
	const struct call_error *kept = call->kept;

	if (x->admitted)
		record_close(x, o);
	if (!kept)
		return;
	call_forget(call);
	call_aim(x, 0);
	x->id = x->first_id;
	x->key = kept->key;
	*o = kept->outcome;
	x->answer_status = kept->answer_status;
	x->answer_head = kept->answer_head;
	x->retry_after_s = kept->retry_after_s;
	if (kept->answer.len && bf_buf_append_slice(&x->answer, kept->answer) < 0)
		x->answer_status = 0; /* worded by us then */
}

bool call_again(struct exchange *x, struct exchange_outcome *outcome)
{
	struct call *call = x->call;
	struct retry_action a;

	call_name(call, outcome);
	call_failed(x, outcome);
	a = call_decide(call, outcome);
	if (a.verb == RETRY_SAME || a.verb == RETRY_ROTATE) {
		call_repeat(call, &a);
		return true;
	}
	/* A 429 is no refusal to a client, whatever it was about: SDKs know it. */
	if (a.exhausted && outcome->http_status != 429) {
		call_exhausted(call, outcome);
		call_write(call);
	}
	if (a.verb == RETRY_FALLBACK && call_fall_back(call, outcome))
		return true;
	if (call->kept)
		call_restore(call, outcome);
	return false;
}

/*
 * Admission of targets: the primary's, and each fallback's. Called by admit.c, when an attempt
 * failed, and by a timer while meters are busy. Must never leave a row open, or an entry held, for
 * a target that is not called.
 */
#include "common/base/clock.h"
#include "proxyd/gate/admit.h"
#include "proxyd/gate/call_priv.h"
#include "proxyd/gate/decide.h"
#include "proxyd/gate/limits.h"
#include "proxyd/gate/relay.h"
#include "proxyd/record/record.h"
#include "proxyd/worker.h"

#define ADMIT_BUSY_MS 50 /* so long meters may be busy before their client hears of it */

/* ---- one target */

static enum limits_verdict admit_full(struct exchange *x, struct limits_refusal *no)
{
	worker_count(x->worker, SHM_M_ADMIT_REFUSED_FULL);
	*no = (struct limits_refusal){
	    .http_status = 503,
	    .type = "overloaded",
	    .retry_after_s = ADMIT_RETRY_AFTER_S,
	    .text = "too many requests in flight or rows waiting to be written; try again",
	};
	return LIMITS_REFUSED;
}

/* Before its limits: who may not go there learns nothing of them. Another target may be allowed. */
static enum limits_verdict admit_blocked(struct exchange *x, enum decide_verdict why,
					 struct limits_refusal *no)
{
	static const enum shm_metric counters[DECIDE_COUNT] = {
	    [DECIDE_NO_PROVIDERS] = SHM_M_PROVIDER_BLOCKED,
	    [DECIDE_OTHER_PROVIDER] = SHM_M_PROVIDER_BLOCKED,
	    [DECIDE_MODEL_DENIED] = SHM_M_MODEL_BLOCKED,
	    [DECIDE_OTHER_MODEL] = SHM_M_MODEL_BLOCKED,
	    [DECIDE_PROVIDER_KEY] = SHM_M_PROVIDER_KEY_BLOCKED,
	};

	worker_count(x->worker, counters[why]);
	*no = (struct limits_refusal){
	    .http_status = 403, .type = decide_type(why), .of_target = true};
	decide_text(x->virtual_key->conf, x->provider, x->model, why, no->text);
	return LIMITS_REFUSED;
}

static enum decide_verdict admit_decide(const struct exchange *x)
{
	enum decide_verdict why;

	if (!x->virtual_key || decide_is_free(x->virtual_key->conf))
		return DECIDE_ALLOWED;
	why = decide_target(x->virtual_key->conf, x->provider, x->model);
	if (why == DECIDE_ALLOWED && x->call->verdict == PROVIDER_KEY_BLOCKED)
		return DECIDE_PROVIDER_KEY;
	return why;
}

/* Room for the row first: what holds reservations can be found after a death. */
static enum limits_verdict admit_governed(struct exchange *x, struct limits_refusal *no)
{
	enum decide_verdict why = admit_decide(x);
	struct limits_wish wish;
	enum limits_verdict v;

	if (why != DECIDE_ALLOWED)
		return admit_blocked(x, why, no);
	v = limits_look(x, &wish, no);
	if (v != LIMITS_OK)
		return v;
	if (!record_open(x))
		return admit_full(x, no);
	v = limits_take(x, &wish, no);
	if (v != LIMITS_OK)
		record_cancel(x);
	return v;
}

static enum limits_verdict admit_target(struct exchange *x, struct limits_refusal *no)
{
	if (x->governed)
		return admit_governed(x, no);
	return record_open(x) ? LIMITS_OK : admit_full(x, no);
}

/* ---- one after the other */

/* True: it is tried again in a later turn. */
static bool admit_waits(struct call *call, struct limits_refusal *no)
{
	int64_t now_ms = bf_mono_ms();

	if (call->busy_until_ms == 0)
		call->busy_until_ms = now_ms + ADMIT_BUSY_MS;
	if (now_ms < call->busy_until_ms) {
		worker_count(call->x->worker, SHM_M_LIMIT_BUSY);
		return true;
	}
	limits_busy(call->x, no);
	return false;
}

static void admit_note(struct call *call, const struct limits_refusal *no)
{
	if (call->refused)
		return;
	call->refused = bf_arena_alloc(&call->x->arena, sizeof(*call->refused));
	if (call->refused)
		*call->refused = *no;
}

enum call_admission call_admit(struct call *call)
{
	struct exchange *x = call->x;

	for (;;) {
		struct limits_refusal no;
		enum limits_verdict v = admit_target(x, &no);

		if (v == LIMITS_BUSY && admit_waits(call, &no)) {
			if (x->state == EXCHANGE_GATE)
				relay_attach(x);
			call_pause_admission(call);
			return CALL_WAITS;
		}
		call->busy_until_ms = 0;
		if (v == LIMITS_OK)
			break;
		admit_note(call, &no);
		if (!no.of_target || x->target + 1 >= x->target_count)
			return CALL_REFUSED;
		call_aim(x, x->target + 1);
		call->attempt_ms = bf_mono_ms();
		call_choose(call, call->attempt_ms);
	}
	if (x->target > 0)
		worker_count(x->worker, SHM_M_FALLBACKS);
	return CALL_ADMITTED;
}

/* The client is told what the first target was told. */
static void admit_refused(struct call *call)
{
	struct exchange *x = call->x;
	const struct limits_refusal *no = call->refused;
	struct exchange_outcome o = {
	    .fault = EXCHANGE_FAULT_LOCAL,
	    .http_status = no ? no->http_status : 503,
	    .error_type = no ? no->type : "out_of_memory",
	    .error_text = no ? no->text : "no memory for the call",
	};

	x->call_cancel = NULL;
	if (call->kept) {
		call_restore(call, &o);
	} else {
		call_aim(x, 0);
		x->retry_after_s = no ? no->retry_after_s : ADMIT_RETRY_AFTER_S;
		if (no) {
			x->spend.lines = no->lines;
			x->refused_by = no->blame.owner ? &no->blame : NULL;
		}
	}
	relay_end(x, &o);
}

void call_admit_again(struct call *call)
{
	switch (call_admit(call)) {
	case CALL_ADMITTED:
		call->attempt_ms = bf_mono_ms();
		call_begin(call);
		break;
	case CALL_REFUSED:
		admit_refused(call);
		break;
	case CALL_WAITS:
		break;
	}
}

/* The state of an exchange's attempts, and what call.c and relay.c owe each other. */
#pragma once

#include <ev.h>

#include "proxyd/gate/retry.h"
#include "proxyd/gate/trail.h"
#include "proxyd/provider/provider.h"

struct limits_refusal;

/* The primary's error, which the client gets when nothing else helps. */
struct call_error {
	struct exchange_outcome outcome;
	int answer_status;
	struct bf_slice answer, answer_head; /* answer in the arena */
	unsigned retry_after_s;
	const struct bf_conf_provider_key *key;
};

/* In the exchange's arena. */
struct call {
	struct exchange *x;
	struct provider *p;
	enum provider_key_verdict verdict; /* of the present target */
	struct retry retry;
	ev_timer timer;      /* the pause before an attempt */
	int64_t attempt_ms;  /* when the present one began; monotonic */
	struct trail *trail; /* NULL until an attempt failed */
	bool exhausted;      /* of the present target */
	uint32_t repeats;    /* of the present target: attempts that the provider made itself */
	struct call_error *kept;
	uint64_t kept_charged; /* of the worker's budget, for kept->answer */
	/* Limits: */
	struct limits_refusal
	    *refused;          /* the first target that they refused, or why a stream ends */
	int64_t busy_until_ms; /* admission is tried again until then; 0: it does not wait */
	/* The relay's, of the present attempt: */
	bool is_stream; /* the upstream's head said so */
	/* and of the exchange: */
	bool spoke;       /* something happened since the last look at the clock */
	int64_t quiet_ms; /* since when nothing did */
};

/* call.c */

uint64_t call_random(void);
/* The target that x names: its provider, and whom the first attempt is with. */
void call_choose(struct call *call, int64_t now_ms);
/* x->key, as retry.key says. */
void call_set_key(struct call *call);
/*
 * The next attempt after ms. Always through the loop, even when there is nothing to wait for: the
 * provider that reports is not to be entered again.
 */
void call_pause(struct call *call, int64_t ms);
/* The same for the next try to be admitted. */
void call_pause_admission(struct call *call);
/* The first attempt with an admitted target; in state CALLING. */
void call_begin(struct call *call);

/* call_admit.c */

enum call_admission {
	CALL_ADMITTED, /* the row of x's present target is open */
	CALL_WAITS,    /* call_admit_again() follows in a later turn */
	CALL_REFUSED,  /* call->refused, unless memory is out: the last target was refused, too */
};
/* Admits x's present target, or the first one after it that its key's limits let pass. */
enum call_admission call_admit(struct call *call) BF_MUST_CHECK;
/* By the timer. */
void call_admit_again(struct call *call);

/* call_next.c, for the rooms of admission and */

/* The names of a target become the exchange's. */
void call_aim(struct exchange *x, uint32_t target);
/* The last target failed, too, or was not admitted: *o becomes the first one's error, when one was
 * kept. */
void call_restore(struct call *call, struct exchange_outcome *o);

/* for the relay */

/* The attempt went well. Before the record is closed. */
void call_succeeded(struct exchange *x);
/* The provider's kept connection was dead: what follows is another attempt. */
void call_repeated(struct exchange *x);
/* It was stopped: the client is gone, or the worker leaves. Before the record is closed. */
void call_stopped(struct exchange *x);
/*
 * It failed, and the client was told nothing that binds us. True: another one follows, touch
 * nothing. False: that was the last; outcome, x->answer, answer_status, answer_head and
 * retry_after_s are now what the client gets. The record is closed unless x->admitted.
 */
bool call_again(struct exchange *x, struct exchange_outcome *outcome) BF_MUST_CHECK;
/* It failed after events were forwarded: the end. */
void call_failed(struct exchange *x, const struct exchange_outcome *outcome);

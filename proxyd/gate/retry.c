/*
 * The retry table. Called by call.c after every attempt that failed before the client was told
 * anything. Must never look at a clock or at shared memory: all it knows is given.
 */
#include "proxyd/gate/retry.h"

#define JITTER_STEPS 401u /* thousandths from 800 to 1200 */

uint64_t retry_attempts_max(unsigned keys, uint64_t max_retries)
{
	return (keys ? keys : 1) * (max_retries + 1);
}

bool retry_is_refusal(int http_status)
{
	return http_status == 401 || http_status == 402 || http_status == 403;
}

static bool is_outage(const struct retry_event *e)
{
	if (e->fault == EXCHANGE_FAULT_NETWORK)
		return true;
	return e->fault == EXCHANGE_FAULT_STATUS &&
	       (e->http_status == 500 || (e->http_status >= 502 && e->http_status <= 504));
}

void retry_begin(struct retry *r, const struct retry_policy *policy,
		 const struct key_set *candidates, int key)
{
	*r =
	    (struct retry){.policy = *policy, .candidates = *candidates, .key = key, .attempts = 1};
	key_set_add(&r->used, key);
}

static struct retry_action end(const struct retry_world *w, bool exhausted)
{
	bool late = w->deadline_ms && w->now_ms >= w->deadline_ms;

	return (struct retry_action){
	    .verb = w->has_fallback && !late ? RETRY_FALLBACK : RETRY_GIVE_UP,
	    .exhausted = exhausted,
	};
}

/* min(initial * 2^n, max), 0.8 to 1.2 times. */
static int64_t backoff(struct retry *r, uint64_t random)
{
	int64_t ms = r->policy.backoff_initial_ms;

	for (uint32_t n = 0; n < r->waits && ms < r->policy.backoff_max_ms; n++)
		ms *= 2;
	if (ms > r->policy.backoff_max_ms)
		ms = r->policy.backoff_max_ms;
	r->waits++;
	return ms * (int64_t)(800 + (random >> 32) % JITTER_STEPS) / 1000;
}

/*
 * The attempt with key, after wait_ms at least, and not before hold_ms, which the provider asked
 * for. An end when that would be too long.
 */
static struct retry_action go(struct retry *r, const struct retry_world *w, int key,
			      int64_t wait_ms, int64_t hold_ms)
{
	struct retry_action a = {.verb = key == r->key ? RETRY_SAME : RETRY_ROTATE};

	if (hold_ms > r->policy.backoff_max_ms)
		return end(w, false);
	a.at_ms = w->now_ms + BF_MAX(wait_ms, hold_ms);
	if (w->deadline_ms && a.at_ms >= w->deadline_ms)
		return end(w, false);
	r->key = key;
	r->attempts++;
	key_set_add(&r->used, key);
	return a;
}

/* Counts a retry; false: there is none left. */
static bool spend(struct retry *r)
{
	if (r->retries >= r->policy.max_retries)
		return false;
	r->retries++;
	return true;
}

static int64_t cooling_ms(const struct retry_world *w, int key)
{
	int64_t until = key >= 0 && w->cooling_until ? w->cooling_until[key] : 0;

	return until > w->now_ms ? until - w->now_ms : 0;
}

/* The keys to turn to: alive and not tried; else all that are alive, which counts. False: none. */
static bool others(struct retry *r, struct key_set *ret_keys, bool *ret_wrapped)
{
	struct key_set alive = key_set_minus(&r->candidates, &r->dead);

	*ret_wrapped = false;
	*ret_keys = key_set_minus(&alive, &r->used);
	if (key_set_count(ret_keys) > 0)
		return true;
	if (key_set_count(&alive) == 0 || !spend(r))
		return false;
	*ret_wrapped = true;
	*ret_keys = alive;
	r->used = (struct key_set){{0}};
	return true;
}

static struct retry_action after_refusal(struct retry *r, const struct retry_world *w)
{
	struct key_set keys;
	bool wrapped;

	if (r->key < 0)
		return end(w, false); /* no key was refused: the provider wants one */
	key_set_add(&r->dead, r->key);
	if (!others(r, &keys, &wrapped))
		return end(w, true);
	/* At once, even one that cools: it may be taken, and else we know that none is. */
	int key = provider_key_draw(w->conf, &keys, w->cooling_until, w->random);
	struct retry_action a = go(r, w, key, wrapped ? backoff(r, w->random) : 0, 0);
	a.exhausted = a.verb != RETRY_SAME && a.verb != RETRY_ROTATE;
	return a;
}

static struct retry_action after_limit(struct retry *r, const struct retry_event *e,
				       const struct retry_world *w)
{
	struct key_set keys;
	bool wrapped;

	if (r->key < 0)
		return spend(r) ? go(r, w, r->key, backoff(r, w->random), e->retry_after_ms)
				: end(w, false);
	if (!others(r, &keys, &wrapped))
		return end(w, false);
	int key = provider_key_draw(w->conf, &keys, w->cooling_until, w->random);
	int64_t hold_ms = cooling_ms(w, key);
	if (key == r->key)
		hold_ms = BF_MAX(hold_ms, e->retry_after_ms);
	return go(r, w, key, backoff(r, w->random), hold_ms);
}

struct retry_action retry_next(struct retry *r, const struct retry_event *e,
			       const struct retry_world *w)
{
	if (is_outage(e))
		return spend(r) ? go(r, w, r->key, backoff(r, w->random), e->retry_after_ms)
				: end(w, false);
	if (e->fault == EXCHANGE_FAULT_STATUS && e->http_status == 429)
		return after_limit(r, e, w);
	if (e->fault == EXCHANGE_FAULT_STATUS && retry_is_refusal(e->http_status))
		return after_refusal(r, w);
	return end(w, false);
}

/*
 * Birth, states, costs and end of an exchange. Called by the front (which owns exchanges) and, for
 * states and costs, by the gate and the record. Must never call back into a stage: it stands below
 * all of them.
 */
#include "proxyd/exchange.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/govern/price.h"
#include "proxyd/worker.h"
#include "shm/meter.h"

#define NEXT(s) (1u << (s))

static const struct {
	const char *name;
	unsigned next;
} exchange_states[EXCHANGE_STATE_COUNT] = {
    [EXCHANGE_READING] = {"reading", NEXT(EXCHANGE_GATE) | NEXT(EXCHANGE_DONE)},
    [EXCHANGE_GATE] = {"gate", NEXT(EXCHANGE_CALLING) | NEXT(EXCHANGE_DONE)},
    [EXCHANGE_CALLING] = {"calling", NEXT(EXCHANGE_STREAMING) | NEXT(EXCHANGE_DONE)},
    [EXCHANGE_STREAMING] = {"streaming", NEXT(EXCHANGE_DONE)},
    [EXCHANGE_DONE] = {"done", 0},
};

const char *exchange_state_name(enum exchange_state s)
{
	return (unsigned)s < EXCHANGE_STATE_COUNT ? exchange_states[s].name : "unknown";
}

void exchange_set_state(struct exchange *x, enum exchange_state next)
{
	assert(exchange_states[x->state].next & NEXT(next));
	x->state = next;
}

static struct exchange *exchange_alloc(struct worker *w)
{
	struct exchange *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	bf_arena_init_nodump(&x->arena, EXCHANGE_ARENA_MAX);
	bf_buf_init_nodump(&x->body_bytes, w->client->max_request_body_size_bytes);
	bf_buf_init_nodump(&x->answer, WORKER_ANSWER_MAX);
	return x;
}

struct exchange *exchange_new(struct worker *w)
{
	struct exchange *x = w->spares;

	if (w->follow)
		w->follow(w);
	if (x) {
		w->spares = x->next_spare;
		w->spare_count--;
		x->body_bytes.max_bytes = w->client->max_request_body_size_bytes;
	} else {
		x = exchange_alloc(w);
		if (!x)
			return NULL;
	}
	x->next_spare = NULL;
	x->worker = w;
	x->inflight = -1;
	return x;
}

/* Everything but the memory it may reuse. */
static void exchange_clear(struct exchange *x)
{
	struct bf_arena arena = x->arena;
	struct bf_buf body = x->body_bytes;
	struct bf_buf answer = x->answer;

	memset(x, 0, sizeof(*x));
	x->arena = arena;
	x->body_bytes = body;
	x->answer = answer;
}

static void exchange_destroy(struct exchange *x)
{
	bf_arena_done(&x->arena);
	bf_buf_done(&x->body_bytes);
	bf_buf_done(&x->answer);
	free(x);
}

void exchange_free(struct exchange *x)
{
	struct worker *w = x->worker;

	assert(x->state != EXCHANGE_CALLING && x->state != EXCHANGE_STREAMING);
	assert(x->inflight < 0);
	worker_body_give(w, x->body_charged);
	worker_answer_give(w, x->answer_charged);
	if (x->release)
		x->release(x);
	if (w->spare_count >= EXCHANGE_SPARES || x->body_bytes.size > EXCHANGE_BODY_KEEP ||
	    x->answer.size > EXCHANGE_BODY_KEEP) {
		exchange_destroy(x);
		return;
	}
	bf_arena_reset(&x->arena);
	bf_buf_clear(&x->body_bytes);
	bf_buf_clear(&x->answer);
	exchange_clear(x);
	x->next_spare = w->spares;
	w->spares = x;
	w->spare_count++;
}

void exchange_free_spares(struct worker *w)
{
	while (w->spares) {
		struct exchange *x = w->spares;
		w->spares = x->next_spare;
		exchange_destroy(x);
	}
	w->spare_count = 0;
}

struct bf_slice exchange_find_header(const struct exchange *x, struct bf_slice name)
{
	for (uint32_t i = 0; i < x->header_count; i++) {
		const struct exchange_header *h = &x->headers[i];
		if (bf_slice_eq_nocase(h->name, name))
			return h->value;
	}
	return (struct bf_slice){NULL, 0};
}

int exchange_add_body(struct exchange *x, const char *bytes, size_t len)
{
	if (!worker_body_take(x->worker, len))
		return BF_E_FULL;
	x->body_charged += len;
	return bf_buf_append(&x->body_bytes, bytes, len);
}

int64_t exchange_cost_nusd(const struct exchange *x, uint64_t prompt, uint64_t completion,
			   uint64_t cached)
{
	struct bf_price_usage usage = x->paid;
	int64_t nusd = usage.reported_nusd;

	usage.prompt_tokens = prompt;
	usage.completion_tokens = completion;
	usage.cached_read = cached;
	if (x->spend.price)
		nusd = bf_price_cost_nusd(x->spend.price, &usage);
	if (x->spend.price && !x->tier_told && x->spend.tier != BF_TIER_STANDARD) {
		usage.tier = x->spend.tier;
		nusd = BF_MAX(nusd, bf_price_cost_nusd(x->spend.price, &usage));
	}
	return BF_MIN(nusd, SHM_METER_AMOUNT_MAX);
}

int64_t exchange_bound_nusd(const struct exchange *x, uint64_t prompt, uint64_t completion)
{
	int64_t nusd = 0;

	if (x->spend.price)
		nusd = bf_price_bound_nusd(&x->spend.bound, prompt, completion);
	return BF_MIN(nusd, SHM_METER_AMOUNT_MAX);
}

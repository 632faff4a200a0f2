/*
 * Usage records: filled on the way, finished in shared memory. Called by admission and by the
 * relay. Must never fail at the end: everything it needs was taken at the beginning.
 */
#include "proxyd/record/record.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/error_class.h"
#include "common/base/siphash.h"
#include "common/govern/plan.h"
#include "proxyd/record/charge.h"
#include "proxyd/record/refused.h"
#include "proxyd/worker.h"
#include "shm/content.h"
#include "shm/doorbell.h"
#include "shm/inflight.h"
#include "shm/series.h"

static void record_text(char *field, size_t size, struct bf_slice text)
{
	if (text.len)
		memcpy(field, text.ptr, BF_MIN(text.len, size));
}

/* What an attempt before this one was told is not this one's. */
static void record_forget_paid(struct exchange *x)
{
	x->paid = (struct bf_price_usage){.tier = BF_TIER_STANDARD};
	x->tier_told = false;
}

/* What is recorded, and what has limits: the sweep must find either. */
static bool record_wanted(const struct exchange *x)
{
	return x->worker->client->enable_logging || x->limits.count > 0;
}

/* The primary's row is of the request, also when its limits let only a fallback be called; a later
 * one's begins now and has nothing of the row before but what the client said. */
static void record_begin(struct exchange *x)
{
	struct shm_usage_record *r = &x->record;
	char parent[BF_UUID_TEXT_LEN + 1];

	record_forget_paid(x);
	r->started_wall_ns = x->started_wall_ns;
	x->row_mono_ns = x->started_mono_ns;
	r->fallback_index = x->target;
	if (memcmp(&x->id, &x->first_id, sizeof(x->id)) == 0)
		return;
	struct shm_usage_record before = *r;
	memset(r, 0, sizeof(*r));
	r->started_wall_ns = bf_wall_ns();
	x->row_mono_ns = bf_mono_ns();
	r->object_type = before.object_type;
	r->fallback_index = x->target;
	memcpy(r->request_id, before.request_id, sizeof(r->request_id));
	bf_uuid_format(&x->first_id, parent);
	record_text(r->parent_id, sizeof(r->parent_id), bf_slice_from(parent));
}

/* Who pays: as this worker's plan has it, which is what the limits go by. */
static void record_owners(struct shm_usage_record *r, const struct bf_plan_key *key)
{
	record_text(r->virtual_key_id, sizeof(r->virtual_key_id), key->conf->own.id);
	record_text(r->virtual_key_name, sizeof(r->virtual_key_name), key->conf->own.name);
	if (key->team_conf)
		record_text(r->team_id, sizeof(r->team_id), key->team_conf->own.id);
	if (key->customer_conf)
		record_text(r->customer_id, sizeof(r->customer_id), key->customer_conf->own.id);
}

static void record_fill(struct exchange *x)
{
	struct shm_usage_record *r = &x->record;

	memcpy(r->id, x->id.bytes, sizeof(r->id));
	r->flags = x->wants_stream ? SHM_USAGE_STREAM : 0;
	r->attempts = 1;
	r->worker = x->worker->index;
	r->proc_slot = x->worker->proc_slot;
	r->incarnation = x->worker->incarnation;
	record_text(r->provider, sizeof(r->provider), x->provider);
	record_text(r->model, sizeof(r->model), x->model);
	if (x->virtual_key)
		record_owners(r, x->virtual_key);
}

static void record_gauge(const struct worker *w)
{
	shm_metric_set(w->seg, w->proc_slot, SHM_M_INFLIGHT, (int64_t)w->inflight);
}

static void record_key(struct exchange *x)
{
	struct shm_usage_record *r = &x->record;

	if (!x->key)
		return;
	record_text(r->key_name, sizeof(r->key_name), x->key->name);
	record_text(r->key_id, sizeof(r->key_id), x->key->id);
}

/* Of what is seen when this worker dies. A tier that was asked for does not make it cheaper. */
static int64_t record_rate(const struct exchange *x, enum bf_price_kind kind)
{
	int64_t usual = bf_price_rate(x->spend.price, kind, BF_TIER_STANDARD, 0);

	return BF_MAX(usual, bf_price_rate(x->spend.price, kind, x->spend.tier, 0));
}

static void record_price(struct exchange *x)
{
	if (x->spend.price)
		shm_inflight_price(x->worker->seg, x->worker->proc_slot, x->inflight,
				   record_rate(x, BF_PRICE_INPUT), record_rate(x, BF_PRICE_OUTPUT));
}

/* Another key may have prices of its own. */
static void record_rekey(struct exchange *x)
{
	if (x->inflight < 0)
		return;
	shm_inflight_rekey(x->worker->seg, x->worker->proc_slot, x->inflight, &x->record);
	record_price(x);
}

void record_attempt(struct exchange *x, uint32_t n)
{
	struct shm_usage_record *r = &x->record;

	r->attempts = n;
	memset(r->key_name, 0, sizeof(r->key_name));
	memset(r->key_id, 0, sizeof(r->key_id));
	memset(r->stop_reason, 0, sizeof(r->stop_reason));
	record_key(x);
	r->flags &= SHM_USAGE_STREAM;
	r->first_byte_us = 0;
	record_forget_paid(x);
	record_rekey(x);
	record_progress(x, 0, 0, 0);
}

bool record_open(struct exchange *x)
{
	struct worker *w = x->worker;

	assert(!x->admitted);
	record_begin(x);
	record_fill(x);
	record_key(x);
	if (record_wanted(x)) {
		if (shm_usage_room(w->seg, w->proc_slot) <= w->inflight)
			return false;
		x->inflight = shm_inflight_begin(w->seg, w->proc_slot, &x->record);
		if (x->inflight < 0)
			return false;
		record_price(x);
	}
	x->admitted = true;
	w->inflight++;
	record_gauge(w);
	return true;
}

void record_cancel(struct exchange *x)
{
	struct worker *w = x->worker;
	struct shm_usage_record *r = &x->record;

	assert(x->admitted && !x->spend.metered);
	x->admitted = false;
	if (x->inflight >= 0)
		shm_inflight_cancel(w->seg, w->proc_slot, x->inflight);
	x->inflight = -1;
	w->inflight--;
	record_gauge(w);
	/* The next one may have shorter names. */
	memset(r->provider, 0, sizeof(r->provider));
	memset(r->model, 0, sizeof(r->model));
	memset(r->key_name, 0, sizeof(r->key_name));
	memset(r->key_id, 0, sizeof(r->key_id));
}

static int64_t record_since_start_us(const struct exchange *x)
{
	int64_t us = (bf_mono_ns() - x->row_mono_ns) / 1000;

	return us > 0 ? us : 1; /* 0 means: never */
}

void record_first_byte(struct exchange *x)
{
	x->record.first_byte_us = record_since_start_us(x);
}

void record_progress(struct exchange *x, uint64_t prompt_tokens, uint64_t completion_tokens,
		     uint64_t cached_tokens)
{
	x->record.prompt_tokens = prompt_tokens;
	x->record.completion_tokens = completion_tokens;
	x->record.cached_tokens = cached_tokens;
	if (x->inflight >= 0)
		shm_inflight_progress(x->worker->seg, x->worker->proc_slot, x->inflight,
				      prompt_tokens, completion_tokens, x->record.flags);
}

bool record_wants_content(const struct exchange *x)
{
	const struct bf_conf_client *c = x->worker->client;
	int32_t own = x->virtual_key ? x->virtual_key->conf->disable_content_logging : BF_TRI_UNSET;
	bool disabled = own == BF_TRI_UNSET ? c->disable_content_logging : own == BF_TRI_TRUE;

	return c->enable_logging && !disabled;
}

static int record_push_body(struct exchange *x, enum shm_content_kind kind, struct bf_slice body)
{
	size_t kept = BF_MIN(body.len, (size_t)SHM_CONTENT_MAX_BYTES);
	int r = shm_content_push(x->worker->seg, x->worker->proc_slot, x->record.id, kind, body.ptr,
				 kept);

	if (r == 0 && kept < body.len)
		x->record.flags |= SHM_USAGE_CONTENT_CUT;
	return r;
}

static void record_push_content(struct exchange *x)
{
	struct bf_slice answer = bf_buf_slice(&x->answer);
	int r = record_push_body(x, SHM_CONTENT_REQUEST, x->body);

	if (r == 0 && answer.len)
		r = record_push_body(x, SHM_CONTENT_RESPONSE, answer);
	if (r == 0)
		x->record.flags |= SHM_USAGE_HAS_CONTENT;
	else
		worker_count(x->worker, SHM_M_CONTENT_DROPPED);
}

static void record_outcome(struct exchange *x, const struct exchange_outcome *o)
{
	struct shm_usage_record *r = &x->record;

	r->latency_us = record_since_start_us(x);
	r->http_status = (uint16_t)(x->answer_status ? x->answer_status : o->http_status);
	r->status = o->error_type ? SHM_USAGE_ERROR : SHM_USAGE_SUCCESS;
	if (o->truncated)
		r->flags |= SHM_USAGE_TRUNCATED;
	if (!o->error_type)
		return;
	if (strcmp(o->error_type, EXCHANGE_CLIENT_GONE) == 0)
		r->flags |= SHM_USAGE_CLIENT_GONE;
	record_text(r->error_type, sizeof(r->error_type), bf_slice_from(o->error_type));
	record_text(r->error_text, sizeof(r->error_text), bf_slice_from(o->error_text));
}

_Static_assert(offsetof(struct shm_usage_record, model) ==
		       offsetof(struct shm_usage_record, provider) +
			   offsetof(struct shm_series_name, model) &&
		   sizeof(((struct shm_usage_record *)0)->model) == SHM_SERIES_MODEL_BYTES,
	       "a row's provider and model stand like the name of a series");

/* A client that invents names must not fill the table: a new one is made for an answer, or for a
 * failure that is not about what was asked. */
static uint32_t record_series(struct worker *w, const struct shm_usage_record *r)
{
	uint32_t method = RECORD_METHOD(r->object_type, r->flags & SHM_USAGE_STREAM);
	bool make = r->status == SHM_USAGE_SUCCESS || r->http_status >= 429;
	const struct shm_series_name *name = (const void *)r->provider;
	uint32_t series;

	if (w->last_series.method == method &&
	    memcmp(&w->last_series.name, name, sizeof(*name)) == 0)
		return w->last_series.series;
	series = shm_series_find(w->seg, name, method, make);
	if (series == SHM_SERIES_REST)
		return series;
	w->last_series.series = series;
	w->last_series.method = method;
	w->last_series.name = *name;
	return series;
}

static void record_count_series(struct worker *w, const struct shm_usage_record *r)
{
	const struct shm_series_row row = {
	    .is_ok = r->status == SHM_USAGE_SUCCESS,
	    .attempts = r->attempts,
	    .input_tokens = (int64_t)charge_tokens(r->prompt_tokens),
	    .output_tokens = (int64_t)charge_tokens(r->completion_tokens),
	};

	shm_series_add(w->seg, w->proc_slot, record_series(w, r), &row);
}

_Static_assert((unsigned)BF_ERROR_CLASS_COUNT == SHM_ERROR_CLASS_COUNT,
	       "every class has its counter in the segment");

static void record_count_failure(struct worker *w, const struct shm_usage_record *r)
{
	char type[sizeof(r->error_type) + 1] = "";

	memcpy(type, r->error_type, sizeof(r->error_type));
	shm_error_class_count(w->seg, w->proc_slot, bf_error_class_of(r->http_status, type, NULL));
}

static void record_count(struct worker *w, const struct shm_usage_record *r)
{
	record_count_series(w, r);
	worker_count(w, r->status == SHM_USAGE_SUCCESS ? SHM_M_REQUESTS_OK : SHM_M_REQUESTS_FAILED);
	if (r->status == SHM_USAGE_ERROR)
		record_count_failure(w, r);
	if (r->flags & SHM_USAGE_TRUNCATED)
		worker_count(w, SHM_M_STREAMS_TRUNCATED);
	shm_metric_add(w->seg, w->proc_slot, SHM_M_INPUT_TOKENS,
		       (int64_t)charge_tokens(r->prompt_tokens));
	shm_metric_add(w->seg, w->proc_slot, SHM_M_OUTPUT_TOKENS,
		       (int64_t)charge_tokens(r->completion_tokens));
}

static void record_observe(struct worker *w, const struct shm_usage_record *r)
{
	shm_histogram_observe(w->seg, w->proc_slot, SHM_H_UPSTREAM_LATENCY, r->latency_us);
	shm_histogram_observe(w->seg, w->proc_slot, SHM_H_RETRIES, (int64_t)r->attempts - 1);
	/* An error's head is no first token. */
	if ((r->flags & SHM_USAGE_STREAM) && r->first_byte_us > 0 && r->http_status < 300)
		shm_histogram_observe(w->seg, w->proc_slot, SHM_H_FIRST_TOKEN, r->first_byte_us);
}

/* The row, what it overflowed into, and its meters: a death in between leaves the entry, from which
 * the sweep settles them. */
static void record_push(struct exchange *x)
{
	struct worker *w = x->worker;
	uint64_t overflow = shm_usage_overflow_waiting(w->seg, w->proc_slot);

	shm_inflight_push(w->seg, w->proc_slot, x->inflight, &x->record);
	if (x->spend.metered)
		charge_settle(x);
	shm_inflight_end(w->seg, w->proc_slot, x->inflight);
	x->inflight = -1;
	if (shm_usage_overflow_waiting(w->seg, w->proc_slot) > overflow)
		worker_count(w, SHM_M_USAGE_OVERFLOWED);
	if (w->doorbell_fd >= 0)
		shm_doorbell_ring(w->seg, w->doorbell_fd);
}

/* Was a request served? Who hangs up behind the first event has asked one all the same. */
static bool record_counts(const struct exchange *x, const struct exchange_outcome *o)
{
	return !o->error_type || (x->forwarded && strcmp(o->error_type, EXCHANGE_CLIENT_GONE) == 0);
}

void record_close(struct exchange *x, const struct exchange_outcome *outcome)
{
	struct worker *w = x->worker;

	assert(x->admitted);
	x->admitted = false;
	record_outcome(x, outcome);
	charge_row(x, record_counts(x, outcome));
	record_count(w, &x->record);
	record_observe(w, &x->record);
	if (x->inflight >= 0) {
		/* Bodies first: who finds the row finds what it points to. */
		if (record_wants_content(x))
			record_push_content(x);
		record_push(x);
	}
	w->inflight--;
	record_gauge(w);
}

/* ---- what was never admitted */

/* The key; where there is none the limit, for all who meet it. */
static uint64_t record_who(const struct exchange *x)
{
	static const uint8_t nothing_secret[16];
	const struct shm_usage_blame *b = x->refused_by;
	struct bf_slice id;

	if (x->virtual_key)
		id = x->virtual_key->conf->own.id;
	else
		id = (struct bf_slice){b->limit_id, strnlen(b->limit_id, sizeof(b->limit_id))};
	return bf_siphash(nothing_secret, id.ptr, id.len);
}

static bool record_may_refused(const struct exchange *x)
{
	struct worker *w = x->worker;

	if (!w->client->enable_logging || (!x->virtual_key && !x->refused_by))
		return false;
	if (!w->refused)
		w->refused = calloc(1, sizeof(*w->refused));
	if (w->refused && refused_may_have_row(w->refused, record_who(x), bf_mono_ms()))
		return true;
	worker_count(w, SHM_M_REFUSED_LEFT_OUT);
	return false;
}

static void record_fill_refused(struct exchange *x, const struct exchange_outcome *why)
{
	struct shm_usage_record *r = &x->record;
	struct shm_usage_refusal *to = &r->refusal;

	record_begin(x);
	record_fill(x);
	record_outcome(x, why);
	r->object_type = (uint8_t)x->object;
	r->flags |= SHM_USAGE_REFUSED;
	r->attempts = 0;
	if (x->refused_by) {
		to->blame = *x->refused_by;
	} else if (x->virtual_key && why->http_status == 403) {
		to->blame.owner = BF_OWNER_VIRTUAL_KEY + 1;
		memcpy(to->blame.owner_id, r->virtual_key_id, sizeof(to->blame.owner_id));
	}
	if (why->error_text)
		record_text(to->text, sizeof(to->text), bf_slice_from(why->error_text));
}

void record_refused(struct exchange *x, const struct exchange_outcome *why)
{
	struct worker *w = x->worker;

	assert(!x->admitted && x->inflight < 0);
	if (!record_may_refused(x))
		return;
	if (!bf_uuid_is_set(&x->first_id))
		x->first_id = bf_uuid7(x->started_wall_ns / 1000000);
	x->id = x->first_id;
	record_fill_refused(x, why);
	if (!shm_usage_push_spare(w->seg, w->proc_slot, w->inflight, &x->record))
		worker_count(w, SHM_M_REFUSED_LEFT_OUT);
	else if (w->doorbell_fd >= 0)
		shm_doorbell_ring(w->seg, w->doorbell_fd);
}

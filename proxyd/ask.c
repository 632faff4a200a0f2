/*
 * Outstanding questions. Called by the gate to ask and by the control channel with answers. Must
 * never wait, and never trust an answer: a descriptor is looked at only when it is a sealed memfd
 * of the size that was told.
 */
#include "proxyd/ask.h"

#include <assert.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/ipc/deadlines.h"
#include "common/proc/fds.h"
#include "proxyd/worker.h"

/* Who answers what, how that is counted, and what a client is told whose question nobody answered.
 */
static const struct ask_kind {
	uint16_t type, target;
	int64_t limit_ms;
	enum shm_metric answered, failed;
	struct bf_slice silence;
} kinds[] = {
    {BF_MSG_LOGS_QUERY, BF_ENDPOINT(BF_ROLE_READER, 0), BF_QUESTION_LIMIT_MS, SHM_M_LOG_QUERIES,
     SHM_M_LOG_QUERY_ERRORS,
     BF_SLICE_INIT("the reader did not answer within 10 s: try again, or narrow the time range")},
    {BF_MSG_ENTITY_QUERY, BF_ENDPOINT(BF_ROLE_READER, 0), BF_QUESTION_LIMIT_MS,
     SHM_M_ENTITY_QUERIES, SHM_M_ENTITY_ERRORS,
     BF_SLICE_INIT("the reader did not answer within 10 s: try again")},
    {BF_MSG_PRICE_SYNC, BF_ENDPOINT(BF_ROLE_READER, 0), BF_QUESTION_LIMIT_MS, SHM_M_ENTITY_QUERIES,
     SHM_M_ENTITY_ERRORS,
     BF_SLICE_INIT("the reader did not answer within 10 s: the price sheet may come all the same")},
    {BF_MSG_ENTITY_CHANGE, BF_ENDPOINT(BF_ROLE_WRITERD, 0), BF_CHANGE_LIMIT_MS,
     SHM_M_ENTITY_CHANGES, SHM_M_ENTITY_ERRORS,
     BF_SLICE_INIT("writerd did not answer within 40 s: the change may be done all the same, so "
		   "look before you ask again")},
};

static const struct ask_kind *kind_of(uint16_t type)
{
	const struct ask_kind *k = kinds;

	while (k->type != type)
		k++;
	return k;
}

static void set_gauge(const struct ask_table *t)
{
	shm_metric_set(t->worker->seg, t->worker->proc_slot, SHM_M_LOG_QUERIES_WAITING, t->waiting);
}

static struct ask *find(struct ask_table *t, uint32_t id)
{
	for (uint32_t i = 0; id && i < ASK_MAX; i++) {
		if (t->asks[i].id == id)
			return &t->asks[i];
	}
	return NULL;
}

static struct ask *first_due(struct ask_table *t)
{
	struct ask *first = NULL;

	for (uint32_t i = 0; i < ASK_MAX; i++) {
		struct ask *a = &t->asks[i];

		if (a->id && (!first || a->deadline_mono_ms < first->deadline_mono_ms))
			first = a;
	}
	return first;
}

static void arm(struct ask_table *t)
{
	struct ev_loop *loop = t->worker->loop;
	struct ask *first = first_due(t);
	int64_t left = first ? first->deadline_mono_ms - bf_mono_ms() : 0;

	ev_timer_stop(loop, &t->timer);
	if (!first)
		return;
	ev_now_update(loop);
	ev_timer_set(&t->timer, left > 0 ? (double)left / 1000. : 0., 0.);
	ev_timer_start(loop, &t->timer);
}

static void release(struct ask_table *t, struct ask *a)
{
	memset(a, 0, sizeof(*a));
	t->waiting--;
	set_gauge(t);
}

static void finish(struct ask_table *t, struct ask *a, const struct ask_answer *answer)
{
	const struct ask_kind *kind = kind_of(a->type);
	struct exchange *x = a->x;
	ask_done done = a->done;

	release(t, a);
	/* That no row has an id is an answer. */
	worker_count(t->worker, answer->code == 0 || answer->code == BF_E_UNKNOWN ? kind->answered
										  : kind->failed);
	x->cancel = NULL;
	done(x, answer);
}

static void fail(struct ask_table *t, struct ask *a, int code, struct bf_slice text)
{
	finish(t, a, &(struct ask_answer){.code = code, .text = text});
}

static void send_cancel(struct ask_table *t, const struct ask *a)
{
	const struct bf_frame f = {.flags = BF_FRAME_CANCEL,
				   .type = a->type,
				   .source = t->endpoint,
				   .target = kind_of(a->type)->target,
				   .request = a->id,
				   .fd = -1};

	(void)bf_channel_send(t->channel, &f);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct ask_table *t = w->data;
	int64_t now = bf_mono_ms();
	struct ask *a;

	(void)loop;
	(void)revents;
	while ((a = first_due(t)) != NULL && a->deadline_mono_ms <= now) {
		send_cancel(t, a);
		fail(t, a, BF_E_TIMEOUT, kind_of(a->type)->silence);
	}
	arm(t);
}

/* The client has gone, or this worker leaves: then the asker still hears about it. */
static void ask_cancel(struct exchange *x, const char *why)
{
	struct ask_table *t = x->worker->asks;

	for (uint32_t i = 0; i < ASK_MAX; i++) {
		if (t->asks[i].id == 0 || t->asks[i].x != x)
			continue;
		send_cancel(t, &t->asks[i]);
		if (strcmp(why, EXCHANGE_WORKER_LEFT) == 0) {
			fail(t, &t->asks[i], BF_E_CLOSED, BF_SLICE_LIT(EXCHANGE_WORKER_LEFT_TEXT));
			return;
		}
		release(t, &t->asks[i]);
	}
	x->cancel = NULL;
	exchange_set_state(x, EXCHANGE_DONE);
}

void ask_open(struct ask_table *t, struct worker *w, struct bf_channel *channel, uint16_t endpoint)
{
	memset(t, 0, sizeof(*t));
	t->worker = w;
	t->channel = channel;
	t->endpoint = endpoint;
	ev_timer_init(&t->timer, on_timer, 0., 0.);
	t->timer.data = t;
	w->asks = t;
}

void ask_close(struct ask_table *t)
{
	assert(t->waiting == 0);
	ev_timer_stop(t->worker->loop, &t->timer);
	t->worker->asks = NULL;
}

static struct ask *take(struct ask_table *t)
{
	for (uint32_t i = 0; i < ASK_MAX; i++) {
		if (t->asks[i].id)
			continue;
		do {
			t->last_id++;
		} while (t->last_id == 0 || find(t, t->last_id));
		t->asks[i].id = t->last_id;
		return &t->asks[i];
	}
	return NULL;
}

static int ask(struct ask_table *t, struct exchange *x, uint16_t type, const void *message,
	       ask_done done)
{
	struct ask *a = take(t);
	int r;

	if (!a)
		return BF_E_FULL;
	r = bf_channel_send_msg(t->channel, type, t->endpoint, kind_of(type)->target, a->id, 0,
				message);
	if (r < 0) {
		a->id = 0;
		return r;
	}
	a->type = type;
	a->x = x;
	a->done = done;
	a->deadline_mono_ms = bf_mono_ms() + kind_of(type)->limit_ms;
	t->waiting++;
	set_gauge(t);
	x->cancel = ask_cancel;
	/* It may ask again from within an answer. */
	if (x->state != EXCHANGE_CALLING)
		exchange_set_state(x, EXCHANGE_CALLING);
	arm(t);
	return 0;
}

int ask_logs(struct ask_table *t, struct exchange *x, const struct bf_msg_logs_query *q,
	     ask_done done)
{
	return ask(t, x, BF_MSG_LOGS_QUERY, q, done);
}

int ask_entities(struct ask_table *t, struct exchange *x, const struct bf_msg_entity_query *q,
		 ask_done done)
{
	return ask(t, x, BF_MSG_ENTITY_QUERY, q, done);
}

int ask_change(struct ask_table *t, struct exchange *x, const struct bf_msg_entity_change *change,
	       ask_done done)
{
	return ask(t, x, BF_MSG_ENTITY_CHANGE, change, done);
}

int ask_price_sync(struct ask_table *t, struct exchange *x, const struct bf_msg_price_sync *sync,
		   ask_done done)
{
	return ask(t, x, BF_MSG_PRICE_SYNC, sync, done);
}

static void result(struct ask_table *t, struct ask *a, struct ask_answer answer, uint64_t size,
		   int fd)
{
	const void *bytes;
	size_t len;

	if (bf_memfd_map(fd, &bytes, &len, NULL) < 0) {
		fail(t, a, BF_E_TYPE, BF_SLICE_LIT("the answer cannot be used"));
		return;
	}
	answer.text = (struct bf_slice){bytes, len};
	if (len == size)
		finish(t, a, &answer);
	else
		fail(t, a, BF_E_TYPE, BF_SLICE_LIT("the answer is not whole"));
	bf_memfd_unmap(bytes, len);
}

void ask_logs_result(struct ask_table *t, uint32_t request, const struct bf_msg_logs_result *m,
		     int fd)
{
	struct ask *a = find(t, request);

	if (a && a->type == BF_MSG_LOGS_QUERY)
		result(t, a, (struct ask_answer){.http_status = 200}, m->size, fd);
}

/* A status that the client may be told as it is. */
static bool is_status(uint64_t status)
{
	return status >= 200 && status <= 599 && status != 204;
}

void ask_entity_result(struct ask_table *t, uint32_t request, const struct bf_msg_entity_result *m,
		       int fd)
{
	struct ask *a = find(t, request);

	if (!a || a->type == BF_MSG_LOGS_QUERY)
		return;
	if (!is_status(m->status))
		fail(t, a, BF_E_TYPE, BF_SLICE_LIT("the answer has no status"));
	else
		result(t, a,
		       (struct ask_answer){.http_status = (int)m->status, .version = m->version},
		       m->size, fd);
}

void ask_error(struct ask_table *t, uint32_t request, const struct bf_msg_error *error)
{
	struct ask *a = find(t, request);

	if (a)
		fail(t, a,
		     error->code < 0 && error->code > INT32_MIN ? (int)error->code : BF_E_STATE,
		     error->text);
}

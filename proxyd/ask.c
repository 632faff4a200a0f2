/*
 * Outstanding questions. Called by the gate to ask and by the control channel with answers. Must
 * never wait, and never trust an answer: a descriptor is looked at only when it is a sealed memfd
 * of the size that was told.
 */
#include "proxyd/ask.h"

#include <assert.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/proc/fds.h"
#include "proxyd/worker.h"

#define READER BF_ENDPOINT(BF_ROLE_READER, 0)

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

static struct ask *oldest(struct ask_table *t)
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
	struct ask *first = oldest(t);
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

static void finish(struct ask_table *t, struct ask *a, int code, struct bf_slice text)
{
	struct exchange *x = a->x;
	ask_done done = a->done;

	release(t, a);
	/* That no row has an id is an answer. */
	worker_count(t->worker, code == 0 || code == BF_E_UNKNOWN ? SHM_M_LOG_QUERIES
								  : SHM_M_LOG_QUERY_ERRORS);
	x->cancel = NULL;
	done(x, code, text);
}

static void send_cancel(struct ask_table *t, uint32_t id)
{
	const struct bf_frame f = {.flags = BF_FRAME_CANCEL,
				   .type = BF_MSG_LOGS_QUERY,
				   .source = t->endpoint,
				   .target = READER,
				   .request = id,
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
	while ((a = oldest(t)) != NULL && a->deadline_mono_ms <= now) {
		send_cancel(t, a->id);
		finish(t, a, BF_E_TIMEOUT,
		       BF_SLICE_LIT("the reader did not answer within 10 s: try again, or narrow "
				    "the time range"));
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
		send_cancel(t, t->asks[i].id);
		if (strcmp(why, EXCHANGE_WORKER_LEFT) == 0) {
			finish(t, &t->asks[i], BF_E_CLOSED,
			       BF_SLICE_LIT(EXCHANGE_WORKER_LEFT_TEXT));
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

int ask_logs(struct ask_table *t, struct exchange *x, const struct bf_msg_logs_query *q,
	     ask_done done)
{
	struct ask *a = take(t);
	int r;

	if (!a)
		return BF_E_FULL;
	r = bf_channel_send_msg(t->channel, BF_MSG_LOGS_QUERY, t->endpoint, READER, a->id, 0, q);
	if (r < 0) {
		a->id = 0;
		return r;
	}
	a->x = x;
	a->done = done;
	a->deadline_mono_ms = bf_mono_ms() + ASK_TIMEOUT_MS;
	t->waiting++;
	set_gauge(t);
	x->cancel = ask_cancel;
	exchange_set_state(x, EXCHANGE_CALLING);
	if (!ev_is_active(&t->timer))
		arm(t);
	return 0;
}

void ask_result(struct ask_table *t, uint32_t request, uint64_t size, int fd)
{
	struct ask *a = find(t, request);
	const void *bytes;
	size_t len;

	if (!a)
		return;
	if (bf_memfd_map(fd, &bytes, &len, NULL) < 0) {
		finish(t, a, BF_E_TYPE, BF_SLICE_LIT("the reader's answer cannot be used"));
		return;
	}
	if (len == size)
		finish(t, a, 0, (struct bf_slice){bytes, len});
	else
		finish(t, a, BF_E_TYPE, BF_SLICE_LIT("the reader's answer is not whole"));
	bf_memfd_unmap(bytes, len);
}

void ask_error(struct ask_table *t, uint32_t request, const struct bf_msg_error *error)
{
	struct ask *a = find(t, request);

	if (a)
		finish(t, a,
		       error->code < 0 && error->code > INT32_MIN ? (int)error->code : BF_E_STATE,
		       error->text);
}

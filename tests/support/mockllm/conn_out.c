/*
 * Lets answers out as their scripts want them: pace, faults, back-pressure. One send per plain
 * answer. Must note in the ledger only what the kernel took.
 */
#include <errno.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "tests/support/mockllm/conn_priv.h"

#define TRICKLE_S   0.010
#define ENDLESS_S   0.001
#define ENDLESS_MAX (16u << 10)

/* ---- the books */

/* Words of a plain answer that the kernel took whole. */
static uint64_t plain_words(const struct conn *c)
{
	const struct answer *a = &c->answer;

	if (!a->words || c->sent <= a->text_at)
		return 0;
	return BF_MIN((c->sent - a->text_at) / a->word_width, a->words);
}

void conn_note(struct conn *c, const char *end)
{
	const struct answer *a = &c->answer;
	const char *text = bf_buf_slice(&c->in).ptr;
	struct ledger_line line = {
	    .user = a->ask.user,
	    .path = {text + c->request.path, c->request.path_bytes},
	    .bearer = {text + c->request.bearer, c->request.bearer_bytes},
	    .stream = a->ask.stream,
	    .status = a->status,
	    .prompt_tokens = a->prompt_tokens,
	    .completion_tokens = a->completion_tokens,
	    .delivered_tokens = a->stream ? c->words : plain_words(c),
	    .delivered_bytes = c->sent,
	    .events = c->events,
	    .end = end,
	    .started_ns = c->started_wall_ns,
	    .ended_ns = bf_wall_ns(),
	};

	ledger_append(&c->server->ledger, &line);
}

/* ---- the end of an answer */

static void shrink(struct bf_buf *b)
{
	if (!bf_buf_len(b) && b->size > CONN_KEEP) {
		size_t max = b->max_bytes;

		bf_buf_done(b);
		bf_buf_init(b, max);
	}
}

/* Whole: on to the next request, or closed. False: c is gone. */
static bool answered(struct conn *c)
{
	struct bf_slice later = bf_buf_slice(&c->later);

	conn_note(c, "done");
	if (c->closing || c->answer.close || c->answer.script.garbage) {
		conn_free(c);
		return false;
	}
	bf_buf_consume(&c->in, c->request.scanned);
	c->request = (struct http_in){0};
	c->busy = false;
	ev_timer_stop(c->server->loop, &c->timer);
	bf_arena_reset(&c->arena);
	shrink(&c->in);
	shrink(&c->out);
	if (later.len && bf_buf_append_slice(&c->in, later) != 0) {
		conn_free(c);
		return false;
	}
	bf_buf_clear(&c->later);
	return true;
}

/* The offset of the script's fault is reached. */
static void strike(struct conn *c)
{
	const struct script *s = &c->answer.script;

	if ((uint64_t)s->stall_at == c->limit) {
		c->silent = true;
		return;
	}
	if ((uint64_t)s->halfclose == c->limit) {
		conn_note(c, "cut");
		c->silent = true;
		c->busy = false;
		(void)shutdown(c->link.fd, SHUT_WR);
		return;
	}
	if ((uint64_t)s->rst == c->limit) {
		conn_note(c, "rst");
		link_reset(&c->link);
	} else {
		conn_note(c, "cut");
	}
	conn_free(c);
}

void conn_client_gone(struct conn *c)
{
	if (c->busy)
		conn_note(c, c->silent ? "stalled" : "client_gone");
	conn_free(c);
}

/* ---- letting an answer out */

static void take_marks(struct conn *c)
{
	while (c->mark_count && c->marks[c->mark_first].end <= c->sent) {
		c->events++;
		c->words += c->marks[c->mark_first].words;
		c->mark_first = (c->mark_first + 1) % CONN_MARKS;
		c->mark_count--;
	}
}

void conn_timer(struct conn *c, double seconds)
{
	ev_timer_stop(c->server->loop, &c->timer);
	ev_timer_set(&c->timer, seconds, 0);
	ev_timer_start(c->server->loop, &c->timer);
}

/* Is the next event due? *ret_wait_s when it is not. Only events with words have a pace. */
static bool is_due(const struct conn *c, int64_t now_ns, double *ret_wait_s)
{
	const struct answer *a = &c->answer;
	int64_t due;

	if (!a->script.interval_ms || a->step > ANSWER_WORDS || a->next_word >= a->words)
		return true;
	due = c->first_event_ns +
	      (int64_t)(a->next_word / a->event_words) * a->script.interval_ms * 1000000;
	*ret_wait_s = (double)(due - now_ns) * 1e-9;
	return due <= now_ns;
}

/* Renders what is due, within bounds. 0, 1: waits for the timer, or a negative code. */
static int produce(struct conn *c)
{
	int64_t now = c->answer.script.interval_ms ? bf_mono_ns() : 0;
	double wait = 0;
	uint32_t words;
	bool event;
	int r = 1;

	while (c->mark_count < CONN_MARKS && bf_buf_len(&c->out) < CONN_AHEAD) {
		if (!is_due(c, now, &wait)) {
			conn_timer(c, wait);
			return 1;
		}
		r = answer_stream_next(&c->answer, &c->out, &event, &words);
		c->produced = r == 0;
		if (r <= 0)
			return r;
		if (event)
			c->marks[(c->mark_first + c->mark_count++) % CONN_MARKS] =
			    (struct mark){c->sent + bf_buf_len(&c->out), words};
	}
	return 0;
}

/* Header lines for ever, at a bearable pace. */
static int produce_endless(struct conn *c)
{
	int r = 0;

	while (r == 0 && bf_buf_len(&c->out) < ENDLESS_MAX)
		r = bf_buf_printf(&c->out, "X-Filler-%llu: %0*d\r\n",
				  (unsigned long long)(c->sent + bf_buf_len(&c->out)), 200, 0);
	conn_timer(c, ENDLESS_S);
	return r < 0 ? r : 1;
}

/* 1: all that may go now is gone, 0: the kernel is full, negative: the client is gone. */
static int send_some(struct conn *c)
{
	struct bf_slice rest = bf_buf_slice(&c->out);
	struct iovec part;
	ssize_t n;

	rest.len = (size_t)BF_MIN(rest.len, c->limit - c->sent);
	if (c->answer.script.trickle_bytes)
		rest.len = (size_t)BF_MIN(rest.len, c->allowance);
	if (!rest.len)
		return 1;
	memcpy(&part.iov_base, &rest.ptr, sizeof(rest.ptr));
	part.iov_len = rest.len;
	n = link_write(&c->link, &part, 1);
	if (n == -EAGAIN)
		n = 0;
	if (n < 0)
		return (int)n;
	c->sent += (uint64_t)n;
	c->allowance -= c->answer.script.trickle_bytes ? (uint64_t)n : 0;
	bf_buf_consume(&c->out, (size_t)n);
	take_marks(c);
	return (size_t)n == rest.len;
}

/* One round of rendering and sending. True: there may be more to do at once. */
static bool pump_once(struct conn *c, bool *ret_gone)
{
	bool timed = false;
	int r = 0;

	*ret_gone = true;
	if (c->answer.script.endless)
		r = bf_buf_len(&c->out) ? 0 : produce_endless(c);
	else if (c->answer.stream && !c->produced)
		r = produce(c);
	timed = r > 0 && !c->produced;
	r = r < 0 ? r : send_some(c);
	if (r < 0) {
		conn_client_gone(c);
		return false;
	}
	if (c->sent == c->limit) {
		strike(c);
		return false;
	}
	*ret_gone = false;
	if (r == 0) {
		ev_io_start(c->server->loop, &c->writable);
		return false;
	}
	ev_io_stop(c->server->loop, &c->writable);
	if (bf_buf_len(&c->out)) { /* only trickle leaves something */
		conn_timer(c, TRICKLE_S);
		return false;
	}
	if (timed || (c->answer.script.endless && !c->produced))
		return false;
	if (!c->produced)
		return true;
	*ret_gone = !answered(c);
	return false;
}

void conn_pump(struct conn *c)
{
	bool gone;

	while (pump_once(c, &gone))
		continue;
	/* A pipelined request gets a turn of its own. */
	if (!gone && !c->busy && bf_buf_len(&c->in))
		ev_feed_event(c->server->loop, &c->readable, EV_CUSTOM);
}

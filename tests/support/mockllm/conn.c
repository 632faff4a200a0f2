/*
 * A connection of the mock LLM: its requests. Called by libev; one read per plain request. What is
 * answered leaves through conn_out.c.
 */
#include "tests/support/mockllm/conn.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "tests/support/mockllm/conn_priv.h"

#define READ_BYTES (16u << 10)

void conn_free(struct conn *c)
{
	ev_io_stop(c->server->loop, &c->readable);
	ev_io_stop(c->server->loop, &c->writable);
	ev_timer_stop(c->server->loop, &c->timer);
	link_close(&c->link);
	bf_buf_done(&c->in);
	bf_buf_done(&c->later);
	bf_buf_done(&c->out);
	bf_arena_done(&c->arena);
	free(c->marks);
	*c->at = c->next;
	if (c->next)
		c->next->at = c->at;
	free(c);
}

/* ---- a request */

static uint64_t limit_of(const struct script *s)
{
	int64_t faults[] = {s->stall_at, s->cut, s->rst, s->halfclose};
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < BF_ARRAY_LEN(faults); i++) {
		if (faults[i] >= 0)
			least = BF_MIN(least, (uint64_t)faults[i]);
	}
	return least;
}

static int render(struct conn *c)
{
	struct answer *a = &c->answer;

	if (a->script.endless)
		return bf_buf_printf(&c->out, "HTTP/1.1 200 OK\r\n");
	if (!a->stream) {
		c->produced = true;
		return answer_plain(a, &c->out);
	}
	if (!c->marks)
		c->marks = calloc(CONN_MARKS, sizeof(*c->marks));
	c->first_event_ns = bf_mono_ns();
	return c->marks ? answer_stream_head(a, &c->out) : -ENOMEM;
}

static void start_answer(struct conn *c)
{
	c->waiting = false;
	if (render(c) != 0) {
		conn_note(c, "error");
		conn_free(c);
		return;
	}
	conn_pump(c);
}

/* Reads what is asked for; 0, or the status of a refusal and why. */
static int prepare(struct conn *c, struct bf_err *err)
{
	const char *text = bf_buf_slice(&c->in).ptr;
	struct bf_slice method = {text, c->request.line_method};
	struct bf_slice path = {text + c->request.path, c->request.path_bytes};
	struct bf_slice body = {text + c->request.head_bytes, http_in_body_len(&c->request)};
	struct bf_slice bearer = {text + c->request.bearer, c->request.bearer_bytes};
	struct script script;
	uint64_t before = 0;
	enum ask_kind kind;
	struct ask ask;

	(void)bf_err_set(err, BF_E_SYNTAX, "no such route");
	if (!ask_kind(method, path, &kind))
		return 404;
	if (ask_read(&ask, kind, body, &c->arena, err) != 0 ||
	    script_parse(ask.model, &c->server->base, &script, err) != 0)
		return 400;
	if (script.fail_first)
		before = asked_before(&c->server->asked, ask.user);
	return answer_init(&c->answer, &script, &ask, bearer, before, &c->arena) == 0 ? 0 : 500;
}

static void refuse(struct conn *c, int status, const struct bf_err *err)
{
	c->answer = (struct answer){.status = status, .script = script_default};
	c->produced = true;
	/* What it says may quote the request: a quote in it would end the JSON text. */
	if (answer_refusal(&c->out, status,
			   strchr(err->text, '"') ? "the body is bad" : err->text)) {
		conn_free(c);
		return;
	}
	conn_pump(c);
}

static void begin(struct conn *c)
{
	struct bf_err err = {0};
	int refused;

	c->busy = true;
	c->produced = c->silent = false;
	c->closing = c->request.close;
	c->sent = c->events = c->words = c->allowance = 0;
	c->mark_first = c->mark_count = 0;
	c->limit = UINT64_MAX;
	c->started_wall_ns = bf_wall_ns();
	bf_buf_clear(&c->out);
	refused = prepare(c, &err);
	if (refused) {
		refuse(c, refused, &err);
		return;
	}
	c->limit = limit_of(&c->answer.script);
	c->allowance = (uint64_t)c->answer.script.trickle_bytes;
	if (c->answer.script.latency_ms) {
		c->waiting = true;
		conn_timer(c, (double)c->answer.script.latency_ms / 1000);
		return;
	}
	start_answer(c);
}

static void send_continue(struct conn *c)
{
	static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct iovec part = {text, sizeof(text) - 1};

	c->request.expects = false;
	(void)link_write(&c->link, &part, 1);
}

/* The bytes that are there: begins a request when one is whole. */
static void read_on(struct conn *c)
{
	struct bf_slice text = bf_buf_slice(&c->in);
	int r;

	if (!text.len)
		return;
	r = http_in_read(&c->request, c->in.data + c->in.start, text.len);
	if (r < 0) {
		conn_free(c);
	} else if (r > 0) {
		begin(c);
	} else if (c->request.head_bytes && c->request.expects) {
		send_continue(c);
	}
}

static size_t wanted(const struct conn *c)
{
	size_t have = bf_buf_len(&c->in);
	uint64_t whole = c->request.head_bytes + c->request.length;

	if (c->request.head_bytes && !c->request.chunked && whole > have + READ_BYTES)
		return (size_t)BF_MIN(whole - have, CONN_IN_MAX);
	return READ_BYTES;
}

/* While an answer is under way: what comes belongs to later requests. */
static void on_readable_busy(struct conn *c)
{
	char bytes[READ_BYTES];
	ssize_t n = link_read(&c->link, bytes, sizeof(bytes));

	if (n == -EAGAIN)
		return;
	if (n <= 0 || bf_buf_append(&c->later, bytes, (size_t)n) != 0)
		conn_client_gone(c);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct conn *c = w->data;
	ssize_t n;

	(void)loop;
	if (events & EV_CUSTOM) {
		if (!c->busy)
			read_on(c);
		return;
	}
	if (c->busy || c->silent) {
		on_readable_busy(c);
		return;
	}
	if (bf_buf_reserve(&c->in, wanted(c)) != 0) {
		conn_free(c);
		return;
	}
	n = link_read(&c->link, c->in.data + c->in.end, c->in.size - c->in.end);
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		conn_free(c);
		return;
	}
	c->in.end += (size_t)n;
	read_on(c);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
	(void)loop;
	(void)events;
	conn_pump(w->data);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
	struct conn *c = w->data;

	(void)loop;
	(void)events;
	if (c->waiting) {
		start_answer(c);
		return;
	}
	c->allowance = (uint64_t)c->answer.script.trickle_bytes;
	conn_pump(c);
}

void conn_open(struct server *s, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c || link_open(&c->link, fd, s->tls, true) != 0) {
		free(c);
		return;
	}
	c->server = s;
	c->next = s->conns;
	c->at = &s->conns;
	if (c->next)
		c->next->at = &c->next;
	s->conns = c;
	bf_buf_init(&c->in, CONN_IN_MAX);
	bf_buf_init(&c->later, CONN_LATER_MAX);
	bf_buf_init(&c->out, CONN_OUT_MAX);
	bf_arena_init(&c->arena, 256u << 20);
	ev_io_init(&c->readable, on_readable, fd, EV_READ);
	ev_io_init(&c->writable, on_writable, fd, EV_WRITE);
	ev_init(&c->timer, on_timer);
	c->readable.data = c->writable.data = c->timer.data = c;
	ev_io_start(s->loop, &c->readable);
}

void conn_close_all(struct server *s)
{
	while (s->conns) {
		if (s->conns->busy)
			conn_note(s->conns, s->conns->silent ? "stalled" : "stopped");
		conn_free(s->conns);
	}
}

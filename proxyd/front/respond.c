/*
 * Writing answers. Called by the gate through respond_out, by input for unreadable requests, and by
 * the loop. Head and body leave in one sendmsg; what a provider gives within one turn leaves in one
 * write at its end. Must never close a connection from within a provider's call: a broken one is
 * marked and closed at the end of the turn.
 */
#include "proxyd/front/respond.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/base/clock.h"
#include "proxyd/front/front.h"
#include "proxyd/gate/error.h"

#define RESPOND_HEAD_MAX 1024u

static const char *respond_reason(int http_status)
{
	static const struct {
		int status;
		const char *text;
	} reasons[] = {
	    {200, "OK"},
	    {204, "No Content"},
	    {400, "Bad Request"},
	    {401, "Unauthorized"},
	    {402, "Payment Required"},
	    {403, "Forbidden"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {408, "Request Timeout"},
	    {413, "Content Too Large"},
	    {414, "URI Too Long"},
	    {415, "Unsupported Media Type"},
	    {417, "Expectation Failed"},
	    {429, "Too Many Requests"},
	    {431, "Request Header Fields Too Large"},
	    {500, "Internal Server Error"},
	    {501, "Not Implemented"},
	    {502, "Bad Gateway"},
	    {503, "Service Unavailable"},
	    {504, "Gateway Timeout"},
	    {505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(reasons); i++) {
		if (reasons[i].status == http_status)
			return reasons[i].text;
	}
	return "Status";
}

/* Bytes that the kernel did not take. They count against the worker's budget until it does. */
static void respond_queue(struct conn *c, const char *bytes, size_t len)
{
	if (c->broken || len == 0)
		return;
	if (!worker_answer_take(c->front->w, len)) {
		c->broken = true;
	} else if (bf_buf_append(&c->out, bytes, len) < 0) {
		worker_answer_give(c->front->w, len);
		c->broken = true;
	}
	front_later(c->front, c);
}

/* One write. Returns what the kernel took; a dead connection is marked broken. */
static size_t respond_send(struct conn *c, struct iovec *iov, size_t count)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};
	ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n >= 0) {
		c->active_ms = bf_mono_ms();
		return (size_t)n;
	}
	if (errno != EAGAIN && errno != EINTR) {
		c->broken = true;
		front_later(c->front, c);
	}
	return 0;
}

/* Sends two pieces at once; returns how much of them the kernel took. */
static size_t respond_write(struct conn *c, struct bf_slice head, struct bf_slice body)
{
	struct iovec iov[2] = {
	    {(void *)(uintptr_t)head.ptr, head.len},
	    {(void *)(uintptr_t)body.ptr, body.len},
	};

	/* What waits goes first. */
	if (bf_buf_len(&c->out) > 0 || c->broken)
		return 0;
	return respond_send(c, iov, body.len ? 2 : 1);
}

/* The rest of a provider's answer stays where it is: its buffer changes hands, not its bytes. */
static void respond_adopt(struct conn *c, struct exchange *x, size_t sent)
{
	struct bf_buf empty = c->out;

	c->out = x->answer;
	x->answer = empty;
	x->answer_charged -= bf_buf_len(&c->out);
	bf_buf_consume(&c->out, sent);
	worker_answer_give(c->front->w, sent);
	front_later(c->front, c);
}

/* Keeps what the kernel did not take of an answer. */
static void respond_rest(struct conn *c, struct bf_slice head, struct bf_slice body, size_t sent)
{
	struct exchange *x = c->x;

	if (sent >= head.len + body.len)
		return;
	if (sent < head.len) {
		respond_queue(c, head.ptr + sent, head.len - sent);
		respond_queue(c, body.ptr, body.len);
	} else if (x && body.ptr == bf_buf_slice(&x->answer).ptr && !c->broken) {
		respond_adopt(c, x, sent - head.len);
	} else {
		respond_queue(c, body.ptr + (sent - head.len), body.len - (sent - head.len));
	}
}

struct respond_head {
	char text[RESPOND_HEAD_MAX];
	size_t len;
};

static void head_add(struct respond_head *h, const char *fmt, ...) BF_PRINTF(2, 3);

static void head_add(struct respond_head *h, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(h->text + h->len, sizeof(h->text) - h->len, fmt, ap);
	va_end(ap);
	/* Every value is bounded far below the whole; a line that does not fit is left out. */
	if (n > 0 && (size_t)n < sizeof(h->text) - h->len)
		h->len += (size_t)n;
}

/* Status line and the headers every answer has. Decides whether the connection stays. */
static void head_begin(struct conn *c, struct respond_head *h, int http_status,
		       struct bf_slice content_type)
{
	h->len = 0;
	if (front_closes(c->front) || (c->http10 && !c->keep_alive))
		c->keep_alive = false;
	head_add(h, "HTTP/1.1 %d %s\r\nDate: %s\r\n", http_status, respond_reason(http_status),
		 front_date(c->front));
	if (content_type.len)
		head_add(h, "Content-Type: %.*s\r\n", BF_SLICE_FMT(content_type));
	if (c->x && c->x->request_id.len)
		head_add(h, "X-Request-Id: %.*s\r\n", BF_SLICE_FMT(c->x->request_id));
	if (c->x && c->x->retry_after_s)
		head_add(h, "Retry-After: %u\r\n", c->x->retry_after_s);
	if (c->x && c->x->allow)
		head_add(h, "Allow: %s\r\n", c->x->allow);
	if (!c->keep_alive)
		head_add(h, "Connection: close\r\n");
	else if (c->http10)
		head_add(h, "Connection: keep-alive\r\n");
}

static void respond_whole(struct conn *c, int http_status, struct bf_slice content_type,
			  struct bf_slice body)
{
	struct respond_head h;

	if (http_status >= 500)
		worker_count(c->front->w, SHM_M_HTTP_ERRORS_5XX);
	else if (http_status >= 400)
		worker_count(c->front->w, SHM_M_HTTP_ERRORS_4XX);
	head_begin(c, &h, http_status, content_type);
	if (http_status != 204)
		head_add(&h, "Content-Length: %zu\r\n", body.len);
	head_add(&h, "\r\n");
	if (c->head_only)
		body.len = 0;
	conn_set_state(c, CONN_SENDING);
	const struct bf_slice head = {h.text, h.len};
	respond_rest(c, head, body, respond_write(c, head, body));
}

/* After the last byte of an answer was given: is it with the kernel already? */
static void respond_ended(struct conn *c)
{
	if (c->broken || bf_buf_len(&c->out) > 0)
		front_later(c->front, c);
	else
		conn_sent(c);
}

static void out_answer(struct exchange *x, int http_status, struct bf_slice content_type,
		       struct bf_slice body)
{
	struct conn *c = x->front;

	respond_whole(c, http_status, content_type, body);
	c->x = NULL;
	exchange_free(x);
	respond_ended(c);
}

void respond_error(struct conn *c, int http_status, const char *type, const char *message)
{
	struct bf_buf *text = &c->front->w->text;

	bf_buf_clear(text);
	if (error_write(text, ERROR_UNIFIED, http_status, type, message, NULL) < 0)
		bf_buf_clear(text);
	c->head_only = false;
	respond_whole(c, http_status, BF_SLICE_LIT("application/json"), bf_buf_slice(text));
	respond_ended(c);
}

void respond_continue(struct conn *c)
{
	const struct bf_slice line = BF_SLICE_LIT("HTTP/1.1 100 Continue\r\n\r\n");
	const struct bf_slice none = {NULL, 0};

	respond_rest(c, line, none, respond_write(c, line, none));
}

static void out_stream_start(struct exchange *x)
{
	struct conn *c = x->front;
	struct respond_head h;

	if (c->http10)
		c->keep_alive = false; /* no chunks there: the end is the end of the connection */
	head_begin(c, &h, 200, BF_SLICE_LIT("text/event-stream"));
	head_add(&h, "Cache-Control: no-cache\r\n%s\r\n",
		 c->http10 ? "" : "Transfer-Encoding: chunked\r\n");
	c->active_ms = bf_mono_ms();
	respond_queue(c, h.text, h.len);
}

static void out_stream_event(struct exchange *x, struct bf_slice bytes)
{
	struct conn *c = x->front;
	char size[24];
	int n = snprintf(size, sizeof(size), "%zx\r\n", bytes.len);

	if (bytes.len == 0)
		return; /* an empty chunk would end the body */
	if (bf_buf_len(&c->out) == 0)
		c->active_ms = bf_mono_ms();
	if (!c->http10)
		respond_queue(c, size, (size_t)n);
	respond_queue(c, bytes.ptr, bytes.len);
	if (!c->http10)
		respond_queue(c, "\r\n", 2);
}

static void out_stream_end(struct exchange *x)
{
	struct conn *c = x->front;

	if (!c->http10)
		respond_queue(c, "0\r\n\r\n", 5);
	c->x = NULL;
	exchange_free(x);
	conn_set_state(c, CONN_SENDING);
	front_later(c->front, c);
}

static bool out_stream_ready(const struct exchange *x)
{
	struct conn *c = x->front;

	if (!c->broken && bf_buf_len(&c->out) < CONN_STREAM_HIGH)
		return true;
	c->held = true;
	return false;
}

const struct exchange_out respond_out = {
    .answer = out_answer,
    .stream_start = out_stream_start,
    .stream_event = out_stream_event,
    .stream_end = out_stream_end,
    .stream_ready = out_stream_ready,
};

static void respond_drain_out(struct conn *c)
{
	struct bf_slice waiting = bf_buf_slice(&c->out);
	struct iovec iov = {(void *)(uintptr_t)waiting.ptr, waiting.len};
	size_t n = waiting.len ? respond_send(c, &iov, 1) : 0;

	bf_buf_consume(&c->out, n);
	worker_answer_give(c->front->w, n);
}

void respond_flush(struct conn *c)
{
	struct ev_loop *loop = c->front->w->loop;

	respond_drain_out(c);
	if (c->broken)
		return;
	if (bf_buf_len(&c->out) > 0)
		ev_io_start(loop, &c->writer);
	else
		ev_io_stop(loop, &c->writer);
	if (c->state == CONN_SENDING && bf_buf_len(&c->out) == 0) {
		conn_sent(c);
	} else if (c->held && c->x && bf_buf_len(&c->out) <= CONN_STREAM_LOW) {
		c->held = false;
		c->x->call_resume(c->x);
	}
}

void on_conn_writable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct conn *c = w->data;

	(void)loop;
	(void)revents;
	respond_flush(c);
}

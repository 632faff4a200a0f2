/*
 * Writing answers. Called by the gate through respond_out, by input for unreadable requests, and by
 * the loop. Head and body leave in one sendmsg; what a provider gives within one turn leaves in one
 * write at its end. Must never close a connection from within a provider's call: a broken one is
 * marked and closed at the end of the turn.
 */
#include "proxyd/front/respond.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "proxyd/front/front.h"
#include "proxyd/front/input.h"
#include "proxyd/front/respond_head.h"
#include "proxyd/front/transport.h"
#include "proxyd/gate/error.h"

/* An answer in the order it leaves. */
enum respond_piece {
	PIECE_HEAD,  /* our lines */
	PIECE_LINES, /* x->answer_head */
	PIECE_BLANK,
	PIECE_BODY,
	PIECE_COUNT,
};

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
	ssize_t n = transport_write(c->fd, c->tls, iov, count, c->front->record);

	if (n >= 0) {
		c->active_ms = bf_mono_coarse_ms();
		return (size_t)n;
	}
	if (n != -EAGAIN) {
		c->broken = true;
		front_later(c->front, c);
	}
	return 0;
}

/* Sends all pieces at once; returns how much of them the kernel took. */
static size_t respond_write(struct conn *c, const struct bf_slice *pieces, size_t count)
{
	struct iovec iov[PIECE_COUNT];
	size_t used = 0;

	/* What waits goes first. */
	if (bf_buf_len(&c->out) > 0 || c->broken)
		return 0;
	for (size_t i = 0; i < count; i++) {
		if (pieces[i].len)
			iov[used++] =
			    (struct iovec){(void *)(uintptr_t)pieces[i].ptr, pieces[i].len};
	}
	return respond_send(c, iov, used);
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
static void respond_rest(struct conn *c, const struct bf_slice *pieces, size_t count, size_t sent)
{
	struct exchange *x = c->x;

	for (size_t i = 0; i < count; i++) {
		struct bf_slice p = pieces[i];
		size_t gone = BF_MIN(sent, p.len);
		sent -= gone;
		if (gone == p.len)
			continue;
		if (i == PIECE_BODY && x && p.ptr == bf_buf_slice(&x->answer).ptr && !c->broken &&
		    bf_buf_len(&c->out) == 0)
			respond_adopt(c, x, gone);
		else
			respond_queue(c, p.ptr + gone, p.len - gone);
	}
}

static void respond_whole(struct conn *c, int http_status, struct bf_slice content_type,
			  struct bf_slice body)
{
	struct bf_slice pieces[PIECE_COUNT] = {[PIECE_BLANK] = BF_SLICE_LIT("\r\n")};
	struct respond_head h;

	if (http_status >= 500)
		worker_count(c->front->w, SHM_M_HTTP_ERRORS_5XX);
	else if (http_status >= 400)
		worker_count(c->front->w, SHM_M_HTTP_ERRORS_4XX);
	respond_head_begin(&h, c, http_status, content_type);
	if (http_status != 204)
		respond_head_number(&h, BF_SLICE_LIT("Content-Length: "), body.len);
	if (c->x)
		pieces[PIECE_LINES] = c->x->answer_head;
	if (!pieces[PIECE_LINES].len) {
		respond_head_lines(&h, pieces[PIECE_BLANK]);
		pieces[PIECE_BLANK].len = 0;
	}
	pieces[PIECE_HEAD] = respond_head_slice(&h);
	if (!c->head_only)
		pieces[PIECE_BODY] = body;
	conn_set_state(c, CONN_SENDING);
	respond_rest(c, pieces, PIECE_COUNT, respond_write(c, pieces, PIECE_COUNT));
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

	respond_rest(c, &line, 1, respond_write(c, &line, 1));
}

static void out_stream_start(struct exchange *x)
{
	struct conn *c = x->front;
	struct respond_head h;

	if (c->http10)
		c->keep_alive = false; /* no chunks there: the end is the end of the connection */
	respond_head_begin(&h, c, 200, BF_SLICE_LIT("text/event-stream"));
	respond_head_lines(&h, BF_SLICE_LIT("Cache-Control: no-cache\r\n"));
	if (!c->http10)
		respond_head_lines(&h, BF_SLICE_LIT("Transfer-Encoding: chunked\r\n"));
	c->active_ms = bf_mono_coarse_ms();
	respond_queue(c, h.text, h.len);
	respond_queue(c, x->answer_head.ptr, x->answer_head.len);
	respond_queue(c, "\r\n", 2);
}

/* "1f4\r\n"; returns its length. */
static size_t chunk_size(char out[24], size_t n)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = 1;

	for (size_t rest = n >> 4; rest; rest >>= 4)
		len++;
	for (size_t i = len; i-- > 0; n >>= 4)
		out[i] = digits[n & 15];
	memcpy(out + len, "\r\n", 2);
	return len + 2;
}

/* One chunk, at once: streams are nearly all that a busy worker does. */
static void respond_queue_chunk(struct conn *c, struct bf_slice bytes)
{
	char size[24];
	size_t head = chunk_size(size, bytes.len), len = head + bytes.len + 2;
	char *at;

	if (c->broken)
		return;
	front_later(c->front, c);
	if (!worker_answer_take(c->front->w, len)) {
		c->broken = true;
		return;
	}
	if (bf_buf_reserve(&c->out, len) < 0) {
		worker_answer_give(c->front->w, len);
		c->broken = true;
		return;
	}
	at = c->out.data + c->out.end;
	memcpy(at, size, head);
	memcpy(at + head, bytes.ptr, bytes.len);
	memcpy(at + head + bytes.len, "\r\n", 2);
	c->out.end += len;
}

static void out_stream_event(struct exchange *x, struct bf_slice bytes)
{
	struct conn *c = x->front;

	if (bytes.len == 0)
		return; /* an empty chunk would end the body */
	if (bf_buf_len(&c->out) == 0)
		c->active_ms = bf_mono_coarse_ms();
	if (c->http10)
		respond_queue(c, bytes.ptr, bytes.len);
	else
		respond_queue_chunk(c, bytes);
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
	if (c->state == CONN_HANDSHAKE)
		input_handshake(c);
	else
		respond_flush(c);
}

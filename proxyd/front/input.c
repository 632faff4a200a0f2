/*
 * Reading requests. Called by the loop and at the end of a turn. One read per readiness, into a
 * buffer shared by all connections; only an unfinished header section or pipelined bytes are kept.
 * Must never start a second request of a connection while one runs.
 */
#include "proxyd/front/input.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "proxyd/front/front.h"
#include "proxyd/front/respond.h"
#include "proxyd/gate/route.h"

void input_refuse(struct conn *c, int http_status, const char *type, const char *message)
{
	c->keep_alive = false;
	if (c->x)
		gate_refuse(c->x, http_status, type, "%s", message);
	else
		respond_error(c, http_status, type, message);
}

/* The type of an error found by the reader or by a limit. */
static const char *input_error_type(int http_status)
{
	switch (http_status) {
	case 413:
		return "body_too_large";
	case 414:
	case 431:
		return "header_too_large";
	case 503:
		return "body_memory_full";
	default:
		return "malformed_request";
	}
}

static const char *input_error_text(const struct conn *c, int http_status)
{
	if (http_status == 413)
		return "the request body is larger than client.max_request_body_size_mb";
	if (http_status == 503)
		return "too many request bodies in memory (server.body_memory)";
	return c->http.reason ? c->http.reason : "malformed request";
}

static void input_fail(struct conn *c, int http_status)
{
	if (http_status == 503 && c->x)
		c->x->retry_after_s = 1;
	input_refuse(c, http_status, input_error_type(http_status),
		     input_error_text(c, http_status));
}

static int on_input_body(void *ctx, const char *bytes, size_t len)
{
	struct conn *c = ctx;

	if (c->http.body_bytes + len > c->front->w->config->client.max_request_body_size_bytes)
		return 413;
	if (!gate_wants_body(c->x))
		return 0;
	int r = exchange_add_body(c->x, bytes, len);
	return r == 0 ? 0 : r == BF_E_LIMIT ? 413 : 503;
}

/* The request is complete. The exchange may be over, and the connection closed, when this returns.
 */
static void input_complete(struct conn *c)
{
	conn_set_state(c, CONN_BUSY);
	c->x->body = bf_buf_slice(&c->x->body_bytes);
	gate_enter(c->x);
}

/* Copies what the exchange needs of the header section: the bytes are gone after this read. */
static struct exchange *input_exchange(struct conn *c)
{
	const struct http1_head *head = &c->http.head;
	struct exchange *x = exchange_new(c->front->w);

	if (!x)
		return NULL;
	x->method = head->method;
	x->path = bf_arena_dup(&x->arena, head->path);
	x->query = bf_arena_dup(&x->arena, head->query);
	x->request_id = bf_arena_dup(&x->arena, head->request_id);
	x->body_encoded = head->body_encoded;
	x->started_mono_ns = bf_mono_ns();
	x->started_wall_ns = bf_wall_ns();
	x->out = &respond_out;
	x->front = c;
	if (x->path.ptr)
		return x;
	exchange_free(x);
	return NULL;
}

/* A status to refuse the body with before any of it is read, or 0. */
static int input_body_verdict(struct conn *c)
{
	const struct http1_head *head = &c->http.head;
	struct worker *w = c->front->w;

	if (head->content_length > w->config->client.max_request_body_size_bytes)
		return 413;
	if (gate_wants_body(c->x) && !worker_body_fits(w, head->content_length))
		return 503;
	return 0;
}

static void input_expect_body(struct conn *c)
{
	int status = input_body_verdict(c);

	if (status != 0) {
		input_fail(c, status);
		return;
	}
	if (c->http.head.expect_continue) {
		if (gate_will_refuse(c->x)) {
			/* The client waits for a go: refuse now, and never read a body it may or
			 * may not send. */
			c->keep_alive = false;
			gate_enter(c->x);
			return;
		}
		respond_continue(c);
	}
	if (c->state != CONN_CLOSED)
		conn_set_state(c, CONN_BODY);
}

static void input_begin(struct conn *c)
{
	const struct http1_head *head = &c->http.head;

	worker_count(c->front->w, SHM_M_HTTP_REQUESTS);
	c->keep_alive = head->keep_alive;
	c->http10 = head->http10;
	c->head_only = head->method == EXCHANGE_HEAD;
	c->x = input_exchange(c);
	if (!c->x) {
		input_refuse(c, 503, "out_of_memory", "no memory for another request");
		return;
	}
	gate_head(c->x);
	if (c->http.phase == HTTP1_DONE)
		input_complete(c);
	else
		input_expect_body(c);
}

static size_t input_head(struct conn *c, const char *bytes, size_t len)
{
	size_t max = c->front->w->config->server.read_buffer_size_bytes;
	long n = http1_read_head(&c->http, bytes, len, max);

	if (n < 0) {
		c->surplus = true;
		input_fail(c, c->http.status);
		return 0;
	}
	if (n == 0) {
		if (c->state == CONN_IDLE)
			conn_set_state(c, CONN_HEAD);
		return 0;
	}
	c->surplus = (size_t)n < len;
	input_begin(c);
	return (size_t)n;
}

static size_t input_body(struct conn *c, const char *bytes, size_t len)
{
	size_t n = http1_read_body(&c->http, bytes, len, on_input_body, c);

	c->active_ms = bf_mono_ms();
	c->surplus = n < len;
	if (c->http.phase == HTTP1_FAILED) {
		c->surplus = true;
		input_fail(c, c->http.status);
		return 0;
	}
	if (c->http.phase == HTTP1_DONE)
		input_complete(c);
	return n;
}

static bool input_reads(const struct conn *c)
{
	return c->state == CONN_IDLE || c->state == CONN_HEAD || c->state == CONN_BODY;
}

/* Works through bytes; returns how many are done with. */
static size_t input_run(struct conn *c, const char *bytes, size_t len)
{
	size_t used = 0, requests = 0;

	c->running = true;
	while (used < len && input_reads(c)) {
		if (c->state == CONN_IDLE && requests++ == CONN_REQUESTS_PER_TURN) {
			front_later(c->front, c);
			break;
		}
		size_t n = c->state == CONN_BODY ? input_body(c, bytes + used, len - used)
						 : input_head(c, bytes + used, len - used);
		if (n == 0)
			break;
		used += n;
	}
	c->running = false;
	return used;
}

/* Reading stops while enough pipelined bytes wait; a header section must be read to its end. */
void input_flow(struct conn *c)
{
	struct ev_loop *loop = c->front->w->loop;

	if (c->state == CONN_CLOSED)
		return;
	if (!c->eof && (c->state == CONN_HEAD || bf_buf_len(&c->in) < CONN_PENDING_MAX))
		ev_io_start(loop, &c->reader);
	else
		ev_io_stop(loop, &c->reader);
}

static void input_keep(struct conn *c, const char *bytes, size_t len)
{
	if (c->state == CONN_CLOSED || c->state == CONN_LINGER || len == 0)
		return;
	if (bf_buf_append(&c->in, bytes, len) < 0)
		conn_lost(c, EXCHANGE_CLIENT_GONE);
}

void input_resume(struct conn *c)
{
	if (!input_reads(c) || bf_buf_len(&c->in) == 0)
		return;
	struct bf_slice kept = bf_buf_slice(&c->in);
	size_t used = input_run(c, kept.ptr, kept.len);
	if (c->state == CONN_CLOSED || c->state == CONN_LINGER)
		return;
	bf_buf_consume(&c->in, used);
	if (bf_buf_len(&c->in) == 0)
		bf_buf_done(&c->in);
	/* All that was kept is served, or will never be complete, and nothing more can come. */
	if (c->eof && input_reads(c) && bf_list_empty(&c->turn_node))
		conn_close(c);
	else
		input_flow(c);
}

static void input_bytes(struct conn *c, const char *bytes, size_t len)
{
	if (!input_reads(c) || bf_buf_len(&c->in) > 0) {
		input_keep(c, bytes, len);
		input_resume(c);
	} else {
		size_t used = input_run(c, bytes, len);
		input_keep(c, bytes + used, len - used);
	}
	input_flow(c);
}

static void input_eof(struct conn *c)
{
	c->eof = true;
	ev_io_stop(c->front->w->loop, &c->reader);
	if (c->state == CONN_SENDING)
		return; /* it may still read its answer */
	conn_lost(c, EXCHANGE_CLIENT_GONE);
}

void on_conn_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct conn *c = w->data;
	char *scratch = c->front->scratch;
	ssize_t n = recv(c->fd, scratch, FRONT_READ_BYTES, 0);

	(void)loop;
	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		conn_lost(c, EXCHANGE_CLIENT_GONE);
	else if (n == 0)
		input_eof(c);
	else if (c->state != CONN_LINGER)
		input_bytes(c, scratch, (size_t)n);
}

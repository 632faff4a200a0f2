/*
 * Reading requests. Called by the loop and at the end of a turn. One read per readiness, into a
 * buffer shared by all connections; only an unfinished header section or pipelined bytes are kept.
 * Must never start a second request of a connection while one runs.
 */
#include "proxyd/front/input.h"

#include <errno.h>

#include "common/base/clock.h"
#include "common/ipc/messages_entity.h"
#include "common/log/log.h"
#include "common/net/tls_server.h"
#include "proxyd/front/cors.h"
#include "proxyd/front/front.h"
#include "proxyd/front/input_exchange.h"
#include "proxyd/front/respond.h"
#include "proxyd/front/transport.h"
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

/* Of what is configured and of what its path takes the lesser. */
static uint64_t input_body_max(const struct conn *c)
{
	return BF_MIN(c->front->w->client->max_request_body_size_bytes, gate_body_max(c->x));
}

_Static_assert(BF_ENTITY_CHANGE_BODY_MAX == 60000, "as the text says");
#define INPUT_API_BODY_TEXT "the request body has more than 60000 bytes: send less at once"

static const char *input_error_text(const struct conn *c, int http_status)
{
	if (http_status == 413 && c->x && gate_body_max(c->x) == input_body_max(c))
		return INPUT_API_BODY_TEXT;
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

	if (c->http.body_bytes + len > input_body_max(c))
		return 413;
	if (!gate_wants_body(c->x))
		return 0;
	int r = exchange_add_body(c->x, bytes, len);
	return r == 0 ? 0 : r == BF_E_LIMIT ? 413 : 503;
}

/* A browser's question whether a page may call: answered here, whatever the path, unless it is one
 * that no page may call. */
static void input_preflight(struct exchange *x)
{
	const struct bf_conf_client *client = x->worker->client;
	const struct bf_slice none = {NULL, 0};
	struct cors_lines lines;

	if (!cors_allows(client, exchange_header(x, "origin"))) {
		gate_refuse(x, 403, "origin_not_allowed",
			    "pages of this origin may not call: add it to client.allowed_origins");
		return;
	}
	cors_preflight_lines(client, exchange_header(x, "access-control-request-headers"), &lines);
	x->answer_head = bf_arena_dup(&x->arena, (struct bf_slice){lines.text, lines.len});
	exchange_set_state(x, EXCHANGE_DONE);
	x->out->answer(x, 204, none, none);
}

static void input_enter(struct exchange *x)
{
	if (cors_is_preflight(x) && !gate_is_api(x->path))
		input_preflight(x);
	else
		gate_enter(x);
}

/* The request is complete. The exchange may be over, and the connection closed, when this returns.
 */
static void input_complete(struct conn *c)
{
	conn_set_state(c, CONN_BUSY);
	c->x->body = bf_buf_slice(&c->x->body_bytes);
	input_enter(c->x);
}

/* A status to refuse the body with before any of it is read, or 0. */
static int input_body_verdict(struct conn *c)
{
	const struct http1_head *head = &c->http.head;
	struct worker *w = c->front->w;

	if (head->content_length > input_body_max(c))
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
			input_enter(c->x);
			return;
		}
		respond_continue(c);
	}
	if (c->state != CONN_CLOSED)
		conn_set_state(c, CONN_BODY);
}

/* section: the whole header section that c->http.head speaks of. */
static void input_begin(struct conn *c, struct bf_slice section)
{
	const struct http1_head *head = &c->http.head;

	worker_count(c->front->w, SHM_M_HTTP_REQUESTS);
	c->keep_alive = head->keep_alive;
	c->http10 = head->http10;
	c->head_only = head->method == EXCHANGE_HEAD;
	c->x = input_exchange(c, section);
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
	input_begin(c, (struct bf_slice){bytes, (size_t)n});
	return (size_t)n;
}

static size_t input_body(struct conn *c, const char *bytes, size_t len)
{
	size_t n = http1_read_body(&c->http, bytes, len, on_input_body, c);

	c->active_ms = bf_mono_coarse_ms();
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
	if (c->eof || (c->state != CONN_HEAD && bf_buf_len(&c->in) >= CONN_PENDING_MAX)) {
		ev_io_stop(loop, &c->reader);
		return;
	}
	ev_io_start(loop, &c->reader);
	if (c->unread)
		front_later(c->front, c);
}

static void input_keep(struct conn *c, const char *bytes, size_t len)
{
	if (c->state == CONN_CLOSED || c->state == CONN_LINGER || len == 0)
		return;
	if (bf_buf_append(&c->in, bytes, len) < 0)
		conn_lost(c, EXCHANGE_CLIENT_GONE);
}

static void input_resume(struct conn *c)
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

static void input_read(struct conn *c)
{
	char *scratch = c->front->scratch;
	ssize_t n = transport_read(c->fd, c->tls, scratch, FRONT_READ_BYTES);

	c->unread = c->tls && n == FRONT_READ_BYTES;
	if (n == -EAGAIN)
		return;
	if (n < 0)
		conn_lost(c, EXCHANGE_CLIENT_GONE);
	else if (n == 0)
		input_eof(c);
	else if (c->state != CONN_LINGER)
		input_bytes(c, scratch, (size_t)n);
}

void input_more(struct conn *c)
{
	input_resume(c);
	if (c->state != CONN_CLOSED && c->unread && ev_is_active(&c->reader))
		input_read(c);
}

static void input_handshake_failed(struct conn *c, enum bf_tls_step step, const char *why)
{
	worker_count(c->front->w, SHM_M_TLS_FAILED);
	bf_log(BF_LOG_DEBUG, "tls_handshake_failed", "reason=%s", bf_log_quote(why));
	bf_tls_peer_free(c->tls);
	c->tls = NULL;
	if (step == BF_TLS_STEP_PLAIN)
		input_refuse(c, 400, "tls_required", "this port speaks TLS: use https://");
	else
		conn_lost(c, EXCHANGE_CLIENT_GONE);
}

void input_handshake(struct conn *c)
{
	struct ev_loop *loop = c->front->w->loop;
	char why[160];
	enum bf_tls_step step = bf_tls_peer_handshake(c->tls, why);

	if (step == BF_TLS_STEP_WRITE)
		ev_io_start(loop, &c->writer);
	else
		ev_io_stop(loop, &c->writer);
	switch (step) {
	case BF_TLS_STEP_UP:
		worker_count(c->front->w, SHM_M_TLS_HANDSHAKES);
		conn_set_state(c, CONN_IDLE);
		input_read(c); /* a request may have come along */
		break;
	case BF_TLS_STEP_PLAIN:
	case BF_TLS_STEP_FAILED:
		input_handshake_failed(c, step, why);
		break;
	case BF_TLS_STEP_READ:
	case BF_TLS_STEP_WRITE:
		break;
	}
}

void on_conn_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct conn *c = w->data;

	(void)loop;
	(void)revents;
	if (c->state == CONN_HANDSHAKE)
		input_handshake(c);
	else
		input_read(c);
}

/*
 * Life and end of a client connection. Called by the front, input and respond. Must never free a
 * connection while a caller further up may still hold it: closed ones wait on the dead list until
 * the turn ends.
 */
#include "proxyd/front/conn.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/log/log.h"
#include "common/net/addr.h"
#include "common/net/tls_server.h"
#include "proxyd/front/front.h"
#include "proxyd/front/input.h"
#include "proxyd/front/respond.h"

#define NEXT(s) (1u << (s))

static const struct {
	const char *name;
	unsigned next;
} conn_states[CONN_STATE_COUNT] = {
    [CONN_HANDSHAKE] = {"handshake", NEXT(CONN_IDLE) | NEXT(CONN_SENDING) | NEXT(CONN_CLOSED)},
    [CONN_IDLE] = {"idle", NEXT(CONN_HEAD) | NEXT(CONN_BODY) | NEXT(CONN_BUSY) |
			       NEXT(CONN_SENDING) | NEXT(CONN_CLOSED)},
    [CONN_HEAD] = {"head",
		   NEXT(CONN_BODY) | NEXT(CONN_BUSY) | NEXT(CONN_SENDING) | NEXT(CONN_CLOSED)},
    [CONN_BODY] = {"body", NEXT(CONN_BUSY) | NEXT(CONN_SENDING) | NEXT(CONN_CLOSED)},
    [CONN_BUSY] = {"busy", NEXT(CONN_SENDING) | NEXT(CONN_CLOSED)},
    [CONN_SENDING] = {"sending", NEXT(CONN_IDLE) | NEXT(CONN_LINGER) | NEXT(CONN_CLOSED)},
    [CONN_LINGER] = {"linger", NEXT(CONN_CLOSED)},
    [CONN_CLOSED] = {"closed", 0},
};

const char *conn_state_name(enum conn_state s)
{
	return (unsigned)s < CONN_STATE_COUNT ? conn_states[s].name : "unknown";
}

void conn_set_state(struct conn *c, enum conn_state next)
{
	assert(conn_states[c->state].next & NEXT(next));
	c->front->idle_count -= c->state == CONN_IDLE;
	c->front->idle_count += next == CONN_IDLE;
	c->state = next;
	c->since_ms = c->active_ms = bf_mono_coarse_ms();
}

static void conn_gauge(const struct front *f)
{
	shm_metric_set(f->w->seg, f->w->proc_slot, SHM_M_CONNECTIONS_OPEN, f->conn_count);
}

static void conn_init(struct conn *c, struct front *f, int fd, const struct bf_addr *peer)
{
	c->front = f;
	c->fd = fd;
	c->from_loopback = !peer || bf_addr_is_loopback(peer);
	if (peer)
		bf_addr_bytes(peer, c->peer);
	c->state = c->tls ? CONN_HANDSHAKE : CONN_IDLE;
	c->since_ms = c->active_ms = bf_mono_coarse_ms();
	http1_init(&c->http, &f->table);
	bf_buf_init_nodump(&c->in, f->w->config->server.read_buffer_size_bytes + FRONT_READ_BYTES +
				       CONN_PENDING_MAX);
	bf_buf_init_nodump(&c->out, RESPOND_OUT_MAX);
	ev_io_init(&c->reader, on_conn_readable, fd, EV_READ);
	ev_io_init(&c->writer, on_conn_writable, fd, EV_WRITE);
	c->reader.data = c->writer.data = c;
	bf_list_init(&c->turn_node);
}

struct conn *conn_new(struct front *f, int fd, const struct bf_addr *peer)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	if (f->w->tls) {
		c->tls = bf_tls_peer_new(f->w->tls, fd);
		if (!c->tls) {
			free(c);
			return NULL;
		}
	}
	conn_init(c, f, fd, peer);
	bf_list_append(&f->conns, &c->node);
	f->conn_count++;
	f->idle_count += c->state == CONN_IDLE;
	worker_count(f->w, SHM_M_CONNECTIONS_OPENED);
	conn_gauge(f);
	ev_io_start(f->w->loop, &c->reader);
	return c;
}

/* From here on there is only the bare socket. */
static void conn_end_tls(struct conn *c)
{
	bf_tls_peer_free(c->tls);
	c->tls = NULL;
	c->unread = false;
}

void conn_close(struct conn *c)
{
	struct front *f = c->front;

	if (c->state == CONN_CLOSED)
		return;
	if (c->x) {
		exchange_free(c->x);
		c->x = NULL;
	}
	conn_set_state(c, CONN_CLOSED);
	ev_io_stop(f->w->loop, &c->reader);
	ev_io_stop(f->w->loop, &c->writer);
	conn_end_tls(c);
	(void)close(c->fd);
	c->fd = -1;
	worker_answer_give(f->w, bf_buf_len(&c->out));
	bf_buf_clear(&c->out);
	bf_list_remove(&c->turn_node);
	bf_list_remove(&c->node);
	bf_list_append(&f->dead, &c->node);
	f->conn_count--;
	conn_gauge(f);
}

void conn_lost(struct conn *c, const char *why)
{
	struct exchange *x = c->x;

	if (c->state == CONN_CLOSED)
		return;
	if (x && (x->state == EXCHANGE_CALLING || x->state == EXCHANGE_STREAMING))
		x->cancel(x, why);
	conn_close(c);
}

/* A request whose answer has not begun: it may come again. */
static void conn_turn_away(struct conn *c)
{
	if (c->x)
		c->x->retry_after_s = 1;
	input_refuse(c, 503, EXCHANGE_WORKER_LEFT, EXCHANGE_WORKER_LEFT_TEXT);
}

void conn_leave(struct conn *c)
{
	if (c->state == CONN_CLOSED)
		return;
	c->keep_alive = false;
	if (c->state == CONN_BODY || c->state == CONN_HEAD)
		conn_turn_away(c);
	else if (c->x && (c->x->state == EXCHANGE_CALLING || c->x->state == EXCHANGE_STREAMING))
		c->x->cancel(c->x, EXCHANGE_WORKER_LEFT);
	if (c->state != CONN_CLOSED && !c->broken && bf_buf_len(&c->out) > 0)
		respond_flush(c);
	conn_close(c);
}

void conn_free(struct conn *c)
{
	assert(c->state == CONN_CLOSED);
	bf_buf_done(&c->in);
	bf_buf_done(&c->out);
	free(c);
}

/* Input that nobody will answer is left unread in the kernel: closing now would reset the
 * connection under the answer. */
static void conn_linger(struct conn *c)
{
	conn_set_state(c, CONN_LINGER);
	bf_buf_clear(&c->in); /* freed with the connection: a caller may still look at it */
	conn_end_tls(c);
	(void)shutdown(c->fd, SHUT_WR);
	ev_io_start(c->front->w->loop, &c->reader);
}

void conn_sent(struct conn *c)
{
	/* Further up the stack the bytes in hand are not all consumed yet: there `surplus` knows.
	 */
	bool more = c->running ? c->surplus : bf_buf_len(&c->in) > 0;
	bool clean = c->http.phase == HTTP1_DONE && !more;

	bf_buf_done(&c->out);
	if (!c->keep_alive || (c->eof && clean)) {
		if (clean || c->eof)
			conn_close(c);
		else
			conn_linger(c);
		return;
	}
	conn_set_state(c, CONN_IDLE);
	http1_reset(&c->http);
	/* Further up the stack the loop over the input goes on by itself. */
	if (!c->running && more)
		front_later(c->front, c);
	if (!c->running)
		input_flow(c);
}

/* A body may pause for body_timeout, and take as long as its bytes do at the least rate: who sends
 * one byte a minute holds memory for days. */
static int64_t conn_body_deadline_ms(const struct conn *c, int64_t timeout_ms)
{
	uint64_t bytes =
	    c->http.head.chunked ? c->http.body_bytes : (uint64_t)c->http.head.content_length;
	int64_t whole_ms = (int64_t)(bytes / (CONN_BODY_LEAST_RATE / 1000u));

	return BF_MIN(c->active_ms + timeout_ms, c->since_ms + timeout_ms + whole_ms);
}

static int64_t conn_deadline_ms(const struct conn *c)
{
	const struct bf_conf_server *s = &c->front->w->config->server;

	switch (c->state) {
	case CONN_HANDSHAKE:
		return c->since_ms + s->header_timeout_ms;
	case CONN_IDLE:
		return c->since_ms + s->idle_timeout_ms;
	case CONN_HEAD:
		return c->since_ms + s->header_timeout_ms;
	case CONN_BODY:
		return conn_body_deadline_ms(c, s->body_timeout_ms);
	case CONN_BUSY:
		/* The provider has deadlines of its own; a client that does not read has this one.
		 */
		return bf_buf_len(&c->out) ? c->active_ms + s->write_timeout_ms : INT64_MAX;
	case CONN_SENDING:
		return c->active_ms + s->write_timeout_ms;
	case CONN_LINGER:
		return c->since_ms + CONN_LINGER_MS;
	case CONN_CLOSED:
	case CONN_STATE_COUNT:
		break;
	}
	return INT64_MAX;
}

/* A client with many pipelined bytes is not read while its request runs: its end must be asked for.
 */
static bool conn_left_unseen(struct conn *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};

	if (c->state != CONN_BUSY || ev_is_active(&c->reader))
		return false;
	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* Memory that a quiet stream does not use: a page, but one of each. */
static void conn_trim(struct conn *c, int64_t now_ms)
{
	if (c->out.size && bf_buf_len(&c->out) == 0 && now_ms - c->active_ms >= CONN_QUIET_MS)
		bf_buf_done(&c->out);
}

void conn_check_time(struct conn *c, int64_t now_ms)
{
	conn_trim(c, now_ms);
	if (conn_left_unseen(c)) {
		conn_lost(c, EXCHANGE_CLIENT_GONE);
		return;
	}
	if (now_ms < conn_deadline_ms(c))
		return;
	bf_log(BF_LOG_DEBUG, "conn_timeout", "state=%s", conn_state_name(c->state));
	if (c->state == CONN_HANDSHAKE)
		worker_count(c->front->w, SHM_M_TLS_FAILED);
	if (c->state == CONN_HEAD)
		input_refuse(c, 408, "request_timeout",
			     "the header section did not arrive within server.header_timeout");
	else if (c->state == CONN_BODY)
		input_refuse(c, 408, "request_timeout",
			     "the body paused for longer than server.body_timeout, or came at less "
			     "than 1000 bytes a second");
	else
		conn_lost(c, EXCHANGE_CLIENT_GONE);
}

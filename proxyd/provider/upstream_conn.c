/*
 * One connection to an upstream: connect, TLS, send, read. Called by the loop and by calls. Must
 * never free itself within a turn, and never touch its call once an event said that it is over.
 */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/net/pieces.h"
#include "proxyd/provider/upstream_priv.h"
#include "proxyd/worker.h"

/* Payload of one TLS record. */
#define CONN_RECORD_BYTES (16u << 10)

void upstream_conn_close(struct upstream_conn *c)
{
	struct upstream *up = c->up;

	if (c->state == UPSTREAM_DEAD)
		return;
	ev_io_stop(up->loop, &c->reader);
	ev_io_stop(up->loop, &c->writer);
	bf_tls_close(c->tls);
	c->tls = NULL;
	(void)close(c->fd);
	c->fd = -1;
	c->call = NULL;
	upstream_conn_set_state(c, UPSTREAM_DEAD);
	*c->prev_next = c->next;
	if (c->next)
		c->next->prev_next = c->prev_next;
	up->conn_count--;
	upstream_queue_stir(up->queue);
	c->next = up->dead;
	c->prev_next = NULL;
	up->dead = c;
	ev_prepare_start(up->loop, &up->burier);
}

/*
 * The idle race is over when word of the end that was on its way, or the reset that our bytes met,
 * comes back: one round trip. Three of them forgive a busy host, and 50 ms our own coarse clock and
 * a late turn of the loop; a connection that seems slower than 250 ms is not believed.
 */
static int64_t conn_race_ms(const struct upstream_conn *c)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
		return UPSTREAM_RACE_MIN_MS;
	int64_t ms = 3 * (int64_t)info.tcpi_rtt / 1000;
	return BF_MIN(BF_MAX(ms, (int64_t)UPSTREAM_RACE_MIN_MS), (int64_t)UPSTREAM_RACE_MAX_MS);
}

/*
 * Did the other side end the connection before it could know of the request? Then it may be sent
 * again without asking anybody. An end in order that acknowledges all of it came from a server that
 * had it. A reset, which a kernel sends for bytes that nobody read or nobody was there for, is
 * taken for the race when it comes at once, although a server that insists can send one too.
 * Nothing that took longer is.
 */
static bool conn_is_unheard(const struct upstream_conn *c, bool orderly)
{
	int unacknowledged = 0;

	if (bf_mono_coarse_ms() - c->since_ms > conn_race_ms(c))
		return false;
	if (!orderly || c->call->sent < c->call->total)
		return true;
	return ioctl(c->fd, TIOCOUTQ, &unacknowledged) == 0 && unacknowledged > 0;
}

/* Closes, then tells the call that its connection is gone. */
static void conn_cut(struct upstream_conn *c, bool orderly, const char *why)
{
	struct upstream_call *call = c->call;
	bool again = call && call->reused && !call->answered && conn_is_unheard(c, orderly);

	upstream_conn_close(c);
	if (again)
		upstream_call_repeat(call);
	else if (call)
		upstream_call_fail(call, 502, "upstream_closed", "%s", why);
}

/* ---- sending */

/* The part of the request that is not sent yet. */
static unsigned conn_rest(const struct upstream_call *call, struct iovec *out)
{
	size_t skip = call->sent;
	unsigned n = 0;

	for (unsigned i = 0; i < call->iov_count; i++) {
		const struct iovec *v = &call->iov[i];
		if (skip >= v->iov_len) {
			skip -= v->iov_len;
			continue;
		}
		out[n++] = (struct iovec){(char *)v->iov_base + skip, v->iov_len - skip};
		skip = 0;
	}
	return n;
}

/* Room for so many bytes that leave together; NULL: no memory. */
static char *conn_scratch(struct upstream_conn *c, size_t bytes)
{
	struct bf_buf *out = &c->up->out;

	bf_buf_clear(out);
	return bf_buf_reserve(out, bytes) < 0 ? NULL : out->data + out->end;
}

static ssize_t conn_send_plain(struct upstream_conn *c, struct iovec *iov, unsigned count)
{
	size_t left = c->call->total - c->call->sent;
	char *scratch = left <= BF_PIECES_JOIN_BYTES ? conn_scratch(c, BF_PIECES_JOIN_BYTES) : NULL;

	return bf_pieces_send(c->fd, iov, count, scratch);
}

/* Whole records: a head and a small body leave in one. */
static ssize_t conn_send_tls(struct upstream_conn *c, const struct iovec *iov, unsigned count)
{
	char *scratch = conn_scratch(c, CONN_RECORD_BYTES);
	struct bf_slice record;

	if (!scratch)
		return -ENOMEM;
	record = bf_pieces_cut(iov, count, 0, CONN_RECORD_BYTES, scratch);
	return bf_tls_write(c->tls, record.ptr, record.len);
}

/* As much as the socket takes. An error shows again when the answer is read: it may be there. */
static void conn_send(struct upstream_conn *c)
{
	struct upstream_call *call = c->call;
	struct ev_loop *loop = c->up->loop;

	while (call->sent < call->total) {
		struct iovec rest[UPSTREAM_IOV_MAX] = {{0}};
		unsigned count = conn_rest(call, rest);
		ssize_t n =
		    c->tls ? conn_send_tls(c, rest, count) : conn_send_plain(c, rest, count);
		if (n == -EAGAIN) {
			ev_io_start(loop, &c->writer);
			return;
		}
		if (n < 0)
			break;
		call->sent += (size_t)n;
	}
	ev_io_stop(loop, &c->writer);
}

/* ---- reading */

static bool on_conn_head(void *ctx, const struct upstream_head *head)
{
	struct upstream_conn *c = ctx;

	upstream_call_answers(c->call);
	return c->call->events->on_head(c->call, head);
}

static bool on_conn_body(void *ctx, struct bf_slice bytes)
{
	struct upstream_conn *c = ctx;

	if (!c->call) {
		c->drained += bytes.len;
		return c->state == UPSTREAM_DRAINING && c->drained <= UPSTREAM_DRAIN_BYTES;
	}
	/* A released call leaves a connection that reads on. */
	return c->call->events->on_body(c->call, bytes) || c->state == UPSTREAM_DRAINING;
}

static const struct upstream_http_events conn_http_events = {
    .on_head = on_conn_head,
    .on_body = on_conn_body,
};

/* The answer is complete: the connection is free, or closed, before its call hears of it. */
static void conn_message_done(struct upstream_conn *c, bool more_bytes)
{
	struct upstream_call *call = c->call;
	bool whole = !call || call->sent == call->total;

	c->call = NULL;
	if (c->http.keep_alive && whole && !more_bytes && !upstream_conn_is_old(c, c->since_ms))
		upstream_conn_set_state(c, UPSTREAM_IDLE);
	else
		upstream_conn_close(c);
	if (call)
		upstream_call_ended(call);
}

static void conn_garbage(struct upstream_conn *c)
{
	struct upstream_call *call = c->call;
	const char *why = c->http.reason; /* static text */

	upstream_conn_close(c);
	if (call)
		upstream_call_fail(call, 502, "upstream_protocol_error",
				   "the provider's answer cannot be read: %s", why);
}

/* Looks at where the answer stands. */
static void conn_judge(struct upstream_conn *c, bool more_bytes)
{
	if (c->http.phase == UPSTREAM_HTTP_DONE)
		conn_message_done(c, more_bytes);
	else if (c->http.phase == UPSTREAM_HTTP_FAILED)
		conn_garbage(c);
	else if (c->state == UPSTREAM_DRAINING && c->drained > UPSTREAM_DRAIN_BYTES)
		upstream_conn_close(c);
}

static void conn_feed(struct upstream_conn *c, size_t len)
{
	if (c->state == UPSTREAM_IDLE) {
		upstream_conn_close(c); /* nobody asked: it cannot be trusted to be in step */
		return;
	}
	if (c->call)
		c->call->answered = true;
	size_t used = upstream_http_feed(&c->http, c->up->in, len, &conn_http_events, c);
	if (c->state != UPSTREAM_DEAD)
		conn_judge(c, used < len);
}

static void conn_end(struct upstream_conn *c, bool orderly)
{
	if (!c->call || !c->call->answered) {
		conn_cut(c, orderly,
			 orderly ? "the provider closed the connection"
				 : "the connection to the provider was cut");
		return;
	}
	upstream_http_end(&c->http, orderly);
	if (c->http.phase == UPSTREAM_HTTP_DONE)
		conn_message_done(c, false);
	else
		conn_cut(c, orderly, "the provider's answer was cut off");
}

/* Shall reading stop for now? */
static bool conn_pause(struct upstream_conn *c)
{
	struct upstream_call *call = c->call;

	if (!call || call->events->wants_more(call))
		return false;
	call->paused = true;
	ev_io_stop(c->up->loop, &c->reader);
	return true;
}

static ssize_t conn_recv(struct upstream_conn *c)
{
	if (c->tls)
		return bf_tls_read(c->tls, c->up->in, UPSTREAM_READ_BYTES);
	ssize_t n = recv(c->fd, c->up->in, UPSTREAM_READ_BYTES, MSG_DONTWAIT);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR ? -EAGAIN : BF_E_CLOSED;
}

/* One read; of a TLS connection a few, because what it decrypted makes no event. */
static void conn_read(struct upstream_conn *c)
{
	for (unsigned i = 0; i < UPSTREAM_READS_PER_TURN; i++) {
		ssize_t n = conn_recv(c);
		if (n == -EAGAIN) {
			if (c->tls && bf_tls_read_wants_write(c->tls))
				ev_io_start(c->up->loop, &c->writer);
			return;
		}
		if (n <= 0) {
			conn_end(c, n == 0);
			return;
		}
		conn_feed(c, (size_t)n);
		if (c->state == UPSTREAM_DEAD || conn_pause(c) || !c->tls)
			return;
		if (!bf_tls_pending(c->tls))
			return;
	}
	ev_feed_event(c->up->loop, &c->reader, EV_READ);
}

/* ---- coming up */

static void conn_up(struct upstream_conn *c)
{
	struct upstream_call *call = c->call;

	ev_io_stop(c->up->loop, &c->writer);
	ev_io_start(c->up->loop, &c->reader);
	upstream_call_connected(call);
	upstream_conn_use(c, call);
}

static void conn_handshake(struct upstream_conn *c)
{
	struct ev_loop *loop = c->up->loop;
	struct upstream_call *call = c->call;
	struct bf_err err = {0};
	int r = bf_tls_handshake(c->tls, &err);

	if (r == BF_TLS_DONE) {
		conn_up(c);
	} else if (r < 0) {
		upstream_conn_close(c);
		upstream_call_fail(call, 502, "upstream_tls_failed", "TLS with the provider: %s",
				   err.text);
	} else if (r == BF_TLS_WANT_WRITE) {
		ev_io_start(loop, &c->writer);
	} else {
		ev_io_stop(loop, &c->writer);
	}
}

static void conn_begin_tls(struct upstream_conn *c)
{
	struct upstream *up = c->up;
	struct upstream_call *call = c->call;
	struct bf_err err = {0};

	if (bf_tls_open(up->trust, c->fd, up->target.host, &up->session, &c->tls, &err) < 0) {
		upstream_conn_close(c);
		upstream_call_fail(call, 502, "upstream_tls_failed", "%s", err.text);
		return;
	}
	upstream_conn_set_state(c, UPSTREAM_HANDSHAKE);
	ev_io_start(up->loop, &c->reader);
	conn_handshake(c);
}

static void conn_connected(struct upstream_conn *c)
{
	struct upstream_call *call = c->call;
	int code = 0;
	socklen_t size = sizeof(code);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0)
		code = errno;
	if (code) {
		upstream_conn_close(c);
		upstream_call_connect_failed(call, bf_err_text(-code));
		return;
	}
	if (c->up->trust)
		conn_begin_tls(c);
	else
		conn_up(c);
}

static void on_conn_readable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct upstream_conn *c = io->data;

	(void)loop;
	(void)revents;
	/* An event of this turn may come to a connection that was closed in it. */
	if (c->state == UPSTREAM_DEAD)
		return;
	if (c->state == UPSTREAM_HANDSHAKE)
		conn_handshake(c);
	else
		conn_read(c);
}

static void on_conn_writable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct upstream_conn *c = io->data;

	(void)revents;
	switch (c->state) {
	case UPSTREAM_CONNECTING:
		conn_connected(c);
		break;
	case UPSTREAM_HANDSHAKE:
		conn_handshake(c);
		break;
	case UPSTREAM_BUSY:
		conn_send(c);
		if (c->tls && bf_tls_read_wants_write(c->tls))
			conn_read(c);
		break;
	case UPSTREAM_DRAINING:
	case UPSTREAM_IDLE:
		ev_io_stop(loop, io);
		break;
	case UPSTREAM_DEAD:
	case UPSTREAM_CONN_STATE_COUNT:
		break;
	}
}

static int conn_socket(const struct worker *w, const struct bf_addr *addr)
{
	int one = 1;
	int fd = socket(addr->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (w && !worker_fd_fits(w, fd, WORKER_FDS_BEYOND_CALLS)) {
		(void)close(fd);
		return -EMFILE;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)&addr->ss, addr->len) < 0 &&
	    errno != EINPROGRESS) {
		int code = -errno;
		(void)close(fd);
		return code;
	}
	return fd;
}

struct upstream_conn *upstream_conn_dial(struct upstream *up, const struct bf_addr *addr,
					 struct upstream_call *call, int *ret_code)
{
	struct upstream_conn *c = calloc(1, sizeof(*c));
	int fd = c ? conn_socket(up->queue->worker, addr) : -ENOMEM;

	if (fd < 0) {
		free(c);
		*ret_code = fd;
		return NULL;
	}
	c->up = up;
	c->born_ms = bf_mono_ms();
	c->fd = fd;
	c->call = call;
	c->state = UPSTREAM_CONNECTING;
	ev_io_init(&c->reader, on_conn_readable, fd, EV_READ);
	ev_io_init(&c->writer, on_conn_writable, fd, EV_WRITE);
	c->reader.data = c->writer.data = c;
	c->next = up->conns;
	c->prev_next = &up->conns;
	if (c->next)
		c->next->prev_next = &c->next;
	up->conns = c;
	up->conn_count++;
	ev_io_start(up->loop, &c->writer);
	return c;
}

void upstream_conn_use(struct upstream_conn *c, struct upstream_call *call)
{
	upstream_conn_set_state(c, UPSTREAM_BUSY);
	upstream_http_reset(&c->http);
	c->http.lines.arena = call->arena;
	c->drained = 0;
	c->call = call;
	call->conn = c;
	call->sent = 0;
	call->attempts++;
	conn_send(c);
}

void upstream_conn_wake(struct upstream_conn *c)
{
	ev_io_start(c->up->loop, &c->reader);
	if (c->tls && bf_tls_pending(c->tls))
		ev_feed_event(c->up->loop, &c->reader, EV_READ);
}

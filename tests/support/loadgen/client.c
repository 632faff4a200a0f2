/*
 * One connection of the load generator. Called by load.c; must tell each end of a request as it was
 * seen on the wire.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "tests/support/loadgen/load_priv.h"
#include "tests/support/wire/words.h"

#define RETRY_NS 10000000

static void watch(struct client *c, int op, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = c};

	(void)epoll_ctl(c->load->epoll, op, c->link.fd, &e);
	c->waits_for_room = events & EPOLLOUT;
}

static void closed(struct client *c)
{
	link_close(&c->link);
	c->state = CLIENT_CLOSED;
	c->retry_ns = c->load->now_ns + RETRY_NS;
}

/* A connection that has served its time; the next one at once. */
static void replace(struct client *c)
{
	closed(c);
	if (!c->load->options->idle)
		client_connect(c);
}

static int open_socket(const struct options *o)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
	struct addrinfo *at = NULL;
	int on = 1, fd;

	if (getaddrinfo(o->host, o->port, &hints, &at) != 0)
		return -EINVAL;
	fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (connect(fd, at->ai_addr, at->ai_addrlen) != 0 && errno != EINPROGRESS) {
			(void)close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(at);
	return fd;
}

void client_connect(struct client *c)
{
	struct load *l = c->load;
	int fd = open_socket(l->options);

	l->report.connects++;
	if (fd < 0 || link_open(&c->link, fd, l->tls, false) != 0) {
		l->report.connect_errors++;
		c->link.fd = -1;
		closed(c);
		return;
	}
	c->state = CLIENT_CONNECTING;
	watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

static void on_connected(struct client *c)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(c->link.fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error) {
		c->load->report.connect_errors++;
		closed(c);
		return;
	}
	watch(c, EPOLL_CTL_MOD, EPOLLIN);
	load_free_client(c->load, c);
}

/* ---- the end of a request */

static void count(struct client *c, enum load_end end)
{
	struct load *l = c->load;
	struct load_report *r = &l->report;

	r->requests++;
	r->ends[end]++;
	if (c->reply.status > 0 && c->reply.status < LOAD_STATUS_MAX)
		r->statuses[c->reply.status]++;
	r->events += c->seen.events;
	r->tokens += c->seen.tokens;
	if (c->intended_ns < l->measured_ns)
		return;
	r->measured++;
	l->last_end_ns = l->now_ns;
	hist_add(&r->latency, (uint64_t)(l->now_ns - c->intended_ns));
	hist_add(&r->service, (uint64_t)(l->now_ns - c->sent_ns));
	if (c->first_ns)
		hist_add(&r->first_byte, (uint64_t)(c->first_ns - c->intended_ns));
}

void client_end(struct client *c, enum load_end end)
{
	bool over = c->reply.state == REPLY_WHOLE && !c->reply.close &&
		    c->sent == bf_buf_len(&c->load->message.text);

	count(c, end);
	load_note(c->load, c, end);
	if (!over)
		replace(c);
	else
		load_free_client(c->load, c);
}

static enum load_end end_of_whole(const struct client *c)
{
	if (c->seen.garbled)
		return LOAD_GARBLED;
	if (!c->reply.is_stream)
		return LOAD_DONE;
	if (c->seen.terminal)
		return LOAD_DONE;
	return c->seen.error ? LOAD_ERROR_EVENT : LOAD_NO_TERMINAL;
}

static void whole(struct client *c)
{
	seen_end(&c->seen);
	client_end(c, end_of_whole(c));
}

/* ---- sending */

static void send_rest(struct client *c)
{
	struct iovec parts[MESSAGE_PARTS];
	size_t all = bf_buf_len(&c->load->message.text);

	while (c->sent < all) {
		int n = message_parts(&c->load->message, c->digits, c->sent, parts);
		ssize_t took = link_write(&c->link, parts, n);

		if (took == -EAGAIN) {
			/* TLS that waits for bytes goes on when they come. */
			if (!c->waits_for_room && (!c->link.ssl || c->link.wants_write))
				watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
			return;
		}
		/* What it answered before it closed is still to be read: the reader says how it
		 * ended. */
		if (took < 0)
			break;
		c->sent += (size_t)took;
		c->load->report.bytes_out += (uint64_t)took;
	}
	if (c->waits_for_room)
		watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static uint32_t hash_of(const struct client *c)
{
	const struct options *o = c->load->options;
	char user[128];
	size_t n = strlen(o->user_prefix);

	if (n > sizeof(user) - MESSAGE_DIGITS - 1)
		n = sizeof(user) - MESSAGE_DIGITS - 1;
	memcpy(user, o->user_prefix, n);
	user[n] = '-';
	memcpy(user + n + 1, c->digits, MESSAGE_DIGITS);
	return words_hash((struct bf_slice){user, n + 1 + MESSAGE_DIGITS});
}

void client_ask(struct client *c, int64_t intended_ns)
{
	struct load *l = c->load;
	const struct options *o = l->options;

	c->number = l->issued++;
	message_digits(c->number, c->digits);
	c->state = CLIENT_BUSY;
	c->was_asked = true;
	c->sent = 0;
	c->intended_ns = intended_ns;
	c->sent_ns = bf_mono_ns();
	c->first_ns = c->last_event_ns = 0;
	reply_reset(&c->reply);
	seen_start(&c->seen, o->ledger || o->verify, o->verify, o->verify ? hash_of(c) : 0);
	if (c->sent_ns - intended_ns > LOAD_LATE_NS)
		l->report.late++;
	l->report.latest_ns = BF_MAX(l->report.latest_ns, c->sent_ns - intended_ns);
	send_rest(c);
}

/* ---- receiving */

static void count_gaps(struct client *c, uint64_t before)
{
	struct load *l = c->load;

	for (uint64_t i = before; i < c->seen.events; i++) {
		if (c->last_event_ns && c->intended_ns >= l->measured_ns)
			hist_add(&l->report.gap, (uint64_t)(l->now_ns - c->last_event_ns));
		c->last_event_ns = l->now_ns;
	}
}

/* Reads what came. False: the request is over. */
static bool take(struct client *c, struct bf_slice in)
{
	struct bf_slice payload;
	enum reply_got got;

	if (!c->first_ns)
		c->first_ns = c->load->now_ns;
	while ((got = reply_next(&c->reply, &in, &payload)) == REPLY_PAYLOAD) {
		uint64_t before = c->seen.events;

		c->seen.stream = c->reply.is_stream;
		if (seen_feed(&c->seen, payload) != 0) {
			got = REPLY_BAD;
			break;
		}
		count_gaps(c, before);
	}
	if (got == REPLY_MORE)
		return true;
	if (got == REPLY_BAD || in.len) {
		c->reply.state = REPLY_FAILED;
		client_end(c, LOAD_BAD_HTTP);
	} else {
		whole(c);
	}
	return false;
}

static void on_broken(struct client *c, ssize_t n)
{
	if (c->state == CLIENT_BUSY && n == 0 && reply_ends_here(&c->reply)) {
		whole(c);
	} else if (c->state == CLIENT_BUSY) {
		client_end(c, n == -ECONNRESET || n == -EPIPE ? LOAD_RST : LOAD_CUT);
	} else {
		struct load_report *r = &c->load->report;

		r->held_lost += c->state == CLIENT_HELD;
		r->closed_idle += c->state == CLIENT_FREE;
		replace(c);
	}
}

static void on_readable(struct client *c)
{
	struct bf_buf *in = &c->load->input;
	bool more;

	do {
		ssize_t n = link_read(&c->link, in->data, in->size);

		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			on_broken(c, n);
			return;
		}
		c->load->report.bytes_in += (uint64_t)n;
		if (c->state != CLIENT_BUSY) {
			on_broken(c, -EPROTO); /* nobody asked */
			return;
		}
		/* A stream's events are timed by when they could be read. */
		c->load->now_ns = bf_mono_ns();
		more = take(c, (struct bf_slice){in->data, (size_t)n}) && c->link.ssl;
	} while (more);
}

void client_on_events(struct client *c, uint32_t events)
{
	if (c->state == CLIENT_CLOSED)
		return;
	if (c->state == CLIENT_CONNECTING) {
		on_connected(c);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		on_readable(c);
	if (c->state == CLIENT_BUSY && c->sent < bf_buf_len(&c->load->message.text) &&
	    (events & EPOLLOUT || c->link.ssl))
		send_rest(c);
}

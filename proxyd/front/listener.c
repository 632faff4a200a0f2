/*
 * Accepting connections. Called by main (own slot), control (adopted slots) and the loop. Must
 * never spin when the process has no descriptors left: it pauses, and the kernel's queue holds the
 * callers meanwhile.
 */
#include "proxyd/front/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log/log.h"
#include "common/net/addr.h"
#include "proxyd/front/front.h"

static void listener_run_slot(struct listener *l, uint32_t slot, bool on)
{
	for (uint32_t a = 0; a < l->addresses; a++) {
		ev_io *w = &l->watchers[slot * l->addresses + a];
		if (on)
			ev_io_start(l->front->w->loop, w);
		else
			ev_io_stop(l->front->w->loop, w);
	}
}

static void listener_run_all(struct listener *l, bool on)
{
	for (uint32_t s = 0; s < l->slots; s++) {
		if (l->accepting[s])
			listener_run_slot(l, s, on);
	}
}

static void on_listener_pause_over(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct listener *l = timer->data;

	(void)loop;
	(void)revents;
	l->paused = false;
	listener_run_all(l, true);
}

static void listener_take_a_pause(struct listener *l, int error)
{
	bf_log(BF_LOG_WARN, "accept_paused", "reason=%s pause_ms=%d",
	       bf_log_quote(bf_err_text(-error)), LISTENER_PAUSE_MS);
	l->paused = true;
	listener_run_all(l, false);
	ev_timer_set(&l->pause, LISTENER_PAUSE_MS / 1000.0, 0.0);
	ev_timer_start(l->front->w->loop, &l->pause);
}

/* The next ones wait in the kernel's queue. */
static void listener_is_full(struct listener *l, int fd)
{
	worker_count(l->front->w, SHM_M_CONNECTIONS_REFUSED);
	(void)close(fd);
	listener_take_a_pause(l, EMFILE);
}

static void listener_take(struct front *f, int fd, const struct bf_addr *peer)
{
	int on = 1;

	if (f->conn_count >= f->w->config->server.max_connections) {
		worker_count(f->w, SHM_M_CONNECTIONS_REFUSED);
		(void)close(fd);
		return;
	}
	/* Events of a stream must not wait for the client's delayed acknowledgements. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (front_take(f, fd, peer) < 0)
		(void)close(fd);
}

/* Errors that belong to one connection, or that the next call will not meet again. */
static bool listener_may_go_on(int error)
{
	return error == ECONNABORTED || error == EINTR || error == EPROTO || error == ENETDOWN ||
	       error == EHOSTUNREACH || error == ENETUNREACH || error == EPERM;
}

static void on_listener_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct listener *l = w->data;

	(void)loop;
	(void)revents;
	for (int i = 0; i < LISTENER_ACCEPTS_PER_TURN; i++) {
		struct bf_addr peer = {.len = sizeof(peer.ss)};
		int fd = accept4(w->fd, (struct sockaddr *)&peer.ss, &peer.len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0 && !worker_fd_fits(l->front->w, fd, WORKER_FDS_BEYOND_CLIENTS)) {
			listener_is_full(l, fd);
			return;
		}
		if (fd >= 0) {
			listener_take(l->front, fd, &peer);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (!listener_may_go_on(errno)) {
			listener_take_a_pause(l, errno);
			return;
		}
	}
}

int listener_init(struct listener *l, struct front *f, int first_fd, uint32_t slots,
		  uint32_t addresses, struct bf_err *err)
{
	*l = (struct listener){.front = f, .slots = slots, .addresses = addresses};
	l->watchers = calloc(BF_MAX((size_t)slots * addresses, 1u), sizeof(l->watchers[0]));
	l->accepting = calloc(slots, sizeof(l->accepting[0]));
	if (!l->watchers || !l->accepting) {
		listener_done(l);
		return bf_err_sys(err, -ENOMEM, "listener");
	}
	for (uint32_t i = 0; i < slots * addresses; i++) {
		ev_io_init(&l->watchers[i], on_listener_readable, first_fd + (int)i, EV_READ);
		l->watchers[i].data = l;
	}
	ev_timer_init(&l->pause, on_listener_pause_over, 0.0, 0.0);
	l->pause.data = l;
	return 0;
}

void listener_done(struct listener *l)
{
	if (l->watchers && l->accepting)
		listener_stop(l);
	free(l->watchers);
	free(l->accepting);
	*l = (struct listener){0};
}

int listener_adopt(struct listener *l, uint32_t slot)
{
	if (slot >= l->slots)
		return BF_E_RANGE;
	if (l->stopped || l->accepting[slot])
		return 0;
	l->accepting[slot] = true;
	if (!l->paused)
		listener_run_slot(l, slot, true);
	return 0;
}

int listener_release(struct listener *l, uint32_t slot)
{
	if (slot >= l->slots)
		return BF_E_RANGE;
	l->accepting[slot] = false;
	listener_run_slot(l, slot, false);
	return 0;
}

void listener_stop(struct listener *l)
{
	l->stopped = true;
	ev_timer_stop(l->front->w->loop, &l->pause);
	for (uint32_t s = 0; s < l->slots; s++)
		(void)listener_release(l, s);
}

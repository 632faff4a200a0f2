/*
 * Accepting and keeping bifrostctl's connections; what they say is router.c's business. Must never
 * block, and never keep an answer waiting for a connection that is gone (tickets).
 */
#include "supervisor/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/ipc/messages.h"
#include "common/log/log.h"

static const char socket_name[] = "control.sock";

bool admin_may_connect(uid_t peer, uid_t owner)
{
	return peer == 0 || peer == owner || peer == geteuid();
}

static void on_frame(struct bf_channel *ch, struct bf_frame *f)
{
	struct admin_connection *c = ch->owner;

	c->admin->events->on_frame(c->admin->owner, c, f);
}

static void on_closed(struct bf_channel *ch, int code, const char *why)
{
	struct admin_connection *c = ch->owner;

	if (code != 0)
		bf_log(BF_LOG_WARN, "control_closed", "peer_pid=%d why=%s", (int)c->peer_pid,
		       bf_log_quote(why));
	admin_drop(c);
}

static const struct bf_channel_events channel_events = {.on_frame = on_frame,
							.on_closed = on_closed};

void admin_drop(struct admin_connection *c)
{
	if (!c->open)
		return;
	c->open = c->greeted = false;
	bf_channel_close(&c->channel);
	c->admin->events->on_closed(c->admin->owner, c);
}

static struct admin_connection *unused(struct admin *a)
{
	for (uint32_t i = 0; i < ADMIN_MAX_SEATS; i++) {
		if (!a->connections[i].open)
			return &a->connections[i];
	}
	return NULL;
}

static int welcome(struct admin *a, int fd)
{
	struct admin_connection *c = unused(a);
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t len = sizeof(peer);
	struct bf_err err = {0};

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
	    !admin_may_connect(peer.uid, a->owner_uid)) {
		bf_log(BF_LOG_WARN, "control_refused", "uid=%u peer_pid=%d", (unsigned)peer.uid,
		       (int)peer.pid);
		return BF_E_DENIED;
	}
	if (!c) {
		bf_log(BF_LOG_WARN, "control_full", "connections=%u", ADMIN_MAX_SEATS);
		return BF_E_FULL;
	}
	c->admin = a;
	c->index = (uint32_t)(c - a->connections);
	c->peer_pid = peer.pid;
	if (bf_channel_open(&c->channel, a->loop, fd, &channel_events, c, &err) < 0) {
		bf_log(BF_LOG_WARN, "control_failed", "why=%s", bf_log_quote(err.text));
		return err.code;
	}
	c->generation++;
	c->open = true;
	return 0;
}

static void on_accept(struct ev_loop *loop, ev_io *w, int revents)
{
	struct admin *a = w->data;

	(void)revents;
	/* A few per turn: children come first. */
	for (int i = 0; i < 8; i++) {
		int fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 &&
		    (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
			ev_io_stop(loop, &a->accepting);
			ev_timer_start(loop, &a->pause);
		}
		if (fd < 0)
			return;
		if (welcome(a, fd) < 0) {
			a->refused++;
			(void)close(fd);
		}
	}
}

static void on_pause_over(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct admin *a = w->data;

	(void)revents;
	ev_timer_stop(loop, w);
	ev_io_start(loop, &a->accepting);
}

/* Through the folder's descriptor: a path may be longer than sun_path. */
static int bind_in(int dir, int fd)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (unlinkat(dir, socket_name, 0) < 0 && errno != ENOENT)
		return -errno;
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", dir,
		       socket_name);
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 16) < 0)
		return -errno;
	return 0;
}

static int listen_in(const struct folders *folders, const struct owner *owner, struct bf_err *err)
{
	int r, fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return bf_err_sys(err, -errno, "%s/%s: socket", folders->runtime, socket_name);
	r = bind_in(folders->runtime_fd, fd);
	if (r == 0 && geteuid() == 0 && *owner->name &&
	    fchownat(folders->runtime_fd, socket_name, owner->uid, owner->gid,
		     AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r == 0)
		return fd;
	(void)close(fd);
	return bf_err_sys(err, r, "%s/%s: cannot listen", folders->runtime, socket_name);
}

int admin_open(struct admin *a, struct ev_loop *loop, const struct folders *folders,
	       const struct owner *owner, const struct admin_events *events, void *events_owner,
	       struct bf_err *err)
{
	int fd = listen_in(folders, owner, err);

	memset(a, 0, sizeof(*a));
	a->fd = fd;
	if (fd < 0)
		return fd;
	a->loop = loop;
	a->runtime_fd = folders->runtime_fd;
	a->owner_uid = owner->uid;
	a->events = events;
	a->owner = events_owner;
	ev_io_init(&a->accepting, on_accept, fd, EV_READ);
	ev_timer_init(&a->pause, on_pause_over, 1., 0.);
	a->accepting.data = a->pause.data = a;
	ev_io_start(loop, &a->accepting);
	return 0;
}

void admin_close(struct admin *a)
{
	if (!a->loop)
		return;
	for (uint32_t i = 0; i < ADMIN_MAX_SEATS; i++)
		admin_drop(&a->connections[i]);
	ev_io_stop(a->loop, &a->accepting);
	ev_timer_stop(a->loop, &a->pause);
	(void)close(a->fd);
	(void)unlinkat(a->runtime_fd, socket_name, 0);
	a->fd = -1;
	a->loop = NULL;
}

uint32_t admin_open_count(const struct admin *a)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ADMIN_MAX_SEATS; i++)
		n += a->connections[i].open;
	return n;
}

uint32_t admin_queue_frames(const struct admin *a)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ADMIN_MAX_SEATS; i++)
		n += a->connections[i].open ? a->connections[i].channel.queue_frames : 0;
	return n;
}

struct admin_ticket admin_ticket_of(const struct admin_connection *c, const struct bf_frame *f)
{
	return (struct admin_ticket){
	    .index = c->index,
	    .request = f->request,
	    .generation = f->request ? c->generation : 0,
	    .target = f->target,
	};
}

struct admin_connection *admin_ticket_connection(struct admin *a, const struct admin_ticket *t)
{
	struct admin_connection *c;

	if (t->generation == 0 || t->index >= ADMIN_MAX_SEATS)
		return NULL;
	c = &a->connections[t->index];
	return c->open && c->generation == t->generation ? c : NULL;
}

static struct bf_frame question(const struct admin_ticket *t)
{
	return (struct bf_frame){
	    .source = BF_ENDPOINT(BF_ROLE_CTL, t->index),
	    .target = t->target,
	    .request = t->request,
	    .fd = -1,
	};
}

int admin_reply(struct admin *a, const struct admin_ticket *t, uint16_t type, const void *message,
		bool more)
{
	struct admin_connection *c = admin_ticket_connection(a, t);
	struct bf_frame f = question(t);

	return c ? bf_channel_reply(&c->channel, &f, type, message, more) : 0;
}

int admin_reply_error(struct admin *a, const struct admin_ticket *t, int code, const char *text)
{
	struct admin_connection *c = admin_ticket_connection(a, t);
	struct bf_frame f = question(t);

	return c ? bf_channel_reply_error(&c->channel, &f, code, text) : 0;
}

/*
 * A control channel on a libev loop. Used by the supervisor (one per child and per bifrostctl) and
 * by every child. Must never block, never call back from within a send, and never let a peer do
 * more than close its own channel.
 */
#include "common/ipc/channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/macros.h"
#include "common/base/nodump.h"
#include "common/ipc/fdpass.h"
#include "common/ipc/messages.h"

/* Frames handled before other watchers of the loop get their turn. */
#define FRAMES_PER_TURN 32

struct queued {
	struct bf_list node;
	int fd; /* own duplicate, or -1 */
	size_t size;
	uint32_t len;
	uint8_t bytes[]; /* header and body */
};

static void drop_queue(struct bf_channel *c)
{
	struct bf_list *it, *next;

	BF_LIST_FOREACH_SAFE(it, next, &c->queue)
	{
		struct queued *q = BF_CONTAINER_OF(it, struct queued, node);
		bf_list_remove(it);
		if (q->fd >= 0)
			(void)close(q->fd);
		bf_nodump_free(q, q->size);
	}
	c->queue_frames = c->queue_bytes = 0;
}

static void quiesce(struct bf_channel *c)
{
	ev_io_stop(c->loop, &c->reader);
	ev_io_stop(c->loop, &c->writer);
	ev_timer_stop(c->loop, &c->closer);
	drop_queue(c);
	c->over = true;
}

/* Runs from the loop only. The owner may free the channel, so nothing is touched after the call. */
static void deliver_closed(struct bf_channel *c, int code, const char *why)
{
	char text[sizeof(c->why)];

	(void)snprintf(text, sizeof(text), "%s", why);
	quiesce(c);
	c->broken = code;
	c->events->on_closed(c, code, text);
}

static void on_closer(struct ev_loop *loop BF_UNUSED, ev_timer *w, int revents BF_UNUSED)
{
	struct bf_channel *c = w->data;

	deliver_closed(c, c->broken, c->why);
}

/* Breaks the channel from within a call of its owner: the report follows from the loop. */
static int break_later(struct bf_channel *c, int code, const char *why)
{
	quiesce(c);
	c->broken = code;
	(void)snprintf(c->why, sizeof(c->why), "%s", why);
	ev_timer_set(&c->closer, 0., 0.);
	ev_timer_start(c->loop, &c->closer);
	return code;
}

static bool is_peer_gone(int code)
{
	return code == -EPIPE || code == -ECONNRESET || code == -ENOTCONN;
}

/* The reader is still to find what the peer sent before it left, and then its end. */
static void peer_has_gone(struct bf_channel *c)
{
	ev_io_stop(c->loop, &c->writer);
	drop_queue(c);
	c->peer_gone = true;
}

/* One frame handed to the owner; false when the channel is gone or over. */
static bool deliver_frame(struct bf_channel *c, struct bf_frame *f)
{
	bool gone = false;
	bool *outer = c->gone;

	c->gone = &gone;
	c->received++;
	c->events->on_frame(c, f);
	if (f->fd >= 0)
		(void)close(f->fd);
	if (gone) {
		/* on_frame may have been called from a loop that an outer on_frame runs. */
		if (outer)
			*outer = true;
		return false;
	}
	c->gone = outer;
	return !c->over;
}

/* Receives and delivers one frame; false to stop reading in this turn. */
static bool read_one(struct bf_channel *c, uint8_t bytes[BF_FRAME_MAX])
{
	struct bf_err err = {0};
	struct bf_frame f;
	int fd;
	ssize_t n = bf_fdpass_recv(c->fd, bytes, BF_FRAME_MAX, &fd);

	if (n == -EAGAIN)
		return false;
	if (n == -ECONNRESET)
		return true; /* told once by a peer that left frames of ours unread; its own frames
				and its end follow */
	if (n == 0) {
		deliver_closed(c, 0, "the peer closed the channel");
		return false;
	}
	if (n < 0) {
		deliver_closed(c, (int)n,
			       n == BF_E_LIMIT ? "a datagram longer than a frame"
			       : n == BF_E_SYNTAX
				   ? "more than one descriptor came, or there was no room for it"
				   : strerror((int)-n));
		return false;
	}
	int r = bf_frame_decode((struct bf_slice){(const char *)bytes, (size_t)n}, fd, &f, &err);
	if (r < 0) {
		if (fd >= 0)
			(void)close(fd);
		deliver_closed(c, r, err.text);
		return false;
	}
	return deliver_frame(c, &f);
}

static void on_readable(struct ev_loop *loop BF_UNUSED, ev_io *w, int revents BF_UNUSED)
{
	struct bf_channel *c = w->data;
	/* Changes carry passwords and keys. Of this turn alone: on_frame may run a loop. */
	size_t size = BF_FRAME_MAX;
	uint8_t *bytes = bf_nodump_alloc(&size);

	if (!bytes) {
		deliver_closed(c, -ENOMEM, "no memory to receive a frame");
		return;
	}
	for (int i = 0; i < FRAMES_PER_TURN; i++) {
		if (!read_one(c, bytes))
			break;
	}
	bf_nodump_free(bytes, size);
}

static void on_writable(struct ev_loop *loop BF_UNUSED, ev_io *w, int revents BF_UNUSED)
{
	struct bf_channel *c = w->data;

	for (int i = 0; i < FRAMES_PER_TURN && !bf_list_empty(&c->queue); i++) {
		struct queued *q = BF_CONTAINER_OF(c->queue.next, struct queued, node);
		int r = bf_fdpass_send(c->fd, q->bytes, q->len, NULL, 0, q->fd);
		if (r == -EAGAIN)
			return;
		if (is_peer_gone(r)) {
			peer_has_gone(c);
			return;
		}
		if (r < 0) {
			deliver_closed(c, r, strerror(-r));
			return;
		}
		bf_list_remove(&q->node);
		c->queue_frames--;
		c->queue_bytes -= q->len;
		c->sent++;
		if (q->fd >= 0)
			(void)close(q->fd);
		bf_nodump_free(q, q->size);
	}
	if (bf_list_empty(&c->queue))
		ev_io_stop(c->loop, &c->writer);
}

static int set_flags(int fd, struct bf_err *err)
{
	int status = fcntl(fd, F_GETFL);
	int descriptor = fcntl(fd, F_GETFD);

	if (status < 0 || descriptor < 0 || fcntl(fd, F_SETFL, status | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, descriptor | FD_CLOEXEC) < 0)
		return bf_err_sys(err, -errno, "control channel: fcntl on descriptor %d", fd);
	return 0;
}

int bf_channel_open(struct bf_channel *c, struct ev_loop *loop, int fd,
		    const struct bf_channel_events *events, void *owner, struct bf_err *err)
{
	int r = set_flags(fd, err);

	if (r < 0)
		return r;
	*c = (struct bf_channel){.loop = loop, .fd = fd, .events = events, .owner = owner};
	bf_list_init(&c->queue);
	ev_io_init(&c->reader, on_readable, fd, EV_READ);
	ev_io_init(&c->writer, on_writable, fd, EV_WRITE);
	ev_timer_init(&c->closer, on_closer, 0., 0.);
	c->reader.data = c->writer.data = c->closer.data = c;
	ev_io_start(loop, &c->reader);
	return 0;
}

/* Copies the frame behind the others; breaks the channel when that is impossible. */
static int enqueue(struct bf_channel *c, const struct bf_frame *f,
		   const uint8_t header[BF_FRAME_HEADER_SIZE])
{
	uint32_t len = BF_FRAME_HEADER_SIZE + (uint32_t)f->body.len;

	if (c->queue_frames >= BF_CHANNEL_MAX_FRAMES || c->queue_bytes + len > BF_CHANNEL_MAX_BYTES)
		return break_later(c, BF_E_FULL, "the peer does not read: its queue is full");

	size_t size = sizeof(struct queued) + len;
	struct queued *q = bf_nodump_alloc(&size);
	if (!q)
		return break_later(c, -ENOMEM, "no memory to queue a frame");
	q->fd = f->fd >= 0 ? fcntl(f->fd, F_DUPFD_CLOEXEC, 3) : -1;
	if (f->fd >= 0 && q->fd < 0) {
		int code = -errno;
		bf_nodump_free(q, size);
		return break_later(c, code, "a descriptor could not be duplicated");
	}
	q->size = size;
	q->len = len;
	memcpy(q->bytes, header, BF_FRAME_HEADER_SIZE);
	if (f->body.len)
		memcpy(q->bytes + BF_FRAME_HEADER_SIZE, f->body.ptr, f->body.len);
	bf_list_append(&c->queue, &q->node);
	c->queue_frames++;
	c->queue_bytes += len;
	c->queue_high_water = BF_MAX(c->queue_high_water, c->queue_frames);
	ev_io_start(c->loop, &c->writer);
	return 0;
}

static void header_of(const struct bf_frame *f, uint8_t out[BF_FRAME_HEADER_SIZE])
{
	struct bf_frame h = *f;

	h.flags = (uint8_t)(f->fd >= 0 ? f->flags | BF_FRAME_FD : f->flags & ~BF_FRAME_FD);
	bf_frame_encode_header(&h, out);
}

int bf_channel_send(struct bf_channel *c, const struct bf_frame *f)
{
	uint8_t header[BF_FRAME_HEADER_SIZE];

	if (f->body.len > BF_FRAME_MAX_BODY)
		return BF_E_LIMIT;
	if (!c->loop)
		return BF_E_CLOSED;
	if (c->over)
		return c->broken;
	if (c->peer_gone)
		return 0;
	header_of(f, header);
	if (!bf_list_empty(&c->queue))
		return enqueue(c, f, header);

	int r = bf_fdpass_send(c->fd, header, sizeof(header), f->body.ptr, f->body.len, f->fd);
	if (r == -EAGAIN)
		return enqueue(c, f, header);
	if (is_peer_gone(r)) {
		peer_has_gone(c);
		return 0;
	}
	if (r < 0)
		return break_later(c, r, strerror(-r));
	c->sent++;
	return 0;
}

int bf_channel_send_msg(struct bf_channel *c, uint16_t type, uint16_t source, uint16_t target,
			uint32_t request, uint8_t flags, const void *message)
{
	struct bf_buf body;

	bf_buf_init_nodump(&body, BF_FRAME_MAX_BODY);
	int r = bf_msg_encode(type, message, &body);
	if (r == 0) {
		struct bf_frame f = {
		    .flags = flags,
		    .type = type,
		    .source = source,
		    .target = target,
		    .request = request,
		    .body = bf_buf_slice(&body),
		    .fd = -1,
		};
		r = bf_channel_send(c, &f);
	}
	bf_buf_done(&body);
	return r;
}

int bf_channel_reply(struct bf_channel *c, const struct bf_frame *f, uint16_t type,
		     const void *message, bool more)
{
	uint8_t flags = BF_FRAME_REPLY;

	if (f->request == 0)
		return 0;
	if (more)
		flags |= BF_FRAME_MORE;
	if (type == BF_MSG_ERROR)
		flags |= BF_FRAME_ERROR;
	return bf_channel_send_msg(c, type, f->target, f->source, f->request, flags, message);
}

int bf_channel_reply_error(struct bf_channel *c, const struct bf_frame *f, int code,
			   const char *text)
{
	struct bf_msg_error message = {.code = code, .text = bf_slice_from(text)};

	message.text.len = BF_MIN(message.text.len, BF_ERROR_MAX_BYTES);
	return bf_channel_reply(c, f, BF_MSG_ERROR, &message, false);
}

void bf_channel_close(struct bf_channel *c)
{
	if (!c->loop)
		return;
	quiesce(c);
	(void)close(c->fd);
	if (c->gone)
		*c->gone = true;
	*c = (struct bf_channel){.fd = -1};
}

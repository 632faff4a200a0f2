/* One channel on a loop, its owner who does what the test wants, and its peer. Shared by the tests
 * of the channel. */
#pragma once

#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/ipc/channel.h"
#include "common/ipc/fdpass.h"
#include "common/ipc/messages.h"
#include "tests/support/fd_count.h"

#define SUPERVISOR BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0)
#define WRITERD    BF_ENDPOINT(BF_ROLE_WRITERD, 0)

enum action {
	ACT_NOTHING,
	ACT_CLOSE,
	ACT_FREE,
	ACT_TAKE_FD,
	ACT_REPLY,
	ACT_OVERRUN,
	ACT_NEST,
	ACT_NEST_THEN_CLOSE,
};

/* Owner of one channel: counts what it is told and does what the test wants of it. */
struct owner {
	struct bf_channel *channel;
	enum action on_frame, on_close;
	unsigned frames, closes;
	uint32_t last_request;
	size_t last_length;
	int last_fd, taken_fd, code;
	bool in_send;
	char why[200];
};

struct bed {
	struct ev_loop *loop;
	struct bf_channel *channel; /* on the heap: the sanitizer sees every use after a free */
	struct owner owner;
	int peer;
	int before;
};

static inline struct bf_frame plain(uint32_t request, const char *bytes, size_t len)
{
	struct bf_frame f = {
	    .type = BF_MSG_PROC_SWEPT, .source = WRITERD, .target = SUPERVISOR, .fd = -1};

	f.request = request;
	f.body = (struct bf_slice){bytes, len};
	return f;
}

static inline void act(struct owner *o, struct bf_frame *f, enum action action)
{
	struct ev_loop *loop = o->channel ? o->channel->loop : NULL;
	struct bf_frame out = plain(1, "", 0);

	switch (action) {
	case ACT_NOTHING:
		break;
	case ACT_CLOSE:
		bf_channel_close(o->channel);
		break;
	case ACT_FREE:
		bf_channel_close(o->channel);
		free(o->channel);
		o->channel = NULL;
		break;
	case ACT_TAKE_FD:
		if (!f)
			break;
		o->taken_fd = f->fd;
		f->fd = -1;
		break;
	case ACT_REPLY:
		assert_int_equal(bf_channel_reply(o->channel, f, BF_MSG_OK, NULL, false), 0);
		break;
	case ACT_OVERRUN:
		while (bf_channel_send(o->channel, &out) == 0)
			continue;
		break;
	case ACT_NEST:
	case ACT_NEST_THEN_CLOSE:
		/* The frame that arrives in the inner loop frees the channel. */
		o->on_frame = action == ACT_NEST ? ACT_FREE : ACT_CLOSE;
		(void)ev_run(loop, EVRUN_ONCE);
		break;
	}
}

static inline void on_frame(struct bf_channel *c, struct bf_frame *f)
{
	struct owner *o = c->owner;

	o->frames++;
	o->last_request = f->request;
	o->last_length = f->body.len;
	o->last_fd = f->fd;
	act(o, f, o->on_frame);
}

static inline void on_closed(struct bf_channel *c, int code, const char *why)
{
	struct owner *o = c->owner;

	assert_false(o->in_send);
	o->closes++;
	o->code = code;
	(void)snprintf(o->why, sizeof(o->why), "%s", why);
	act(o, NULL, o->on_close);
}

static const struct bf_channel_events events = {.on_frame = on_frame, .on_closed = on_closed};

static inline int make_bed(void **state)
{
	static struct bed bed;
	int end[2];

	memset(&bed, 0, sizeof(bed));
	bed.before = fd_count();
	bed.loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	bed.channel = calloc(1, sizeof(*bed.channel));
	bed.owner.channel = bed.channel;
	bed.owner.taken_fd = -1;
	if (!bed.loop || !bed.channel || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, end) < 0)
		return -1;
	bed.peer = end[1];
	*state = &bed;
	return bf_channel_open(bed.channel, bed.loop, end[0], &events, &bed.owner, NULL);
}

static inline int clear_bed(void **state)
{
	struct bed *b = *state;

	if (b->owner.channel) {
		bf_channel_close(b->channel);
		/* A second time is allowed. */
		bf_channel_close(b->channel);
		free(b->channel);
	}
	if (b->peer >= 0)
		(void)close(b->peer);
	ev_loop_destroy(b->loop);
	return fd_count() == b->before ? 0 : -1;
}

static inline void turn(struct bed *b)
{
	(void)ev_run(b->loop, EVRUN_NOWAIT);
}

/* Until nothing happens any more; bounded. */
static inline void settle(struct bed *b)
{
	for (int i = 0; i < 200; i++)
		turn(b);
}

static inline void peer_sends(struct bed *b, const struct bf_frame *f)
{
	assert_int_equal(bf_frame_send_blocking(b->peer, f, NULL), 0);
}

static inline void peer_sends_bytes(struct bed *b, const void *bytes, size_t len, int fd)
{
	assert_int_equal(bf_fdpass_send(b->peer, bytes, len, NULL, 0, fd), 0);
}

static inline int channel_sends(struct bed *b, const struct bf_frame *f)
{
	b->owner.in_send = true;
	int r = bf_channel_send(b->channel, f);
	b->owner.in_send = false;
	return r;
}

static inline void peer_leaves(struct bed *b)
{
	(void)close(b->peer);
	b->peer = -1;
}

/* Fills the socket so that the next frame is queued; returns how many went out. */
static inline uint32_t fill_socket(struct bed *b)
{
	uint32_t n = 0;

	while (b->channel->queue_frames == 0) {
		struct bf_frame f = plain(++n, "x", 1);
		assert_int_equal(channel_sends(b, &f), 0);
		assert_true(n < 100000);
	}
	return n;
}

#define IN_BED(test) cmocka_unit_test_setup_teardown(test, make_bed, clear_bed)

/*
 * One end of a control channel on a libev loop: a non-blocking SOCK_SEQPACKET socket with a bounded
 * send queue. Checks every received frame's form; permissions are the caller's (the supervisor
 * routes, a child only answers).
 *
 * A peer has a trust class of its own: whatever it sends, at worst this channel is closed.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/ipc/frame.h"

#define BF_CHANNEL_MAX_FRAMES 1024u
#define BF_CHANNEL_MAX_BYTES  (4u << 20)

struct bf_channel;

struct bf_channel_events {
	/*
	 * One frame. Its body is valid during the call; its fd, if any, is closed after the call
	 * unless the callee set frame->fd to -1 after taking it. The callee may close and free the
	 * channel.
	 */
	void (*on_frame)(struct bf_channel *c, struct bf_frame *f);
	/*
	 * The channel is over: code 0 the peer closed, BF_E_SYNTAX/BF_E_VERSION/BF_E_LIMIT it sent
	 * garbage, BF_E_FULL our queue ran over, -errno. Called once, from the loop, never from
	 * within bf_channel_send. Frames that the peer sent before it closed are delivered first.
	 * The callee calls bf_channel_close, now or later, and may free the channel.
	 */
	void (*on_closed)(struct bf_channel *c, int code, const char *why);
};

struct bf_channel {
	struct ev_loop *loop;
	int fd;
	ev_io reader, writer;
	ev_timer closer; /* delivers on_closed from the loop after a failed send */
	const struct bf_channel_events *events;
	void *owner;
	struct bf_list queue; /* of queued frames, oldest first */
	uint32_t queue_frames, queue_bytes, queue_high_water;
	uint64_t received, sent;
	int broken;     /* code to deliver */
	bool over;      /* nothing is sent or received any more */
	bool peer_gone; /* a send found the peer gone: what it still sent is read first, then
			   on_closed follows */
	bool *gone;     /* set by bf_channel_close while a callback runs */
	char why[160];  /* text to deliver */
};

/*
 * Makes fd non-blocking and close-on-exec, and starts reading. 0: the channel owns fd. On an error
 * fd stays the caller's. events and owner must outlive the channel. The struct must not move while
 * it is open.
 */
int bf_channel_open(struct bf_channel *c, struct ev_loop *loop, int fd,
		    const struct bf_channel_events *events, void *owner, struct bf_err *err);

/*
 * Sends or queues one frame in order; body is copied when queued; a descriptor is duplicated, the
 * caller keeps its own. f->flags get BF_FRAME_FD exactly when f->fd >= 0. 0; BF_E_LIMIT: the body
 * is too long, nothing happened; BF_E_FULL (the queue bound is reached) or -errno: the channel is
 * broken and on_closed follows. A broken channel swallows what it is given and returns that code
 * again; one whose peer has gone returns 0. BF_E_CLOSED: it was closed, or never opened.
 */
int bf_channel_send(struct bf_channel *c, const struct bf_frame *f);

/*
 * Encodes message by its table and sends it. source and target are endpoints; request 0 wants no
 * reply. The codes of bf_msg_encode (nothing was sent) or of bf_channel_send.
 */
int bf_channel_send_msg(struct bf_channel *c, uint16_t type, uint16_t source, uint16_t target,
			uint32_t request, uint8_t flags, const void *message);

/* Reply to f, parts with more = true, the last with false. Nothing is sent when f wants no reply.
 */
int bf_channel_reply(struct bf_channel *c, const struct bf_frame *f, uint16_t type,
		     const void *message, bool more);
/* text longer than the message allows is cut. */
int bf_channel_reply_error(struct bf_channel *c, const struct bf_frame *f, int code,
			   const char *text);

/* Stops watchers, closes the socket, drops the queue. No callback. Accepts a zeroed channel. */
void bf_channel_close(struct bf_channel *c);

/*
 * Blocking helpers for bifrostctl and tests: whole frames with a deadline on monotonic time, on a
 * socket of either mode. Sending waits 5 s at most. Errors: BF_E_TIMEOUT, BF_E_CLOSED, BF_E_LIMIT,
 * -errno.
 */
int bf_frame_send_blocking(int fd, const struct bf_frame *f, struct bf_err *err);
/*
 * buf holds BF_FRAME_MAX bytes and must outlive ret_frame, whose descriptor is the caller's.
 * timeout_ms 0 only looks. BF_E_TIMEOUT, BF_E_CLOSED, or what bf_frame_decode reports.
 */
int bf_frame_recv_blocking(int fd, uint8_t *buf, int64_t timeout_ms, struct bf_frame *ret_frame,
			   struct bf_err *err);

/* The control socket: connections of bifrostctl. Only root and the user that runs the gateway may
 * talk to it. */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/ipc/channel.h"
#include "supervisor/folder.h"

#define ADMIN_MAX_CONNECTIONS 16u
/* Some more are let in only to be told that there are too many. */
#define ADMIN_MAX_SEATS (ADMIN_MAX_CONNECTIONS + 4u)

struct admin;

struct admin_connection {
	struct bf_channel channel;
	struct admin *admin;
	uint32_t index;
	uint64_t generation; /* counts the users of this place; 0: nobody yet */
	bool open;
	bool greeted;
	pid_t peer_pid;
};

struct admin_events {
	void (*on_frame)(void *owner, struct admin_connection *c, struct bf_frame *f);
	void (*on_closed)(void *owner, struct admin_connection *c);
};

struct admin {
	struct ev_loop *loop;
	int fd; /* -1: closed */
	ev_io accepting;
	ev_timer pause; /* after running out of descriptors */
	int runtime_fd;
	uid_t owner_uid;
	const struct admin_events *events;
	void *owner;
	uint64_t refused;
	struct admin_connection connections[ADMIN_MAX_SEATS];
};

/* Where an answer that comes later belongs: safe to use when the connection is gone. */
struct admin_ticket {
	uint32_t index;
	uint32_t request;
	uint64_t generation; /* 0: nobody waits */
	uint16_t target;     /* whom the question was sent to */
};

/* Binds runtime/control.sock (the lock is held, so what is there is stale) and starts accepting. */
int admin_open(struct admin *a, struct ev_loop *loop, const struct folders *folders,
	       const struct owner *owner, const struct admin_events *events, void *events_owner,
	       struct bf_err *err);
void admin_close(struct admin *a);

/* Closes one connection; on_closed is called. */
void admin_drop(struct admin_connection *c);

uint32_t admin_open_count(const struct admin *a);
uint32_t admin_queue_frames(const struct admin *a);

struct admin_ticket admin_ticket_of(const struct admin_connection *c, const struct bf_frame *f);
/* NULL when the asker is gone. */
struct admin_connection *admin_ticket_connection(struct admin *a, const struct admin_ticket *t);
int admin_reply(struct admin *a, const struct admin_ticket *t, uint16_t type, const void *message,
		bool more);
int admin_reply_error(struct admin *a, const struct admin_ticket *t, int code, const char *text);

/* May a peer with this uid use the socket? */
bool admin_may_connect(uid_t peer, uid_t owner);

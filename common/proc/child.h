/*
 * How to be a well-behaved child: contract, log, segment, config slice, rights, sandbox, channel, READY, heartbeat,
 * signals, and leaving when the supervisor is gone. A daemon's main is one call of bf_child_main.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages.h"
#include "common/proc/sandbox.h"
#include "common/schema/config.h"

struct bf_child;

struct bf_child_handler {
	uint16_t type; /* enum bf_msg_type; 0 ends the table */
	/* message is decoded by the type's table (NULL when it has no body) and lives until the call returns. */
	void (*handle)(struct bf_child *child, struct bf_frame *f, const void *message);
};

struct bf_child_spec {
	enum bf_role role;
	const struct bf_sandbox *sandbox;
	const struct bf_child_handler *handlers; /* HELLO, STOP and STATUS_GET are answered by the runtime itself */
	/* Before the sandbox: open what needs paths. Returns 0 or fills err; the process then exits. */
	int (*open)(struct bf_child *child, struct bf_err *err);
	/* After the sandbox, before READY. */
	int (*start)(struct bf_child *child, struct bf_err *err);
	/* In order, once: finish what can be finished now (the process exits when it returns). May be NULL. */
	void (*stop)(struct bf_child *child);
	/* Adds items to a status reply. May be NULL. */
	void (*status)(struct bf_child *child, struct bf_array *items, struct bf_arena *arena);
};

struct bf_child {
	const struct bf_child_spec *spec;
	struct ev_loop *loop;
	struct bf_channel channel;
	struct bf_config config;  /* this child's slice */
	struct bf_arena arena;	  /* process lifetime, no-dump: the config lives here */
	struct bf_arena scratch;  /* reset after every control message */
	uint16_t endpoint;
	uint32_t index;	    /* worker slot */
	uint32_t proc_slot; /* identity in the segment */
	uint32_t workers, addresses;
	int segment_fd, doorbell_fd;
	const char *state_dir, *runtime_dir;
	int64_t started_mono_ms;
	/* Called every second by the heartbeat timer, after the beat; may be NULL. */
	void (*on_second)(struct bf_child *child);
	/* Writes the beat into the segment; set by the daemon in open() because common/ does not know shm/. */
	void (*beat)(struct bf_child *child);
	void *daemon; /* the daemon's own state */
};

/* Runs until STOP, the channel closes, or a fatal error; returns an enum bf_exit for main to return. */
int bf_child_main(int argc, char **argv, const struct bf_child_spec *spec);

/* Ends the loop; bf_child_main then calls stop() and returns code. */
void bf_child_leave(struct bf_child *child, int code);

/* Formats and appends one status item; silently left out when the arena is full. */
void bf_status_add(struct bf_array *items, struct bf_arena *arena, const char *name, const char *fmt, ...)
	BF_PRINTF(4, 5);

/* Id of this build: the same for all binaries made by one build. */
const char *bf_build_id(void);
/* "0.1.0" */
const char *bf_version(void);

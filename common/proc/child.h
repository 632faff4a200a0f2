/*
 * How to be a well-behaved child: contract, log, segment, config slice, rights, sandbox, channel,
 * READY, heartbeat, signals, and leaving when the supervisor is gone. A daemon's main is one call
 * of bf_child_main.
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
	/*
	 * message is decoded by the type's table (NULL when it has no body) and lives in
	 * child->scratch until the call returns. Called between READY and the end of the loop only.
	 */
	void (*handle)(struct bf_child *child, struct bf_frame *f, const void *message);
};

struct bf_child_spec {
	enum bf_role role;
	uint64_t layout_version; /* of the segment this child was built for; HELLO must name the
				    same. 0: does not look at it */
	const struct bf_sandbox *sandbox;
	const struct bf_child_handler
	    *handlers; /* HELLO, STOP and STATUS_GET are answered by the runtime itself */
	/*
	 * Before rights are dropped: map the segment, take the process slot, open what needs paths.
	 * There is no loop yet. Returns 0 or fills err; the process then exits (BF_EXIT_VERSION for
	 * BF_E_VERSION, else BF_EXIT_FAILED).
	 */
	int (*open)(struct bf_child *child, struct bf_err *err);
	/* Behind the sandbox, loop running, HELLO checked; READY is sent when it returns 0. With
	 * BF_CHILD_READY_LATER the daemon runs, and says bf_child_ready() itself. May be NULL. */
	int (*start)(struct bf_child *child, struct bf_err *err);
	/*
	 * Once, when the loop has ended: finish what can be finished now; what it sends is still
	 * delivered and the process exits when it returns. With child->orphaned, or as soon as the
	 * supervisor is gone, it has BF_ORPHAN_LIMIT_MS in all until SIGKILL. Not called when start
	 * never succeeded. May be NULL.
	 */
	void (*stop)(struct bf_child *child);
	/* The asker of this request wants no answer any more. May be NULL: every answer is whole
	 * when its handler returns. */
	void (*cancelled)(struct bf_child *child, uint16_t asker, uint32_t request);
	/* Adds items to a status reply. May be NULL. */
	void (*status)(struct bf_child *child, struct bf_array *items, struct bf_arena *arena);
};

/* From the moment the supervisor is gone to SIGKILL, whatever the daemon does: the promise is 2 s.
 */
#define BF_ORPHAN_LIMIT_MS 1500

enum bf_child_phase {
	BF_CHILD_WAITING, /* for HELLO */
	BF_CHILD_RUNNING,
	BF_CHILD_LEAVING,
};

struct bf_child {
	const struct bf_child_spec *spec;
	struct ev_loop *loop;
	struct bf_channel channel;
	struct bf_config config; /* this child's slice */
	struct bf_arena arena; /* process lifetime, no-dump: the config lives here; has room for the
				  daemon's own */
	struct bf_arena scratch; /* reset after every control message */
	uint16_t endpoint;
	uint32_t index;     /* worker slot */
	uint32_t proc_slot; /* identity in the segment */
	uint32_t workers, addresses;
	int segment_fd, doorbell_fd;
	const char *state_dir, *runtime_dir;
	int64_t started_mono_ms;
	/* Called every second by the heartbeat timer, after the beat; may be NULL. */
	void (*on_second)(struct bf_child *child);
	/* Writes the beat into the segment; set by the daemon in open() because common/ does not
	 * know shm/. */
	void (*beat)(struct bf_child *child);
	void *daemon;                     /* the daemon's own state; set in open() */
	struct bf_sandbox_report sandbox; /* what the kernel enforces; filled before start() */
	bool orphaned;                    /* the channel is gone: nobody hears us */

	/* The runtime's own from here on. */
	enum bf_child_phase phase;
	bool begun; /* start() succeeded, so stop() is due */
	bool ready; /* READY was sent */
	int exit_code;
	ev_timer heartbeat;
	ev_signal on_term;
};

/*
 * Runs until STOP, the channel closes, or a fatal error; returns an enum bf_exit for main to
 * return. In this order: title, contract, build id, log, config, open(), rights, core files,
 * sandbox, loop, HELLO, start(), READY. SIGTERM is logged and otherwise left to the supervisor, as
 * are SIGINT and SIGHUP.
 */
int bf_child_main(int argc, char **argv, const struct bf_child_spec *spec);

#define BF_CHILD_READY_LATER 1

/* Sends READY, once. */
void bf_child_ready(struct bf_child *child);

/* Before READY: there is much to do and it goes on, so that the supervisor waits for READY as long
 * again from now on. Nothing behind READY. */
void bf_child_starting(struct bf_child *child);

/* Ends the loop; bf_child_main then calls stop() and returns code. The first call decides. */
void bf_child_leave(struct bf_child *child, int code);

/* Formats and appends one status item; silently left out when the arena or the list is full; value
 * cut at 512 bytes. */
void bf_status_add(struct bf_array *items, struct bf_arena *arena, const char *name,
		   const char *fmt, ...) BF_PRINTF(4, 5);

/* Id of this build: the same for all binaries made by one build. */
const char *bf_build_id(void);
/* "0.1.0" */
const char *bf_version(void);

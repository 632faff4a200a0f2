/*
 * The crew: all seats, and all processes that have not been reaped. What happens to a process is
 * decided by its child_fsm, what happens to a seat by its seat_fsm; this is where both meet the
 * loop.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/ipc/channel.h"
#include "common/schema/config.h"
#include "shm/segment.h"
#include "supervisor/adopt.h"
#include "supervisor/binaries.h"
#include "supervisor/child_fsm.h"
#include "supervisor/folder.h"
#include "supervisor/plan.h"
#include "supervisor/restart.h"
#include "supervisor/seat_fsm.h"
#include "supervisor/slices.h"
#include "supervisor/sockets.h"

#define CREW_MAX_SEATS   (ADOPT_MAX_SLOTS + 8)
#define CREW_MAX_LEAVING 3u /* processes of one seat that drain at the same time */
#define SEAT_CLOSING_MS  1000

struct crew;
struct seat;

enum child_part {
	CHILD_COMING,  /* on its way in: seat->coming */
	CHILD_SERVING, /* seat->serving */
	CHILD_LEAVING, /* was replaced */
};

/* One process, from fork to waitpid. */
struct child {
	struct bf_list node; /* in crew->children */
	struct crew *crew;
	struct seat *seat;
	struct child_fsm fsm;
	enum child_part part;
	pid_t pid;
	uint32_t proc_slot;
	uint16_t endpoint;
	bool stalled; /* its heartbeat is overdue */
	int64_t started_mono_ms;
	int64_t ready_mono_ms; /* 0: was never ready */
	struct bf_channel channel;
	ev_timer deadline;
	char why[128]; /* why we ended it; "": it ended by itself */
};

/* One place of the plan. Lives as long as the crew. */
struct seat {
	struct crew *crew;
	const struct plan_row *row;
	uint32_t index;
	enum seat_state state;
	struct child *coming, *serving;
	struct child *closing; /* was replaced, and may still let somebody in */
	ev_timer closing_wait;
	struct restart restart;
	ev_timer pause;
	int64_t pause_until_mono_ms; /* 0: no pause */
	int64_t lost_ready_ms;       /* how long the process lost last had been ready; -1: never */
	int64_t served_mono_ms;      /* when somebody served last; 0: never */
	bool no_slot;                /* the last start failed because no process slot was free */
	char last_exit[160];
	int exit_code; /* of the process lost last; -1: a signal */
	int config_fd; /* slice in force */
	int trial_fd;  /* slice of the process that is to replace it; -1: none */
};

struct crew_events {
	void (*on_frame)(void *owner, struct child *child, struct bf_frame *f);
	/* It was forked and greeted: what is sent to it now it hears before it serves. */
	void (*on_greeted)(void *owner, struct child *child);
	/* A frame of ours is about to go to a child. */
	void (*on_sent)(void *owner, const struct bf_frame *f);
	/* It serves now; or it was reaped and is about to be forgotten. */
	void (*on_ready)(void *owner, struct child *child);
	void (*on_gone)(void *owner, struct child *child, int wait_status);
	/* The replacement asked for by crew_roll ended. */
	void (*on_rolled)(void *owner, struct seat *seat, bool ok);
};

struct crew {
	struct ev_loop *loop;
	struct shm_segment *shm;
	int segment_fd, lock_fd, doorbell_fd;
	uint32_t own_slot;
	const struct binaries *binaries;
	const struct sockets *sockets;
	const struct folders *folders;
	const char *user;
	char *const *inherited_env;
	const struct bf_conf_supervisor *conf; /* the one in force: a reload changes it */
	const struct crew_events *events;
	void *owner;
	bool closing; /* no adoption, no new processes */
	struct adopt adopt;
	struct bf_list children;
	uint32_t seat_count;
	struct seat seats[CREW_MAX_SEATS];
};

/* Makes the seats of the plan, none started. The fields up to owner were set by the caller. 0 or
 * -errno. */
int crew_init(struct crew *crew, const struct slices *slices, uint32_t workers);
void crew_start(struct crew *crew);
/* Kills and reaps whatever still lives, frees everything. */
void crew_done(struct crew *crew);

/* Call on SIGCHLD with what waitpid returned; false when pid is none of the crew. */
bool crew_reaped(struct crew *crew, pid_t pid, int wait_status);

/* The process that serves this endpoint; NULL when none does. */
struct child *crew_find(struct crew *crew, uint16_t endpoint);
struct seat *crew_seat(struct crew *crew, uint16_t endpoint);
/* The process that holds this process slot, whatever its state; NULL. */
struct child *crew_holder(struct crew *crew, uint32_t proc_slot);

/*
 * Replaces the process of a seat by one with this configuration (duplicated; -1: the one in force).
 * It is over when the successor serves and the predecessor lets nobody in, which is not waited for
 * longer than SEAT_CLOSING_MS. on_rolled follows, perhaps before this returns. BF_E_FULL with err
 * when too many predecessors still drain.
 */
int crew_roll(struct seat *seat, int config_fd, struct bf_err *err);

/* No seat of this stop order starts anything again; what lives is told to leave. Returns how many
 * live. */
uint32_t crew_close(struct crew *crew, uint8_t stop_order);
uint32_t crew_living(const struct crew *crew, uint8_t stop_order);
/* Feeds every living process of this order. */
void crew_feed(struct crew *crew, uint8_t stop_order, enum child_event event, const char *why);

/* Process slots became free: whoever waits for one tries again. */
void crew_slots_freed(struct crew *crew);
/* Who accepts has changed: makes every listener slot served. */
void crew_adopt(struct crew *crew);
/* From child.c: it serves now; it served and no longer does. */
void crew_ready(struct child *child);
void crew_left(struct child *child);
/* A process accepts no connections any more, or is gone: the replacement that waited for this is
 * over. */
void crew_shut(struct child *child);

struct child_limits crew_limits(const struct crew *crew, const struct plan_row *row);

/* seat.c */
int seat_init(struct seat *seat, struct crew *crew, const struct plan_row *row, uint32_t index,
	      int config_fd);
void seat_done(struct seat *seat);
void seat_feed(struct seat *seat, enum seat_event event);
uint16_t seat_endpoint(const struct seat *seat);
void seat_shut(struct seat *seat);
uint32_t seat_leaving(const struct seat *seat);
/* "starting", "ready", "draining", "backoff", ... for people. */
const char *seat_state_text(const struct seat *seat);

/* child.c */
int child_start(struct seat *seat, int config_fd, struct child **ret_child, struct bf_err *err);
/* why is kept when it ends the process; NULL: no reason to note. */
void child_feed(struct child *child, enum child_event event, const char *why);
void child_free(struct child *child);
bool child_accepts(const struct child *child);
int child_send(struct child *child, uint16_t type, const void *message);
/* A question with a descriptor (-1: none), which stays the caller's. request 0: no answer is
 * wanted. */
int child_ask(struct child *child, uint16_t type, const void *message, uint32_t request, int fd);

/*
 * A small world for the supervisor's parts: a folder, a segment, a loop, and a crew whose programs
 * are all this very test program, started again: what such a process does stands in its
 * configuration slice. Only for tests.
 */
#pragma once

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages.h"
#include "common/proc/contract.h"
#include "common/proc/fds.h"
#include "fake.h"
#include "shm/slot.h"
#include "supervisor/admin.h"
#include "supervisor/crew.h"
#include "supervisor/identity.h"
#include "supervisor/segment.h"

#define OWN_ADDRESS_SIZE 16

/* A loopback address that no other process uses: its ports are free, and stay so until they are
 * bound. */
static inline void own_address(char out[OWN_ADDRESS_SIZE])
{
	unsigned n = (unsigned)getpid(); /* of at most 22 bits */

	(void)snprintf(out, OWN_ADDRESS_SIZE, "127.%u.%u.%u", 64 + (n >> 16 & 63), n >> 8 & 255,
		       n & 255);
}

struct world {
	struct ev_loop *loop;
	ev_signal chld;
	struct folders folders;
	struct owner owner;
	struct segment segment;
	struct binaries binaries;
	struct sockets sockets;
	struct slices slices;
	struct bf_conf_supervisor conf;
	struct crew crew;
	struct admin admin;
	int doorbell;
	/* What the crew told. */
	unsigned ready, gone, rolled_ok, rolled_failed, sent;
	void (*on_frame)(struct world *w, struct child *child, struct bf_frame *f);
	struct bf_frame last_frame;
};

static inline int config_of(const char *how)
{
	return bf_memfd_sealed("test", how, strlen(how));
}

static inline void world_on_frame(void *owner, struct child *child, struct bf_frame *f)
{
	struct world *w = owner;

	w->last_frame = *f;
	if (w->on_frame)
		w->on_frame(w, child, f);
	else if (f->type == BF_MSG_READY)
		child_feed(child, CHILD_EV_READY, "it said READY twice");
	else if (f->type == BF_MSG_DRAINING || f->type == BF_MSG_DRAINED)
		crew_shut(child);
	if (f->type == BF_MSG_DRAINED && !w->on_frame)
		child_feed(child, CHILD_EV_DRAINED, NULL);
}

static inline void world_on_greeted(void *owner, struct child *child)
{
	(void)owner;
	(void)child;
}

static inline void world_on_sent(void *owner, const struct bf_frame *f)
{
	(void)f;
	((struct world *)owner)->sent++;
}

static inline void world_on_ready(void *owner, struct child *child)
{
	(void)child;
	((struct world *)owner)->ready++;
}

static inline void world_on_gone(void *owner, struct child *child, int wait_status)
{
	(void)child;
	(void)wait_status;
	((struct world *)owner)->gone++;
}

static inline void world_on_rolled(void *owner, struct seat *seat, bool ok)
{
	struct world *w = owner;

	(void)seat;
	if (ok)
		w->rolled_ok++;
	else
		w->rolled_failed++;
}

static const struct crew_events world_events = {
    .on_frame = world_on_frame,
    .on_greeted = world_on_greeted,
    .on_sent = world_on_sent,
    .on_ready = world_on_ready,
    .on_gone = world_on_gone,
    .on_rolled = world_on_rolled,
};

static inline void world_on_chld(struct ev_loop *loop, ev_signal *s, int revents)
{
	struct world *w = s->data;
	int status;
	pid_t pid;

	(void)loop;
	(void)revents;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		(void)crew_reaped(&w->crew, pid, status);
}

static inline void make_folder(char *out, size_t size)
{
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	(void)snprintf(out, size, "%s/bfsup-XXXXXX", base);
	assert_non_null(mkdtemp(out));
}

static inline void remove_folder(const char *path)
{
	char command[1200];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", path);
	assert_int_equal(system(command), 0);
}

/* A folder, its lock and a segment. */
static inline void world_open_segment(struct world *w)
{
	static const uint8_t boot_id[16] = {1};
	struct bf_err err = {0};

	make_folder(w->folders.runtime, sizeof(w->folders.runtime));
	(void)snprintf(w->folders.state, sizeof(w->folders.state), "%s", w->folders.runtime);
	w->folders.lock_fd = -1;
	assert_int_equal(owner_find(NULL, &w->owner, &err), 0);
	assert_int_equal(folder_prepare(&w->folders, &w->owner, &err), 0);
	assert_int_equal(folder_lock(&w->folders, &w->owner, 0, &err), 0);
	assert_int_equal(segment_open(&w->segment, &w->folders, &w->owner, boot_id, &err), 0);
}

static inline void world_open_programs(struct world *w)
{
	binaries_init(&w->binaries);
	slices_init(&w->slices);
	sockets_init(&w->sockets);
	for (size_t i = 0; i < plan_row_count; i++) {
		w->binaries.fds[plan_rows[i].role] = open("/proc/self/exe", O_PATH | O_CLOEXEC);
		w->slices.fds[plan_rows[i].role] = config_of("obey");
	}
}

/* Everything but the seats. */
static inline void world_init(struct world *w, uint32_t workers)
{
	memset(w, 0, sizeof(*w));
	w->loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	(void)signal(SIGPIPE, SIG_IGN);
	world_open_segment(w);
	world_open_programs(w);
	w->sockets.slots = workers;
	w->doorbell = open("/dev/null", O_RDWR | O_CLOEXEC);
	w->conf = (struct bf_conf_supervisor){
	    .workers = workers,
	    .drain_timeout_ms = 5000,
	    .ready_timeout_ms = 30000,
	    .stall_timeout_ms = 30000,
	    .log_level = 3,
	};
	w->crew.loop = w->loop;
	w->crew.shm = &w->segment.shm;
	w->crew.segment_fd = w->segment.fd;
	w->crew.lock_fd = w->folders.lock_fd;
	w->crew.doorbell_fd = w->doorbell;
	w->crew.own_slot = (uint32_t)identity_own(&w->segment.shm);
	w->crew.binaries = &w->binaries;
	w->crew.sockets = &w->sockets;
	w->crew.folders = &w->folders;
	w->crew.user = "";
	w->crew.inherited_env = NULL;
	w->crew.conf = &w->conf;
	w->crew.events = &world_events;
	w->crew.owner = w;
	ev_signal_init(&w->chld, world_on_chld, SIGCHLD);
	w->chld.data = w;
	ev_signal_start(w->loop, &w->chld);
}

static inline void world_done(struct world *w)
{
	crew_done(&w->crew);
	admin_close(&w->admin);
	ev_signal_stop(w->loop, &w->chld);
	slices_close(&w->slices);
	binaries_close(&w->binaries);
	segment_close(&w->segment);
	(void)close(w->doorbell);
	folder_close(&w->folders);
	remove_folder(w->folders.runtime);
	ev_loop_destroy(w->loop);
}

static inline void world_on_tick(struct ev_loop *loop, ev_timer *t, int revents)
{
	(void)t;
	(void)revents;
	ev_break(loop, EVBREAK_ONE);
}

/* Runs the loop for ms. */
static inline void world_run(struct world *w, int ms)
{
	ev_timer t;

	ev_timer_init(&t, world_on_tick, ms / 1000., 0.);
	ev_now_update(w->loop);
	ev_timer_start(w->loop, &t);
	(void)ev_run(w->loop, 0);
	ev_timer_stop(w->loop, &t);
}

/* Runs the loop until the condition holds; fails the test after 60 s. */
#define WORLD_UNTIL(w, condition)                                       \
	do {                                                            \
		int64_t end_ = bf_mono_ms() + 60000;                    \
		while (!(condition)) {                                  \
			assert_true(bf_mono_ms() < end_ && #condition); \
			world_run((w), 5);                              \
		}                                                       \
	} while (0)

static inline bool world_all_ready(struct world *w)
{
	for (uint32_t i = 0; i < w->crew.seat_count; i++) {
		if (w->crew.seats[i].state != SEAT_READY)
			return false;
	}
	return true;
}

/* How often a child noted this line. */
static inline unsigned world_notes(const struct world *w, const char *line)
{
	static char text[65536];
	char path[1200], whole[160];
	unsigned n = 0;
	ssize_t len;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/notes", w->folders.runtime);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
	if (fd >= 0)
		(void)close(fd);
	text[len > 0 ? len : 0] = '\0';
	(void)snprintf(whole, sizeof(whole), "%s\n", line);
	for (const char *at = text; (at = strstr(at, whole)) != NULL; at += strlen(whole))
		n++;
	return n;
}

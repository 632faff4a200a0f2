/*
 * The running supervisor: its parts side by side. Only the files that connect them (start.c,
 * lifecycle.c, commands.c) see this; each part knows what it is given.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>

#include "supervisor/admin.h"
#include "supervisor/binaries.h"
#include "supervisor/crew.h"
#include "supervisor/folder.h"
#include "supervisor/notify.h"
#include "supervisor/options.h"
#include "supervisor/reload.h"
#include "supervisor/roll.h"
#include "supervisor/router.h"
#include "supervisor/segment.h"
#include "supervisor/snapshot.h"
#include "supervisor/sockets.h"
#include "supervisor/watch.h"

enum life_phase {
	LIFE_STARTING, /* nothing was forked but the configuration helper */
	LIFE_RUNNING,
	LIFE_STOPPING,
};

struct supervisor {
	struct ev_loop *loop;
	const struct options *options;
	char *const *environment;
	int64_t started_mono_ms;

	struct owner owner;
	struct folders folders;
	struct binaries binaries;
	struct segment segment;
	struct sockets sockets;
	int doorbell_fd;
	uint32_t workers;

	struct crew crew;
	struct admin admin;
	struct router router;
	struct snapshots snapshots;
	struct roll roll;
	struct reload reload;
	struct watch watch;
	struct notify notify;
	struct admin_ticket restart_asker;

	ev_signal on_chld, on_term, on_int, on_hup;
	ev_timer watchdog;

	enum life_phase phase;
	bool was_ready;        /* READY=1 was sent */
	unsigned stop_signals; /* how often we were told to stop */
	uint8_t stop_order;    /* which children leave now */
	int exit_code;         /* enum bf_exit */
};

/* lifecycle.c: the whole life; an enum bf_exit. */
int supervisor_run(const struct options *options, char *const *environment);
/* Begins the ordered stop; a second call shortens it, a third ends it. */
void supervisor_stop(struct supervisor *s, int exit_code, const char *why);
/* Health and numbers that come from the configuration in force. */
void supervisor_show_config(const struct supervisor *s);
/* STATUS= for the service manager. */
void supervisor_tell_status(const struct supervisor *s);

/* start.c: everything before the first child; an enum bf_exit, with a line in err when it is not
 * BF_EXIT_OK. */
int start_read_config(struct supervisor *s, struct bf_err *err);
int start_prepare(struct supervisor *s, struct bf_err *err);
void start_undo(struct supervisor *s);

/* commands.c: questions of bifrostctl to the supervisor. */
void command_answer(struct supervisor *s, struct admin_connection *c, struct bf_frame *f);
void command_restart_done(struct supervisor *s, const struct seat *failed,
			  const struct bf_err *err);

extern const struct crew_events supervisor_crew_events;
extern const struct admin_events supervisor_admin_events;
extern const struct router_events supervisor_router_events;
extern const struct reload_events supervisor_reload_events;

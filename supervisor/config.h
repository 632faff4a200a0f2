/*
 * Reading the configuration: an unprivileged helper process parses the file and hands back one
 * bundle over a pipe. Runs on the loop, with a deadline.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/schema/load.h"

#define CONFIG_DEADLINE_S  15.
#define CONFIG_ARENA_BYTES (2u * BF_BUNDLE_MAX_BYTES)

struct config_job {
	struct ev_loop *loop;
	int helper; /* program */
	const char *file;
	const char *user;
	char *const *inherited_env;
	/*
	 * code 0: bundle is valid, and holds a usable configuration when bundle->ok; its bytes live
	 * until the call returns. Otherwise err says what went wrong with the helper.
	 */
	void (*on_done)(struct config_job *job, int code, const struct bf_bundle *bundle,
			const struct bf_err *err);
	void *owner;

	/* The job's own from here on. */
	bool running;
	pid_t pid; /* 0: reaped */
	int wait_status;
	int pipe; /* -1: ended */
	bool timed_out;
	ev_io reader;
	ev_timer deadline;
	struct bf_buf bytes; /* no-dump */
};

/* The fields up to owner were set. 0, or an error: then on_done does not follow. */
int config_job_start(struct config_job *job, struct bf_err *err);
/* Call on SIGCHLD; false when pid is not the helper's. */
bool config_job_reaped(struct config_job *job, pid_t pid, int wait_status);
/* Kills and forgets it; on_done does not follow. */
void config_job_cancel(struct config_job *job);

/* The supervisor's own slice of a bundle. */
int config_decode_own(const struct bf_bundle *bundle, struct bf_arena *arena,
		      struct bf_config *ret_config, struct bf_err *err);

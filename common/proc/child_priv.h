/* Parts of the child runtime, for common/proc/child*.c and their tests. */
#pragma once

#include "common/log/log.h"
#include "common/proc/child.h"

/* What the supervisor says in environment names; strings belong to the environment. */
struct bf_contract {
	enum bf_role role;
	uint32_t index, proc_slot, workers, addresses;
	const char *build_id, *user, *state_dir, *runtime_dir;
	enum bf_log_level log_level;
};

/*
 * Reads and checks environment and descriptors for a process of this role. BF_E_STATE: no contract
 * at all, it was started by hand; BF_E_MISSING, BF_E_RANGE, BF_E_UNKNOWN, -EBADF: a broken one.
 */
int bf_contract_read(enum bf_role role, struct bf_contract *ret_contract, struct bf_err *err);

/*
 * From now on the process dies BF_ORPHAN_LIMIT_MS after the other end of channel_fd is closed, even
 * if it never returns to its loop. Once per process, after rights were dropped and before the
 * sandbox.
 */
int bf_deathwatch_arm(int channel_fd, struct bf_err *err);
/* The channel is known to be over: starts the clock if it does not run yet. */
void bf_deathwatch_start(void);

/* Opens loop and channel and runs until the child leaves. Returns the exit code. */
int bf_child_run(struct bf_child *child);

extern const struct bf_channel_events bf_child_events;

/* Supervisor's HELLO was right: start() and READY. Ends the child when start() fails. */
void bf_child_begin(struct bf_child *child);

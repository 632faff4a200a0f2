/* Environments of the processes we start. */
#pragma once

#include <stdint.h>

#include "common/base/arena.h"

/* What a child is told by the contract (common/proc/contract.h). */
struct environment {
	const char *role;
	uint32_t index, proc_slot, workers, addresses;
	const char *build_id;
	const char *user; /* "": stay */
	const char *state_dir, *runtime_dir;
	const char *log_level;
};

/*
 * The contract's names, and of what came in only PATH, LANG, TZ, the sanitizers' options and
 * FAKE_CHILD* (test children): provider keys in the supervisor's environment stay there.
 * NULL-terminated, in the arena; NULL when it is full.
 */
char **environment_of_child(const struct environment *e, char *const *inherited,
			    struct bf_arena *arena);

/* Everything, so that env.NAME references can be resolved, and BIFROST_USER. */
char **environment_of_config_helper(const char *user, char *const *inherited,
				    struct bf_arena *arena);

/* Where the stores lie, and what the sandbox must allow for it. */
#pragma once

#include "common/proc/child.h"

/* The path of a store's file, in the child's arena: relative ones start at the state folder. 0 or
 * err. */
int paths_resolve(struct bf_child *child, const struct bf_conf_store *conf, const char *block,
		  const char **ret_path, struct bf_err *err);

/* A rule for the folder of path (SQLite keeps its WAL beside the file). access: enum
 * bf_path_access. 0 or err. */
int paths_allow(struct bf_child *child, const char *path, const char *block, unsigned access,
		struct bf_sandbox_path *ret_rule, struct bf_err *err);

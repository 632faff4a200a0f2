/* State and runtime folder: which, made, owned, checked, and the runtime folder's lock. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/err.h"
#include "common/base/slice.h"

#define FOLDER_STATE_DEFAULT   "/var/lib/bifrost"
#define FOLDER_RUNTIME_DEFAULT "/run/bifrost"
#define FOLDER_LOCK_WAIT_MS    5000 /* for children of a supervisor that just died */

/* Whom children, folders and files belong to. */
struct owner {
	const char *name; /* "": ourselves */
	uid_t uid;
	gid_t gid;
};

struct folders {
	char state[1024], runtime[1024]; /* absolute */
	int runtime_fd;
	int lock_fd;
	bool runtime_is_tmpfs;
};

/* user NULL or "": ourselves. BF_E_UNKNOWN, or BF_E_DENIED when we are not root and may not become
 * it. */
int owner_find(const char *user, struct owner *ret_owner, struct bf_err *err);

/* The environment wins over the configuration, which wins over the default. Relative paths are made
 * absolute. */
int folder_choose(struct folders *f, struct bf_slice conf_state, struct bf_slice conf_runtime,
		  struct bf_err *err);

/*
 * Makes both folders (0700) with missing parents, gives them to owner, checks that the owner can
 * write to the state folder and that nobody else can write to the runtime folder.
 */
int folder_prepare(struct folders *f, const struct owner *owner, struct bf_err *err);

/*
 * Takes the lock. BF_E_STATE at once when a living supervisor holds it (err names its pid), or
 * after wait_ms when what is left of a dead one does.
 */
int folder_lock(struct folders *f, const struct owner *owner, int64_t wait_ms, struct bf_err *err);

/* Creates path and its missing parents. 0 or -errno. */
int folder_make(const char *path, mode_t mode);

void folder_close(struct folders *f);

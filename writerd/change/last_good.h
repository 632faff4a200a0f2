/*
 * The copy on the disk of what was last in force, so that a node serves when its config store
 * cannot be used: base and overlay as they are, sealed in pieces. Without encryption_key there is
 * none. It is written a piece at a time, while everything else goes on.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>

#include "common/base/err.h"
#include "common/crypt/seal.h"
#include "writerd/entity/entities.h"

#define LAST_GOOD_EVERY_MS 60000

struct last_good {
	struct ev_loop *loop; /* NULL: there is no copy */
	char path[512], path_new[520];
	uint8_t key[BF_SEAL_KEY_LEN];
	ev_timer slice;
	int fd; /* of the new one; -1: none is written */
	int sources[2];
	uint64_t sizes[2];
	uint64_t place; /* bytes of both that were written */
	uint32_t piece;
	char id[33]; /* of this copy: pieces of another do not fit */
	struct bf_buf plain, sealed;
	bool wanted;         /* something changed since */
	int64_t begun_at_ms; /* monotonic; 0: never */
	uint64_t written;    /* copies */
};

/* encryption_key empty: nothing is ever written or read. */
void last_good_init(struct last_good *g, struct ev_loop *loop, const char *state_dir,
		    struct bf_slice encryption_key);
void last_good_done(struct last_good *g);

/* What is in force is another now. */
void last_good_changed(struct last_good *g);
/* Once a second: begins a copy of these when it is time. The descriptors are the caller's. */
void last_good_second(struct last_good *g, int base_fd, int overlay_fd);

/* Is there one of this encryption_key, as far as its beginning tells? */
bool last_good_is_there(const struct last_good *g);
/*
 * Puts what the copy has into t and its pepper into ret_pepper. 0; BF_E_MISSING: there is none;
 * BF_E_DENIED: it is not of this encryption_key, or was changed; BF_E_*, -errno.
 */
int last_good_load(const struct last_good *g, struct entities *t, uint8_t ret_pepper[32],
		   struct bf_err *err);

/*
 * Listening sockets: one per (worker slot, address), inherited by every worker. A worker accepts
 * from its own slot, and from slots whose worker died until they have one again.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

#define LISTENER_ACCEPTS_PER_TURN 16  /* per socket */
#define LISTENER_PAUSE_MS         100 /* when descriptors or memory are out */

struct front;

struct listener {
	struct front *front;
	ev_io *watchers; /* slots * addresses */
	uint32_t slots, addresses;
	ev_timer pause;
	bool paused, stopped;
	bool *accepting; /* per slot */
};

/* Sockets stand at first_fd + slot * addresses + address. Accepts nothing yet. */
int listener_init(struct listener *l, struct front *f, int first_fd, uint32_t slots,
		  uint32_t addresses, struct bf_err *err);
void listener_done(struct listener *l);
/* BF_E_RANGE for a slot that does not exist; no-op when it is already so, and after listener_stop.
 */
int listener_adopt(struct listener *l, uint32_t slot);
int listener_release(struct listener *l, uint32_t slot);
/* For good: a drain. */
void listener_stop(struct listener *l);

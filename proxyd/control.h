/* What the supervisor tells this worker, and what a worker tells about itself. */
#pragma once

#include "common/proc/child.h"
#include "common/snapshot/holder.h"
#include "proxyd/ask.h"
#include "proxyd/front/front.h"
#include "proxyd/provider/provider.h"
#include "proxyd/worker.h"
#include "shm/segment.h"

/* The process: hangs in bf_child.daemon. */
struct proxyd {
	struct bf_child *child;
	struct shm_segment seg;
	struct worker worker;
	struct provider_net net;
	struct bf_tls_server *tls; /* NULL: plain HTTP */
	struct front front;
	struct ask_table asks;
	struct bf_snapshot_holder snapshots;
	ev_timer catch_up; /* active: nobody is served yet */
};

extern const struct bf_child_handler control_handlers[];

/* All is open: serves, and says READY, once it has what is in force, or after a while without. */
void control_begin(struct proxyd *d);
void control_done(struct proxyd *d);

void control_status(struct bf_child *child, struct bf_array *items, struct bf_arena *arena);

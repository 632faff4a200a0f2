/*
 * Dead workers: what they left in their process slot becomes rows, then the slot is free again.
 * Every step may be repeated by the next writerd: rows are keyed by request, entries stay held
 * until their row is committed, a slot is freed last.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shm/segment.h"
#include "writerd/store/store.h"
#include "writerd/usage/join.h"

struct sweep {
	struct shm_segment *seg;
	struct store *store;
	bool keep_content;
	uint16_t role;     /* of processes with rings */
	struct fold *fold; /* NULL: there are no meters */
	void (*on_freed)(void *owner, uint32_t p);
	void *owner;
	bool kept[SHM_PROC_SLOTS]; /* could not be freed: left to the next writerd, told once */
	struct row_scratch scratch;
	/* Of the running transaction: */
	struct store_item items[JOIN_MAX_RECORDS];
	struct shm_usage_record records[JOIN_MAX_RECORDS];
	int entries[JOIN_MAX_RECORDS];
};

void sweep_init(struct sweep *s, struct shm_segment *seg, struct store *store, bool keep_content,
		uint16_t role);
void sweep_done(struct sweep *s);

/* Does a dead slot wait? */
bool sweep_pending(const struct sweep *s);

/*
 * One bounded piece of work on every dead slot whose usage ring intake has emptied. ret_rows: new
 * rows. 1 when something was done, 0 when there was nothing to do, or the store's error.
 */
int sweep_run(struct sweep *s, int64_t now_wall_ns, unsigned *ret_rows, struct bf_err *err);

/* From the rings of all process slots into the store: usage records joined with their bodies. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shm/segment.h"
#include "writerd/store/store.h"
#include "writerd/usage/batch.h"
#include "writerd/usage/join.h"

#define INTAKE_MAX_ROWS 2048u /* of one transaction */
#define INTAKE_MAX_BYTES \
	(8u << 20) /* of bodies in one transaction; one slot's ring may go over it once */

struct intake {
	struct shm_segment *seg;
	struct store *store;
	bool keep_content;
	struct fold *fold;   /* NULL: there are no meters */
	uint32_t first_slot; /* of the next turn: no slot is always last */
	struct join joins[SHM_PROC_SLOTS];
	struct row_scratch scratch;
	/* Of the running transaction: */
	struct store_item items[INTAKE_MAX_ROWS];
	struct intake_part {
		uint32_t p;
		uint32_t rows;
		uint64_t content_end;
	} parts[SHM_PROC_SLOTS];
	uint32_t item_count, part_count;
};

void intake_init(struct intake *in, struct shm_segment *seg, struct store *store,
		 bool keep_content);
void intake_done(struct intake *in);

/* Slots that nobody holds are not read: their pages were never touched, or were given back. */
bool intake_slot_held(const struct shm_segment *seg, uint32_t p);

/* What waits in all rings. */
void intake_look(const struct intake *in, struct batch_waiting *ret_waiting);

/*
 * One transaction with what waits, up to the bounds; then, and only then, the records are taken
 * from the rings. ret_rows: new rows; ret_taken: records released. 0 or the store's error, after
 * which everything still waits.
 */
int intake_commit(struct intake *in, int64_t now_ms, unsigned *ret_rows, unsigned *ret_taken,
		  struct bf_err *err);

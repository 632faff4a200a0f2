/* Worker and writerd as the kill programs play them: the same calls in the same order as the real
 * ones. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ledger.h"
#include "shm/segment.h"

#define ROLES_HELD_MAX 200

struct worker {
	struct shm_segment *seg;
	struct ledger *ledger;
	uint32_t p;
	uint64_t random;
	int entries[ROLES_HELD_MAX];
	uint64_t numbers[ROLES_HELD_MAX];
	uint32_t tokens[ROLES_HELD_MAX];
	unsigned held;
};

/* false: refused, or the ledger is full. */
bool worker_begin(struct worker *w);
void worker_progress(struct worker *w, unsigned i);
void worker_finish(struct worker *w, unsigned i, bool with_body);

/* One pass over all slots: intake of up to max records each, sweeping and freeing of dead ones.
 * Whether there was work. */
bool writer_turn(struct shm_segment *seg, struct ledger *l, size_t max);
/* The end of a run: everyone is dead; passes until every slot is free. */
void writer_finish_all(struct shm_segment *seg, struct ledger *l);

/* Old rows leave in small pieces: pure schedule; the deletion is the store's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "writerd/store/store.h"

#define RETENTION_BATCH_ROWS 500u
#define RETENTION_PAUSE_MS   50            /* between two pieces: rows go first */
#define RETENTION_EVERY_MS   (3600 * 1000) /* between two runs */
#define RETENTION_FIRST_MS   1000          /* after the start */

struct retention {
	int64_t days; /* 0: rows are kept for ever */
	int64_t next_ms;
	bool running;     /* between the first and the last piece of a pass */
	uint64_t deleted; /* of the running pass, or of the last one */
};

void retention_init(struct retention *r, int64_t days, int64_t now_ms);
bool retention_due(const struct retention *r, int64_t now_ms);

/*
 * One piece, when due. ret_finished: the pass is over and r->deleted rows left. 0 or the store's
 * error; the next try is then the next pass.
 */
int retention_run(struct retention *r, struct store *store, int64_t now_ms, int64_t now_wall_ns,
		  bool *ret_finished, struct bf_err *err);

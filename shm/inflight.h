/*
 * In-flight table: per process slot, one entry per admitted request, with everything a row needs by
 * value. If the worker dies, writerd makes exactly one row of every entry that is still held.
 *
 * Order that makes it exact: begin (the entry is held) before the upstream is called; at the end
 * the record is pushed to the usage ring first, then the entry is freed. A death in between leaves
 * both: the sweep takes the ring first and the row's key is the request id, so the second one
 * changes nothing.
 *
 * With meters: begin, shm_meter_admit (refused: cancel); at the end shm_meter_closing with the
 * numbers of the record, push, shm_meter_close, end. So wherever the worker dies, its row and its
 * meters are charged the same.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shm/segment.h"
#include "shm/usage.h"

#define SHM_INFLIGHT_ENTRIES 8192u /* per slot */

/*
 * Puts a copy of *r into a free entry and marks it held. Index, or -1 (answer 503) when all are
 * taken or the usage ring could not keep one record for every held request. Holder of p only.
 */
int shm_inflight_begin(struct shm_segment *seg, uint32_t p, const struct shm_usage_record *r);

/* Tokens and flags seen so far, for the sweep. Holder of p only. */
void shm_inflight_progress(struct shm_segment *seg, uint32_t p, int entry, uint64_t prompt_tokens,
			   uint64_t completion_tokens, uint32_t flags);

/*
 * What tokens cost, in 1e-12 dollars, for the row of a sweep that no meter of money tells the cost
 * of: it is then what was seen. Holder of p only.
 */
void shm_inflight_price(struct shm_segment *seg, uint32_t p, int entry, int64_t input_pusd,
			int64_t output_pusd);

/*
 * The request goes on with another key, or with the same one again: what the sweep tells instead of
 * the record's key_name, key_id and attempts. Holder of p only.
 */
void shm_inflight_rekey(struct shm_segment *seg, uint32_t p, int entry,
			const struct shm_usage_record *r);

/*
 * The end of a request, in two steps: its record goes to the usage ring, which cannot fail because
 * shm_inflight_begin kept the room (asserted); then, its meters closed (asserted), the entry is
 * free. Holder of p only.
 */
void shm_inflight_push(struct shm_segment *seg, uint32_t p, int entry,
		       const struct shm_usage_record *r);
void shm_inflight_end(struct shm_segment *seg, uint32_t p, int entry);
/* Both at once, for a request that holds nothing of a meter. */
void shm_inflight_finish(struct shm_segment *seg, uint32_t p, int entry,
			 const struct shm_usage_record *r);

/* Takes a request back that was refused by its meters: no row, as if it had never begun. Holder of
 * p only. */
void shm_inflight_cancel(struct shm_segment *seg, uint32_t p, int entry);

uint32_t shm_inflight_count(const struct shm_segment *seg, uint32_t p);

/*
 * Sweep by writerd of a DEAD slot whose usage ring is empty: the next held entry at or after from,
 * as a record marked CRASHED | ESTIMATED with status error; its index, or -1 when none is left. The
 * entry stays held until shm_inflight_swept, called after the row is committed; both may be
 * repeated by the next writerd after a kill.
 *
 * Meters: what the dead worker had half done is decided first (shm_meter_enter). The record is
 * charged what the worker had said, or else what was reserved, but for requests at once, which are
 * over; nothing when nothing was reserved. swept closes the meters of the entry with the same
 * numbers.
 */
int shm_inflight_sweep(struct shm_segment *seg, uint32_t p, int from, int64_t now_wall_ns,
		       struct shm_usage_record *ret_record);
void shm_inflight_swept(struct shm_segment *seg, uint32_t p, int entry);

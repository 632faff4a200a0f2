/*
 * Rings to rows. Called by turn.c; must not release a record before the commit that holds it, nor
 * its body after it: a kill between the two releases then leaves a record whose row is already
 * there, which changes nothing.
 */
#include "writerd/usage/intake.h"

#include "shm/content.h"
#include "shm/slot.h"
#include "shm/usage.h"
#include "writerd/store/fold.h"

_Static_assert(INTAKE_MAX_ROWS <= FOLD_ROWS_MAX, "what a transaction holds is summed whole");

void intake_init(struct intake *in, struct shm_segment *seg, struct store *store, bool keep_content)
{
	*in = (struct intake){.seg = seg, .store = store, .keep_content = keep_content};
	row_scratch_init(&in->scratch);
}

void intake_done(struct intake *in)
{
	row_scratch_done(&in->scratch);
}

bool intake_slot_held(const struct shm_segment *seg, uint32_t p)
{
	struct shm_slot_info info;

	shm_slot_info(seg, p, &info);
	return info.state == SHM_SLOT_LIVE || info.state == SHM_SLOT_DEAD;
}

void intake_look(const struct intake *in, struct batch_waiting *ret_waiting)
{
	struct batch_waiting w = {0};

	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		uint64_t rows, bytes;

		if (!intake_slot_held(in->seg, p))
			continue;
		rows = shm_usage_waiting(in->seg, p);
		bytes = shm_content_waiting_bytes(in->seg, p);
		w.rows += rows;
		if (rows)
			w.bytes += bytes;
		/* Bodies without a record, or that nobody wants, must not fill the ring. */
		if (rows >= SHM_USAGE_RING_RECORDS / 2 || bytes > SHM_CONTENT_RING_BYTES / 2 ||
		    (bytes && !in->keep_content))
			w.urgent = true;
	}
	*ret_waiting = w;
}

static uint64_t bytes_of(const struct store_item *items, size_t n)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += items[i].input.len + items[i].output.len;
	return bytes;
}

/* Adds what slot p has to the transaction; returns its bytes of bodies. */
static uint64_t collect(struct intake *in, uint32_t p, int64_t now_ms)
{
	const struct shm_usage_record *records[JOIN_MAX_RECORDS];
	size_t room = BF_MIN(INTAKE_MAX_ROWS - in->item_count, JOIN_MAX_RECORDS);
	size_t n = shm_usage_peek(in->seg, p, records, room);
	struct store_item *items = &in->items[in->item_count];
	struct intake_part *part = &in->parts[in->part_count];

	for (size_t i = 0; i < n; i++)
		items[i] = (struct store_item){.record = records[i]};
	*part = (struct intake_part){.p = p, .rows = (uint32_t)n};
	if (in->keep_content && shm_content_waiting_bytes(in->seg, p) > 0)
		part->content_end = join_content(in->seg, p, &in->joins[p], items, n, now_ms);
	if (n == 0 && !part->content_end)
		return 0;
	in->item_count += part->rows;
	in->part_count++;
	return bytes_of(items, n);
}

static void release(struct intake *in)
{
	for (uint32_t i = 0; i < in->part_count; i++) {
		const struct intake_part *part = &in->parts[i];

		if (part->content_end)
			shm_content_release(in->seg, part->p, part->content_end);
		if (part->rows)
			shm_usage_release(in->seg, part->p, part->rows);
	}
}

static void discard_content(struct intake *in)
{
	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		if (intake_slot_held(in->seg, p) && shm_content_waiting_bytes(in->seg, p) > 0)
			join_discard(in->seg, p);
	}
}

int intake_commit(struct intake *in, int64_t now_ms, unsigned *ret_rows, unsigned *ret_taken,
		  struct bf_err *err)
{
	uint64_t bytes = 0;
	int r = 0;

	*ret_rows = *ret_taken = 0;
	in->item_count = in->part_count = 0;
	for (uint32_t k = 0;
	     k < SHM_PROC_SLOTS && in->item_count < INTAKE_MAX_ROWS && bytes < INTAKE_MAX_BYTES;
	     k++) {
		uint32_t p = (in->first_slot + k) % SHM_PROC_SLOTS;

		if (intake_slot_held(in->seg, p))
			bytes += collect(in, p, now_ms);
	}
	in->first_slot = (in->first_slot + 1) % SHM_PROC_SLOTS;
	if (in->item_count)
		r = store_write(in->store, in->items, in->item_count, &in->scratch, in->fold,
				ret_rows, err);
	if (r < 0)
		return r;
	release(in);
	*ret_taken = in->item_count;
	if (!in->keep_content)
		discard_content(in);
	return 0;
}

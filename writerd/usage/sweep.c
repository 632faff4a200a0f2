/*
 * The sweep of dead slots. Called by turn.c after intake; must never touch a slot whose process may
 * still run: only the supervisor says DEAD, after waitpid. What a request is charged, and that its
 * meters are charged the same, is decided in shm/inflight.c.
 */
#include "writerd/usage/sweep.h"

#include "common/log/log.h"
#include "shm/content.h"
#include "shm/inflight.h"
#include "shm/slot.h"
#include "shm/usage.h"

#define DISCARDS_MAX 64 /* each takes thousands of bodies: more than one ring holds */

void sweep_init(struct sweep *s, struct shm_segment *seg, struct store *store, bool keep_content,
		uint16_t role)
{
	*s = (struct sweep){.seg = seg, .store = store, .keep_content = keep_content, .role = role};
	row_scratch_init(&s->scratch);
}

void sweep_done(struct sweep *s)
{
	row_scratch_done(&s->scratch);
}

static bool is_dead(const struct sweep *s, uint32_t p)
{
	struct shm_slot_info info;

	if (s->kept[p])
		return false;
	shm_slot_info(s->seg, p, &info);
	return info.state == SHM_SLOT_DEAD && info.role == s->role;
}

bool sweep_pending(const struct sweep *s)
{
	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		if (is_dead(s, p))
			return true;
	}
	return false;
}

/* Fills items with held entries of p; their number. */
static size_t collect(struct sweep *s, uint32_t p, int64_t now_wall_ns)
{
	struct join nothing_stuck = {0};
	size_t n = 0;
	int from = 0;

	while (n < JOIN_MAX_RECORDS) {
		int entry = shm_inflight_sweep(s->seg, p, from, now_wall_ns, &s->records[n]);

		if (entry < 0)
			break;
		s->entries[n] = entry;
		s->items[n] = (struct store_item){.record = &s->records[n]};
		from = entry + 1;
		n++;
	}
	if (n && s->keep_content)
		(void)join_content(s->seg, p, &nothing_stuck, s->items, n, 0);
	return n;
}

static int free_slot(struct sweep *s, uint32_t p)
{
	int r;

	/* Bodies whose record never came and whose entry is gone: at most one ring of them. */
	for (int k = 0; k < DISCARDS_MAX && shm_content_waiting_bytes(s->seg, p) > 0; k++)
		join_discard(s->seg, p);
	r = shm_slot_free(s->seg, p);
	if (r < 0) {
		s->kept[p] = true;
		bf_log(BF_LOG_ERROR, "sweep_slot_kept", "slot=%u reason=%s", p,
		       bf_log_quote(bf_err_text(r)));
		return 0;
	}
	if (s->on_freed)
		s->on_freed(s->owner, p);
	return 1;
}

static int sweep_slot(struct sweep *s, uint32_t p, int64_t now_wall_ns, unsigned *rows,
		      struct bf_err *err)
{
	unsigned inserted = 0;
	size_t n = collect(s, p, now_wall_ns);
	int r;

	if (n == 0)
		return free_slot(s, p);
	r = store_write(s->store, s->items, n, &s->scratch, s->fold, &inserted, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		shm_inflight_swept(s->seg, p, s->entries[i]);
	*rows += inserted;
	/* The usual case: everything fitted, the slot can be free in the same turn. */
	return n < JOIN_MAX_RECORDS ? free_slot(s, p) : 1;
}

int sweep_run(struct sweep *s, int64_t now_wall_ns, unsigned *ret_rows, struct bf_err *err)
{
	int done = 0;

	*ret_rows = 0;
	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		int r;

		if (!is_dead(s, p) || shm_usage_waiting(s->seg, p) > 0)
			continue;
		r = sweep_slot(s, p, now_wall_ns, ret_rows, err);
		if (r < 0)
			return r;
		done |= r;
	}
	return done;
}

/*
 * The sweep of dead slots. Called by turn.c after intake; must never touch a slot whose process may
 * still run: only the supervisor says DEAD, after waitpid.
 */
#include "writerd/sweep.h"

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

/*
 * What a request is charged that was held when its worker died: what it had reserved, which is at
 * least what was seen; requests at once are given back. Told to the meters as what it used.
 */
static void charge_reserved(struct sweep *s, int entry, const uint32_t *meters, int64_t *charged,
			    unsigned n)
{
	for (unsigned k = 0; k < n; k++) {
		if (shm_meter_quantity(s->seg, meters[k]) == SHM_METER_CONCURRENT)
			charged[k] = 0;
		charged[k] = BF_MIN(BF_MAX(charged[k], 0), SHM_METER_AMOUNT_MAX);
	}
	shm_meter_closing(&s->meters, entry, charged);
}

/* The row of a quantity is told the number that its meters are charged: for all of a request it is
 * the same. */
static void tell_charge(struct shm_usage_record *r, uint32_t quantity, int64_t charged)
{
	if (quantity == SHM_METER_REQUESTS)
		r->requests_charged = (uint32_t)charged;
	else if (quantity == SHM_METER_TOKENS)
		r->tokens_charged = (uint64_t)charged;
	else if (quantity == SHM_METER_NUSD)
		r->cost_nusd = charged;
}

/* The charges of an entry into its record; true when its meters are to be closed afterwards. */
static bool charge(struct sweep *s, int entry, struct shm_usage_record *r)
{
	int64_t charged[SHM_METERS_PER_REQUEST];
	enum shm_meter_state state;
	unsigned n = shm_meter_charges(&s->meters, entry, &state, charged);

	r->requests_charged = state == SHM_METER_HELD;
	r->tokens_charged = 0;
	r->meter_count = 0;
	if (state == SHM_METER_NONE)
		return false;
	r->tokens_charged = r->prompt_tokens + r->completion_tokens;
	r->meter_count = shm_meter_names(&s->meters, entry, r->meters, r->epochs);
	if (state == SHM_METER_HELD)
		charge_reserved(s, entry, r->meters, charged, n);
	for (unsigned k = 0; k < n; k++)
		tell_charge(r, shm_meter_quantity(s->seg, r->meters[k]), charged[k]);
	return state != SHM_METER_SETTLED;
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
		s->to_close[n] = charge(s, entry, &s->records[n]);
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
	size_t n;
	int r;

	/* What it left undone is decided first; begun again in every piece, it changes nothing. */
	shm_meter_enter(&s->meters, s->seg, p);
	n = collect(s, p, now_wall_ns);
	if (n == 0)
		return free_slot(s, p);
	r = store_write(s->store, s->items, n, &s->scratch, s->fold, &inserted, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (s->to_close[i])
			shm_meter_close(&s->meters, s->entries[i]);
		shm_inflight_swept(s->seg, p, s->entries[i]);
	}
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

/* The store and the oracle of the meters' stress. */
#include "meter_ledger.h"

#include <string.h>

#include "shm/killpoint.h"
#include "torture.h"

/* Places side by side and one chain of three, so that they get in each other's way. */
const struct ledger_limit ledger_limits[LIMITS] = {
    {UINT64_C(1) << 32 | 40, SHM_METER_REQUESTS, 1, 40},
    {UINT64_C(2) << 32 | 40, SHM_METER_TOKENS, 1, 90},
    {UINT64_C(3) << 32 | 40, SHM_METER_CONCURRENT, 0, 12},
    {UINT64_C(4) << 32 | 41, SHM_METER_NUSD, 3, 200},
    {UINT64_C(5) << 32 | 900, SHM_METER_REQUESTS, 7, 70},
    {UINT64_C(6) << 32 | 900, SHM_METER_TOKENS, 5, 300},
    {UINT64_C(7) << 32 | (SHM_METERS - 1), SHM_METER_NUSD, 1, 60},
};

uint32_t ledger_epoch(uint32_t limit, uint32_t now)
{
	return ledger_limits[limit].turns ? now / ledger_limits[limit].turns : 0;
}

static int limit_of(uint64_t identity)
{
	for (int i = 0; i < (int)LIMITS; i++) {
		if (ledger_limits[i].identity == identity)
			return i;
	}
	return -1;
}

static int64_t charge_of(const struct shm_usage_record *r, uint32_t quantity)
{
	switch (quantity) {
	case SHM_METER_REQUESTS:
		return r->requests_charged;
	case SHM_METER_TOKENS:
		return (int64_t)r->tokens_charged;
	case SHM_METER_NUSD:
		return r->cost_nusd;
	default:
		return 0;
	}
}

void ledger_recover(struct meter_ledger *l)
{
	struct ledger_redo *redo = &l->redo;

	if (!redo->valid)
		return;
	for (uint32_t k = 0; k < redo->n; k++)
		l->settled[redo->cell[k].limit][redo->cell[k].epoch] = redo->cell[k].total;
	l->last[redo->p][redo->lane] = redo->id;
	SHM_KILLPOINT("ledger_applied");
	redo->valid = 0;
}

void ledger_commit(struct meter_ledger *l, const struct shm_segment *seg, uint32_t p,
		   const struct shm_usage_record *r)
{
	struct ledger_redo *redo = &l->redo;
	uint64_t id;

	memcpy(&id, r->id, sizeof(id));
	redo->p = p;
	redo->lane = (uint32_t)(id % LEDGER_LANES);
	redo->id = id;
	redo->n = 0;
	/* A lane's rows come in their order, so an older one was written before: its writer died.
	 */
	if (id <= l->last[p][redo->lane]) {
		l->repeated++;
		return;
	}
	for (uint32_t k = 0; k < r->meter_count; k++) {
		int i = limit_of(shm_meter_identity(seg, r->meters[k]));
		TORTURE_CHECK(i >= 0, "meter %u is nobody's, and a row names it", r->meters[k]);
		uint32_t quantity = shm_meter_quantity(seg, r->meters[k]);
		TORTURE_CHECK(quantity == ledger_limits[i].quantity, "quantity %u", quantity);
		if (quantity == SHM_METER_CONCURRENT)
			continue;
		redo->cell[redo->n].limit = (uint32_t)i;
		redo->cell[redo->n].epoch = r->epochs[k];
		redo->cell[redo->n++].total = l->settled[i][r->epochs[k]] + charge_of(r, quantity);
	}
	l->rows++;
	l->crashed += (r->flags & SHM_USAGE_CRASHED) != 0;
	l->charged_crashed += (r->flags & SHM_USAGE_CRASHED) && r->meter_count > 0;
	SHM_KILLPOINT("ledger_prepared");
	redo->valid = 1;
	SHM_KILLPOINT("ledger_committed");
	ledger_recover(l);
}

uint64_t ledger_check_meters(const struct meter_ledger *l, const struct shm_segment *seg)
{
	uint64_t looked = 0;

	for (uint32_t m = 0; (m = shm_meter_next(seg, m)) != SHM_METER_NOWHERE; m++) {
		int i = limit_of(shm_meter_identity(seg, m));
		struct shm_meter_info info;
		int64_t want;

		TORTURE_CHECK(i >= 0, "meter %u is of no limit", m);
		if (shm_meter_quantity(seg, m) == 0)
			continue; /* never opened */
		TORTURE_CHECK(shm_meter_read(seg, m, &info), "a meter moves and nobody lives");
		want = ledger_limits[i].turns ? l->settled[i][info.epoch] : 0;
		TORTURE_CHECK(info.value == want,
			      "limit %d is worth %lld in window %u, its rows say %lld", i,
			      (long long)info.value, info.epoch, (long long)want);
		TORTURE_CHECK(info.value >= 0 && info.value <= ledger_limits[i].most,
			      "limit %d: %lld", i, (long long)info.value);
		looked++;
	}
	return looked;
}

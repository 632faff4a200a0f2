/* Meters in a crafted segment, and rows that charge them. For the tests of writerd only. */
#pragma once

#include "tests/unit/writerd/crafted.h"

#include "common/govern/plan.h"
#include "shm/meter.h"
#include "writerd/store/fold.h"

/* An open meter whose identity is the number, in window `epoch`. */
static inline uint32_t metered_open(struct crafted *c, uint64_t identity, enum bf_quantity quantity,
				    uint32_t epoch)
{
	uint32_t m;
	bool is_new;

	assert_int_equal(shm_meter_place(&c->seg, identity, &m, &is_new), 0);
	assert_true(is_new);
	shm_meter_load(&c->seg, m, epoch, 0);
	(void)shm_meter_configure(&c->seg, m, SHM_METER_LIMIT_MAX, false, false, 0);
	shm_meter_open(&c->seg, m, identity, quantity);
	return m;
}

static inline void metered_charge(struct shm_usage_record *r, uint32_t meter, uint32_t epoch)
{
	r->meters[r->meter_count] = meter;
	r->epochs[r->meter_count++] = epoch;
}

/* Windows are as long as their epochs say. */
static inline int metered_window_of(void *owner, uint32_t m, uint64_t identity, uint32_t epoch,
				    int64_t *ret_window, struct bf_err *err)
{
	(void)owner;
	(void)m;
	(void)identity;
	(void)err;
	*ret_window = epoch;
	return 0;
}

static inline void metered_fold(struct fold *f, struct crafted *c)
{
	assert_int_equal(fold_init(f, &c->seg), 0);
	f->window_of = metered_window_of;
}

static inline int64_t metered_settled(const struct crafted *c, uint32_t m)
{
	struct shm_meter_info info;

	assert_true(shm_meter_read(&c->seg, m, &info));
	return info.settled;
}

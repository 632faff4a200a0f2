/*
 * Sums of a transaction. Called by store.c; must never trust a number that a worker wrote, and
 * never publish what is not committed.
 */
#include "writerd/store/fold.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/macros.h"
#include "common/base/window.h"
#define READ_TRIES 100u

int fold_init(struct fold *f, struct shm_segment *seg)
{
	*f = (struct fold){.seg = seg};
	f->sums = calloc(FOLD_SUMS_MAX, sizeof(*f->sums));
	f->places = calloc(FOLD_PLACES, sizeof(*f->places));
	if (f->sums && f->places)
		return 0;
	fold_done(f);
	return -ENOMEM;
}

void fold_done(struct fold *f)
{
	free(f->sums);
	free(f->places);
	f->sums = NULL;
	f->places = NULL;
}

/* Where the sum of a meter's window stands, or would. */
static uint32_t place_of(const struct fold *f, uint32_t meter, uint32_t epoch)
{
	uint64_t mixed = ((uint64_t)meter << 24 | epoch) * UINT64_C(0x9e3779b97f4a7c15);
	uint32_t at = (uint32_t)(mixed >> (64 - FOLD_PLACES_BITS));

	while (f->places[at] && (f->sums[f->places[at] - 1].meter != meter ||
				 f->sums[f->places[at] - 1].epoch != epoch))
		at = (at + 1) % FOLD_PLACES;
	return at;
}

void fold_clear(struct fold *f)
{
	/* From the newest on, so that each is found although others are gone. */
	while (f->count > 0) {
		const struct fold_sum *s = &f->sums[f->count - 1];

		f->places[place_of(f, s->meter, s->epoch)] = 0;
		f->count--;
	}
}

/* NULL: there are more than a transaction can have. */
static struct fold_parts *sum_of(struct fold *f, uint32_t meter, uint32_t epoch)
{
	uint32_t at = place_of(f, meter, epoch);

	if (f->places[at] == 0) {
		if (f->count == FOLD_SUMS_MAX) {
			f->unknown++;
			return NULL;
		}
		f->sums[f->count] = (struct fold_sum){.meter = meter, .epoch = epoch};
		f->places[at] = ++f->count;
	}
	return &f->sums[f->places[at] - 1].more;
}

static void add_one(struct fold *f, uint32_t meter, uint32_t epoch, int64_t amount)
{
	struct fold_parts *sum = sum_of(f, meter, epoch);

	if (sum)
		sum->used += amount;
}

void fold_miss(struct fold *f, uint32_t meter, uint32_t epoch, int64_t amount)
{
	struct fold_parts *sum = sum_of(f, meter, epoch);

	if (!sum)
		return;
	sum->used += amount;
	sum->missed += amount;
}

void fold_add(struct fold *f, const struct shm_usage_record *r, const struct row *row)
{
	uint32_t n = BF_MIN(r->meter_count, SHM_METERS_PER_REQUEST);

	for (uint32_t k = 0; k < n; k++) {
		uint32_t m = r->meters[k];
		uint32_t quantity = m < SHM_METERS ? shm_meter_quantity(f->seg, m) : 0;
		int64_t amount = shm_usage_charge(r, quantity);

		if (quantity == 0)
			f->unknown++;
		else if (amount > 0)
			add_one(f, m, r->epochs[k] & BF_EPOCH_MASK, amount);
	}
	if (f->missed)
		f->missed(f->owner, r, row);
}

static int store_sum(struct store *s, uint64_t identity, int64_t window, struct fold_sum *sum,
		     struct bf_err *err)
{
	const struct store_total more = {.settled = sum->more.used, .missed = sum->more.missed};
	struct store_total now = {0};
	int r = s->ops->add_total(s, identity, window, &more, &now, err);

	sum->now = (struct fold_parts){store_total_used(&now), store_total_missed(&now)};
	return r;
}

int fold_store(struct fold *f, struct store *s, struct bf_err *err)
{
	int r = 0;

	if (!s->ops->add_total)
		return 0;
	for (uint32_t i = 0; i < f->count && r == 0; i++) {
		struct fold_sum *sum = &f->sums[i];
		uint64_t identity = shm_meter_identity(f->seg, sum->meter);
		int64_t window = 0;

		r = f->window_of(f->owner, sum->meter, identity, sum->epoch, &window, err);
		if (r == 0)
			r = store_sum(s, identity, window, sum, err);
	}
	return r;
}

/* Without totals in the store, what is shown is all there is to go on from. */
static struct fold_parts shown_then(const struct fold_sum *s, const struct shm_meter_info *now)
{
	struct fold_parts t = s->more;

	if (s->now.used)
		return s->now;
	if (s->epoch == now->settled_epoch)
		t.used += now->settled;
	if (s->epoch == now->missed_epoch)
		t.missed += now->missed;
	return t;
}

static bool is_older(uint32_t epoch, uint32_t than)
{
	return ((epoch - than) & BF_EPOCH_MASK) >= (BF_EPOCH_MASK + 1) / 2;
}

/* A word that others move all the time is read between two of their moves. */
static bool read_meter(const struct fold *f, uint32_t m, struct shm_meter_info *ret_now)
{
	for (unsigned i = 0; i < READ_TRIES; i++) {
		if (shm_meter_read(f->seg, m, ret_now))
			return true;
	}
	return false;
}

void fold_publish(const struct fold *f)
{
	for (uint32_t i = 0; i < f->count; i++) {
		const struct fold_sum *s = &f->sums[i];
		struct shm_meter_info now;
		struct fold_parts then;

		/* Two words are ours: only the third can move meanwhile. */
		if (!read_meter(f, s->meter, &now))
			continue;
		then = shown_then(s, &now);
		if (!is_older(s->epoch, now.settled_epoch))
			shm_meter_set_settled(f->seg, s->meter, s->epoch, then.used);
		if (s->more.missed && (now.missed == 0 || !is_older(s->epoch, now.missed_epoch)))
			shm_meter_set_missed(f->seg, s->meter, s->epoch,
					     BF_MIN(then.missed, SHM_METER_LIMIT_MAX));
	}
}

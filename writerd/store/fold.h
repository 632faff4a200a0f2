/*
 * What a transaction of rows adds to the totals of meters: one sum for each meter and window. A row
 * charges each of its meters the number of its quantity, so totals are the sum of rows and nothing
 * else. Bounded by what one transaction can hold.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "shm/meter.h"
#include "shm/segment.h"
#include "shm/usage.h"
#include "writerd/store/store.h"

#define FOLD_ROWS_MAX 2048u /* of a transaction */
/* The meters that its rows name, and as many that these missed. */
#define FOLD_SUMS_MAX    (FOLD_ROWS_MAX * SHM_METERS_PER_REQUEST * 2)
#define FOLD_PLACES_BITS 19u /* of the search table: at most a third is in use */
#define FOLD_PLACES      (1u << FOLD_PLACES_BITS)

/* As meters are told: what counts as used, and what of it the meter does not count itself. */
struct fold_parts {
	int64_t used, missed;
};

struct fold_sum {
	uint32_t meter, epoch;
	struct fold_parts more; /* of this transaction */
	struct fold_parts now;  /* afterwards, as the store says */
};

struct fold {
	struct shm_segment *seg;
	/* The whole index of the window that an epoch of a meter means. */
	int (*window_of)(void *owner, uint32_t m, uint64_t identity, uint32_t epoch,
			 int64_t *ret_window, struct bf_err *err);
	/* Told of each new row: whoever knows meters that the row is about and does not name adds
	 * them by fold_miss(). NULL: nobody. */
	void (*missed)(void *owner, const struct shm_usage_record *r, const struct row *row);
	void *owner;
	struct fold_sum *sums; /* FOLD_SUMS_MAX */
	uint32_t *places;      /* FOLD_PLACES: 1 + number of the sum; 0: none */
	uint32_t count;
	uint64_t unknown; /* charges of meters that are nobody's: a worker wrote nonsense */
};

/* 0 or -ENOMEM. Memory is only touched as far as it is used. */
int fold_init(struct fold *f, struct shm_segment *seg);
void fold_done(struct fold *f);

/* Before a transaction. */
void fold_clear(struct fold *f);
/* A row that is new. Never fails: what a worker wrote is brought into range. */
void fold_add(struct fold *f, const struct shm_usage_record *r, const struct row *row);
/* Of that row, for a meter that its worker did not know. */
void fold_miss(struct fold *f, uint32_t meter, uint32_t epoch, int64_t amount);
/* Within the transaction, last. 0 or the store's error. */
int fold_store(struct fold *f, struct store *s, struct bf_err *err);
/* After the commit: what people are shown. Never goes back to an older window. */
void fold_publish(const struct fold *f);

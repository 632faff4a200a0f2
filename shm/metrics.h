/*
 * Metric shards: one array of 64-bit numbers per process slot, one writer each. The shard belongs
 * to the identity: the next holder of a slot goes on counting where the last one stopped.
 */
#pragma once

#include <stdint.h>

#include "shm/segment.h"

enum shm_metric {
#define X(name, kind, exported, help) name,
#include "shm/metrics.def"
#undef X
	SHM_METRIC_COUNT,
};

#define SHM_METRIC_SPACE 256u /* numbers per shard */

/* Places in a shard: named numbers below, then failures by class, then histograms. All but the
 * gauges are counters. */
#define SHM_ERROR_CLASS_AT    128u
#define SHM_ERROR_CLASS_COUNT 20u /* their names are the gate's; append only */
#define SHM_HISTOGRAM_AT      160u

#define SHM_H_BOUNDS_OF(...) (sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

/* A histogram is a counter per bound, one for what is above all of them, and the sum. */
enum shm_histogram_place {
	SHM_H_BEFORE_FIRST = SHM_HISTOGRAM_AT - 1u,
#define H(name, per_unit, exported, help, ...) \
	name##_AT, name##_LAST = name##_AT + SHM_H_BOUNDS_OF(__VA_ARGS__) + 1,
#include "shm/histograms.def"
#undef H
	SHM_HISTOGRAM_END,
};

enum shm_histogram {
#define H(name, per_unit, exported, help, ...) name,
#include "shm/histograms.def"
#undef H
	SHM_HISTOGRAM_COUNT,
};

#define SHM_HISTOGRAM_BOUNDS_MAX 32u

struct shm_histogram_def {
	const char *exported;
	const char *help;
	uint32_t per_unit; /* observed numbers in one of what is shown */
	uint32_t at;       /* place of the first bucket in the shard */
	uint32_t bounds;
	int64_t bound[SHM_HISTOGRAM_BOUNDS_MAX];
};

extern const struct shm_histogram_def shm_histogram_defs[SHM_HISTOGRAM_COUNT];

struct shm_histogram_sums {
	int64_t upto[SHM_HISTOGRAM_BOUNDS_MAX]; /* cumulative, one per bound */
	int64_t count;
	int64_t sum; /* of what was observed */
};

enum shm_metric_kind {
	SHM_METRIC_COUNTER,
	SHM_METRIC_GAUGE,
};

struct shm_metric_def {
	const char *exported;
	const char *help;
	enum shm_metric_kind kind;
};

extern const struct shm_metric_def shm_metric_defs[SHM_METRIC_COUNT];

/* Holder of p only. */
void shm_metric_add(struct shm_segment *seg, uint32_t p, enum shm_metric m, int64_t n);
void shm_metric_set(struct shm_segment *seg, uint32_t p, enum shm_metric m, int64_t value);

/* Sum over all slots; a gauge ends with its holder's slot, a counter never steps back. */
int64_t shm_metric_sum(const struct shm_segment *seg, enum shm_metric m);
/* What the present (or, in a dead slot, the last) holder of p counted. */
int64_t shm_metric_of(const struct shm_segment *seg, uint32_t p, enum shm_metric m);

/* Holder of p only. A negative n is observed as 0. */
void shm_histogram_observe(struct shm_segment *seg, uint32_t p, enum shm_histogram h, int64_t n);
/* Over all slots; count is that of the buckets, so it agrees with them. */
void shm_histogram_sum(const struct shm_segment *seg, enum shm_histogram h,
		       struct shm_histogram_sums *ret_sums);

/* One more failure of a class below SHM_ERROR_CLASS_COUNT. Holder of p only. */
void shm_error_class_count(struct shm_segment *seg, uint32_t p, unsigned error_class);
int64_t shm_error_class_sum(const struct shm_segment *seg, unsigned error_class);

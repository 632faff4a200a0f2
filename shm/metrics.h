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

#define SHM_METRIC_SPACE 256u /* numbers per shard; SHM_METRIC_COUNT stays below */

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

/* Counters that are shown by provider, model and method. */
#pragma once

#include <stdbool.h>

#include "common/base/buf.h"
#include "shm/metrics.h"

bool metrics_is_by_series(enum shm_metric m);

/* One sample for each name, and one for the rest, always: a sum over all is the node's number. */
int metrics_series_write(const struct shm_segment *seg, enum shm_metric m, struct bf_buf *out);

/* Names in use, of SHM_SERIES_REST. */
unsigned metrics_series_used(const struct shm_segment *seg);

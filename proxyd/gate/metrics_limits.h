/* How limits stand, as gauges with the owner's and the limit's names. */
#pragma once

#include "common/base/buf.h"
#include "proxyd/worker.h"

#define METRICS_LIMITS_MAX       1000u        /* limits that are told */
#define METRICS_LIMITS_MAX_BYTES (256u << 10) /* of one family */

/* Each writes the samples of one family; 0 or an error of bf_buf. */
int metrics_limits_held(const struct worker *w, struct bf_buf *out);
int metrics_limits_settled(const struct worker *w, struct bf_buf *out);
int metrics_limits_left_out(const struct worker *w, struct bf_buf *out);

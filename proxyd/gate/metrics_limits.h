/* How limits stand, as gauges with the owner's and the limit's names. */
#pragma once

#include "common/base/buf.h"
#include "proxyd/worker.h"

/* Before a scrape: which limits there are. */
void metrics_limits_follow(struct worker *w);

/* Each writes the samples of one family; 0 or an error of bf_buf. */
int metrics_limits_held(const struct worker *w, struct bf_buf *out);
int metrics_limits_settled(const struct worker *w, struct bf_buf *out);
int metrics_limits_left_out(const struct worker *w, struct bf_buf *out);

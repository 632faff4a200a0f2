/* GET /metrics: Prometheus text format, or OpenMetrics for who asks for it. */
#pragma once

#include "common/base/buf.h"
#include "proxyd/exchange.h"
#include "proxyd/gate/metrics_text.h"
#include "proxyd/worker.h"

void metrics_answer(struct exchange *x);

/* Families sorted by name, each with HELP and TYPE; 0 or an error of bf_buf. */
int metrics_write(const struct worker *w, enum metrics_format format, struct bf_buf *out);

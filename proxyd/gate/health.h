/* GET /health, /live, /ready. */
#pragma once

#include "common/base/buf.h"
#include "proxyd/exchange.h"
#include "proxyd/worker.h"

void health_answer(struct exchange *x);
void health_answer_live(struct exchange *x);
void health_answer_ready(struct exchange *x);

enum health_status {
	HEALTH_OK,
	HEALTH_DEGRADED, /* serves, and something is wrong */
	HEALTH_DRAINING,
};

/* Appends the report as JSON and tells the verdict; 0 or an error of bf_buf. */
int health_write(const struct worker *w, int64_t now_mono_ms, struct bf_buf *out,
		 enum health_status *ret_status);

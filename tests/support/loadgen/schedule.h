/*
 * When requests are meant to be sent at a constant rate, whatever becomes of the earlier ones.
 * Latency counts from these times, so that a stall of the target is paid by every request it held
 * up (no coordinated omission).
 */
#pragma once

#include <stdint.h>

struct schedule {
	int64_t start_ns;
	uint64_t rate_micro; /* requests per 1,000,000 s */
};

/* Intended time of request i (from 0 on); request 0 is at the start. */
int64_t schedule_time_ns(const struct schedule *s, uint64_t i);
/* How many requests are due at now: those with schedule_time_ns(i) <= now. */
uint64_t schedule_due(const struct schedule *s, int64_t now_ns);

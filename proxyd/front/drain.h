/*
 * When a draining worker may leave. Pure: counts and times in, one step out.
 *
 * Running requests end first. Then idle keep-alive connections get the shorter of
 * server.idle_timeout and DRAIN_GRACE_MS for one more request, whose answer says `Connection:
 * close`; those that stay silent are closed after it. The grace is counted from the first quiet
 * moment and never prolonged, so that busy clients cannot hold a drain up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DRAIN_GRACE_MS 5000

enum drain_step {
	DRAIN_WAIT,
	DRAIN_CLOSE_IDLE, /* close idle connections now; those that are busy go on */
	DRAIN_DONE,       /* nothing is left */
};

struct drain {
	bool on;
	bool was_quiet;
	int64_t quiet_since_ms;
	int64_t grace_ms;
};

void drain_begin(struct drain *d, int64_t idle_timeout_ms);
enum drain_step drain_next(struct drain *d, int64_t now_ms, uint32_t busy, uint32_t idle);

/*
 * The clock seam: the only caller of clock_gettime in the project. Tests and the simulator replace
 * the source; nothing else may keep a clock of its own.
 */
#include "common/base/clock.h"

#include <stddef.h>
#include <time.h>

static const struct bf_clock_source *replaced;

static int64_t system_ns(clockid_t id)
{
	struct timespec ts = {0};

	/* Cannot fail: both clocks exist on every Linux, and ts is valid. */
	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t bf_mono_ns(void)
{
	if (replaced && replaced->mono_ns)
		return replaced->mono_ns(replaced->ctx);
	return system_ns(CLOCK_MONOTONIC);
}

int64_t bf_boot_ns(void)
{
	if (replaced && replaced->mono_ns)
		return replaced->mono_ns(replaced->ctx);
	return system_ns(CLOCK_BOOTTIME);
}

static _Thread_local int64_t turn_ms; /* 0: no turn */

void bf_clock_turn_begin(void)
{
	turn_ms = system_ns(CLOCK_MONOTONIC_COARSE) / 1000000;
}

void bf_clock_turn_end(void)
{
	turn_ms = 0;
}

int64_t bf_mono_coarse_ms(void)
{
	if (replaced && replaced->mono_ns)
		return replaced->mono_ns(replaced->ctx) / 1000000;
	if (turn_ms)
		return turn_ms;
	return system_ns(CLOCK_MONOTONIC_COARSE) / 1000000;
}

int64_t bf_wall_ns(void)
{
	if (replaced && replaced->wall_ns)
		return replaced->wall_ns(replaced->ctx);
	return system_ns(CLOCK_REALTIME);
}

void bf_clock_set_source(const struct bf_clock_source *source)
{
	replaced = source;
}

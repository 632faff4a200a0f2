/*
 * The one clock seam. All time in the project comes from here; tests and the simulator replace the
 * source. Monotonic time is for durations, wall time (UTC) for rows and windows.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct bf_clock_source {
	int64_t (*mono_ns)(void *ctx);
	int64_t (*wall_ns)(void *ctx);
	void *ctx;
};

int64_t bf_mono_ns(void);
/* As bf_mono_ns(), but it goes on while the machine sleeps: for windows of limits. A replaced
 * source gives its mono_ns. */
int64_t bf_boot_ns(void);
int64_t bf_wall_ns(void);

/* As bf_mono_ms(), up to a tick of the kernel (4 ms) behind it, without reading the hardware: for
 * deadlines and activity on paths where every read counts. */
int64_t bf_mono_coarse_ms(void);
/* Between them bf_mono_coarse_ms() stands still for the calling thread: a loop that has many short
 * things to do in one turn reads the time once. end accepts that nothing was begun. */
void bf_clock_turn_begin(void);
void bf_clock_turn_end(void);

static inline int64_t bf_mono_ms(void)
{
	return bf_mono_ns() / 1000000;
}

static inline int64_t bf_wall_ms(void)
{
	return bf_wall_ns() / 1000000;
}

/* Of a moment from which something no longer holds; 0: it holds for ever. */
static inline bool bf_is_expired(int64_t expires_at_ms, int64_t wall_ms)
{
	return expires_at_ms && wall_ms >= expires_at_ms;
}

/* Replaces the source; NULL restores the system clocks. The source must outlive its use. */
void bf_clock_set_source(const struct bf_clock_source *source);

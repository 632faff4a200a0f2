/*
 * The sign of life of long work. Called by loops over all there is, and by SQLite's callbacks. Must
 * never cost more than a look at the clock.
 */
#include "common/base/pulse.h"

#include <stdint.h>

#include "common/base/clock.h"

static struct {
	void (*call)(void *owner);
	void *owner;
	int64_t called_ms;
} listener;

void bf_pulse_to(void (*call)(void *owner), void *owner)
{
	listener.call = call;
	listener.owner = owner;
	listener.called_ms = bf_mono_ms();
}

void bf_pulse(void)
{
	int64_t now_ms;

	if (!listener.call)
		return;
	now_ms = bf_mono_ms();
	if (now_ms - listener.called_ms < BF_PULSE_MS)
		return;
	listener.called_ms = now_ms;
	listener.call(listener.owner);
}

/*
 * Work that takes long without coming back to its loop says now and then that it goes on: who
 * watches the process must not take it for one that hangs. One listener in a process.
 */
#pragma once

#define BF_PULSE_MS 500

/* call is called out of bf_pulse() from now on; NULL: nobody listens. It may do nothing that the
 * work in progress could notice. */
void bf_pulse_to(void (*call)(void *owner), void *owner);

/* For every turn of a loop that may have millions: looks at the clock, and calls the listener every
 * BF_PULSE_MS at most. */
void bf_pulse(void);

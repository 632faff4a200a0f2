/* Once a second: heartbeats, health bits and numbers of the supervisor. */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "supervisor/admin.h"
#include "supervisor/crew.h"
#include "supervisor/router.h"

#define WATCH_LATE_MS    10000 /* silence that turns health red; a sibling then accepts for it */
#define WATCH_MISSING_MS 1500  /* a seat without a process; an ordinary restart is faster */
#define WATCH_OWN_HOLE_MS \
	3000 /* we were stopped or starved ourselves: nobody is judged by that time */

enum watch_verdict {
	WATCH_FINE,
	WATCH_LATE,
	WATCH_STALLED,
};

/* All times monotonic, in ms. since: nothing before this moment counts (it became ready, or we were
 * away). */
enum watch_verdict watch_judge(int64_t beat_ms, int64_t since_ms, int64_t now_ms, int64_t stall_ms);

struct watch {
	struct crew *crew;
	struct admin *admin;
	struct router *router;
	ev_timer timer;
	int64_t last_ms;    /* of the tick before */
	int64_t resumed_ms; /* when we came back from a hole */
	int clock_off;      /* the wall clock is ahead (1) or behind (-1) of windows of limits */
};

void watch_start(struct watch *w, struct crew *crew, struct admin *admin, struct router *router);
void watch_stop(struct watch *w);

/* A child became ready: whoever is told so must not find the health of a moment ago. */
void watch_child_ready(const struct watch *w);

/* Milliseconds since the last heartbeat; 0 before the first one is due. */
int64_t watch_heartbeat_age_ms(const struct child *child, int64_t now_ms);

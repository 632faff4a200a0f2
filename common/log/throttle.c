/*
 * Log throttle. Called by log.c alone. Never forgets a line that it held back: the entry stays
 * until its count was taken.
 */
#include "common/log/throttle.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define WINDOW_MS 1000

static bool window_over(const struct log_throttle_entry *e, int64_t now_ms)
{
	return now_ms - e->since_ms >= WINDOW_MS || now_ms < e->since_ms;
}

static struct log_throttle_entry *entry_for(struct log_throttle *t, const char *event,
					    int64_t now_ms)
{
	struct log_throttle_entry *unused = NULL;

	for (size_t i = 0; i < LOG_THROTTLE_EVENTS; i++) {
		struct log_throttle_entry *e = &t->entries[i];
		if (e->event[0] && strncmp(e->event, event, LOG_THROTTLE_NAME - 1) == 0)
			return e;
		bool idle = !e->event[0] || (e->held == 0 && window_over(e, now_ms));
		if (idle && (!unused || (unused->event[0] && !e->event[0])))
			unused = e;
	}
	struct log_throttle_entry *e = unused ? unused : &t->others;
	if (unused || !e->event[0]) {
		*e = (struct log_throttle_entry){.since_ms = now_ms};
		(void)snprintf(e->event, sizeof(e->event), "%s", unused ? event : "other_events");
	}
	return e;
}

bool log_throttle_admit(struct log_throttle *t, const char *event, int level, int64_t now_ms)
{
	struct log_throttle_entry *e = entry_for(t, event, now_ms);

	if (window_over(e, now_ms) && e->held == 0) {
		e->since_ms = now_ms;
		e->passed = 0;
	}
	if (e->passed < LOG_THROTTLE_PER_SECOND) {
		e->passed++;
		return true;
	}
	if (e->held == 0) {
		e->level = level;
		t->entries_held++;
	}
	e->held++;
	e->level = level > e->level ? level : e->level;
	return false;
}

bool log_throttle_next_held(struct log_throttle *t, int64_t now_ms, struct log_held *ret_held)
{
	if (t->entries_held == 0)
		return false;
	for (size_t i = 0; i <= LOG_THROTTLE_EVENTS; i++) {
		struct log_throttle_entry *e =
		    i < LOG_THROTTLE_EVENTS ? &t->entries[i] : &t->others;
		if (e->held == 0 || !window_over(e, now_ms))
			continue;
		memcpy(ret_held->event, e->event, sizeof(e->event));
		ret_held->count = e->held;
		ret_held->level = e->level;
		e->held = 0;
		t->entries_held--;
		return true;
	}
	return false;
}

/*
 * How many lines of each event may pass in a second. Pure: time comes in, nothing goes out. A fixed
 * table; when more than LOG_THROTTLE_EVENTS events are active within one second, those beyond share
 * one entry named "other_events".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LOG_THROTTLE_EVENTS     64
#define LOG_THROTTLE_PER_SECOND 50
#define LOG_THROTTLE_NAME       64

struct log_throttle_entry {
	char event[LOG_THROTTLE_NAME]; /* empty: free */
	int64_t since_ms;
	uint32_t passed;
	uint32_t held;
	int level; /* the highest that was held back */
};

struct log_throttle {
	struct log_throttle_entry entries[LOG_THROTTLE_EVENTS];
	struct log_throttle_entry others;
	uint32_t entries_held; /* entries with held > 0 */
};

/* Lines of one event that were held back in a second that is over. */
struct log_held {
	char event[LOG_THROTTLE_NAME];
	uint32_t count;
	int level;
};

/* Whether a line may pass now; counts it when not. */
bool log_throttle_admit(struct log_throttle *t, const char *event, int level, int64_t now_ms);

/* Takes out one count that is due; false when there is none. */
bool log_throttle_next_held(struct log_throttle *t, int64_t now_ms, struct log_held *ret_held);

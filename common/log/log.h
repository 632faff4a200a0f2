/*
 * One line per event on stderr, one write(2) each, in logfmt:
 *   ts=2026-11-21T10:00:00.123Z level=info proc=proxyd.0 pid=17 event=conn_closed reason=idle
 * The caller that decides what an error means logs it, once. Secrets are never passed here.
 */
#pragma once

#include <stdbool.h>

#include "common/base/macros.h"
#include "common/base/slice.h"

enum bf_log_level {
	BF_LOG_DEBUG,
	BF_LOG_INFO,
	BF_LOG_WARN,
	BF_LOG_ERROR,
	BF_LOG_LEVEL_COUNT,
};

/* proc such as "supervisor" or "proxyd.1"; copied. */
void bf_log_init(const char *proc, enum bf_log_level min_level);
/*
 * From now on a line that standard error cannot take at once is lost and counted (event=log_lost
 * tells how many) instead of waited for: whoever reads it may stand still. Needs /proc; before the
 * sandbox.
 */
void bf_log_never_wait(void);
/* Lines lost since the last call: for a counter. */
unsigned bf_log_take_lost(void);
void bf_log_set_level(enum bf_log_level min_level);
bool bf_log_enabled(enum bf_log_level level);

/* "debug" | "info" | "warn" | "error" to a level; -1 when it is none of them. */
int bf_log_parse_level(const char *text);

/*
 * event is a fixed snake_case name; fmt gives the key=value part ("slot=%u reason=%s"). Values with
 * spaces go through bf_log_quote; other control bytes become '?'. Lines above 2 KiB are cut and end
 * in "...". More than 50 lines of one event in a second are counted and told as "event=NAME
 * suppressed=N" by the first call after that second.
 */
void bf_log(enum bf_log_level level, const char *event, const char *fmt, ...) BF_PRINTF(3, 4);

/* Tells the counts that are due even when nothing else is logged: for a timer of about a second,
 * and before exit. */
void bf_log_tick(void);

/* text as a double-quoted logfmt value, control bytes escaped; one of 4 rotating static buffers of
 * 1 KiB. */
const char *bf_log_quote(const char *text);
/* The same of text that no terminator ends. */
const char *bf_log_quote_slice(struct bf_slice text);

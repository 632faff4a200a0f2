/*
 * Logger: one line per event on stderr. Called by the code that decides what an error means. Never
 * waits (a line that stderr cannot take at once is counted as lost), never allocates, and never
 * lets a value break the line.
 */
#include "common/log/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/log/sink.h"
#include "common/log/throttle.h"

#define LINE_MAX_BYTES 2048u

static const char *const level_names[BF_LOG_LEVEL_COUNT] = {
    [BF_LOG_DEBUG] = "debug",
    [BF_LOG_INFO] = "info",
    [BF_LOG_WARN] = "warn",
    [BF_LOG_ERROR] = "error",
};

static struct {
	char proc[32];
	enum bf_log_level min_level;
	enum log_sink sink;
	unsigned lost;   /* lines that stderr did not take */
	unsigned untold; /* the same, for a counter outside */
	struct log_throttle throttle;
} logger = {.proc = "-", .min_level = BF_LOG_INFO};

void bf_log_init(const char *proc, enum bf_log_level min_level)
{
	(void)snprintf(logger.proc, sizeof(logger.proc), "%s", proc);
	logger.min_level = min_level;
}

void bf_log_never_wait(void)
{
	logger.sink = log_sink_prepare();
}

unsigned bf_log_take_lost(void)
{
	unsigned lost = logger.untold;

	logger.untold = 0;
	return lost;
}

void bf_log_set_level(enum bf_log_level min_level)
{
	logger.min_level = min_level;
}

bool bf_log_enabled(enum bf_log_level level)
{
	return level >= logger.min_level;
}

int bf_log_parse_level(const char *text)
{
	for (int i = 0; text && i < BF_LOG_LEVEL_COUNT; i++)
		if (strcmp(text, level_names[i]) == 0)
			return i;
	return -1;
}

/* "2026-11-21T10:00:00.123Z". Days to a date by Howard Hinnant's civil_from_days, for years from
 * 1970. */
static void format_stamp(int64_t wall_ms, char out[32])
{
	uint64_t ms = wall_ms < 0 ? 0 : (uint64_t)wall_ms;
	unsigned of_day = (unsigned)(ms / 1000 % 86400);
	uint64_t days = ms / 86400000 + 719468; /* since 0000-03-01 */
	uint64_t era = days / 146097;
	unsigned doe = (unsigned)(days % 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned mp = (5 * doy + 2) / 153;
	unsigned month = mp < 10 ? mp + 3 : mp - 9;

	(void)snprintf(out, 32, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
		       (unsigned)(yoe + era * 400 + (month <= 2)) % 10000, month,
		       doy - (153 * mp + 2) / 5 + 1, of_day / 3600, of_day / 60 % 60, of_day % 60,
		       (unsigned)(ms % 1000));
}

/* Everything up to the event's own fields; the bytes written. */
static size_t format_head(char *line, enum bf_log_level level, const char *event)
{
	char stamp[32];

	format_stamp(bf_wall_ms(), stamp);
	int n = snprintf(line, LINE_MAX_BYTES, "ts=%s level=%s proc=%s pid=%ld event=%.64s", stamp,
			 level_names[level], logger.proc, (long)getpid(), event);
	return n < 0 ? 0 : (size_t)n;
}

/* Leaves room for the newline; a cut line ends in "...", not within a UTF-8 sequence. */
static size_t cut_line(char *line, size_t len)
{
	if (len < LINE_MAX_BYTES)
		return len;
	len = LINE_MAX_BYTES - sizeof("...\n") + 1;
	while (((unsigned char)line[len] & 0xc0) == 0x80)
		len--;
	memcpy(line + len, "...", 3);
	return len + 3;
}

static void emit(enum bf_log_level level, const char *event, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void emit(enum bf_log_level level, const char *event, const char *fmt, va_list ap)
{
	char line[LINE_MAX_BYTES + 1];
	size_t len = format_head(line, level, event);

	line[len++] = ' ';
	int n = vsnprintf(line + len, LINE_MAX_BYTES - len, fmt, ap);
	len = n < 0 ? len : len + (size_t)n;
	if (n == 0)
		len--;
	len = cut_line(line, len);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[len++] = '\n';
	if (!log_sink_write(logger.sink, line, len)) {
		logger.lost++;
		logger.untold++;
	}
}

static void emit_fields(enum bf_log_level level, const char *event, const char *fmt, ...)
    BF_PRINTF(3, 4);

static void emit_fields(enum bf_log_level level, const char *event, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(level, event, fmt, ap);
	va_end(ap);
}

void bf_log_tick(void)
{
	struct log_held held;
	unsigned lost = logger.lost;

	if (lost) {
		logger.lost = 0;
		emit_fields(BF_LOG_WARN, "log_lost", "lines=%u", lost);
		/* Not written either: the count goes on, without the report itself. */
		if (logger.lost)
			logger.lost = lost;
	}
	while (log_throttle_next_held(&logger.throttle, bf_mono_ms(), &held))
		emit_fields((enum bf_log_level)held.level, held.event, "suppressed=%u", held.count);
}

void bf_log(enum bf_log_level level, const char *event, const char *fmt, ...)
{
	if (!bf_log_enabled(level))
		return;
	bf_log_tick();
	if (!log_throttle_admit(&logger.throttle, event, (int)level, bf_mono_ms()))
		return;
	va_list ap;
	va_start(ap, fmt);
	emit(level, event, fmt, ap);
	va_end(ap);
}

/* Logger: lines as they arrive in a pipe on fd 2. Format, one write per line, cutting, throttling,
 * a full pipe. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/log/log.h"

static int saved_stderr, reader;
static unsigned long writes;
static int64_t mono_ms, wall_ms;

ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);

ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
	writes++;
	return __real_write(fd, bytes, len);
}

static int64_t fake_mono(void *ctx)
{
	(void)ctx;
	return mono_ms * 1000000;
}

static int64_t fake_wall(void *ctx)
{
	(void)ctx;
	return wall_ms * 1000000;
}

static const struct bf_clock_source fake_clock = {.mono_ns = fake_mono, .wall_ns = fake_wall};

/* Each test starts a second far from the others, so that no throttle window is shared. */
static int capture(void **state)
{
	int fds[2];

	(void)state;
	mono_ms += 100000;
	wall_ms = INT64_C(1795255200123);
	bf_clock_set_source(&fake_clock);
	saved_stderr = dup(STDERR_FILENO);
	if (saved_stderr < 0 || pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0 ||
	    dup2(fds[1], STDERR_FILENO) < 0)
		return -1;
	reader = fds[0];
	(void)close(fds[1]);
	bf_log_init("test.0", BF_LOG_INFO);
	writes = 0;
	return 0;
}

static int release(void **state)
{
	(void)state;
	(void)dup2(saved_stderr, STDERR_FILENO);
	(void)close(saved_stderr);
	(void)close(reader);
	bf_clock_set_source(NULL);
	return 0;
}

/* Everything that was logged so far, terminated. */
static const char *logged(void)
{
	static char text[200000];
	size_t len = 0;
	ssize_t n;

	while ((n = read(reader, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return text;
}

static unsigned count_lines(const char *text)
{
	unsigned lines = 0;

	for (; (text = strchr(text, '\n')); text++)
		lines++;
	return lines;
}

static void test_format(void **state)
{
	char want[200];

	(void)state;
	bf_log(BF_LOG_WARN, "conn_closed", "slot=%u reason=%s", 7u, "idle");
	(void)snprintf(want, sizeof(want),
		       "ts=2026-11-21T10:00:00.123Z level=warn proc=test.0 pid=%ld "
		       "event=conn_closed slot=7 reason=idle\n",
		       (long)getpid());
	assert_string_equal(logged(), want);
	assert_int_equal(writes, 1);
	bf_log(BF_LOG_INFO, "bare", "%s", "");
	assert_non_null(strstr(logged(), " event=bare\n"));
}

static void test_dates(void **state)
{
	static const struct {
		int64_t ms;
		const char *stamp;
	} rows[] = {
	    {0, "ts=1970-01-01T00:00:00.000Z "},
	    {-1, "ts=1970-01-01T00:00:00.000Z "},
	    {INT64_C(951782399999), "ts=2000-02-28T23:59:59.999Z "},
	    {INT64_C(951782400000), "ts=2000-02-29T00:00:00.000Z "},
	    {INT64_C(951868800000), "ts=2000-03-01T00:00:00.000Z "},
	    {INT64_C(1735689599001), "ts=2024-12-31T23:59:59.001Z "},
	    {INT64_C(4107542400000), "ts=2100-03-01T00:00:00.000Z "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		wall_ms = rows[i].ms;
		bf_log(BF_LOG_INFO, "date", "%s", "");
		assert_memory_equal(logged(), rows[i].stamp, strlen(rows[i].stamp));
	}
}

static void test_levels(void **state)
{
	(void)state;
	bf_log(BF_LOG_DEBUG, "hidden", "%s", "");
	assert_string_equal(logged(), "");
	assert_false(bf_log_enabled(BF_LOG_DEBUG));
	bf_log_set_level(BF_LOG_DEBUG);
	bf_log(BF_LOG_DEBUG, "shown", "%s", "");
	assert_non_null(strstr(logged(), "level=debug"));
	bf_log_set_level(BF_LOG_ERROR);
	bf_log(BF_LOG_WARN, "hidden", "%s", "");
	assert_string_equal(logged(), "");
	assert_int_equal(bf_log_parse_level("debug"), BF_LOG_DEBUG);
	assert_int_equal(bf_log_parse_level("error"), BF_LOG_ERROR);
	assert_int_equal(bf_log_parse_level("Error"), -1);
	assert_int_equal(bf_log_parse_level(""), -1);
	assert_int_equal(bf_log_parse_level(NULL), -1);
}

static void test_values_cannot_forge_a_line(void **state)
{
	(void)state;
	bf_log(BF_LOG_INFO, "evil", "name=%s", "x\nts=1970 level=error\x1b[2J");
	const char *text = logged();
	assert_int_equal(count_lines(text), 1);
	assert_non_null(strstr(text, "name=x?ts=1970 level=error?[2J\n"));
}

/* The longest whole line is 2048 bytes with its newline; one byte more is cut. */
static void test_long_lines_are_cut(void **state)
{
	char value[5000];
	size_t whole = 0;

	(void)state;
	for (size_t len = 1800; len < 2100; len++) {
		mono_ms += 1000;
		memset(value, 'v', len);
		value[len] = '\0';
		bf_log(BF_LOG_INFO, "long", "v=%s", value);
		const char *text = logged();
		size_t got = strlen(text);
		assert_int_equal(count_lines(text), 1);
		assert_int_equal(text[got - 1], '\n');
		assert_true(got <= 2048);
		if (strcmp(text + got - 4, "...\n") != 0) {
			assert_true(whole == 0 || got == whole + 1);
			whole = got;
		} else {
			assert_int_equal(whole, 2048);
			assert_int_equal(got, 2048);
		}
	}
	assert_int_equal(whole, 2048);
	assert_int_equal(writes, 300);
	/* Never half a character before the dots. */
	for (size_t i = 0; i + 1 < sizeof(value); i += 2)
		memcpy(value + i, "\xc3\xa4", 2);
	value[4998] = '\0';
	for (int odd = 0; odd < 2; odd++) {
		bf_log(BF_LOG_INFO, "long", "%sv=%s", odd ? "x" : "", value);
		const char *text = logged();
		size_t got = strlen(text);
		assert_string_equal(text + got - 4, "...\n");
		assert_int_equal((unsigned char)text[got - 5], 0xa4);
	}
}

static void test_throttle_tells_once(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++)
		bf_log(BF_LOG_INFO, "flood", "i=%d", i);
	const char *text = logged();
	assert_int_equal(count_lines(text), 50);
	assert_non_null(strstr(text, " i=49\n"));
	/* Another event passes meanwhile and tells nothing yet. */
	bf_log(BF_LOG_INFO, "other", "%s", "");
	assert_int_equal(count_lines(logged()), 1);
	mono_ms += 1000;
	bf_log(BF_LOG_INFO, "other", "%s", "");
	text = logged();
	assert_int_equal(count_lines(text), 2);
	assert_non_null(strstr(text, " event=flood suppressed=250\n"));
	bf_log_tick();
	assert_string_equal(logged(), "");
	bf_log(BF_LOG_INFO, "flood", "again=%d", 1);
	assert_int_equal(count_lines(logged()), 1);
}

static void test_tick_tells_without_another_line(void **state)
{
	(void)state;
	for (int i = 0; i < 51; i++)
		bf_log(BF_LOG_ERROR, "flood", "i=%d", i);
	(void)logged();
	mono_ms += 999;
	bf_log_tick();
	assert_string_equal(logged(), "");
	mono_ms += 1;
	bf_log_tick();
	assert_non_null(strstr(logged(), "level=error proc=test.0"));
	bf_log_tick();
	assert_string_equal(logged(), "");
}

/* A pipe that nobody reads: nothing waits, nothing is written in part, and the loss is told
 * afterwards. */
static void test_full_pipe_loses_and_tells(void **state)
{
	unsigned sent = 0;
	char value[1900];

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (; sent < 200; sent++) {
		mono_ms += 1000;
		bf_log(BF_LOG_INFO, "full", "v=%s", value);
	}
	const char *text = logged();
	unsigned arrived = count_lines(text);
	assert_true(arrived > 0 && arrived < sent);
	assert_int_equal(text[strlen(text) - 1], '\n');
	bf_log(BF_LOG_INFO, "free", "%s", "");
	text = logged();
	char want[64];
	(void)snprintf(want, sizeof(want), " event=log_lost lines=%u\n", sent - arrived);
	assert_non_null(strstr(text, want));
	assert_non_null(strstr(text, " event=free\n"));
	bf_log(BF_LOG_INFO, "free", "%s", "");
	assert_null(strstr(logged(), "log_lost"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_format, capture, release),
	    cmocka_unit_test_setup_teardown(test_dates, capture, release),
	    cmocka_unit_test_setup_teardown(test_levels, capture, release),
	    cmocka_unit_test_setup_teardown(test_values_cannot_forge_a_line, capture, release),
	    cmocka_unit_test_setup_teardown(test_long_lines_are_cut, capture, release),
	    cmocka_unit_test_setup_teardown(test_throttle_tells_once, capture, release),
	    cmocka_unit_test_setup_teardown(test_tick_tells_without_another_line, capture, release),
	    cmocka_unit_test_setup_teardown(test_full_pipe_loses_and_tells, capture, release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

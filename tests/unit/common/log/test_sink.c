/* Standard error that nobody reads: a log line never waits, and what is lost is counted. */
#include "common/log/sink.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/log/log.h"

static int saved;

static int setup(void **state)
{
	(void)state;
	saved = dup(STDERR_FILENO);
	return saved < 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)alarm(0);
	(void)dup2(saved, STDERR_FILENO);
	return close(saved);
}

static char line[1000];

/* Logs until lines are lost; a write that waits is ended by the alarm, and with it the test. */
static unsigned flood(enum log_sink sink)
{
	unsigned taken = 0, lost = 0;

	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	(void)alarm(20);
	while (lost < 3 && taken < 10000) {
		if (log_sink_write(sink, line, sizeof(line)))
			taken++;
		else
			lost++;
	}
	assert_int_equal(lost, 3);
	assert_true(taken > 0);
	return taken;
}

/* Whole lines only. */
static unsigned read_lines(int fd)
{
	char piece[1000];
	unsigned lines = 0;
	size_t have = 0;
	ssize_t n;

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while ((n = read(fd, piece + have, sizeof(piece) - have)) > 0) {
		have += (size_t)n;
		if (have < sizeof(piece))
			continue;
		assert_memory_equal(piece, line, sizeof(line));
		have = 0;
		lines++;
	}
	assert_int_equal(have, 0);
	return lines;
}

static void a_pipe_that_nobody_reads(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(fcntl(pair[1], F_SETPIPE_SZ, 4096) >= 4096, 1);
	assert_int_equal(dup2(pair[1], STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(log_sink_prepare(), LOG_SINK_OWN);
	unsigned taken = flood(LOG_SINK_OWN);
	/* What others hold of the same pipe still waits when it is full, as they expect. */
	assert_int_equal(fcntl(pair[1], F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(read_lines(pair[0]), taken);
	assert_true(log_sink_write(LOG_SINK_OWN, line, sizeof(line)));
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static void a_pipe_that_cannot_be_opened_anew(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(dup2(pair[1], STDERR_FILENO), STDERR_FILENO);
	unsigned taken = flood(LOG_SINK_POLL);
	assert_int_equal(read_lines(pair[0]), taken);
	assert_true(log_sink_write(LOG_SINK_POLL, line, sizeof(line)));
	(void)close(pair[0]);
	(void)close(pair[1]);
}

/* What a service manager gives. A line that was cut is ended before the next one. */
static void a_socket_that_nobody_reads(void **state)
{
	static char got[4 << 20];
	size_t len = 0;
	ssize_t n;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(dup2(pair[1], STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(log_sink_prepare(), LOG_SINK_SOCKET);
	unsigned taken = flood(LOG_SINK_SOCKET);
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	while ((n = read(pair[0], got + len, sizeof(got) - len)) > 0)
		len += (size_t)n;
	assert_true(len >= taken * sizeof(line));
	assert_true(log_sink_write(LOG_SINK_SOCKET, line, sizeof(line)));
	n = read(pair[0], got, sizeof(got));
	assert_true(n == (ssize_t)sizeof(line) ||
		    (n == (ssize_t)sizeof(line) + 1 && got[0] == '\n'));
	(void)close(pair[0]);
	(void)close(pair[1]);
	/* The other end is closed: an error, no signal. */
	assert_false(log_sink_write(LOG_SINK_SOCKET, line, sizeof(line)));
}

static void a_file_is_left_alone(void **state)
{
	FILE *f = tmpfile();

	(void)state;
	assert_non_null(f);
	assert_int_equal(dup2(fileno(f), STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(log_sink_prepare(), LOG_SINK_PLAIN);
	assert_true(log_sink_write(LOG_SINK_PLAIN, "x\n", 2));
	assert_int_equal(fclose(f), 0);
}

static void nothing_at_all(void **state)
{
	(void)state;
	(void)close(STDERR_FILENO);
	assert_int_equal(log_sink_prepare(), LOG_SINK_PLAIN);
	assert_false(log_sink_write(LOG_SINK_PLAIN, "x\n", 2));
}

static void the_logger_counts(void **state)
{
	char text[8192];
	unsigned lost = 0;
	ssize_t n;
	int pair[2];

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_true(fcntl(pair[1], F_SETPIPE_SZ, 4096) >= 4096);
	assert_int_equal(dup2(pair[1], STDERR_FILENO), STDERR_FILENO);
	bf_log_init("test", BF_LOG_INFO);
	bf_log_never_wait();
	(void)alarm(20);
	(void)bf_log_take_lost();
	for (int i = 0; i < 40; i++)
		bf_log(BF_LOG_INFO, "flood", "text=%.*s", 500, line);
	lost = bf_log_take_lost();
	assert_true(lost >= 30);
	assert_int_equal(bf_log_take_lost(), 0);
	assert_true(read(pair[0], text, sizeof(text)) > 0);
	bf_log_tick();
	n = read(pair[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "event=log_lost"));
	(void)close(pair[0]);
	(void)close(pair[1]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_pipe_that_nobody_reads),
	    TEST(a_pipe_that_cannot_be_opened_anew),
	    TEST(a_socket_that_nobody_reads),
	    TEST(a_file_is_left_alone),
	    TEST(nothing_at_all),
	    TEST(the_logger_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

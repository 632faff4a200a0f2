/*
 * Standard error that does not block. Called by log.c. The description of descriptor 2 is shared
 * with whoever started us, so O_NONBLOCK must not be set on it; a pipe or terminal is opened anew
 * instead, through /proc. Must never wait.
 */
#include "common/log/sink.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static bool torn; /* a socket took the beginning of a line */

static bool open_anew(void)
{
	int fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	bool done = fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO;

	if (fd > STDERR_FILENO)
		(void)close(fd);
	return done;
}

enum log_sink log_sink_prepare(void)
{
	struct stat st;

	if (fstat(STDERR_FILENO, &st) < 0)
		return LOG_SINK_PLAIN;
	if (S_ISSOCK(st.st_mode))
		return LOG_SINK_SOCKET;
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return LOG_SINK_PLAIN;
	return open_anew() ? LOG_SINK_OWN : LOG_SINK_POLL;
}

/* A pipe that says it has room takes PIPE_BUF bytes at once, unless another writer was quicker. */
static bool has_room(void)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

static bool send_line(const char *line, size_t len)
{
	ssize_t n;

	if (torn && send(STDERR_FILENO, "\n", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
		return false;
	torn = false;
	n = send(STDERR_FILENO, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	torn = n > 0 && (size_t)n < len;
	return n >= 0 && (size_t)n == len;
}

bool log_sink_write(enum log_sink sink, const char *line, size_t len)
{
	if (sink == LOG_SINK_SOCKET)
		return send_line(line, len);
	if (sink == LOG_SINK_POLL && !has_room())
		return false;
	return write(STDERR_FILENO, line, len) >= 0;
}

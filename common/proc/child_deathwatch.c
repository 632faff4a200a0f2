/*
 * A child leaves when its supervisor is gone, even one that never returns to its loop: the kernel
 * signals every event on the control channel (SIGIO), the handler looks whether the other end still
 * exists, and if not a timer is started whose signal is SIGKILL. An idle child pays nothing for
 * this; a message costs one signal.
 *
 * Tried and left: PR_SET_PDEATHSIG follows the supervisor's thread, not the channel, and leaves no
 * time to finish.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "common/proc/child_priv.h"

/* A signal handler has no argument: the only mutable globals of the runtime. */
static timer_t kill_timer;
static volatile sig_atomic_t watched_fd = -1;
static volatile sig_atomic_t started;

void bf_deathwatch_start(void)
{
	struct itimerspec in = {.it_value = {.tv_sec = BF_ORPHAN_LIMIT_MS / 1000,
					     .tv_nsec = BF_ORPHAN_LIMIT_MS % 1000 * 1000000L}};

	if (started || watched_fd < 0)
		return;
	started = 1;
	(void)timer_settime(kill_timer, 0, &in, NULL);
}

static void on_channel_event(int sig)
{
	int saved = errno;
	struct pollfd p = {.fd = watched_fd, .events = POLLRDHUP};

	(void)sig;
	if (poll(&p, 1, 0) == 1)
		bf_deathwatch_start();
	errno = saved;
}

static int make_timer(struct bf_err *err)
{
	struct sigevent se = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};

	if (timer_create(CLOCK_MONOTONIC, &se, &kill_timer) < 0)
		return bf_err_sys(err, -errno, "child: timer_create");
	return 0;
}

int bf_deathwatch_arm(int channel_fd, struct bf_err *err)
{
	struct sigaction sa = {.sa_handler = on_channel_event, .sa_flags = SA_RESTART};
	int flags = fcntl(channel_fd, F_GETFL);
	int r = make_timer(err);

	if (r < 0)
		return r;
	watched_fd = channel_fd;
	if (sigemptyset(&sa.sa_mask) < 0 || sigaction(SIGIO, &sa, NULL) < 0)
		return bf_err_sys(err, -errno, "child: sigaction");
	if (flags < 0 || fcntl(channel_fd, F_SETOWN, getpid()) < 0 ||
	    fcntl(channel_fd, F_SETFL, flags | O_ASYNC) < 0)
		return bf_err_sys(err, -errno, "child: the control channel cannot be watched");
	on_channel_event(SIGIO); /* it may be gone already */
	return 0;
}

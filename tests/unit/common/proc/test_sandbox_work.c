/* Ordinary work goes on behind the sandbox as if there were none. */
#include <ev.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <netinet/in.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/proc/fds.h"
#include "tests/support/forked.h"
#include "tests/unit/common/proc/sandbox_world.h"

static int act_nothing(void)
{
	return 0;
}

static int act_memory(void)
{
	char *big = malloc(8u << 20), *more;

	if (big == NULL)
		return ENOMEM;
	memset(big, 1, 8u << 20);
	more = realloc(big, 32u << 20);
	if (more == NULL)
		return ENOMEM;
	free(more);
	return 0;
}

static int act_print(void)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%d %s %lld", 1, "two", 3ll);
	(void)fprintf(stderr, "%.0s", text);
	return strlen(text) == 7 ? 0 : EINVAL;
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

static void on_usr1(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)loop;
	(void)revents;
	*(int *)w->data = 1;
}

static int act_loop(void)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	ev_timer t;
	ev_signal s;
	int seen = 0;

	if (loop == NULL)
		return EINVAL;
	ev_timer_init(&t, on_timer, .02, 0.);
	ev_timer_start(loop, &t);
	ev_signal_init(&s, on_usr1, SIGUSR1);
	s.data = &seen;
	ev_signal_start(loop, &s);
	(void)raise(SIGUSR1);
	ev_run(loop, 0);
	ev_loop_destroy(loop);
	return seen ? 0 : EINVAL;
}

static int act_pass_descriptor(void)
{
	char space[CMSG_SPACE(sizeof(int))] = {0}, byte = 'x';
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = space,
			   .msg_controllen = sizeof(space)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &world.pipe[0], sizeof(int));
	if (sendmsg(world.pair[0], &m, MSG_NOSIGNAL) != 1)
		return errno;
	return recvmsg(world.pair[1], &m, MSG_CMSG_CLOEXEC) == 1 && m.msg_controllen > 0 ? 0
											 : EINVAL;
}

static int act_pipe(void)
{
	char c = 'p';

	if (write(world.pipe[1], &c, 1) != 1 || read(world.pipe[0], &c, 1) != 1)
		return errno;
	return fcntl(world.pipe[0], F_SETFL, O_NONBLOCK) < 0 ? errno : 0;
}

static int act_fstat(void)
{
	struct stat st;

	return because(fstat(world.pipe[0], &st));
}

static int act_look_around(void)
{
	struct rlimit l;
	struct rusage u;
	char name[16];

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || getrusage(RUSAGE_SELF, &u) < 0 ||
	    prctl(PR_GET_NAME, name) < 0)
		return errno;
	return getpid() > 0 && sysconf(_SC_PHYS_PAGES) > 0 ? 0 : EINVAL;
}

static int act_abort_is_sigabrt(void)
{
	(void)signal(SIGABRT, SIG_DFL);
	(void)raise(SIGABRT);
	return EINVAL;
}

static int act_accept_and_talk(void)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	int one = 1, r = connect_listener(), fd;

	if (r != 0)
		return r;
	fd =
	    accept4(world.tcp_listener, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof(one)) < 0)
		return errno;
	if (send(fd, "x", 1, MSG_NOSIGNAL) != 1 || shutdown(fd, SHUT_WR) < 0)
		return errno;
	return getpeername(fd, (struct sockaddr *)&sa, &len) < 0 ? errno : 0;
}

static void *a_thread(void *arg)
{
	*(int *)arg = 1;
	return arg;
}

static int act_thread(void)
{
	pthread_t t;
	int ran = 0;
	int r = pthread_create(&t, NULL, a_thread, &ran);

	if (r != 0)
		return r;
	r = pthread_join(t, NULL);
	return r != 0 ? r : !ran;
}

static int act_sealed_memfd(void)
{
	int fd = bf_memfd_sealed("m", "abc", 3);
	const void *bytes;
	size_t len;

	return fd < 0 ? -fd : -bf_memfd_map(fd, &bytes, &len, NULL);
}

static const struct attempt allowed[] = {
    {"nothing", PLAIN, false, act_nothing},
    {"memory", PLAIN, false, act_memory},
    {"printing", PLAIN, false, act_print},
    {"a libev loop with timer and signal", PLAIN, false, act_loop},
    {"a descriptor over a channel", PLAIN, false, act_pass_descriptor},
    {"a pipe", PLAIN, false, act_pipe},
    {"fstat", PLAIN, false, act_fstat},
    {"limits, usage, name", PLAIN, false, act_look_around},
    {"socket of a client", CLIENT, true, act_socket_inet},
    {"connect of a client", CLIENT, true, connect_listener},
    {"accepting", CLIENT | BF_SYS_ACCEPT, true, act_accept_and_talk},
    {"a thread", BF_SYS_BASE | BF_SYS_THREADS, false, act_thread},
    {"a sealed memfd", BF_SYS_BASE | BF_SYS_MEMFD, false, act_sealed_memfd},
};

static void allowed_calls_work(void **state)
{
	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(allowed); i++) {
		int status = run_forked(behind_fence, &allowed[i]);

		if (!exited_with(status, 0))
			fail_msg("%s: status %#x", allowed[i].name, (unsigned)status);
	}
}

static void an_abort_is_still_an_abort(void **state)
{
	const struct attempt a = {"abort", PLAIN, false, act_abort_is_sigabrt};

	(void)state;
	assert_true(died_of(run_forked(behind_fence, &a), SIGABRT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(allowed_calls_work),
	    cmocka_unit_test(an_abort_is_still_an_abort),
	};

	return cmocka_run_group_tests_name("common/proc/sandbox_work", tests, make_world,
					   remove_world);
}

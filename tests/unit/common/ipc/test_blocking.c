/* Frames with a deadline, as bifrostctl uses them. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <signal.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/ipc/channel.h"
#include "common/ipc/fdpass.h"
#include "tests/support/fd_count.h"

static uint8_t buf[BF_FRAME_MAX];

struct pair {
	int end[2];
	int before;
};

static int open_pair(void **state)
{
	static struct pair p;

	p.before = fd_count();
	*state = &p;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p.end);
}

static int close_pair(void **state)
{
	struct pair *p = *state;

	for (int i = 0; i < 2; i++) {
		if (p->end[i] >= 0)
			(void)close(p->end[i]);
	}
	return fd_count() == p->before ? 0 : -1;
}

static struct bf_frame sample(void)
{
	return (struct bf_frame){.type = 2,
				 .source = BF_ENDPOINT(BF_ROLE_PROXYD, 1),
				 .target = BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0),
				 .request = 3,
				 .body = BF_SLICE_LIT("body"),
				 .fd = -1};
}

static void test_whole_frames_on_blocking_and_other_sockets(void **state)
{
	struct pair *p = *state;

	for (int i = 0; i < 2; i++) {
		struct bf_frame f = sample(), got;
		f.fd = i ? 0 : -1;
		assert_int_equal(bf_frame_send_blocking(p->end[0], &f, NULL), 0);
		assert_int_equal(bf_frame_recv_blocking(p->end[1], buf, 1000, &got, NULL), 0);
		assert_int_equal(got.request, 3);
		assert_true(bf_slice_is(got.body, "body"));
		assert_int_equal(got.fd >= 0, i);
		if (got.fd >= 0)
			(void)close(got.fd);
		(void)fcntl(p->end[0], F_SETFL, O_NONBLOCK);
		(void)fcntl(p->end[1], F_SETFL, O_NONBLOCK);
	}
}

static void test_deadline(void **state)
{
	struct pair *p = *state;
	struct bf_err err = {0};
	struct bf_frame f;
	int64_t start = bf_mono_ms();

	assert_int_equal(bf_frame_recv_blocking(p->end[1], buf, 0, &f, &err), BF_E_TIMEOUT);
	assert_int_equal(bf_frame_recv_blocking(p->end[1], buf, 60, &f, &err), BF_E_TIMEOUT);
	assert_true(bf_mono_ms() - start >= 59);
	assert_true(bf_mono_ms() - start < 5000);
	assert_non_null(strstr(err.text, "receive"));
}

static void on_alarm(int signo BF_UNUSED)
{
}

/* Signals neither end the wait nor make it longer. */
static void test_interrupts_do_not_move_the_deadline(void **state)
{
	struct pair *p = *state;
	const struct sigaction action = {.sa_handler = on_alarm};
	const struct itimerval often = {{0, 5000}, {0, 5000}}, never = {{0, 0}, {0, 0}};
	struct bf_frame f;
	int64_t start = bf_mono_ms();

	(void)sigaction(SIGALRM, &action, NULL);
	(void)setitimer(ITIMER_REAL, &often, NULL);
	int r = bf_frame_recv_blocking(p->end[1], buf, 100, &f, NULL);
	(void)setitimer(ITIMER_REAL, &never, NULL);
	assert_int_equal(r, BF_E_TIMEOUT);
	assert_true(bf_mono_ms() - start >= 99);
	assert_true(bf_mono_ms() - start < 5000);
}

static void test_peer_gone(void **state)
{
	struct pair *p = *state;
	struct bf_frame f = sample(), got;
	struct bf_err err = {0};

	/* It leaves a frame of ours unread and one of its own behind. */
	assert_int_equal(bf_frame_send_blocking(p->end[0], &f, NULL), 0);
	assert_int_equal(bf_frame_send_blocking(p->end[1], &f, NULL), 0);
	(void)close(p->end[1]);
	p->end[1] = -1;
	assert_int_equal(bf_frame_recv_blocking(p->end[0], buf, 1000, &got, &err), 0);
	assert_int_equal(bf_frame_recv_blocking(p->end[0], buf, 1000, &got, &err), BF_E_CLOSED);
	assert_int_equal(bf_frame_send_blocking(p->end[0], &f, &err), BF_E_CLOSED);
	assert_int_equal(err.code, BF_E_CLOSED);
}

static void test_garbage_is_told_and_its_fd_closed(void **state)
{
	struct pair *p = *state;
	struct bf_err err = {0};
	struct bf_frame f;
	int open_before = fd_count();

	assert_int_equal(bf_fdpass_send(p->end[0], "garbage", 7, NULL, 0, 0), 0);
	assert_int_equal(bf_frame_recv_blocking(p->end[1], buf, 1000, &f, &err), BF_E_SYNTAX);
	assert_int_equal(fd_count(), open_before);
	assert_int_equal(bf_frame_recv_blocking(-1, buf, 1000, &f, &err), -EBADF);
	f = sample();
	assert_int_equal(bf_frame_send_blocking(-1, &f, &err), -EBADF);
}

#define IN_PAIR(test) cmocka_unit_test_setup_teardown(test, open_pair, close_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_PAIR(test_whole_frames_on_blocking_and_other_sockets), IN_PAIR(test_deadline),
	    IN_PAIR(test_interrupts_do_not_move_the_deadline),        IN_PAIR(test_peer_gone),
	    IN_PAIR(test_garbage_is_told_and_its_fd_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

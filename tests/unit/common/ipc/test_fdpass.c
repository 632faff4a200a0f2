/* Descriptors over a socket: at most one, never leaked, whatever the peer does. */
#include "common/ipc/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/err.h"
#include "common/base/macros.h"
#include "tests/support/fd_count.h"

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

/* Sends n copies of a descriptor, as only a hostile peer would. */
static void send_fds(int sock, size_t n, const char *text, size_t len)
{
	union {
		char bytes[CMSG_SPACE(64 * sizeof(int))];
		struct cmsghdr align;
	} control = {.bytes = {0}};
	char byte[1];
	struct iovec iov = {.iov_base = byte, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	byte[0] = text[0];
	msg.msg_control = control.bytes;
	msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
	struct cmsghdr *c = &control.align;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	for (size_t i = 0; i < n; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &sock, sizeof(int));
	assert_int_equal(sendmsg(sock, &msg, MSG_NOSIGNAL), (ssize_t)len);
}

static void test_bytes_in_two_pieces(void **state)
{
	struct pair *p = *state;
	char buf[16];
	int fd = 99;

	assert_int_equal(bf_fdpass_send(p->end[0], "head", 4, "body", 4, -1), 0);
	assert_int_equal(bf_fdpass_recv(p->end[1], buf, sizeof(buf), &fd), 8);
	assert_memory_equal(buf, "headbody", 8);
	assert_int_equal(fd, -1);
	assert_int_equal(bf_fdpass_recv(p->end[1], buf, sizeof(buf), &fd), -EAGAIN);
}

static void test_one_fd_arrives_close_on_exec(void **state)
{
	struct pair *p = *state;
	struct stat sent, came;
	char buf[16];
	int fd = -1;

	assert_int_equal(bf_fdpass_send(p->end[0], "x", 1, NULL, 0, 0), 0);
	assert_int_equal(bf_fdpass_recv(p->end[1], buf, sizeof(buf), &fd), 1);
	assert_true(fd > 2);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fstat(0, &sent), 0);
	assert_int_equal(fstat(fd, &came), 0);
	assert_int_equal(sent.st_ino, came.st_ino);
	(void)close(fd);
}

static void test_surplus_fds_are_closed_and_told(void **state)
{
	static const size_t counts[] = {2, 3, 8, 9, 64};
	struct pair *p = *state;
	int open_before = fd_count();
	char buf[16];
	int fd = 99;

	for (size_t i = 0; i < BF_ARRAY_LEN(counts); i++) {
		send_fds(p->end[0], counts[i], "x", 1);
		assert_int_equal(bf_fdpass_recv(p->end[1], buf, sizeof(buf), &fd), BF_E_SYNTAX);
		assert_int_equal(fd, -1);
		assert_int_equal(fd_count(), open_before);
	}
}

static void test_fd_of_a_truncated_or_empty_datagram_is_closed(void **state)
{
	struct pair *p = *state;
	int open_before = fd_count();
	char buf[4];
	int fd = 99;

	assert_int_equal(bf_fdpass_send(p->end[0], "longer", 6, NULL, 0, 0), 0);
	assert_int_equal(bf_fdpass_recv(p->end[1], buf, sizeof(buf), &fd), BF_E_LIMIT);
	assert_int_equal(fd, -1);
	send_fds(p->end[0], 1, "x", 0);
	assert_int_equal(bf_fdpass_recv(p->end[1], buf, sizeof(buf), &fd), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(fd_count(), open_before);
}

static void test_full_descriptor_table_is_told(void **state)
{
	struct pair *p = *state;
	struct rlimit old, none;
	char buf[4];
	int fd = 99;

	assert_int_equal(bf_fdpass_send(p->end[0], "x", 1, NULL, 0, 0), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	ssize_t r = bf_fdpass_recv(p->end[1], buf, sizeof(buf), &fd);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(r, BF_E_SYNTAX);
	assert_int_equal(fd, -1);
}

static void test_errors_of_the_socket(void **state)
{
	struct pair *p = *state;
	char buf[4];
	int fd = 99;

	(void)close(p->end[1]);
	p->end[1] = -1;
	assert_int_equal(bf_fdpass_send(p->end[0], "x", 1, NULL, 0, -1), -EPIPE);
	assert_int_equal(bf_fdpass_recv(p->end[0], buf, sizeof(buf), &fd), 0);
	assert_int_equal(bf_fdpass_send(-1, "x", 1, NULL, 0, -1), -EBADF);
	assert_int_equal(bf_fdpass_recv(-1, buf, sizeof(buf), &fd), -EBADF);
	assert_int_equal(fd, -1);
	assert_int_equal(bf_fdpass_send(p->end[0], "x", 1, NULL, 0, 999999), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_bytes_in_two_pieces, open_pair, close_pair),
	    cmocka_unit_test_setup_teardown(test_one_fd_arrives_close_on_exec, open_pair,
					    close_pair),
	    cmocka_unit_test_setup_teardown(test_surplus_fds_are_closed_and_told, open_pair,
					    close_pair),
	    cmocka_unit_test_setup_teardown(test_fd_of_a_truncated_or_empty_datagram_is_closed,
					    open_pair, close_pair),
	    cmocka_unit_test_setup_teardown(test_full_descriptor_table_is_told, open_pair,
					    close_pair),
	    cmocka_unit_test_setup_teardown(test_errors_of_the_socket, open_pair, close_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

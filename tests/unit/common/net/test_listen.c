/* Listeners on loopback: shared among ours, never with strangers, with an error that helps. */
#include "common/net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "tests/support/fd_count.h"

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* A listener of ours on a port that the kernel chose. */
static int listen_anywhere(const char *host, struct bf_addr *ret_addr, char text[64])
{
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6};
	socklen_t len = sizeof(sin6);
	char wanted[64];
	int fd = socket(strchr(host, ':') ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* Asks for a free port, gives it back, and takes it again by name. */
	sin6.sin6_family = (sa_family_t)(strchr(host, ':') ? AF_INET6 : AF_INET);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sin6, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin6, &len), 0);
	(void)close(fd);
	(void)snprintf(wanted, sizeof(wanted), "%s:%u", host, ntohs(sin6.sin6_port));
	assert_int_equal(bf_addr_parse(bf_slice_from(wanted), ret_addr, NULL), 0);
	fd = bf_listen_tcp(ret_addr, true, NULL);
	assert_true(fd >= 0);
	(void)snprintf(text, 64, "%s", wanted);
	return fd;
}

static void test_flags_of_a_listener(void **state BF_UNUSED)
{
	struct bf_addr addr;
	char text[64];
	int fd = listen_anywhere("127.0.0.1", &addr, text);

	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(option(fd, SOL_SOCKET, SO_REUSEPORT), 1);
	assert_int_equal(option(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
	assert_true(option(fd, IPPROTO_TCP, TCP_NODELAY) != 0);
	(void)close(fd);
}

static void connect_once(const struct bf_addr *addr)
{
	int fd = socket(addr->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&addr->ss, addr->len), 0);
	(void)close(fd);
}

static void test_our_own_share_the_port(void **state BF_UNUSED)
{
	struct bf_addr addr;
	char text[64];
	int first = listen_anywhere("127.0.0.1", &addr, text);
	int second = bf_listen_tcp(&addr, false, NULL);

	assert_true(second >= 0);
	connect_once(&addr);
	(void)close(first);
	/* The port is still held by the second. */
	connect_once(&addr);
	(void)close(second);
}

static void test_accepted_connections_have_nodelay(void **state BF_UNUSED)
{
	struct bf_addr addr;
	char text[64];
	int fd = listen_anywhere("127.0.0.1", &addr, text);

	connect_once(&addr);
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(conn >= 0);
	assert_true(option(conn, IPPROTO_TCP, TCP_NODELAY) != 0);
	(void)close(conn);
	(void)close(fd);
}

static void test_port_in_use_names_address_and_command(void **state BF_UNUSED)
{
	struct bf_addr addr;
	struct bf_err err = {0};
	char text[64], command[64];
	int fd = listen_anywhere("127.0.0.1", &addr, text);
	int before = fd_count();

	/* Even one with SO_REUSEPORT and of the same user. */
	assert_int_equal(bf_listen_tcp(&addr, true, &err), -EADDRINUSE);
	assert_int_equal(fd_count(), before);
	assert_int_equal(err.code, -EADDRINUSE);
	assert_non_null(strstr(err.text, text));
	(void)snprintf(command, sizeof(command), "ss -ltnp 'sport = %s'", strrchr(text, ':'));
	assert_non_null(strstr(err.text, command));
	assert_null(strchr(err.text, '\n'));
	(void)close(fd);
	/* Free again: nothing of the refused attempt holds it. */
	fd = bf_listen_tcp(&addr, true, NULL);
	assert_true(fd >= 0);
	(void)close(fd);
}

static void test_connections_in_time_wait_do_not_matter(void **state BF_UNUSED)
{
	struct bf_addr addr;
	char text[64];
	int fd = listen_anywhere("127.0.0.1", &addr, text);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(client, (const struct sockaddr *)&addr.ss, addr.len), 0);
	int server = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(server >= 0);
	/* The side that closes first waits. */
	(void)close(server);
	(void)close(client);
	(void)close(fd);
	fd = bf_listen_tcp(&addr, true, NULL);
	assert_true(fd >= 0);
	(void)close(fd);
}

static void test_unspecified_v6_takes_v4_too(void **state BF_UNUSED)
{
	struct bf_addr addr, v4;
	char text[64], v4_text[64];
	int probe = socket(AF_INET6, SOCK_STREAM, 0);

	if (probe < 0)
		skip();
	(void)close(probe);
	int fd = listen_anywhere("[::]", &addr, text);
	(void)snprintf(v4_text, sizeof(v4_text), "127.0.0.1%s", strrchr(text, ':'));
	assert_int_equal(bf_addr_parse(bf_slice_from(v4_text), &v4, NULL), 0);
	connect_once(&v4);
	(void)close(fd);
}

static void test_addresses_that_are_not_ours(void **state BF_UNUSED)
{
	struct bf_addr addr;
	struct bf_err err = {0};
	int before = fd_count();

	assert_int_equal(bf_addr_parse(BF_SLICE_LIT("192.0.2.1:8080"), &addr, NULL), 0);
	assert_int_equal(bf_listen_tcp(&addr, true, &err), -EADDRNOTAVAIL);
	assert_non_null(strstr(err.text, "192.0.2.1:8080"));
	assert_non_null(strstr(err.text, "server.listen"));
	addr.ss.ss_family = AF_UNIX;
	assert_true(bf_listen_tcp(&addr, false, &err) < 0);
	assert_int_equal(fd_count(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_flags_of_a_listener),
	    cmocka_unit_test(test_our_own_share_the_port),
	    cmocka_unit_test(test_accepted_connections_have_nodelay),
	    cmocka_unit_test(test_port_in_use_names_address_and_command),
	    cmocka_unit_test(test_connections_in_time_wait_do_not_matter),
	    cmocka_unit_test(test_unspecified_v6_takes_v4_too),
	    cmocka_unit_test(test_addresses_that_are_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* sd_notify: addresses, formats, and datagrams that arrive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/notify.h"

static void test_addresses(void **state)
{
	struct sockaddr_un a;
	socklen_t len;
	char longest[200];

	(void)state;
	assert_int_equal(notify_address("/run/x", &a, &len), 0);
	assert_string_equal(a.sun_path, "/run/x");
	assert_int_equal(len, offsetof(struct sockaddr_un, sun_path) + 7);
	assert_int_equal(notify_address("@ab", &a, &len), 0);
	assert_memory_equal(a.sun_path, "\0ab", 3);
	assert_int_equal(len, offsetof(struct sockaddr_un, sun_path) + 3);
	assert_int_equal(notify_address("", &a, &len), BF_E_SYNTAX);
	assert_int_equal(notify_address("/", &a, &len), BF_E_SYNTAX);
	assert_int_equal(notify_address("@", &a, &len), BF_E_SYNTAX);
	assert_int_equal(notify_address("vsock:2:1", &a, &len), BF_E_SYNTAX);
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[sizeof(a.sun_path) - 1] = '\0';
	assert_int_equal(notify_address(longest, &a, &len), 0);
	longest[sizeof(a.sun_path) - 1] = 'x';
	longest[sizeof(a.sun_path)] = '\0';
	assert_int_equal(notify_address(longest, &a, &len), BF_E_SYNTAX);
}

static void test_watchdog(void **state)
{
	(void)state;
	assert_int_equal(notify_watchdog_ms("30000000", NULL, 7), 15000);
	assert_int_equal(notify_watchdog_ms("30000000", "7", 7), 15000);
	assert_int_equal(notify_watchdog_ms("30000000", "8", 7), 0);
	assert_int_equal(notify_watchdog_ms("30000000", "x", 7), 0);
	assert_int_equal(notify_watchdog_ms("1", NULL, 7), 1);
	assert_int_equal(notify_watchdog_ms(NULL, NULL, 7), 0);
	assert_int_equal(notify_watchdog_ms("", NULL, 7), 0);
	assert_int_equal(notify_watchdog_ms("0", NULL, 7), 0);
	assert_int_equal(notify_watchdog_ms("-5", NULL, 7), 0);
	assert_int_equal(notify_watchdog_ms("many", NULL, 7), 0);
}

static void check(enum notify_kind kind, const char *status, const char *expected)
{
	char out[512];
	size_t len = notify_format(kind, status, 42, out, sizeof(out));

	assert_int_equal(len, strlen(expected));
	assert_memory_equal(out, expected, len);
}

static void test_formats(void **state)
{
	(void)state;
	check(NOTIFY_READY, NULL, "READY=1");
	check(NOTIFY_READY, "up", "READY=1\nSTATUS=up");
	check(NOTIFY_RELOADING, NULL, "RELOADING=1\nMONOTONIC_USEC=42");
	check(NOTIFY_STOPPING, "a\nREADY=1", "STOPPING=1\nSTATUS=a READY=1");
	check(NOTIFY_WATCHDOG, NULL, "WATCHDOG=1");
	check(NOTIFY_STATUS, "x\ny\nz", "STATUS=x y z");
	check(NOTIFY_STATUS, "", "STATUS=");
}

static void test_cut_at_every_size(void **state)
{
	static const char whole[] = "READY=1\nSTATUS=some text";
	char out[64];

	(void)state;
	for (size_t size = 1; size < sizeof(out); size++) {
		size_t len;

		memset(out, '#', sizeof(out));
		len = notify_format(NOTIFY_READY, "some text", 0, out, size);
		assert_true(len < size || len == sizeof(whole) - 1);
		assert_memory_equal(out, whole, len);
		assert_int_equal(out[size], '#');
	}
}

static void test_datagrams_arrive(void **state)
{
	struct sockaddr_un a;
	socklen_t len;
	struct notify n;
	char name[64], got[128];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ssize_t size;

	(void)state;
	(void)snprintf(name, sizeof(name), "@bifrost-notify-%d", (int)getpid());
	assert_int_equal(notify_address(name, &a, &len), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, len), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	assert_int_equal(setenv("WATCHDOG_USEC", "4000000", 1), 0);
	assert_int_equal(notify_open(&n, NULL), 0);
	assert_int_equal(n.watchdog_ms, 2000);
	notify_send(&n, NOTIFY_READY, "one");
	size = recv(fd, got, sizeof(got), 0);
	assert_int_equal(size, 18);
	assert_memory_equal(got, "READY=1\nSTATUS=one", 18);
	(void)close(fd);
	/* Nobody listens any more: no error, no signal. */
	notify_send(&n, NOTIFY_STATUS, "two");
	notify_close(&n);
	notify_close(&n);
}

static void test_nobody_wants_to_know(void **state)
{
	struct notify n;
	struct bf_err err = {0};

	(void)state;
	assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
	assert_int_equal(notify_open(&n, NULL), 0);
	assert_int_equal(n.fd, -1);
	notify_send(&n, NOTIFY_READY, NULL);
	assert_int_equal(setenv("NOTIFY_SOCKET", "relative", 1), 0);
	assert_int_equal(notify_open(&n, &err), BF_E_SYNTAX);
	assert_non_null(strstr(err.text, "relative"));
	assert_int_equal(n.fd, -1);
	notify_send(&n, NOTIFY_READY, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_addresses),        cmocka_unit_test(test_watchdog),
	    cmocka_unit_test(test_formats),          cmocka_unit_test(test_cut_at_every_size),
	    cmocka_unit_test(test_datagrams_arrive), cmocka_unit_test(test_nobody_wants_to_know),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The hosts file: strange lines, case, several addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/net/hosts.h"

static void with_file(const char *text, size_t len, struct bf_hosts *hosts)
{
	char path[] = "/tmp/test-hosts-XXXXXX";
	struct bf_err err = {0};
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	(void)close(fd);
	int r = bf_hosts_read(path, hosts, &err);
	(void)unlink(path);
	if (r < 0)
		fail_msg("%s", err.text);
}

static size_t find(const struct bf_hosts *hosts, const char *name, char out[2][64])
{
	struct bf_addr addrs[2];
	size_t n = bf_hosts_find(hosts, bf_slice_from(name), addrs, 2);

	for (size_t i = 0; i < n; i++)
		(void)bf_addr_format(&addrs[i], out[i]);
	return n;
}

static void lines(void **state BF_UNUSED)
{
	static const char text[] = "# comment\n"
				   "10.0.0.1 a b\tc # d\n"
				   "\n"
				   "  10.0.0.2   B\r\n"
				   "nonsense b\n"
				   "::1 six\n"
				   "10.0.0.3 b\n"
				   "10.0.0.4\n"
				   "10.0.0.9 \0 z\n"
				   "10.0.0.5 last";
	struct bf_hosts hosts;
	char out[2][64];

	with_file(text, sizeof(text) - 1, &hosts);
	assert_int_equal(find(&hosts, "a", out), 1);
	assert_string_equal(out[0], "10.0.0.1:0");
	assert_int_equal(find(&hosts, "b", out), 2); /* and no more than fit */
	assert_string_equal(out[1], "10.0.0.2:0");
	assert_int_equal(find(&hosts, "C", out), 1);
	assert_int_equal(find(&hosts, "d", out), 0);
	assert_int_equal(find(&hosts, "#", out), 0);
	assert_int_equal(find(&hosts, "10.0.0.4", out), 0);
	assert_int_equal(find(&hosts, "six", out), 1);
	assert_string_equal(out[0], "[::1]:0");
	assert_int_equal(find(&hosts, "last", out), 1);
	bf_hosts_free(&hosts);
}

static void no_file_is_empty(void **state BF_UNUSED)
{
	struct bf_hosts hosts;
	struct bf_err err = {0};
	char out[2][64];

	assert_int_equal(bf_hosts_read("/tmp/no/such/hosts", &hosts, &err), 0);
	assert_int_equal(find(&hosts, "a", out), 0);
	bf_hosts_free(&hosts);
	assert_true(bf_hosts_read("/", &hosts, &err) < 0);
	assert_int_equal(err.text[0], '/');
}

static void a_huge_file_is_refused(void **state BF_UNUSED)
{
	struct bf_hosts hosts;
	struct bf_err err = {0};

	assert_int_equal(bf_hosts_read("/dev/zero", &hosts, &err), BF_E_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines),
	    cmocka_unit_test(no_file_is_empty),
	    cmocka_unit_test(a_huge_file_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

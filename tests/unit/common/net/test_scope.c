/* Both edges of every block of addresses; texts cut at every byte; ports of what has none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/net/addr.h"

struct edge {
	const char *ip;
	enum bf_addr_scope scope;
};

static void check(const struct edge *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct bf_addr addr;
		assert_int_equal(bf_addr_from_ip(bf_slice_from(list[i].ip), 1, &addr), 0);
		if (bf_addr_scope(&addr) != list[i].scope)
			fail_msg("%s: %d", list[i].ip, bf_addr_scope(&addr));
	}
}

static void edges_of_ipv4(void **state BF_UNUSED)
{
	static const struct edge list[] = {
	    {"0.255.255.255", BF_ADDR_NOWHERE},   {"1.0.0.0", BF_ADDR_GLOBAL},
	    {"9.255.255.255", BF_ADDR_GLOBAL},    {"10.0.0.0", BF_ADDR_PRIVATE},
	    {"10.255.255.255", BF_ADDR_PRIVATE},  {"100.63.255.255", BF_ADDR_GLOBAL},
	    {"100.64.0.0", BF_ADDR_PRIVATE},      {"126.255.255.255", BF_ADDR_GLOBAL},
	    {"127.0.0.0", BF_ADDR_LOOPBACK},      {"169.253.255.255", BF_ADDR_GLOBAL},
	    {"169.254.0.0", BF_ADDR_LINK_LOCAL},  {"169.254.255.255", BF_ADDR_LINK_LOCAL},
	    {"169.255.0.0", BF_ADDR_GLOBAL},      {"192.167.255.255", BF_ADDR_GLOBAL},
	    {"192.168.0.0", BF_ADDR_PRIVATE},     {"192.168.255.255", BF_ADDR_PRIVATE},
	    {"223.255.255.255", BF_ADDR_GLOBAL},  {"224.0.0.0", BF_ADDR_NOWHERE},
	    {"239.255.255.255", BF_ADDR_NOWHERE}, {"240.0.0.0", BF_ADDR_NOWHERE},
	    {"255.255.255.254", BF_ADDR_NOWHERE},
	};

	check(list, BF_ARRAY_LEN(list));
}

static void edges_of_ipv6(void **state BF_UNUSED)
{
	static const struct edge list[] = {
	    {"fe7f:ffff::1", BF_ADDR_GLOBAL},
	    {"fe80::", BF_ADDR_LINK_LOCAL},
	    {"febf:ffff::1", BF_ADDR_LINK_LOCAL},
	    {"fbff:ffff::1", BF_ADDR_GLOBAL},
	    {"fc00::", BF_ADDR_PRIVATE},
	    {"fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", BF_ADDR_PRIVATE},
	    {"ff00::", BF_ADDR_NOWHERE},
	    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", BF_ADDR_NOWHERE},
	    /* Other ways to write, and to carry, an IPv4 address. */
	    {"0:0:0:0:0:ffff:7f00:1", BF_ADDR_LOOPBACK},
	    {"::FFFF:0.0.0.0", BF_ADDR_NOWHERE},
	    {"::ffff:255.255.255.255", BF_ADDR_NOWHERE},
	    {"::ffff:192.168.0.1", BF_ADDR_PRIVATE},
	    {"64:ff9b::127.0.0.1", BF_ADDR_LOOPBACK},
	    {"64:ff9b::10.0.0.1", BF_ADDR_PRIVATE},
	    {"64:ff9b::", BF_ADDR_NOWHERE},
	    {"2002:7f00:1::", BF_ADDR_LOOPBACK},
	    {"2002:a9fe:a9fe::", BF_ADDR_LINK_LOCAL},
	    {"2002:808:808::1", BF_ADDR_GLOBAL},
	    {"2003:a00:1::1", BF_ADDR_GLOBAL},
	};

	check(list, BF_ARRAY_LEN(list));
}

/* Nothing behind the slice is read: the digit that follows would make it another address. */
static void a_slice_ends_where_it_ends(void **state BF_UNUSED)
{
	static const char text[] = "192.0.2.1234";
	struct bf_addr addr;
	char out[64];

	for (size_t len = 0; len < sizeof(text); len++) {
		int r = bf_addr_from_ip((struct bf_slice){text, len}, 9, &addr);
		assert_int_equal(r, len >= 9 && len <= 11 ? 0 : BF_E_SYNTAX);
		if (r == 0)
			assert_int_equal(strlen(bf_addr_format(&addr, out)), len + 2);
	}
	assert_int_equal(bf_addr_from_ip((struct bf_slice){NULL, 0}, 9, &addr), BF_E_SYNTAX);
	assert_int_equal(bf_addr_from_ip((struct bf_slice){"1.2.3.4\0", 8}, 9, &addr), BF_E_SYNTAX);
	assert_int_equal(bf_addr_from_ip((struct bf_slice){"1.2.\0.4", 7}, 9, &addr), BF_E_SYNTAX);
}

static void too_long_or_nearly(void **state BF_UNUSED)
{
	static const char *const bad[] = {
	    "1111:2222:3333:4444:5555:6666:7777:8888:9999",
	    "1111:2222:3333:4444:5555:6666:7777:255.255.255.255",
	    "fe80::1%eth0",
	    " 1.2.3.4",
	    "1.2.3.4 ",
	    "1.2.3.256",
	    "-1.2.3.4",
	    "1::2::3",
	    ":",
	    ":::",
	    "2130706433",
	    "[1.2.3.4]",
	    "11111::1",
	};
	static const char longest[] = "1111:2222:3333:4444:5555:6666:255.255.255.255";
	struct bf_addr addr;

	for (size_t i = 0; i < BF_ARRAY_LEN(bad); i++) {
		if (bf_addr_from_ip(bf_slice_from(bad[i]), 9, &addr) != BF_E_SYNTAX)
			fail_msg("%s", bad[i]);
	}
	assert_int_equal(sizeof(longest), 46); /* INET6_ADDRSTRLEN */
	assert_int_equal(bf_addr_from_ip(bf_slice_from(longest), 9, &addr), 0);
}

static void ports(void **state BF_UNUSED)
{
	static const uint16_t list[] = {0, 1, 255, 256, 65535};
	struct bf_addr four, six, same;
	char out[64];

	assert_int_equal(bf_addr_from_ip(BF_SLICE_LIT("1.2.3.4"), 7, &four), 0);
	assert_int_equal(bf_addr_from_ip(BF_SLICE_LIT("::1"), 7, &six), 0);
	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		char want[64];
		(void)snprintf(want, sizeof(want), "1.2.3.4:%u", list[i]);
		bf_addr_set_port(&four, list[i]);
		assert_string_equal(bf_addr_format(&four, out), want);
		(void)snprintf(want, sizeof(want), "[::1]:%u", list[i]);
		bf_addr_set_port(&six, list[i]);
		assert_string_equal(bf_addr_format(&six, out), want);
	}
	/* The port is all that changes. */
	assert_int_equal(bf_addr_from_ip(BF_SLICE_LIT("::1"), 65535, &same), 0);
	assert_memory_equal(&six, &same, sizeof(six));

	struct bf_addr none = {.ss = {.ss_family = AF_UNIX}, .len = 2}, before = none;
	bf_addr_set_port(&none, 80);
	assert_memory_equal(&none, &before, sizeof(none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(edges_of_ipv4),
	    cmocka_unit_test(edges_of_ipv6),
	    cmocka_unit_test(a_slice_ends_where_it_ends),
	    cmocka_unit_test(too_long_or_nearly),
	    cmocka_unit_test(ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

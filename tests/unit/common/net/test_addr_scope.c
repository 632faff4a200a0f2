/* Where addresses lead; addresses without a port in their text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/net/addr.h"

static void scopes(void **state BF_UNUSED)
{
	static const struct {
		const char *ip;
		enum bf_addr_scope scope;
	} list[] = {
	    {"127.0.0.1", BF_ADDR_LOOPBACK},
	    {"127.255.255.255", BF_ADDR_LOOPBACK},
	    {"128.0.0.1", BF_ADDR_GLOBAL},
	    {"8.8.8.8", BF_ADDR_GLOBAL},
	    {"10.0.0.1", BF_ADDR_PRIVATE},
	    {"11.0.0.1", BF_ADDR_GLOBAL},
	    {"172.15.255.255", BF_ADDR_GLOBAL},
	    {"172.16.0.0", BF_ADDR_PRIVATE},
	    {"172.31.255.255", BF_ADDR_PRIVATE},
	    {"172.32.0.0", BF_ADDR_GLOBAL},
	    {"192.168.1.1", BF_ADDR_PRIVATE},
	    {"192.169.0.1", BF_ADDR_GLOBAL},
	    {"100.64.0.1", BF_ADDR_PRIVATE},
	    {"100.127.255.255", BF_ADDR_PRIVATE},
	    {"100.128.0.1", BF_ADDR_GLOBAL},
	    {"169.254.169.254", BF_ADDR_LINK_LOCAL},
	    {"0.0.0.0", BF_ADDR_NOWHERE},
	    {"0.1.2.3", BF_ADDR_NOWHERE},
	    {"224.0.0.1", BF_ADDR_NOWHERE},
	    {"255.255.255.255", BF_ADDR_NOWHERE},
	    {"::1", BF_ADDR_LOOPBACK},
	    {"::", BF_ADDR_NOWHERE},
	    {"::7f00:1", BF_ADDR_NOWHERE},
	    {"ff02::1", BF_ADDR_NOWHERE},
	    {"fe80::1", BF_ADDR_LINK_LOCAL},
	    {"fc00::1", BF_ADDR_PRIVATE},
	    {"fdff::1", BF_ADDR_PRIVATE},
	    {"fec0::1", BF_ADDR_PRIVATE},
	    {"2606:4700::1", BF_ADDR_GLOBAL},
	    {"::ffff:127.0.0.1", BF_ADDR_LOOPBACK},
	    {"::ffff:169.254.169.254", BF_ADDR_LINK_LOCAL},
	    {"::ffff:10.1.2.3", BF_ADDR_PRIVATE},
	    {"::ffff:8.8.8.8", BF_ADDR_GLOBAL},
	    {"64:ff9b::a9fe:a9fe", BF_ADDR_LINK_LOCAL},
	    {"64:ff9b::808:808", BF_ADDR_GLOBAL},
	    {"2002:a00:1::1", BF_ADDR_PRIVATE},
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		struct bf_addr addr;
		assert_int_equal(bf_addr_from_ip(bf_slice_from(list[i].ip), 80, &addr), 0);
		if (bf_addr_scope(&addr) != list[i].scope)
			fail_msg("%s: %d", list[i].ip, bf_addr_scope(&addr));
	}
	struct bf_addr none = {.ss = {.ss_family = AF_UNIX}};
	assert_int_equal(bf_addr_scope(&none), BF_ADDR_NOWHERE);
}

static void what_is_no_address(void **state BF_UNUSED)
{
	static const char *const list[] = {"",    "localhost", "1.2.3",     "1.2.3.4:80", "[::1]",
					   "::g", "01.2.3.4",  "1.2.3.4.5", "0x7f000001", "127.1"};

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		struct bf_addr addr;
		if (bf_addr_from_ip(bf_slice_from(list[i]), 80, &addr) != BF_E_SYNTAX)
			fail_msg("%s", list[i]);
	}
}

static void ports(void **state BF_UNUSED)
{
	struct bf_addr addr;
	char text[64];

	assert_int_equal(bf_addr_from_ip(BF_SLICE_LIT("1.2.3.4"), 80, &addr), 0);
	assert_string_equal(bf_addr_format(&addr, text), "1.2.3.4:80");
	bf_addr_set_port(&addr, 443);
	assert_string_equal(bf_addr_format(&addr, text), "1.2.3.4:443");
	assert_int_equal(bf_addr_from_ip(BF_SLICE_LIT("2001:db8::1"), 80, &addr), 0);
	bf_addr_set_port(&addr, 8443);
	assert_string_equal(bf_addr_format(&addr, text), "[2001:db8::1]:8443");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(scopes),
	    cmocka_unit_test(what_is_no_address),
	    cmocka_unit_test(ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

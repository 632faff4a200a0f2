/* Addresses from and to text. */
#include "common/net/addr.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/macros.h"

/* A heap copy of the exact size, so that the sanitizer sees a read past the end. */
static int parse(const char *text, size_t len, struct bf_addr *ret_addr, struct bf_err *err)
{
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	int r = bf_addr_parse((struct bf_slice){copy, len}, ret_addr, err);
	free(copy);
	return r;
}

struct good {
	const char *text, *formatted;
	bool loopback;
};

static void test_good(void **state BF_UNUSED)
{
	static const struct good list[] = {
	    {"127.0.0.1:8080", "127.0.0.1:8080", true},
	    {"127.255.0.9:1", "127.255.0.9:1", true},
	    {"0.0.0.0:65535", "0.0.0.0:65535", false},
	    {"128.0.0.1:80", "128.0.0.1:80", false},
	    {"localhost:8080", "127.0.0.1:8080", true},
	    {":8080", "[::]:8080", false},
	    {"[::]:8080", "[::]:8080", false},
	    {"[::1]:8080", "[::1]:8080", true},
	    {"[0:0:0:0:0:0:0:1]:8080", "[::1]:8080", true},
	    {"[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:80", true},
	    {"[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.1]:80", false},
	    {"[2001:db8:1111:2222:3333:4444:5555:6666]:65535",
	     "[2001:db8:1111:2222:3333:4444:5555:6666]:65535", false},
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		struct bf_addr a, again;
		char text[64];
		assert_int_equal(parse(list[i].text, strlen(list[i].text), &a, NULL), 0);
		assert_string_equal(bf_addr_format(&a, text), list[i].formatted);
		assert_int_equal(bf_addr_is_loopback(&a), list[i].loopback);
		assert_int_equal(parse(text, strlen(text), &again, NULL), 0);
		assert_int_equal(again.len, a.len);
		assert_memory_equal(&again, &a, sizeof(a));
	}
}

struct bad {
	const char *text, *says;
	int code;
};

static void test_bad(void **state BF_UNUSED)
{
	static const struct bad list[] = {
	    {"", "port is missing", BF_E_SYNTAX},
	    {"127.0.0.1", "port is missing", BF_E_SYNTAX},
	    {"[::1]", "port is missing", BF_E_SYNTAX},
	    {"8080", "port is missing", BF_E_SYNTAX},
	    {"127.0.0.1:", "1 to 65535", BF_E_RANGE},
	    {"127.0.0.1:0", "1 to 65535", BF_E_RANGE},
	    {"127.0.0.1:65536", "1 to 65535", BF_E_RANGE},
	    {"127.0.0.1:100000", "1 to 65535", BF_E_RANGE},
	    {"127.0.0.1:http", "not a number", BF_E_SYNTAX},
	    {"127.0.0.1:-1", "not a number", BF_E_SYNTAX},
	    {"127.0.0.1:+1", "not a number", BF_E_SYNTAX},
	    {"127.0.0.1: 80", "not a number", BF_E_SYNTAX},
	    {"127.0.0.1:80 ", "not a number", BF_E_SYNTAX},
	    {"127.0.0:80", "no IPv4", BF_E_SYNTAX},
	    {"127.0.0.256:80", "no IPv4", BF_E_SYNTAX},
	    {"127.0.0.01:80x", "not a number", BF_E_SYNTAX},
	    {"example.org:80", "not looked up", BF_E_SYNTAX},
	    {"LOCALHOST:80", "not looked up", BF_E_SYNTAX},
	    {"*:80", "no IPv4", BF_E_SYNTAX},
	    {"::1:80", "between [ and ]", BF_E_SYNTAX},
	    {"[]:80", "no IPv6", BF_E_SYNTAX},
	    {"[127.0.0.1]:80", "no IPv6", BF_E_SYNTAX},
	    {"[::1:80", "between [ and ]", BF_E_SYNTAX},
	    {"[::1]x:80", "between [ and ]", BF_E_SYNTAX},
	    {"[fe80::1%eth0]:80", "no IPv6", BF_E_SYNTAX},
	    {"a-name-that-is-much-longer-than-any-address-could-ever-be.example.org:80",
	     "no IP address", BF_E_SYNTAX},
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		struct bf_addr a;
		struct bf_err err = {0};
		assert_int_equal(parse(list[i].text, strlen(list[i].text), &a, &err), list[i].code);
		assert_non_null(strstr(err.text, list[i].says));
		assert_non_null(strstr(err.text, list[i].text));
		assert_null(strchr(err.text, '\n'));
	}
	assert_int_equal(parse("127.0.0.1\0:80", 13, &(struct bf_addr){.len = 0}, NULL),
			 BF_E_SYNTAX);
	assert_int_equal(
	    bf_addr_parse((struct bf_slice){NULL, 0}, &(struct bf_addr){.len = 0}, NULL),
	    BF_E_SYNTAX);
}

/* Every prefix and every single changed byte: no crash, and what parses can be written and parsed
 * again. */
static void test_mutations(void **state BF_UNUSED)
{
	static const char *const seeds[] = {"127.0.0.1:8080", "[::ffff:1.2.3.4]:99", "localhost:1",
					    ":65535"};

	for (size_t s = 0; s < BF_ARRAY_LEN(seeds); s++) {
		size_t len = strlen(seeds[s]);
		for (size_t i = 0; i < len * 256; i++) {
			char text[64], out[64];
			struct bf_addr a, again;
			memcpy(text, seeds[s], len);
			text[i / 256] = (char)(i % 256);
			(void)parse(text, i / 256, &a, NULL);
			if (parse(text, len, &a, NULL) < 0)
				continue;
			(void)bf_addr_format(&a, out);
			assert_int_equal(parse(out, strlen(out), &again, NULL), 0);
			assert_memory_equal(&a, &again, sizeof(a));
		}
	}
}

static void test_other_families(void **state BF_UNUSED)
{
	struct bf_addr a = {.ss = {.ss_family = AF_UNIX}, .len = 2};
	char out[64];

	assert_string_equal(bf_addr_format(&a, out), "unknown address family 1");
	assert_false(bf_addr_is_loopback(&a));
}

static void bytes_are(const char *text, const uint8_t expected[16])
{
	uint8_t bytes[16];
	struct bf_addr a;

	assert_int_equal(parse(text, strlen(text), &a, NULL), 0);
	bf_addr_bytes(&a, bytes);
	assert_memory_equal(bytes, expected, 16);
}

static void test_bytes(void **state BF_UNUSED)
{
	static const uint8_t v4[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 7};
	static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 9};
	static const uint8_t none[16];
	struct bf_addr a = {.ss = {.ss_family = AF_UNIX}, .len = 2};
	uint8_t bytes[16];

	bytes_are("192.0.2.7:80", v4);
	bytes_are("[::ffff:192.0.2.7]:81", v4);
	bytes_are("[2001:db8::9]:80", v6);
	bf_addr_bytes(&a, bytes);
	assert_memory_equal(bytes, none, 16);
	assert_true(bf_addr_bytes_are_v4(v4));
	assert_false(bf_addr_bytes_are_v4(v6));
	assert_false(bf_addr_bytes_are_v4(none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),      cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_mutations), cmocka_unit_test(test_other_families),
	    cmocka_unit_test(test_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

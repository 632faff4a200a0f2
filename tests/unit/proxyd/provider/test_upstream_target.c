/* Base URLs taken apart, and where they may lead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/schema/provider_name.h"
#include "proxyd/provider/openai_table.h"
#include "proxyd/provider/upstream_target.h"

static void good_urls(void **state BF_UNUSED)
{
	static const struct {
		const char *url, *host, *authority, *path;
		uint16_t port;
		bool tls, literal;
	} list[] = {
	    {"https://api.openai.com", "api.openai.com", "api.openai.com", "/v1", 443, true, false},
	    {"https://a.b/v1", "a.b", "a.b", "/v1", 443, true, false},
	    {"https://a.b/v1/", "a.b", "a.b", "/v1", 443, true, false},
	    {"https://a.b/api/v4//", "a.b", "a.b", "/api/v4", 443, true, false},
	    {"https://a.b/v1beta/openai", "a.b", "a.b", "/v1beta/openai", 443, true, false},
	    {"https://a.b/vendor/x", "a.b", "a.b", "/vendor/x/v1", 443, true, false},
	    {"https://a.b:443/", "a.b", "a.b", "/v1", 443, true, false},
	    {"http://a.b:443", "a.b", "a.b:443", "/v1", 443, false, false},
	    {"http://localhost:80", "localhost", "localhost", "/v1", 80, false, true},
	    {"http://127.0.0.1:8000", "127.0.0.1", "127.0.0.1:8000", "/v1", 8000, false, true},
	    {"http://[::1]:9/x", "::1", "[::1]:9", "/x/v1", 9, false, true},
	    {"https://[2001:db8::1]", "2001:db8::1", "[2001:db8::1]", "/v1", 443, true, true},
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		struct upstream_target t;
		struct bf_err err = {0};
		if (upstream_target_parse(bf_slice_from(list[i].url), "/v1", &t, &err) < 0)
			fail_msg("%s", err.text);
		assert_string_equal(t.host, list[i].host);
		assert_string_equal(t.authority, list[i].authority);
		assert_string_equal(t.path, list[i].path);
		assert_int_equal(t.port, list[i].port);
		assert_int_equal(t.tls, list[i].tls);
		assert_int_equal(t.literal, list[i].literal);
	}
}

static void bad_urls(void **state BF_UNUSED)
{
	static const char *const list[] = {
	    "",
	    "a.b",
	    "ftp://a.b",
	    "HTTPS://a.b",
	    "https://",
	    "https:///x",
	    "https://:80",
	    "https://a:0",
	    "https://a:",
	    "https://a:65536",
	    "https://a:1x",
	    "https://[::1",
	    "https://[::1]80",
	    "https://[]:1",
	    "https://u@h",
	    "https://a.b/?q",
	    "https://a b",
	    "https://a/#f",
	    "http://a\r\nX: y",
	    "https://a.b/\x7f",
	    "https://a/\xc3\xa4",
	};
	char url[2000];
	struct upstream_target t;
	struct bf_err err = {0};

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		if (upstream_target_parse(bf_slice_from(list[i]), "/v1", &t, &err) != BF_E_SYNTAX)
			fail_msg("%s", list[i]);
	}
	memset(url, 'a', sizeof(url));
	memcpy(url, "https://", 8);
	assert_int_equal(upstream_target_parse((struct bf_slice){url, 8 + 253}, "/v1", &t, &err),
			 0);
	assert_int_equal(upstream_target_parse((struct bf_slice){url, 8 + 254}, "/v1", &t, &err),
			 BF_E_SYNTAX);
	url[9] = '/';
	assert_int_equal(upstream_target_parse((struct bf_slice){url, 9 + 1021}, "/v1", &t, &err),
			 0);
	assert_int_equal(upstream_target_parse((struct bf_slice){url, 9 + 1022}, "/v1", &t, &err),
			 BF_E_LIMIT);
}

static bool allow_private; /* of the next question */

static bool allowed(const char *url, const char *ip)
{
	struct upstream_target t;
	struct bf_addr addr;

	assert_int_equal(upstream_target_parse(bf_slice_from(url), "/v1", &t, NULL), 0);
	assert_int_equal(bf_addr_from_ip(bf_slice_from(ip), 80, &addr), 0);
	t.allow_private = allow_private;
	return upstream_target_refuses(&t, &addr) == NULL;
}

static void addresses(void **state BF_UNUSED)
{
	assert_true(allowed("https://a.b", "8.8.8.8"));
	assert_true(allowed("https://a.b", "127.0.0.1"));
	assert_true(allowed("http://localhost", "::1"));
	assert_false(allowed("https://a.b", "10.0.0.1"));
	assert_false(allowed("https://a.b", "::ffff:10.0.0.1"));
	assert_false(allowed("https://a.b", "fd00::1"));
	assert_false(allowed("http://10.0.0.1", "10.0.0.1"));
	allow_private = true;
	assert_true(allowed("https://a.b", "10.0.0.1"));
	assert_true(allowed("http://10.0.0.1", "10.0.0.1"));
	assert_true(allowed("http://[fd00::1]", "fd00::1"));
	assert_false(allowed("http://169.254.169.254", "169.254.169.254"));
	assert_false(allowed("https://a.b", "169.254.169.254"));
	assert_false(allowed("http://0.0.0.0", "0.0.0.0"));
	allow_private = false;
}

static void every_known_provider_has_a_good_url(void **state BF_UNUSED)
{
	for (enum bf_provider_kind k = BF_PROVIDER_OPENAI; k < BF_PROVIDER_CUSTOM; k++) {
		const struct openai_family *f =
		    openai_family_of(bf_slice_from(bf_provider_kind_name(k)));
		struct upstream_target t;
		assert_non_null(f->base_url);
		assert_true(openai_family_serves(f, SHM_OBJECT_CHAT));
		assert_int_equal(
		    upstream_target_parse(bf_slice_from(f->base_url), f->prefix, &t, NULL), 0);
		/* In clear only to this machine. */
		assert_true(t.tls != t.literal);
	}
	assert_null(openai_family_of(BF_SLICE_LIT("else"))->base_url);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_urls),
	    cmocka_unit_test(bad_urls),
	    cmocka_unit_test(addresses),
	    cmocka_unit_test(every_known_provider_has_a_good_url),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Providers that quote the key they were sent, in every place of a body and with every escape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxyd/provider/openai_mask.h"

static void masks(const char *value, const char *body, const char *wanted)
{
	const struct bf_conf_provider_key key = {.value = bf_slice_from(value)};
	struct bf_conf_pair pairs[] = {{BF_SLICE_LIT("x-team"), BF_SLICE_LIT("header-secret")},
				       {BF_SLICE_LIT("x-short"), BF_SLICE_LIT("abc")}};
	const struct bf_conf_provider conf = {
	    .network_config.extra_headers = {.items = pairs, .count = 2}};
	struct bf_buf b;

	bf_buf_init(&b, 4096);
	assert_int_equal(bf_buf_append(&b, "front", 5), 0);
	assert_int_equal(bf_buf_append_slice(&b, bf_slice_from(body)), 0);
	bf_buf_consume(&b, 5);
	openai_mask(&b, &conf, *value ? &key : NULL);
	assert_int_equal(bf_buf_len(&b), strlen(wanted));
	assert_memory_equal(b.data + b.start, wanted, strlen(wanted));
	bf_buf_done(&b);
}

static void quoted_keys(void **state)
{
	(void)state;
	masks("sk-key-1", "sk-key-1", "********");
	masks("sk-key-1", "wrong: sk-key-1!", "wrong: ********!");
	masks("sk-key-1", "sk-key-1sk-key-1", "****************");
	masks("sk-key-1", "sk-key-sk-key-1", "sk-key-********");
	masks("sk-key-1", "sk-key-", "sk-key-");
	masks("sk-key-1", "", "");
	masks("aaaaaab", "aaaaaaaab", "aa*******");
}

static void escaped_keys(void **state)
{
	(void)state;
	masks("k/e\"y\\12", "k\\/e\\\"y\\\\12.", "***********.");
	masks("k/e\"y\\12", "k/e\\\"y\\\\12", "**********");
	masks("k/e\"y\\12", "k/e\"y\\12", "********");
	masks("key-12\\", "key-12\\\\", "********");
	masks("key-12\\", "key-12\\", "*******");
	masks("key-12/", "key-12\\", "key-12\\");
}

static void headers_and_what_is_no_secret(void **state)
{
	(void)state;
	masks("", "team header-secret, abc", "team *************, abc");
	masks("12345", "12345 is too short to be one", "12345 is too short to be one");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(quoted_keys),
	    cmocka_unit_test(escaped_keys),
	    cmocka_unit_test(headers_and_what_is_no_secret),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

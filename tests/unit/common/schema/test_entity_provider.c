/* Providers as a client writes them: hints in place of secrets, and what is put together by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/schema/entity_parse.h"

static const char *hint_of(const char *value)
{
	static char out[BF_SECRET_HINT_BYTES];

	return bf_secret_hint(bf_slice_from(value), out);
}

static void hints(void **state)
{
	(void)state;
	assert_string_equal(hint_of("sk-123456789"), "\xe2\x80\xa6"
						     "6789");
	/* Of a short one the end would tell too much. */
	assert_string_equal(hint_of("sk-12345678"), "\xe2\x80\xa6");
	assert_string_equal(hint_of(""), "\xe2\x80\xa6");
	/* A half of a character is none. */
	assert_string_equal(hint_of("a long secret \xc3\xa4"), "\xe2\x80\xa6");
}

static void put_together(void **state)
{
	struct bf_conf_provider_key keys[2] = {
	    {.name = BF_SLICE_INIT("a"), .value = BF_SLICE_INIT("x"), .enabled = true},
	    {.name = BF_SLICE_INIT("b"), .value = BF_SLICE_INIT("y"), .enabled = true}};
	struct bf_conf_provider p = {
	    .name = BF_SLICE_INIT("openai"),
	    .keys = {keys, 2},
	    .network_config = {.request_timeout_ms = 1000, .total_timeout_ms = 1000}};
	const struct bf_config config = {.version = 2};
	struct bf_arena arena;
	struct bf_err err = {0};

	(void)state;
	bf_arena_init(&arena, 1 << 20);
	assert_int_equal(bf_provider_settle(&config, &p, &arena, &err), 0);
	assert_int_equal(keys[0].id.len, 36);
	assert_false(bf_slice_eq(keys[0].id, keys[1].id));
	keys[1].name = keys[0].name;
	assert_true(bf_provider_settle(&config, &p, &arena, &err) < 0);
	assert_non_null(strstr(err.text, "the key name \"a\""));
	/* Its keys may come later: without one it is not asked. */
	p.keys.count = 0;
	assert_int_equal(bf_provider_settle(&config, &p, &arena, &err), 0);
	assert_true(bf_provider_needs_key(&p));
	p.custom_provider_config.is_key_less = true;
	assert_false(bf_provider_needs_key(&p));
	p.custom_provider_config.is_key_less = false;
	p.network_config.base_url = BF_SLICE_LIT("http://127.0.0.1:1");
	assert_false(bf_provider_needs_key(&p));
	p.name = BF_SLICE_LIT("mock");
	p.network_config.base_url = BF_SLICE_LIT("");
	assert_false(bf_provider_needs_key(&p));
	bf_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hints),
	    cmocka_unit_test(put_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

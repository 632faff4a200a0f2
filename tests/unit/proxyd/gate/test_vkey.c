/* Which key a request carries, and whose it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxyd/gate/vkey.h"

#define HEADER(n, v)                               \
	{                                          \
		BF_SLICE_INIT(n), BF_SLICE_INIT(v) \
	}

static void given_is(const struct exchange_header *headers, uint32_t count, const char *expected)
{
	struct exchange x = {.headers = headers, .header_count = count};
	struct bf_slice given = vkey_given(&x);

	assert_int_equal(given.len, strlen(expected));
	assert_true(bf_slice_is(given, expected));
}

#define GIVEN(expected, ...)                                            \
	do {                                                            \
		const struct exchange_header list[] = {__VA_ARGS__};    \
		given_is(list, (uint32_t)BF_ARRAY_LEN(list), expected); \
	} while (0)

static void each_header_may_carry_it(void **state)
{
	(void)state;
	given_is(NULL, 0, "");
	GIVEN("sk-bf-1", HEADER("x-bf-vk", "sk-bf-1"));
	GIVEN("sk-bf-1", HEADER("Authorization", "Bearer sk-bf-1"));
	GIVEN("SK-BF-1", HEADER("authorization", "bearer   SK-BF-1"));
	GIVEN("sk-bf-1", HEADER("Authorization", "Bearer\tsk-bf-1"));
	GIVEN("sk-bf-1", HEADER("Authorization", "BEARER \t sk-bf-1"));
	GIVEN("Sk-Bf-1", HEADER("X-Api-Key", "Sk-Bf-1"));
	GIVEN("sk-bf-1", HEADER("x-goog-api-key", "sk-bf-1"));
	GIVEN("sk-bf-1", HEADER("API-KEY", "sk-bf-1"));
}

static void other_values_are_no_keys(void **state)
{
	(void)state;
	GIVEN("legacy", HEADER("x-bf-vk", "legacy"));
	GIVEN("", HEADER("x-bf-vk", ""));
	GIVEN("", HEADER("Authorization", "Bearer sk-other"));
	GIVEN("", HEADER("Authorization", "Bearer sk-bf"));
	GIVEN("", HEADER("Authorization", "Bearer"));
	GIVEN("", HEADER("Authorization", "Bearer "));
	GIVEN("", HEADER("Authorization", "Bearersk-bf-1"));
	GIVEN("", HEADER("Authorization", "sk-bf-1"));
	GIVEN("", HEADER("Authorization", "Basic sk-bf-1"));
	GIVEN("", HEADER("x-api-key", "sk-1"));
	GIVEN("", HEADER("x-goog-api-key", "AIza"));
	GIVEN("", HEADER("api-key", "0123"));
	/* Names of the same length, and those that only begin so. */
	GIVEN("", HEADER("x-bf-vl", "sk-bf-1"), HEADER("api-kez", "sk-bf-1"),
	      HEADER("x-bf-vk2", "sk-bf-1"), HEADER("authorizatiom", "Bearer sk-bf-1"),
	      HEADER("", "sk-bf-1"));
}

static void the_best_header_wins(void **state)
{
	(void)state;
	GIVEN("legacy", HEADER("api-key", "sk-bf-5"), HEADER("x-goog-api-key", "sk-bf-4"),
	      HEADER("x-api-key", "sk-bf-3"), HEADER("authorization", "Bearer sk-bf-2"),
	      HEADER("x-bf-vk", "legacy"));
	GIVEN("sk-bf-2", HEADER("api-key", "sk-bf-5"), HEADER("authorization", "Bearer sk-bf-2"),
	      HEADER("x-api-key", "sk-bf-3"));
	GIVEN("sk-bf-4", HEADER("api-key", "sk-bf-5"), HEADER("x-goog-api-key", "sk-bf-4"),
	      HEADER("authorization", "Bearer sk-other"), HEADER("x-bf-vk", ""));
	GIVEN("sk-bf-1", HEADER("x-bf-vk", "sk-bf-1"), HEADER("x-bf-vk", "sk-bf-2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_header_may_carry_it),
	    cmocka_unit_test(other_values_are_no_keys),
	    cmocka_unit_test(the_best_header_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

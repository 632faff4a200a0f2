/* Published vectors of HMAC-SHA256 (RFC 4231) and HKDF-SHA256 (RFC 5869); each purpose its own key;
 * comparing and wiping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/crypt/seal.h"

static void from_hex(const char *hex, uint8_t *out, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	assert_int_equal(strlen(hex), 2 * len);
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)((strchr(digits, hex[2 * i]) - digits) << 4 |
				   (strchr(digits, hex[2 * i + 1]) - digits));
}

static void check_hmac(const uint8_t key[32], const char *text, size_t len, const char *expected)
{
	uint8_t mac[BF_HMAC_LEN], wanted[BF_HMAC_LEN];

	from_hex(expected, wanted, sizeof(wanted));
	bf_hmac(key, (struct bf_slice){text, len}, mac);
	assert_memory_equal(mac, wanted, sizeof(mac));
}

/* Shorter keys than ours are the same as ours that end in zeros. */
static void hmac_of_rfc_4231(void **state)
{
	uint8_t key[32] = {0};
	char text[50];

	(void)state;
	memset(key, 0x0b, 20);
	check_hmac(key, "Hi There", 8,
		   "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	memset(key, 0, sizeof(key));
	memcpy(key, "Jefe", 4);
	check_hmac(key, "what do ya want for nothing?", 28,
		   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, 20);
	memset(key + 20, 0, 12);
	memset(text, 0xdd, sizeof(text));
	check_hmac(key, text, sizeof(text),
		   "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
	memset(key, 0, sizeof(key));
	for (uint8_t i = 0; i < 25; i++)
		key[i] = (uint8_t)(i + 1);
	memset(text, 0xcd, sizeof(text));
	check_hmac(key, text, sizeof(text),
		   "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
}

static void hmac_of_nothing(void **state)
{
	static const uint8_t key[32];

	(void)state;
	check_hmac(key, NULL, 0,
		   "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

/* Case 3, which has neither salt nor info: its first block. */
static void hkdf_of_rfc_5869(void **state)
{
	uint8_t key[BF_SEAL_KEY_LEN], wanted[BF_SEAL_KEY_LEN];
	char given[22];

	(void)state;
	memset(given, 0x0b, sizeof(given));
	from_hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d", wanted,
		 sizeof(wanted));
	bf_seal_key((struct bf_slice){given, sizeof(given)}, "", key);
	assert_memory_equal(key, wanted, sizeof(key));
}

static void keys_depend_on_both_texts(void **state)
{
	static const struct {
		const char *given, *purpose;
	} cases[] = {{"one", "store"}, {"one", "copy"}, {"two", "store"}, {"", "store"}};
	uint8_t keys[BF_ARRAY_LEN(cases)][BF_SEAL_KEY_LEN], again[BF_SEAL_KEY_LEN];

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		bf_seal_key(bf_slice_from(cases[i].given), cases[i].purpose, keys[i]);
		bf_seal_key(bf_slice_from(cases[i].given), cases[i].purpose, again);
		assert_memory_equal(keys[i], again, sizeof(again));
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(keys[i], keys[k], sizeof(keys[i]));
	}
}

static void secrets_are_equal_to_the_last_byte(void **state)
{
	uint8_t a[32], b[32];

	(void)state;
	memset(a, 7, sizeof(a));
	memcpy(b, a, sizeof(b));
	assert_true(bf_equal_secret(a, b, sizeof(a)));
	assert_true(bf_equal_secret(NULL, NULL, 0));
	for (size_t i = 0; i < sizeof(a); i++) {
		b[i] ^= 1;
		assert_false(bf_equal_secret(a, b, sizeof(a)));
		assert_true(bf_equal_secret(a, b, i));
		b[i] ^= 1;
	}
}

static void what_is_wiped_is_gone(void **state)
{
	static const uint8_t zeros[16];
	uint8_t bytes[16];

	(void)state;
	memset(bytes, 1, sizeof(bytes));
	bf_wipe(bytes, 15);
	assert_memory_equal(bytes, zeros, 15);
	assert_int_equal(bytes[15], 1);
	bf_wipe(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hmac_of_rfc_4231),
	    cmocka_unit_test(hmac_of_nothing),
	    cmocka_unit_test(hkdf_of_rfc_5869),
	    cmocka_unit_test(keys_depend_on_both_texts),
	    cmocka_unit_test(secrets_are_equal_to_the_last_byte),
	    cmocka_unit_test(what_is_wiped_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

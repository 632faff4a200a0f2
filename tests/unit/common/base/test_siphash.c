/* SipHash-2-4 against the vectors of its authors; every length; the key matters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/base/siphash.h"

/* Key 00..0f, message 00, 00 01, ... of each length: vectors_sip64 of the reference, as numbers. */
static const uint64_t vectors[] = {
    UINT64_C(0x726fdb47dd0e0e31), UINT64_C(0x74f839c593dc67fd), UINT64_C(0x0d6c8009d9a94f5a),
    UINT64_C(0x85676696d7fb7e2d), UINT64_C(0xcf2794e0277187b7), UINT64_C(0x18765564cd99a68d),
    UINT64_C(0xcbc9466e58fee3ce), UINT64_C(0xab0200f58b01d137), UINT64_C(0x93f5f5799a932462),
    UINT64_C(0x9e0082df0ba9e4b0), UINT64_C(0x7a5dbbc594ddb9f3), UINT64_C(0xf4b32f46226bada7),
    UINT64_C(0x751e8fbc860ee5fb), UINT64_C(0x14ea5627c0843d90), UINT64_C(0xf723ca908e7af2ee),
    UINT64_C(0xa129ca6149be45e5),
};

static uint8_t bytes[64];

static void authors_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(vectors); i++)
		assert_true(bf_siphash(bytes, bytes, i) == vectors[i]);
	assert_true(bf_siphash(bytes, NULL, 0) == vectors[0]);
}

static void every_bit_of_the_key_matters(void **state)
{
	uint8_t key[16];

	(void)state;
	for (unsigned bit = 0; bit < 128; bit++) {
		memcpy(key, bytes, sizeof(key));
		key[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_true(bf_siphash(key, bytes, 9) != bf_siphash(bytes, bytes, 9));
	}
}

/* Length is part of the value: trailing zeros are no padding. */
static void lengths_differ(void **state)
{
	static const uint8_t zeros[64];

	(void)state;
	for (size_t a = 0; a < sizeof(zeros); a++)
		for (size_t b = 0; b < a; b++)
			assert_true(bf_siphash(bytes, zeros, a) != bf_siphash(bytes, zeros, b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(authors_vectors),
	    cmocka_unit_test(every_bit_of_the_key_matters),
	    cmocka_unit_test(lengths_differ),
	};

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Published vectors of AES-256-GCM; what was sealed opens with its key at its place and nowhere
 * else, whatever byte was changed or cut off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "common/crypt/seal.h"

static size_t from_hex(const char *hex, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = strlen(hex) / 2;

	for (size_t i = 0; i < len; i++)
		out[i] = (char)((strchr(digits, hex[2 * i]) - digits) << 4 |
				(strchr(digits, hex[2 * i + 1]) - digits));
	return len;
}

struct vector {
	const char *key, *nonce, *context, *plain, *sealed, *tag;
};

/* Cases 13, 14 and 16 of the specification of GCM, which NIST's SP 800-38D refers to. */
static const struct vector vectors[] = {
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "", "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18",
     "d0d1c8a799996bf0265b98b5d48ab919"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b"
     "525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828"
     "838c5f61e6393ba7a0abcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

static void published_vectors_open(void **state)
{
	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(vectors); i++) {
		const struct vector *v = &vectors[i];
		char key[32], context[32], plain[64], sealed[128] = {1};
		size_t context_len = from_hex(v->context, context), at = 1;
		size_t plain_len = from_hex(v->plain, plain);
		struct bf_buf out;

		(void)from_hex(v->key, key);
		at += from_hex(v->nonce, sealed + at);
		at += from_hex(v->sealed, sealed + at);
		at += from_hex(v->tag, sealed + at);
		bf_buf_init_nodump(&out, 1024);
		assert_int_equal(bf_unseal((const uint8_t *)key,
					   (struct bf_slice){context, context_len},
					   (struct bf_slice){sealed, at}, &out),
				 0);
		assert_true(bf_slice_eq(bf_buf_slice(&out), (struct bf_slice){plain, plain_len}));
		bf_buf_done(&out);
	}
}

static const uint8_t key[BF_SEAL_KEY_LEN] = {1, 2, 3};

static void seal(const char *context, struct bf_slice plain, struct bf_buf *out)
{
	bf_buf_init(out, 1 << 20);
	assert_int_equal(bf_seal(key, bf_slice_from(context), plain, out), 0);
	assert_int_equal(bf_buf_len(out), plain.len + BF_SEAL_OVERHEAD);
}

static int unseal(const uint8_t *with, const char *context, struct bf_slice sealed,
		  struct bf_slice wanted)
{
	struct bf_buf out;
	int r;

	bf_buf_init_nodump(&out, 1 << 20);
	assert_int_equal(bf_buf_append(&out, "before ", 7), 0);
	r = bf_unseal(with, bf_slice_from(context), sealed, &out);
	if (r == 0)
		assert_true(
		    bf_slice_eq((struct bf_slice){out.data + 7, bf_buf_len(&out) - 7}, wanted));
	else
		assert_true(bf_slice_is(bf_buf_slice(&out), "before "));
	bf_buf_done(&out);
	return r;
}

static void every_length_comes_back(void **state)
{
	static char bytes[70000];
	static const size_t lengths[] = {0, 1, 15, 16, 17, 255, 4096, sizeof(bytes)};
	struct bf_buf sealed;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7);
	for (size_t i = 0; i < BF_ARRAY_LEN(lengths); i++) {
		struct bf_slice plain = {bytes, lengths[i]};

		seal("team/a", plain, &sealed);
		assert_int_equal(unseal(key, "team/a", bf_buf_slice(&sealed), plain), 0);
		bf_buf_done(&sealed);
	}
}

static void another_key_or_place_does_not_open(void **state)
{
	static const uint8_t other[BF_SEAL_KEY_LEN] = {1, 2, 4};
	struct bf_slice plain = BF_SLICE_LIT("what nobody else may read");
	struct bf_buf sealed;

	(void)state;
	seal("virtual_key/a", plain, &sealed);
	assert_int_equal(unseal(other, "virtual_key/a", bf_buf_slice(&sealed), plain), BF_E_DENIED);
	assert_int_equal(unseal(key, "virtual_key/b", bf_buf_slice(&sealed), plain), BF_E_DENIED);
	assert_int_equal(unseal(key, "", bf_buf_slice(&sealed), plain), BF_E_DENIED);
	bf_buf_done(&sealed);
}

static void every_changed_or_missing_byte_is_found(void **state)
{
	struct bf_slice plain = BF_SLICE_LIT("secret");
	struct bf_buf sealed;

	(void)state;
	seal("a", plain, &sealed);
	for (size_t i = 0; i < bf_buf_len(&sealed); i++) {
		sealed.data[i] ^= 0x10;
		assert_int_equal(unseal(key, "a", bf_buf_slice(&sealed), plain), BF_E_DENIED);
		sealed.data[i] ^= 0x10;
		assert_int_equal(unseal(key, "a", (struct bf_slice){sealed.data, i}, plain),
				 BF_E_DENIED);
	}
	assert_int_equal(unseal(key, "a", bf_buf_slice(&sealed), plain), 0);
	bf_buf_done(&sealed);
}

static void the_same_text_is_never_sealed_alike(void **state)
{
	struct bf_slice plain = BF_SLICE_LIT("again");
	struct bf_buf one, two;

	(void)state;
	seal("a", plain, &one);
	seal("a", plain, &two);
	assert_false(bf_slice_eq(bf_buf_slice(&one), bf_buf_slice(&two)));
	bf_buf_done(&one);
	bf_buf_done(&two);
}

static void what_does_not_fit_is_refused(void **state)
{
	struct bf_slice plain = BF_SLICE_LIT("0123456789");
	struct bf_buf out, sealed;

	(void)state;
	bf_buf_init(&out, 10 + BF_SEAL_OVERHEAD - 1);
	assert_int_equal(bf_seal(key, plain, plain, &out), BF_E_LIMIT);
	assert_int_equal(bf_buf_len(&out), 0);
	bf_buf_done(&out);
	seal("a", plain, &sealed);
	bf_buf_init(&out, 9);
	assert_int_equal(bf_unseal(key, bf_slice_from("a"), bf_buf_slice(&sealed), &out),
			 BF_E_LIMIT);
	assert_int_equal(bf_buf_len(&out), 0);
	bf_buf_done(&out);
	bf_buf_done(&sealed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(published_vectors_open),
	    cmocka_unit_test(every_length_comes_back),
	    cmocka_unit_test(another_key_or_place_does_not_open),
	    cmocka_unit_test(every_changed_or_missing_byte_is_found),
	    cmocka_unit_test(the_same_text_is_never_sealed_alike),
	    cmocka_unit_test(what_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

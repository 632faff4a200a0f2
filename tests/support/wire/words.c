/*
 * The words of the mock LLM's answers. Written by mockllm, checked by loadgen; must stay pure, so
 * that both can be trusted to mean the same.
 */
#include "tests/support/wire/words.h"

#define NUMBERS 100000u /* words are numbered modulo this */

static const char hex_digits[] = "0123456789abcdef";

uint32_t words_hash(struct bf_slice user)
{
	uint32_t h = 2166136261u;

	if (!user.len)
		return 0;
	for (size_t i = 0; i < user.len; i++)
		h = (h ^ (uint8_t)user.ptr[i]) * 16777619u;
	return h ^ h >> 16;
}

uint64_t words_prompt_tokens(struct bf_slice user)
{
	return 3 + words_hash(user) % 997;
}

void words_write(char *out, uint32_t width, uint32_t hash, uint64_t n)
{
	uint32_t number = (uint32_t)(n % NUMBERS);

	for (int i = 3; i >= 0; i--, hash >>= 4)
		out[i] = hex_digits[hash & 15];
	for (int i = 8; i >= 4; i--, number /= 10)
		out[i] = (char)('0' + number % 10);
	memset(out + 9, '.', width - 10);
	out[width - 1] = ' ';
}

bool words_check(struct bf_slice text, uint32_t hash, uint64_t *next)
{
	char want[WORD_WIDTH_MIN];

	while (text.len) {
		const char *space = memchr(text.ptr, ' ', text.len);
		size_t len = space ? (size_t)(space - text.ptr) + 1 : 0;

		words_write(want, WORD_WIDTH_MIN, hash, *next);
		if (len < WORD_WIDTH_MIN || memcmp(text.ptr, want, 9) != 0)
			return false;
		for (size_t i = 9; i + 1 < len; i++) {
			if (text.ptr[i] != '.')
				return false;
		}
		++*next;
		text = (struct bf_slice){text.ptr + len, text.len - len};
	}
	return true;
}

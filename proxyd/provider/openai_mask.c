/*
 * Secrets of a provider in its own error bodies. Called once for an answer that is an error. Must
 * never change the length of an answer, nor anything that is no secret.
 */
#include "proxyd/provider/openai_mask.h"

#include <string.h>

#define MASKED_LEAST 6u /* what is shorter stands in every other text */

/* How much of the text spells the secret; 0: it does not. */
static size_t spelled(const char *text, size_t len, struct bf_slice secret)
{
	size_t at = 0;

	for (size_t i = 0; i < secret.len; i++, at++) {
		char c = secret.ptr[i];

		if (at + 1 < len && text[at] == '\\' && (c == '"' || c == '\\' || c == '/') &&
		    text[at + 1] == c)
			at++;
		if (at >= len || text[at] != c)
			return 0;
	}
	return at;
}

static void mask(struct bf_buf *answer, struct bf_slice secret)
{
	char *text = answer->data + answer->start;
	size_t len = bf_buf_len(answer);

	if (secret.len < MASKED_LEAST)
		return;
	for (size_t i = 0; i + secret.len <= len; i++) {
		size_t n = spelled(text + i, len - i, secret);

		if (n == 0)
			continue;
		memset(text + i, '*', n);
		i += n - 1;
	}
}

void openai_mask(struct bf_buf *answer, const struct bf_conf_provider *conf,
		 const struct bf_conf_provider_key *key)
{
	const struct bf_conf_pair *pairs = conf->network_config.extra_headers.items;

	if (bf_buf_len(answer) == 0)
		return;
	if (key)
		mask(answer, key->value);
	for (uint32_t i = 0; i < conf->network_config.extra_headers.count; i++)
		mask(answer, pairs[i].value);
}

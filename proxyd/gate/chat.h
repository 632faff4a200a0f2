/* POST chat/completions: what the body asks for, then on to a provider. */
#pragma once

#include "proxyd/exchange.h"
#include "proxyd/provider/provider.h"

/* Handler of the route. */
void chat_enter(struct exchange *x);

#define CHAT_ERROR_TEXT 320
#define CHAT_MODEL_MAX  256u

struct chat_error {
	int http_status;
	const char *type; /* NULL: none */
	char text[CHAT_ERROR_TEXT];
};

/*
 * Reads x->body: fills x->json, provider, model, wants_stream, wants_usage_chunk, model_token,
 * content_token. default_provider serves models without a known provider in front ("" on the
 * unified routes). 0, or -1 with ret_error.
 */
int chat_read(struct exchange *x, const struct provider_set *set, const char *default_provider,
	      struct chat_error *ret_error);

/* Requests to a provider: chat/completions, completions, embeddings, responses. */
#pragma once

#include "common/base/macros.h"
#include "common/codec/json_tape.h"
#include "proxyd/exchange.h"
#include "proxyd/provider/provider.h"

/* Handler of every route that has an object. */
void infer_enter(struct exchange *x);

#define INFER_ERROR_TEXT 320
#define INFER_MODEL_MAX  256u /* bytes of a model's name, its provider included */

struct infer_error {
	int http_status;
	const char *type; /* NULL: none */
	char text[INFER_ERROR_TEXT];
};

/*
 * Reads x->body as x->route's object: fills x->targets, provider, model, wants_stream,
 * wants_usage_chunk, model_edit, fallbacks_edit, usage_edit. Looks at nothing else. The worker's
 * tape_arena must be empty, and is afterwards. 0, or -1 with ret_error.
 */
int infer_read(struct exchange *x, const struct provider_set *set, struct infer_error *ret_error);

/* Fills e; returns -1. */
int infer_fail(struct infer_error *e, int http_status, const char *type, const char *fmt, ...)
    BF_PRINTF(4, 5);
/* 400 invalid_request with this text. */
#define infer_invalid(e, ...) infer_fail(e, 400, "invalid_request", __VA_ARGS__)
int infer_no_memory(struct infer_error *e);

/*
 * Chat requests: reads the body's tape once, splits `provider/model`, has the exchange admitted and
 * hands it to its provider. Called by the route table. Must never copy or rewrite the body.
 */
#include "proxyd/gate/chat.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "proxyd/gate/admit.h"
#include "proxyd/gate/call.h"
#include "proxyd/gate/error.h"
#include "proxyd/gate/route.h"

#define CHAT_NEED_PROVIDER "provider is required in model field (format: provider/model)"

static int chat_fail(struct chat_error *e, int http_status, const char *type, const char *fmt, ...)
    BF_PRINTF(4, 5);

static int chat_fail(struct chat_error *e, int http_status, const char *type, const char *fmt, ...)
{
	va_list ap;

	e->http_status = http_status;
	e->type = type;
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return -1;
}

static int chat_parse(struct exchange *x, struct chat_error *e)
{
	struct bf_err err = {0};
	int r;

	if (x->body.len == 0)
		return chat_fail(e, 400, "invalid_request",
				 "the request body is empty; send a JSON object");
	r = bf_json_parse(&x->json, x->body, &x->arena, &bf_json_default_limits, &err);
	if (r == 0 && x->json.tokens[0].type != BF_JSON_OBJECT)
		return chat_fail(e, 400, "invalid_request",
				 "the request body must be a JSON object");
	if (r == 0)
		return 0;
	if (r == BF_E_SYNTAX || r == BF_E_DUPLICATE)
		return chat_fail(e, 400, "invalid_request",
				 "the request body is not valid JSON: %s", err.text);
	if (r == BF_E_LIMIT)
		return chat_fail(e, 400, "invalid_request", "the request body is too complex: %s",
				 err.text);
	return chat_fail(e, 503, "out_of_memory", "no memory to read the request body");
}

/* An optional boolean member; absent and null leave *ret_value alone. */
static int chat_bool(const struct bf_json_tape *t, uint32_t obj, const char *key, bool *ret_value,
		     struct chat_error *e)
{
	uint32_t i = bf_json_member(t, obj, key);

	if (i == BF_JSON_NONE || t->tokens[i].type == BF_JSON_NULL)
		return 0;
	if (bf_json_bool(t, i, ret_value) < 0)
		return chat_fail(e, 400, "invalid_request", "%s must be true or false", key);
	return 0;
}

static int chat_stream(struct exchange *x, struct chat_error *e)
{
	const struct bf_json_tape *t = &x->json;
	uint32_t options = bf_json_member(t, 0, "stream_options");

	if (chat_bool(t, 0, "stream", &x->wants_stream, e) < 0)
		return -1;
	if (options == BF_JSON_NONE || t->tokens[options].type == BF_JSON_NULL)
		return 0;
	if (t->tokens[options].type != BF_JSON_OBJECT)
		return chat_fail(e, 400, "invalid_request", "stream_options must be an object");
	return chat_bool(t, options, "include_usage", &x->wants_usage_chunk, e);
}

static int chat_message(const struct bf_json_tape *t, uint32_t m, uint32_t index,
			struct chat_error *e)
{
	uint32_t role;

	if (t->tokens[m].type != BF_JSON_OBJECT)
		return chat_fail(e, 400, "invalid_request", "messages[%u] must be an object",
				 index);
	role = bf_json_member(t, m, "role");
	if (role == BF_JSON_NONE || t->tokens[role].type != BF_JSON_STRING)
		return chat_fail(e, 400, "invalid_request", "messages[%u].role is required", index);
	return 0;
}

static int chat_messages(struct exchange *x, struct chat_error *e)
{
	const struct bf_json_tape *t = &x->json;
	uint32_t list = bf_json_member(t, 0, "messages");
	uint32_t index = 0;

	if (list == BF_JSON_NONE || t->tokens[list].type != BF_JSON_ARRAY ||
	    t->tokens[list].count == 0)
		return chat_fail(e, 400, "invalid_request",
				 "messages is required: an array with at least one message");
	for (uint32_t m = bf_json_first(list); m < t->tokens[list].next; m = t->tokens[m].next) {
		if (chat_message(t, m, index++, e) < 0)
			return -1;
	}
	x->content_token = list;
	return 0;
}

/* The first segment counts as a provider only when it names a configured one: ids such as
 * meta-llama/... stay whole. */
static int chat_split(struct exchange *x, struct bf_slice name, const struct provider_set *set,
		      const char *default_provider, struct chat_error *e)
{
	const char *slash = memchr(name.ptr, '/', name.len);
	struct bf_slice prefix = {name.ptr, slash ? (size_t)(slash - name.ptr) : 0};

	x->model = name;
	if (slash && provider_find(set, prefix)) {
		x->provider = prefix;
		x->model = (struct bf_slice){slash + 1, name.len - prefix.len - 1};
		if (x->model.len == 0)
			return chat_fail(
			    e, 400, "invalid_request",
			    "the model is missing behind the provider (format: provider/model)");
		return 0;
	}
	x->provider = bf_slice_from(default_provider);
	if (x->provider.len && provider_find(set, x->provider))
		return 0;
	x->provider = (struct bf_slice){NULL, 0};
	if (slash)
		return chat_fail(e, 400, "invalid_request",
				 CHAT_NEED_PROVIDER "; \"%.*s\" is not a configured provider",
				 (int)BF_MIN(prefix.len, 64u), prefix.ptr);
	return chat_fail(e, 400, "invalid_request", CHAT_NEED_PROVIDER);
}

static int chat_model(struct exchange *x, const struct provider_set *set,
		      const char *default_provider, struct chat_error *e)
{
	uint32_t i = bf_json_member(&x->json, 0, "model");
	struct bf_slice name = {NULL, 0};

	if (i == BF_JSON_NONE || x->json.tokens[i].type == BF_JSON_NULL)
		return chat_fail(e, 400, "invalid_request",
				 "model is required (format: provider/model)");
	int r = bf_json_string(&x->json, i, &x->arena, &name);
	if (r == -ENOMEM)
		return chat_fail(e, 503, "out_of_memory", "no memory to read the request body");
	if (r < 0)
		return chat_fail(e, 400, "invalid_request",
				 "model must be a string (format: provider/model)");
	if (name.len == 0)
		return chat_fail(e, 400, "invalid_request",
				 "model is required (format: provider/model)");
	if (name.len > CHAT_MODEL_MAX)
		return chat_fail(e, 400, "invalid_request", "model is longer than %u bytes",
				 CHAT_MODEL_MAX);
	x->model_token = i;
	return chat_split(x, name, set, default_provider, e);
}

int chat_read(struct exchange *x, const struct provider_set *set, const char *default_provider,
	      struct chat_error *ret_error)
{
	if (x->body_encoded)
		return chat_fail(
		    ret_error, 415, "unsupported_encoding",
		    "a Content-Encoding of the request body is not supported; send plain JSON");
	if (chat_parse(x, ret_error) < 0 || chat_model(x, set, default_provider, ret_error) < 0)
		return -1;
	if (chat_messages(x, ret_error) < 0)
		return -1;
	return chat_stream(x, ret_error);
}

/* The tape costs memory as the body does: it counts against the same budget. */
static bool chat_charge_tape(struct exchange *x)
{
	uint64_t n = x->arena.used_bytes;

	if (!worker_body_take(x->worker, n))
		return false;
	x->body_charged += n;
	return true;
}

void chat_enter(struct exchange *x)
{
	struct worker *w = x->worker;
	const char *default_provider = x->route->dialect == ERROR_OPENAI ? "openai" : "";
	struct chat_error e;

	if (chat_read(x, w->providers, default_provider, &e) < 0) {
		gate_refuse(x, e.http_status, e.type, "%s", e.text);
		return;
	}
	if (!chat_charge_tape(x)) {
		x->retry_after_s = ADMIT_RETRY_AFTER_S;
		gate_refuse(x, 503, "body_memory_full",
			    "too many request bodies in memory (server.body_memory)");
		return;
	}
	if (!admit(x))
		return;
	call_start(x);
}

/*
 * Explanations as JSON. Called by explain.c. Must never write a key's value, nor a provider's.
 */
#include "common/codec/json_writer.h"
#include "proxyd/gate/explain.h"

static void write_slice(struct bf_json_writer *j, const char *name, struct bf_slice text)
{
	bf_jw_key(j, name);
	bf_jw_string(j, text);
}

static void write_number(struct bf_json_writer *j, const char *name, int64_t value)
{
	bf_jw_key(j, name);
	bf_jw_i64(j, value);
}

static void write_flag(struct bf_json_writer *j, const char *name, bool value)
{
	bf_jw_key(j, name);
	bf_jw_bool(j, value);
}

/* allowed, http_status, type, message */
static void write_verdict(struct bf_json_writer *j, const struct explain_verdict *v)
{
	bool allowed = v->http_status == 200;

	write_flag(j, "allowed", allowed);
	write_number(j, "http_status", v->http_status);
	bf_jw_key(j, "type");
	if (allowed)
		bf_jw_null(j);
	else
		bf_jw_cstr(j, v->type);
	bf_jw_key(j, "message");
	if (allowed)
		bf_jw_null(j);
	else
		bf_jw_cstr(j, v->text);
}

static void write_key(struct bf_json_writer *j, const struct explain *e)
{
	const struct bf_conf_virtual_key *key = e->x->virtual_key ? e->x->virtual_key->conf : NULL;

	bf_jw_key(j, "virtual_key");
	if (!key && !e->x->held_key) {
		bf_jw_null(j);
		return;
	}
	bf_jw_object(j);
	if (!key) {
		write_slice(j, "id", e->x->held_key->parts.items[0].id);
		write_verdict(j, &e->key);
		bf_jw_end_object(j);
		return;
	}
	write_slice(j, "id", key->own.id);
	write_slice(j, "name", key->own.name);
	write_flag(j, "is_active", key->is_active);
	bf_jw_key(j, "expires_at_ms");
	if (key->expires_at_ms)
		bf_jw_i64(j, key->expires_at_ms);
	else
		bf_jw_null(j);
	write_verdict(j, &e->key);
	bf_jw_end_object(j);
}

static void write_request(struct bf_json_writer *j, const struct explain *e)
{
	bf_jw_key(j, "request");
	bf_jw_object(j);
	write_slice(j, "model", e->model);
	write_slice(j, "object", bf_slice_from(e->object));
	write_number(j, "prompt_tokens", (int64_t)e->prompt_tokens);
	write_number(j, "max_tokens", (int64_t)e->max_tokens);
	bf_jw_end_object(j);
}

/* Amounts are tokens, requests, or nano-dollars. */
static void write_limit(struct bf_json_writer *j, const struct explain_limit *l)
{
	const struct bf_limit *limit = l->limit;

	bf_jw_object(j);
	bf_jw_key(j, "owner_kind");
	bf_jw_cstr(j, bf_owner_name(limit->owner));
	write_slice(j, "owner_id", limit->owner_id);
	write_slice(j, "owner_name", limit->owner_name);
	write_slice(j, "limit_id", limit->limit_id);
	bf_jw_key(j, "quantity");
	bf_jw_cstr(j, bf_quantity_name(limit->quantity));
	write_slice(j, "window", limit->reset);
	write_flag(j, "ready", l->ready);
	if (l->ready) {
		write_number(j, "max", l->max);
		write_number(j, "used", l->used);
		write_number(j, "held", l->held);
		write_number(j, "left", l->left);
		write_number(j, "wants", l->wants);
		write_flag(j, "admits", l->wants <= l->max - l->used - l->held);
		if (l->end_ms)
			write_number(j, "window_end_ms", l->end_ms);
	}
	bf_jw_end_object(j);
}

static void write_provider_keys(struct bf_json_writer *j, const struct explain_target *t)
{
	const struct bf_conf_provider_key *keys = t->provider->keys.items;

	bf_jw_key(j, "provider_keys");
	bf_jw_array(j);
	for (int i = key_set_next(&t->keys, 0); i >= 0; i = key_set_next(&t->keys, i + 1))
		bf_jw_string(j, keys[i].name);
	bf_jw_end_array(j);
}

static void write_target(struct bf_json_writer *j, const struct explain_target *t)
{
	bf_jw_object(j);
	write_slice(j, "provider", t->target.provider);
	write_slice(j, "model", t->target.model);
	write_verdict(j, &t->verdict);
	write_provider_keys(j, t);
	write_flag(j, "price_known", t->priced);
	bf_jw_key(j, "reserves");
	bf_jw_object(j);
	write_number(j, "tokens", (int64_t)t->tokens);
	write_number(j, "cost_nusd", t->nusd);
	bf_jw_end_object(j);
	bf_jw_key(j, "limits");
	bf_jw_array(j);
	for (uint32_t k = 0; k < t->limit_count; k++)
		write_limit(j, &t->limits[k]);
	bf_jw_end_array(j);
	bf_jw_end_object(j);
}

int explain_write(const struct explain *e, struct bf_buf *out)
{
	struct bf_json_writer j;

	bf_jw_init(&j, out);
	bf_jw_object(&j);
	write_verdict(&j, explain_verdict_of(e));
	write_request(&j, e);
	write_key(&j, e);
	bf_jw_key(&j, "targets");
	bf_jw_array(&j);
	for (uint32_t i = 0; i < e->target_count; i++)
		write_target(&j, &e->targets[i]);
	bf_jw_end_array(&j);
	bf_jw_end_object(&j);
	return bf_jw_finish(&j);
}

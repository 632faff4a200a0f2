/*
 * The list of models the configuration names, as `provider/model`, in OpenAI's list shape. Called
 * by the route table. Must never ask an upstream.
 */
#include "proxyd/gate/models.h"

#include "common/codec/json_writer.h"
#include "proxyd/gate/error.h"
#include "proxyd/provider/provider.h"
#include "proxyd/worker.h"

static void models_write_one(struct bf_json_writer *j, struct exchange *x, struct bf_slice provider,
			     struct bf_slice model)
{
	char *id =
	    bf_arena_printf(&x->arena, "%.*s/%.*s", BF_SLICE_FMT(provider), BF_SLICE_FMT(model));

	bf_jw_object(j);
	bf_jw_key(j, "id");
	bf_jw_cstr(j, id ? id : "");
	bf_jw_key(j, "object");
	bf_jw_cstr(j, "model");
	bf_jw_key(j, "owned_by");
	bf_jw_string(j, provider);
	bf_jw_end_object(j);
}

/* Was this model named by an earlier key of the provider, or earlier in the same key? */
static bool models_seen(const struct bf_conf_provider *p, uint32_t key, uint32_t model)
{
	const struct bf_conf_provider_key *keys = p->keys.items;
	const struct bf_slice *wanted = (const struct bf_slice *)keys[key].models.items + model;

	for (uint32_t k = 0; k <= key; k++) {
		const struct bf_slice *models = keys[k].models.items;
		uint32_t until = k == key ? model : keys[k].models.count;
		for (uint32_t m = 0; keys[k].enabled && m < until; m++) {
			if (bf_slice_eq(models[m], *wanted))
				return true;
		}
	}
	return false;
}

static void models_write_key(struct bf_json_writer *j, struct exchange *x,
			     const struct bf_conf_provider *p, uint32_t k)
{
	const struct bf_conf_provider_key *key =
	    (const struct bf_conf_provider_key *)p->keys.items + k;
	const struct bf_slice *models = key->models.items;

	for (uint32_t m = 0; key->enabled && m < key->models.count; m++) {
		if (!bf_slice_is(models[m], "*") && !models_seen(p, k, m))
			models_write_one(j, x, p->name, models[m]);
	}
}

/* The value of `provider=` in the query; empty when there is none. */
static struct bf_slice models_query_provider(struct bf_slice query)
{
	const struct bf_slice name = BF_SLICE_LIT("provider=");

	while (query.len) {
		const char *amp = memchr(query.ptr, '&', query.len);
		struct bf_slice part = {query.ptr, amp ? (size_t)(amp - query.ptr) : query.len};
		if (bf_slice_starts(part, name))
			return (struct bf_slice){part.ptr + name.len, part.len - name.len};
		size_t used = part.len + (amp ? 1 : 0);
		query = (struct bf_slice){query.ptr + used, query.len - used};
	}
	return (struct bf_slice){NULL, 0};
}

static void models_write_provider(struct bf_json_writer *j, struct exchange *x,
				  const struct provider *p)
{
	if (p->ops && p->ops->default_model)
		models_write_one(j, x, p->conf->name, bf_slice_from(p->ops->default_model));
	for (uint32_t k = 0; k < p->conf->keys.count; k++)
		models_write_key(j, x, p->conf, k);
}

void models_answer(struct exchange *x)
{
	struct worker *w = x->worker;
	struct bf_slice only = models_query_provider(x->query);
	struct bf_json_writer j;

	bf_buf_clear(&w->text);
	bf_jw_init(&j, &w->text);
	bf_jw_object(&j);
	bf_jw_key(&j, "object");
	bf_jw_cstr(&j, "list");
	bf_jw_key(&j, "data");
	bf_jw_array(&j);
	for (uint32_t i = 0; i < w->providers->count; i++) {
		const struct provider *p = &w->providers->items[i];
		if (only.len == 0 || bf_slice_eq(only, p->conf->name))
			models_write_provider(&j, x, p);
	}
	bf_jw_end_array(&j);
	bf_jw_end_object(&j);
	if (bf_jw_finish(&j) < 0) {
		gate_refuse(x, 500, "internal", "the list of models does not fit its limit");
		return;
	}
	exchange_set_state(x, EXCHANGE_DONE);
	x->out->answer(x, 200, BF_SLICE_LIT("application/json"), bf_buf_slice(&w->text));
}

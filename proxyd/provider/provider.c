/*
 * The registry of providers. Called by main at start and by the gate for every request. Must never
 * call an upstream itself.
 */
#include "proxyd/provider/provider.h"

#include <errno.h>
#include <stdlib.h>

/* Every server that speaks the OpenAI API is served by one adapter, whatever its name. */
static const struct provider_ops *provider_ops_of(struct bf_slice name)
{
	return bf_slice_is(name, provider_mock.name) ? &provider_mock : &provider_openai;
}

int provider_set_prepare(struct provider_set *set, const struct bf_config *config,
			 struct bf_err *err)
{
	*set = (struct provider_set){0};
	int r = provider_net_open(&set->net, config, err);
	set->prepared = r == 0;
	return r;
}

static int provider_open(struct provider_set *set, struct worker *w, uint32_t i, struct bf_err *err)
{
	const struct bf_conf_provider *conf =
	    (const struct bf_conf_provider *)w->config->providers.items + i;
	struct provider *p = &set->items[i];

	*p = (struct provider){provider_ops_of(conf->name), conf, w, NULL};
	set->count++;
	return p->ops->open ? p->ops->open(p, err) : 0;
}

static int provider_open_keys(struct provider_set *set, struct worker *w, struct bf_err *err)
{
	int r = 0;

	set->keys = calloc(set->count ? set->count : 1, sizeof(set->keys[0]));
	if (!set->keys)
		return bf_err_sys(err, -ENOMEM, "provider keys");
	for (uint32_t i = 0; r == 0 && i < set->count; i++)
		r = provider_keys_open(&set->keys[i], set->items[i].conf, w);
	return r < 0 ? bf_err_sys(err, r, "provider keys") : 0;
}

int provider_set_open(struct provider_set *set, struct worker *w, struct bf_err *err)
{
	uint32_t count = w->config->providers.count;
	int r = set->prepared ? 0 : provider_set_prepare(set, w->config, err);

	if (r < 0)
		return r;
	bf_resolver_start(set->net.resolver, w->loop);
	w->providers = set;
	set->items = calloc(count ? count : 1, sizeof(set->items[0]));
	if (!set->items)
		r = bf_err_sys(err, -ENOMEM, "providers");
	for (uint32_t i = 0; r == 0 && i < count; i++)
		r = provider_open(set, w, i, err);
	if (r == 0 && catalog_open(&set->catalog, set->items, count) < 0)
		r = bf_err_sys(err, -ENOMEM, "list of models");
	if (r == 0)
		r = provider_open_keys(set, w, err);
	if (r < 0)
		provider_set_close(set);
	return r;
}

void provider_set_close(struct provider_set *set)
{
	for (uint32_t i = 0; i < set->count; i++) {
		struct provider *p = &set->items[i];
		if (p->ops->close)
			p->ops->close(p);
		if (set->keys)
			provider_keys_close(&set->keys[i]);
	}
	free(set->keys);
	free(set->items);
	catalog_close(&set->catalog);
	provider_net_close(&set->net);
	*set = (struct provider_set){0};
}

struct provider *provider_find(const struct provider_set *set, struct bf_slice name)
{
	for (uint32_t i = 0; i < set->count; i++) {
		if (bf_slice_eq(set->items[i].conf->name, name))
			return &set->items[i];
	}
	return NULL;
}

uint32_t provider_set_connections(const struct provider_set *set)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < set->count; i++) {
		const struct provider *p = &set->items[i];
		n += p->ops->connections ? p->ops->connections(p) : 0;
	}
	return n;
}

/*
 * The registry of providers. Called by main at start and by the gate for every request. Must never
 * call an upstream itself.
 */
#include "proxyd/provider/provider.h"

#include <errno.h>
#include <stdlib.h>

static const struct provider_ops *const provider_all[] = {
    &provider_mock,
};

static const struct provider_ops *provider_ops_of(struct bf_slice name)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(provider_all); i++) {
		if (bf_slice_is(name, provider_all[i]->name))
			return provider_all[i];
	}
	return NULL;
}

int provider_set_open(struct provider_set *set, struct worker *w, struct bf_err *err)
{
	const struct bf_conf_provider *confs = w->config->providers.items;
	uint32_t count = w->config->providers.count;

	*set = (struct provider_set){NULL, 0};
	set->items = calloc(count ? count : 1, sizeof(set->items[0]));
	if (!set->items)
		return bf_err_sys(err, -ENOMEM, "providers");
	for (uint32_t i = 0; i < count; i++) {
		struct provider *p = &set->items[i];
		*p = (struct provider){provider_ops_of(confs[i].name), &confs[i], w, NULL};
		int r = p->ops && p->ops->open ? p->ops->open(p, err) : 0;
		if (r < 0) {
			provider_set_close(set);
			return r;
		}
		set->count++;
	}
	w->providers = set;
	return 0;
}

void provider_set_close(struct provider_set *set)
{
	for (uint32_t i = 0; i < set->count; i++) {
		struct provider *p = &set->items[i];
		if (p->ops && p->ops->close)
			p->ops->close(p);
	}
	free(set->items);
	*set = (struct provider_set){NULL, 0};
}

struct provider *provider_find(const struct provider_set *set, struct bf_slice name)
{
	for (uint32_t i = 0; i < set->count; i++) {
		if (bf_slice_eq(set->items[i].conf->name, name))
			return &set->items[i];
	}
	return NULL;
}

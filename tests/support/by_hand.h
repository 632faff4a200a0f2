/* Providers of a worker that were put together without a snapshot. Only for tests. */
#pragma once

#include <stdlib.h>

#include "proxyd/provider/provider.h"

/* ops: whatever serves them in place of what their names say; NULL: that. Aborts on failure. */
static inline void by_hand_providers(struct worker *w, const struct bf_array *list,
				     const struct provider_ops *ops)
{
	const struct bf_conf_provider *confs = list->items;
	struct provider_set *set = provider_set_new(w->net);

	for (uint32_t i = 0; set && i < list->count; i++) {
		struct provider *p = NULL;

		if (!ops && provider_open(w, &confs[i], &p) < 0)
			abort();
		if (ops) {
			p = calloc(1, sizeof(*p));
			if (!p)
				abort();
			*p = (struct provider){
			    .ops = ops, .conf = &confs[i], .worker = w, .refs = 1};
			bf_list_init(&p->node);
			bf_arena_init(&p->arena, 1024);
			if (provider_keys_open(&p->keys, &confs[i], w) < 0)
				abort();
		}
		if (provider_set_add(set, p) < 0)
			abort();
	}
	if (!set || provider_set_finish(set) < 0)
		abort();
	provider_set_drop(w->providers);
	w->providers = set;
}

/* The net too; loop may be NULL for providers that need none. */
static inline void by_hand_open(struct worker *w, struct provider_net *net)
{
	struct bf_err err = {0};

	if (provider_net_open(net, false, &err) < 0)
		abort();
	if (w->loop)
		provider_net_start(net, w->loop);
	w->net = net;
	by_hand_providers(w, &w->config->providers, NULL);
}

static inline void by_hand_close(struct worker *w)
{
	provider_set_drop(w->providers);
	w->providers = NULL;
	provider_net_close(w->net);
}

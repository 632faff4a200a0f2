/*
 * What a provider is: something that takes an admitted exchange and reports to x->sink, now or
 * later. One entry per configured provider; which code serves it follows from its name.
 *
 * Rules for an implementation: start() sets x->provider_call, x->call_cancel and, for streams,
 * x->call_resume before it reports anything; after on_done it touches neither x nor its call state;
 * x->arena lives until then. It gives no events while x->out->stream_ready(x) is false. It never
 * blocks.
 */
#pragma once

#include "common/base/err.h"
#include "proxyd/exchange.h"
#include "proxyd/provider/catalog.h"
#include "proxyd/provider/key.h"
#include "proxyd/provider/provider_net.h"
#include "proxyd/worker.h"

struct provider;

struct provider_ops {
	const char *name;
	const char *default_model; /* listed when no key names one; NULL: none */
	/* State of the provider for this worker (connection pools, scratch). May be NULL. */
	int (*open)(struct provider *p, struct bf_err *err);
	void (*close)(struct provider *p);
	/* One attempt, with x->key (NULL: the provider needs none). */
	void (*start)(struct provider *p, struct exchange *x);
	/* Connections held, idle ones included. NULL: it holds none. */
	uint32_t (*connections)(const struct provider *p);
};

struct provider {
	const struct provider_ops *ops;
	const struct bf_conf_provider *conf;
	struct worker *worker;
	void *state;
};

struct provider_set {
	struct provider *items;
	uint32_t count;
	struct catalog catalog;
	struct provider_keys *keys; /* by index; NULL: nothing is known of their health */
	struct provider_net net;
	bool prepared;
};

/*
 * Reads the files that providers need; before the sandbox. provider_set_close gives it back. Sets
 * the whole set to a beginning.
 */
int provider_set_prepare(struct provider_set *set, const struct bf_config *config,
			 struct bf_err *err);
/*
 * Opens every configured provider and hangs the set into the worker. Prepares a zeroed set first,
 * for callers without a sandbox. 0, -ENOMEM, or what an open() said.
 */
int provider_set_open(struct provider_set *set, struct worker *w, struct bf_err *err);
/* No exchange may be with a provider any more. Accepts a zeroed set. */
void provider_set_close(struct provider_set *set);
/* Connections to all providers. */
uint32_t provider_set_connections(const struct provider_set *set);
/* NULL: not configured. */
struct provider *provider_find(const struct provider_set *set, struct bf_slice name);

extern const struct provider_ops provider_mock;
extern const struct provider_ops provider_openai; /* every other name */

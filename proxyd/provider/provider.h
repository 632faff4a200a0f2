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
#include "common/base/list.h"
#include "common/snapshot/snapshot.h"
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
	/*
	 * Asks for the names of its models, likewise with x->key: what comes is the JSON that it
	 * answers to GET /v1/models. Of an answer that is an error only the status is told.
	 */
	void (*list)(struct provider *p, struct exchange *x);
	/* What such a request is called, when it cannot serve one; NULL: it can. May be NULL. */
	const char *(*unserved)(const struct provider *p, enum shm_usage_object object);
	/* Connections held, idle ones included. NULL: it holds none. */
	uint32_t (*connections)(const struct provider *p);
};

/*
 * One provider as it is configured: another configuration is another provider, and the one before
 * lives until the last call that holds its set is over.
 */
struct provider {
	const struct provider_ops *ops;
	const struct bf_conf_provider *conf; /* in its arena, or outlives it */
	struct worker *worker;
	void *state;
	struct provider_keys keys;
	struct bf_tls_trust *trust; /* of its own; NULL: the system's, or none is needed */
	uint64_t mark;              /* of the entity that it was made of */
	uint32_t refs;
	struct bf_arena arena; /* no-dump: it holds keys */
	struct bf_list node;   /* in the net, while it is open */
	struct bf_err broken;  /* why it can serve nobody; code 0: it can */
};

/*
 * The providers that are, or were, in force. Never changes: a request that holds one finds the same
 * in it to its end.
 */
struct provider_set {
	struct provider **items;
	uint32_t count, room;
	struct catalog catalog;
	struct bf_array *lists; /* by provider: names that it is known to have; NULL: none */
	struct bf_arena arena;  /* of the lists */
	struct bf_array confs;  /* of struct bf_conf_provider: theirs, for who looks through all */
	uint64_t mark;          /* of the entities: providers and their lists */
	uint32_t refs;
	struct provider_net *net;
	struct provider_set *next_unused;
};

/*
 * With one reference. conf must outlive it. 0 or -ENOMEM; what else is wrong with it is told in
 * p->broken, logged, and refuses its calls: one bad provider must not stop the others.
 */
int provider_open(struct worker *w, const struct bf_conf_provider *conf,
		  struct provider **ret_provider);

/* An empty set, with one reference. NULL: no memory. */
struct provider_set *provider_set_new(struct provider_net *net);
/* Takes the reference over, also when it fails: -ENOMEM. */
int provider_set_add(struct provider_set *set, struct provider *p);
/* All are in it. 0 or -ENOMEM. */
int provider_set_finish(struct provider_set *set);

/*
 * The providers of a snapshot: those that are as they were in `before` (NULL: there was none) are
 * taken from it, with their connections. 0, or BF_E_* with err.
 */
int provider_set_make(struct worker *w, const struct bf_snapshot *s,
		      const struct provider_set *before, struct provider_set **ret_set,
		      struct bf_err *err);
/* Changes when a provider did, or the list of its models. */
uint64_t provider_set_mark(const struct bf_snapshot *s);

static inline struct provider_set *provider_set_hold(struct provider_set *set)
{
	set->refs++;
	return set;
}

/* Accepts NULL. The last one: what nobody else has of it is closed when the turn is over, because
 * a call's end may be the reason. */
void provider_set_drop(struct provider_set *set);

/* NULL: not configured. */
struct provider *provider_find(const struct provider_set *set, struct bf_slice name);

/* Those by whom x is served: the ones that it began with. */
static inline const struct provider_set *provider_set_of(const struct exchange *x)
{
	return x->providers ? x->providers : x->worker->providers;
}

/* Why a provider serves nobody, or nobody who asks for such an object. */
struct provider_unable {
	int http_status;
	const char *type;
	char text[sizeof(((struct bf_err *)0)->text)];
};

/* False: start() would refuse so. */
bool provider_serves(const struct provider *p, enum shm_usage_object object,
		     struct provider_unable *ret_why);

extern const struct provider_ops provider_mock;
extern const struct provider_ops provider_openai; /* every other name */

/*
 * Providers that speak the OpenAI API, in the client's own dialect: bytes are spliced on the way
 * out and relayed on the way back (openai_call.c). Opened and closed here, with a pool of
 * connections for each server. Must never let one worker take more than its share of the limits.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/log/log.h"
#include "proxyd/provider/key.h"
#include "proxyd/provider/openai_head.h"
#include "proxyd/provider/openai_priv.h"

static void openai_warn(const struct provider *p)
{
	const struct bf_conf_provider_key *keys = p->conf->keys.items;

	for (uint32_t i = 0; i < p->conf->keys.count; i++) {
		if (!provider_key_is_sendable(&keys[i]))
			bf_log(BF_LOG_ERROR, "provider_key_unusable",
			       "provider=%.*s key=%.*s reason=\"its value holds a space, a line "
			       "break or another byte that no header may have\"",
			       BF_SLICE_FMT(p->conf->name), BF_SLICE_FMT(keys[i].name));
	}
	if (p->conf->network_config.insecure_skip_verify && p->worker->index == 0)
		bf_log(BF_LOG_WARN, "provider_tls_unverified",
		       "provider=%.*s reason=\"network_config.insecure_skip_verify: whoever "
		       "answers in its place gets its keys and all prompts\"",
		       BF_SLICE_FMT(p->conf->name));
}

/* This worker's part of a limit of the node, rounded up; at least 1 of any. */
static unsigned openai_share(const struct worker *w, uint64_t limit)
{
	uint64_t workers = BF_MAX(w->workers, 1u);

	return (unsigned)BF_MIN(limit / workers + (limit % workers != 0), (uint64_t)UINT32_MAX);
}

static void openai_open_queue(struct provider *p)
{
	struct openai *o = p->state;
	const struct bf_conf_concurrency *c = &p->conf->concurrency_and_buffer_size;

	o->queue.running_max = openai_share(p->worker, c->concurrency);
	o->queue.waiting_max = openai_share(p->worker, c->buffer_size);
	upstream_queue_open(&o->queue, p->worker->loop, p->worker);
}

/* One server: its connections, and how requests to it begin. */
static int openai_open_pool(struct provider *p, struct openai_pool *pool,
			    const struct upstream_target *target, struct bf_err *err)
{
	struct openai *o = p->state;
	const struct bf_conf_network *conf = &p->conf->network_config;
	struct provider_net *net = p->worker->net;
	const struct upstream_options options = {
	    .queue = &o->queue,
	    .conns_max = openai_share(p->worker, conf->max_conns_per_host),
	    .connect_timeout_ms = conf->connect_timeout_ms,
	};
	struct bf_tls_trust *trust = NULL;
	int r = provider_net_trust(net, p, target, &trust, err);

	if (r == 0 && !target->literal) {
		r = bf_resolver_add(net->resolver, bf_slice_from(target->host));
		pool->named = r == 0;
	}
	if (r == 0)
		r = upstream_open(&pool->up, p->worker->loop, net->resolver, trust, target,
				  &options);

	for (unsigned i = SHM_OBJECT_CHAT; r == 0 && i < OPENAI_OBJECTS; i++) {
		/* With extra_headers, which may be secret. */
		bf_buf_init_nodump(&pool->heads[i], UPSTREAM_PATH_MAX + (64u << 10));
		r = openai_head_template(&pool->heads[i], p->conf, target, i, p->worker->version);
	}
	return r;
}

static bool openai_same_server(const struct upstream_target *a, const struct upstream_target *b)
{
	return a->tls == b->tls && a->port == b->port && strcmp(a->host, b->host) == 0 &&
	       strcmp(a->path, b->path) == 0;
}

/* The pool of a server, opened when it is the first of its address. */
static int openai_add_server(struct provider *p, struct bf_slice url, uint32_t *ret_pool,
			     struct bf_err *err)
{
	struct openai *o = p->state;
	struct upstream_target target;
	struct bf_err why = {0};
	int r = provider_target(p->conf, url, &target, err);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < o->pool_count; i++) {
		if (openai_same_server(&o->pools[i].up.target, &target)) {
			*ret_pool = i;
			return 0;
		}
	}
	*ret_pool = o->pool_count;
	r = openai_open_pool(p, &o->pools[o->pool_count++], &target, &why);
	if (r < 0 && why.text[0])
		return bf_err_set(err, r, "%s", why.text);
	return r < 0 ? bf_err_sys(err, r, "provider %.*s: %s", BF_SLICE_FMT(p->conf->name),
				  target.host)
		     : 0;
}

static int openai_open_pools(struct provider *p, struct bf_err *err)
{
	struct openai *o = p->state;
	const struct bf_conf_provider_key *keys = p->conf->keys.items;
	uint32_t count = p->conf->keys.count, base;

	o->pools = calloc(1 + (size_t)count, sizeof(o->pools[0]));
	o->pool_of_key = calloc(1 + (size_t)count, sizeof(o->pool_of_key[0]));
	if (!o->pools || !o->pool_of_key)
		return bf_err_sys(err, -ENOMEM, "provider %.*s", BF_SLICE_FMT(p->conf->name));
	int r = openai_add_server(p, provider_url(p->conf, NULL), &base, err);
	for (uint32_t i = 0; r == 0 && i < count; i++)
		r = openai_add_server(p, provider_url(p->conf, &keys[i]), &o->pool_of_key[i], err);
	return r;
}

static int openai_open(struct provider *p, struct bf_err *err)
{
	struct openai *o = calloc(1, sizeof(*o));

	if (!o)
		return bf_err_sys(err, -ENOMEM, "provider %.*s", BF_SLICE_FMT(p->conf->name));
	p->state = o;
	o->family = openai_family_of(p->conf->name);
	o->own_auth = openai_head_extra(p->conf, "authorization");
	bf_arena_init_nodump(&o->scratch, OPENAI_SCRATCH_MAX);
	bf_buf_init_nodump(&o->joined, OPENAI_EVENT_MAX);
	openai_open_queue(p);
	openai_warn(p);
	return openai_open_pools(p, err);
}

static void openai_close(struct provider *p)
{
	struct openai *o = p->state;

	if (!o)
		return;
	for (uint32_t i = 0; i < o->pool_count; i++) {
		if (o->pools[i].named)
			bf_resolver_drop(p->worker->net->resolver,
					 bf_slice_from(o->pools[i].up.target.host));
		upstream_close(&o->pools[i].up);
		for (unsigned k = 0; k < OPENAI_OBJECTS; k++)
			bf_buf_done(&o->pools[i].heads[k]);
	}
	upstream_queue_close(&o->queue);
	free(o->pools);
	free(o->pool_of_key);
	bf_buf_done(&o->joined);
	bf_arena_done(&o->scratch);
	free(o);
	p->state = NULL;
}

static const char *openai_unserved(const struct provider *p, enum shm_usage_object object)
{
	const struct openai *o = p->state;

	return openai_family_serves(o->family, object) ? NULL : openai_object_name(object);
}

static uint32_t openai_connections(const struct provider *p)
{
	const struct openai *o = p->state;
	uint32_t n = 0;

	for (uint32_t i = 0; o && i < o->pool_count; i++)
		n += o->pools[i].up.conn_count;
	return n;
}

const struct provider_ops provider_openai = {
    .name = "openai",
    .open = openai_open,
    .close = openai_close,
    .start = openai_call_start,
    .list = openai_models_start,
    .unserved = openai_unserved,
    .connections = openai_connections,
};

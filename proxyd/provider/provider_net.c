/*
 * Resolver and certificates of all providers, and their end. Called by main before the sandbox is
 * up, and when providers are opened. Must never open a file behind the sandbox.
 */
#include "proxyd/provider/provider_net.h"

#include "common/base/macros.h"
#include "common/log/log.h"
#include "proxyd/provider/openai_table.h"
#include "proxyd/provider/provider.h"
#include "proxyd/provider/provider_priv.h"

struct bf_slice provider_url(const struct bf_conf_provider *conf,
			     const struct bf_conf_provider_key *key)
{
	struct bf_slice url = conf->network_config.base_url;

	if (key && bf_conf_key_server(conf, key)->url.len)
		url = bf_conf_key_server(conf, key)->url;
	return url.len ? url : bf_slice_from(openai_family_of(conf->name)->base_url);
}

int provider_target(const struct bf_conf_provider *conf, struct bf_slice url,
		    struct upstream_target *ret_target, struct bf_err *err)
{
	struct bf_err why = {0};
	int r = upstream_target_parse(url, openai_family_of(conf->name)->prefix, ret_target, &why);

	ret_target->allow_private = conf->network_config.allow_private_network;
	return r < 0 ? bf_err_set(err, r, "providers.%.*s.network_config: %s",
				  BF_SLICE_FMT(conf->name), why.text)
		     : 0;
}

/* ---- whom to trust */

/* A system without certificates serves what needs none; calls by https then say what is missing. */
static int net_trust_system(struct provider_net *net, struct bf_tls_trust **ret_trust,
			    struct bf_err *err)
{
	int r = 0;

	if (!net->system) {
		bf_log(BF_LOG_ERROR, "no_certificates", "reason=%s",
		       bf_log_quote(net->no_system.text));
		r = bf_tls_trust_nobody(&net->system, err);
	}
	*ret_trust = net->system;
	return r;
}

int provider_net_trust(struct provider_net *net, struct provider *p,
		       const struct upstream_target *target, struct bf_tls_trust **ret_trust,
		       struct bf_err *err)
{
	const struct bf_conf_network *conf = &p->conf->network_config;
	struct bf_err why = {0};
	int r = 0;

	*ret_trust = NULL;
	if (!target->tls)
		return 0;
	if (!conf->insecure_skip_verify && conf->ca_cert_pem.len == 0)
		return net_trust_system(net, ret_trust, err);
	if (!p->trust && conf->insecure_skip_verify)
		r = bf_tls_trust_anyone(&p->trust, &why);
	else if (!p->trust)
		r = bf_tls_trust_pem(conf->ca_cert_pem, &p->trust, &why);
	*ret_trust = p->trust;
	return r < 0 ? bf_err_set(err, r, "providers.%.*s.network_config.ca_cert_pem: %s",
				  BF_SLICE_FMT(p->conf->name), why.text)
		     : 0;
}

/* ---- from the first to the last */

static void on_undertaker(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
	(void)revents;
	ev_prepare_stop(loop, prepare);
	provider_sets_bury(prepare->data);
}

int provider_net_open(struct provider_net *net, bool certs, struct bf_err *err)
{
	struct bf_err why = {.text = "no certificates of the system were asked for"};

	*net = (struct provider_net){.resolver = NULL};
	bf_list_init(&net->open);
	ev_prepare_init(&net->undertaker, on_undertaker);
	net->undertaker.data = net;
	if (!certs || bf_tls_trust_system(&net->system, &why) < 0)
		net->no_system = why;
	return bf_resolver_new(NULL, &net->resolver, err);
}

void provider_net_start(struct provider_net *net, struct ev_loop *loop)
{
	net->loop = loop;
	bf_resolver_start(net->resolver, loop);
}

void provider_net_close(struct provider_net *net)
{
	if (!net->resolver)
		return;
	provider_sets_bury(net);
	if (net->loop)
		ev_prepare_stop(net->loop, &net->undertaker);
	bf_resolver_free(net->resolver);
	bf_tls_trust_free(net->system);
	*net = (struct provider_net){.resolver = NULL};
}

uint32_t provider_net_connections(const struct provider_net *net)
{
	uint32_t n = 0;

	for (struct bf_list *it = net->open.next; it && it != &net->open; it = it->next) {
		const struct provider *p = BF_CONTAINER_OF(it, struct provider, node);

		n += p->ops->connections ? p->ops->connections(p) : 0;
	}
	return n;
}

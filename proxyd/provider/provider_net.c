/*
 * Resolver and certificates of the configured providers. Called by main before the sandbox is up,
 * and by tests. Must never be needed again afterwards.
 */
#include "proxyd/provider/provider_net.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/macros.h"
#include "common/log/log.h"
#include "proxyd/provider/openai_table.h"

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

/* A system without certificates serves what needs none; calls by https then say what is missing. */
static int net_trust_system(struct provider_net *net, struct bf_err *err)
{
	struct bf_err why = {0};

	if (net->system || bf_tls_trust_system(&net->system, &why) == 0)
		return 0;
	bf_log(BF_LOG_ERROR, "no_certificates", "reason=%s", bf_log_quote(why.text));
	return bf_tls_trust_nobody(&net->system, err);
}

static int net_trust(struct provider_net *net, const struct bf_conf_provider *conf, uint32_t i,
		     struct bf_err *err)
{
	struct bf_err why = {0};

	if (net->own[i])
		return 0;
	if (conf->network_config.insecure_skip_verify)
		return bf_tls_trust_anyone(&net->own[i], err);
	if (conf->network_config.ca_cert_pem.len == 0)
		return net_trust_system(net, err);
	int r = bf_tls_trust_pem(conf->network_config.ca_cert_pem, &net->own[i], &why);
	return r < 0 ? bf_err_set(err, r, "providers.%.*s.network_config.ca_cert_pem: %s",
				  BF_SLICE_FMT(conf->name), why.text)
		     : 0;
}

static int net_add_url(struct provider_net *net, const struct bf_conf_provider *conf, uint32_t i,
		       struct bf_slice url, struct bf_err *err)
{
	struct upstream_target target;
	int r = provider_target(conf, url, &target, err);

	if (r < 0)
		return r;
	r = target.literal ? 0 : bf_resolver_add(net->resolver, bf_slice_from(target.host));
	if (r < 0)
		return bf_err_sys(err, r, "providers.%.*s: %s", BF_SLICE_FMT(conf->name),
				  target.host);
	return target.tls ? net_trust(net, conf, i, err) : 0;
}

static int net_add(struct provider_net *net, const struct bf_conf_provider *conf, uint32_t i,
		   struct bf_err *err)
{
	const struct bf_conf_provider_key *keys = conf->keys.items;
	int r = net_add_url(net, conf, i, provider_url(conf, NULL), err);

	for (uint32_t k = 0; r == 0 && k < conf->keys.count; k++) {
		if (bf_conf_key_server(conf, &keys[k])->url.len)
			r = net_add_url(net, conf, i, provider_url(conf, &keys[k]), err);
	}
	return r;
}

int provider_net_open(struct provider_net *net, const struct bf_config *config, struct bf_err *err)
{
	const struct bf_conf_provider *confs = config->providers.items;
	int r;

	*net = (struct provider_net){.own_count = config->providers.count};
	net->own = calloc(BF_MAX(net->own_count, 1u), sizeof(struct bf_tls_trust *));
	if (!net->own)
		return bf_err_sys(err, -ENOMEM, "providers");
	r = bf_resolver_new(NULL, &net->resolver, err);
	for (uint32_t i = 0; r == 0 && i < config->providers.count; i++) {
		if (!bf_slice_is(confs[i].name, "mock"))
			r = net_add(net, &confs[i], i, err);
	}
	if (r < 0)
		provider_net_close(net);
	return r;
}

void provider_net_close(struct provider_net *net)
{
	bf_resolver_free(net->resolver);
	bf_tls_trust_free(net->system);
	for (uint32_t i = 0; net->own && i < net->own_count; i++)
		bf_tls_trust_free(net->own[i]);
	free(net->own);
	*net = (struct provider_net){0};
}

struct bf_tls_trust *provider_net_trust(const struct provider_net *net, uint32_t i,
					const struct upstream_target *target)
{
	if (!target->tls)
		return NULL;
	return net->own[i] ? net->own[i] : net->system;
}

/*
 * What all providers of a worker have in common: the name resolver, the certificates to trust, and
 * the end of those that are in force no more. What comes from files is read before the sandbox,
 * which allows none. Process lifetime.
 */
#pragma once

#include <ev.h>

#include "common/base/list.h"
#include "common/net/resolve.h"
#include "common/net/tls.h"
#include "common/schema/config.h"
#include "proxyd/provider/upstream_target.h"

struct provider;
struct provider_set;

struct provider_net {
	struct bf_resolver *resolver;
	struct bf_tls_trust *system; /* NULL: none were found, or none were asked for */
	struct bf_err no_system;     /* why */
	struct ev_loop *loop;
	struct bf_list open;         /* providers: in force, or held */
	struct provider_set *unused; /* to be closed when the turn is over */
	ev_prepare undertaker;
};

/* Name servers and the hosts file; certs: the system's certificates too. What is missing of those
 * is told when a provider needs them. */
int provider_net_open(struct provider_net *net, bool certs, struct bf_err *err);
/* Behind the sandbox. */
void provider_net_start(struct provider_net *net, struct ev_loop *loop);
/* No exchange may be with a provider, and nobody hold a set. Accepts a zeroed one. */
void provider_net_close(struct provider_net *net);
/* Connections to all providers. */
uint32_t provider_net_connections(const struct provider_net *net);

/* Whom to trust for a server of p; NULL: it is reached by http. p keeps what is its own. */
int provider_net_trust(struct provider_net *net, struct provider *p,
		       const struct upstream_target *target, struct bf_tls_trust **ret_trust,
		       struct bf_err *err);

/* The URL of a key's own server, else the provider's; key may be NULL. */
struct bf_slice provider_url(const struct bf_conf_provider *conf,
			     const struct bf_conf_provider_key *key);
/* Where that is. */
int provider_target(const struct bf_conf_provider *conf, struct bf_slice url,
		    struct upstream_target *ret_target, struct bf_err *err);

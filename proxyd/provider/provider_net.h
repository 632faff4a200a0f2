/*
 * What providers need of files to reach the network: the name resolver and the certificates to
 * trust. Made before the sandbox, which allows no file.
 */
#pragma once

#include "common/net/resolve.h"
#include "common/net/tls.h"
#include "common/schema/config.h"
#include "proxyd/provider/upstream_target.h"

struct provider_net {
	struct bf_resolver *resolver;
	struct bf_tls_trust *system; /* NULL: no https provider trusts the system's certificates */
	struct bf_tls_trust **own;   /* by index in the configuration; NULL: not one of its own */
	uint32_t own_count;
};

/* Reads what the configured providers need. A bad ca_cert_pem or base_url is an error. */
int provider_net_open(struct provider_net *net, const struct bf_config *config, struct bf_err *err);
/* Providers must be closed. Accepts a zeroed one. */
void provider_net_close(struct provider_net *net);

/* Whom provider number i of the configuration trusts; NULL: the target is reached by http. */
struct bf_tls_trust *provider_net_trust(const struct provider_net *net, uint32_t i,
					const struct upstream_target *target);

/* The URL of a key's own server, else the provider's; key may be NULL. */
struct bf_slice provider_url(const struct bf_conf_provider *conf,
			     const struct bf_conf_provider_key *key);
/* Where that is. */
int provider_target(const struct bf_conf_provider *conf, struct bf_slice url,
		    struct upstream_target *ret_target, struct bf_err *err);

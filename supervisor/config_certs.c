/*
 * A certificate that does not fit its key would end every worker at its start: said here, before
 * anything is applied. Called by config_helper.c once a file has no other error. Must never put a
 * key into a message.
 */
#include "supervisor/config_certs.h"

#include <stdio.h>

#include "common/net/tls.h"
#include "common/net/tls_server.h"

static int say(struct bf_buf *out, const char *name, const struct bf_err *err)
{
	int r = bf_buf_printf(out, "%s: error: %s\n", name, err->text);

	return r < 0 ? r : 1;
}

static int check_server(const struct bf_conf_tls *tls, const char *name, struct bf_buf *out)
{
	struct bf_tls_server *server = NULL;
	struct bf_err err = {.code = 0};

	if (tls->cert.len == 0 && tls->key.len == 0)
		return 0;
	if (bf_tls_server_new("server.tls", tls->cert, tls->key, &server, &err) < 0)
		return say(out, name, &err);
	bf_tls_server_free(server);
	return 0;
}

static int check_provider(const struct bf_conf_provider *p, const char *name, struct bf_buf *out)
{
	struct bf_tls_trust *trust = NULL;
	struct bf_err why = {.code = 0}, err;

	if (p->network_config.ca_cert_pem.len == 0)
		return 0;
	if (bf_tls_trust_pem(p->network_config.ca_cert_pem, &trust, &why) < 0) {
		(void)bf_err_set(&err, why.code, "providers.%.*s.network_config.ca_cert_pem: %s",
				 BF_SLICE_FMT(p->name), why.text);
		return say(out, name, &err);
	}
	bf_tls_trust_free(trust);
	return 0;
}

int config_certs_check(const struct bf_config *config, const char *name, struct bf_buf *out)
{
	const struct bf_conf_provider *providers = config->providers.items;
	int bad = check_server(&config->server.tls, name, out);

	for (uint32_t i = 0; bad >= 0 && i < config->providers.count; i++) {
		int r = check_provider(&providers[i], name, out);
		bad = r < 0 ? r : bad + r;
	}
	return bad;
}

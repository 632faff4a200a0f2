/* Where an upstream is: a base URL taken apart. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/slice.h"
#include "common/net/addr.h"

#define UPSTREAM_HOST_MAX 253u
#define UPSTREAM_PATH_MAX 1024u

struct upstream_target {
	bool tls;
	bool literal;       /* the URL names an address or localhost: no name is to be resolved */
	bool allow_private; /* network_config.allow_private_network; set by the caller */
	uint16_t port;
	char host[UPSTREAM_HOST_MAX + 1];          /* without brackets */
	char authority[UPSTREAM_HOST_MAX + 1 + 9]; /* for Host: brackets, port when not the usual */
	char path[UPSTREAM_PATH_MAX + 1]; /* "/v1": prefix of every request, no slash at its end */
};

/*
 * http(s)://HOST[:PORT][/PATH]. prefix ("/v1") is appended unless the path names a version already
 * ("/v1", "/api/v4"), so that both habits of writing a base URL work. BF_E_SYNTAX, BF_E_LIMIT.
 */
int upstream_target_parse(struct bf_slice url, const char *prefix,
			  struct upstream_target *ret_target, struct bf_err *err);

/*
 * NULL when a connection to addr is allowed, else why not. Link-local addresses never are: clouds
 * keep their credentials there. A private one must be allowed by the configuration.
 */
const char *upstream_target_refuses(const struct upstream_target *t, const struct bf_addr *addr);

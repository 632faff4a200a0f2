/* The text of a listen address. Called by complete.c; the network storey parses it again where it
 * binds. */
#include <arpa/inet.h>

#include <stdio.h>
#include <string.h>

#include "common/base/num.h"
#include "common/schema/config_priv.h"

static bool is_host(struct bf_slice host, bool bracketed)
{
	char text[64];
	struct in6_addr addr;

	if (host.len >= sizeof(text))
		return false;
	(void)snprintf(text, sizeof(text), "%.*s", BF_SLICE_FMT(host));
	if (bracketed)
		return inet_pton(AF_INET6, text, &addr) == 1;
	return host.len == 0 || strcmp(text, "localhost") == 0 ||
	       inet_pton(AF_INET, text, &addr) == 1;
}

int bf_listen_check(struct bf_slice text, struct bf_err *err)
{
	const char *colon = text.len ? memrchr(text.ptr, ':', text.len) : NULL;
	uint64_t port = 0;

	if (!colon)
		return bf_err_set(err, BF_E_SYNTAX,
				  "must be HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080");
	struct bf_slice host = {text.ptr, (size_t)(colon - text.ptr)};
	bool bracketed = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
	if (bracketed)
		host = (struct bf_slice){host.ptr + 1, host.len - 2};
	if (!is_host(host, bracketed))
		return bf_err_set(err, BF_E_SYNTAX,
				  "\"%.*s\" is no address: write an IPv4 address, an IPv6 address "
				  "in [], or localhost",
				  BF_SLICE_FMT(host));
	struct bf_slice digits = {colon + 1, text.len - (size_t)(colon + 1 - text.ptr)};
	if (bf_parse_u64(digits, &port) < 0 || port < 1 || port > 65535)
		return bf_err_set(err, BF_E_RANGE, "the port must be from 1 to 65535");
	return 0;
}

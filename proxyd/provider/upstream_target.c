/*
 * Base URLs, and which addresses may be connected to. Called when a provider is opened and before
 * each connect. Must never let a name lead to the machine's own credentials.
 */
#include "proxyd/provider/upstream_target.h"

#include <stdio.h>

#include "common/base/macros.h"
#include "common/base/num.h"

static int target_bad(struct bf_slice url, const char *why, struct bf_err *err)
{
	return bf_err_set(err, BF_E_SYNTAX, "base_url \"%.*s\": %s", BF_SLICE_FMT(url), why);
}

/* Up to one of stop, which stays in left. */
static struct bf_slice target_cut(struct bf_slice *left, const char *stop)
{
	struct bf_slice part = {left->ptr, 0};

	while (part.len < left->len && !strchr(stop, left->ptr[part.len]))
		part.len++;
	left->ptr += part.len;
	left->len -= part.len;
	return part;
}

static bool target_is_clean(struct bf_slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char ch = (unsigned char)s.ptr[i];
		if (ch <= ' ' || ch >= 0x7f || strchr("\"<>\\^`{|}@?#", ch))
			return false;
	}
	return true;
}

static int target_port(struct bf_slice digits, uint16_t *ret_port)
{
	uint64_t port = 0;

	if (digits.len == 0 || digits.len > 5 || bf_parse_u64(digits, &port) < 0 || port < 1 ||
	    port > 65535)
		return BF_E_RANGE;
	*ret_port = (uint16_t)port;
	return 0;
}

/* Host and port; left begins with the path afterwards. */
static int target_authority(struct bf_slice *left, struct upstream_target *t, struct bf_slice url,
			    struct bf_err *err)
{
	bool bracketed = left->len && left->ptr[0] == '[';
	struct bf_slice authority = target_cut(left, "/");
	struct bf_slice rest = authority, host;

	if (bracketed) {
		rest.ptr++;
		rest.len--;
	}
	host = target_cut(&rest, bracketed ? "]" : ":");
	if (bracketed && rest.len) {
		rest.ptr++;
		rest.len--;
	} else if (bracketed) {
		return target_bad(url, "the bracket of the address is not closed", err);
	}
	if (host.len == 0 || host.len > UPSTREAM_HOST_MAX)
		return target_bad(url, "it names no host, or one that is too long", err);
	t->port = t->tls ? 443 : 80;
	if (rest.len && (rest.ptr[0] != ':' ||
			 target_port((struct bf_slice){rest.ptr + 1, rest.len - 1}, &t->port) < 0))
		return target_bad(url, "the port must be 1 to 65535", err);
	memcpy(t->host, host.ptr, host.len);
	t->host[host.len] = '\0';
	return 0;
}

/* "/v1", "/v4", "/v1beta" */
static bool target_segment_is_version(struct bf_slice s)
{
	return s.len >= 2 && s.ptr[0] == 'v' && s.ptr[1] >= '0' && s.ptr[1] <= '9';
}

static bool target_has_version(struct bf_slice path)
{
	while (path.len) {
		path.ptr++;
		path.len--;
		if (target_segment_is_version(target_cut(&path, "/")))
			return true;
	}
	return false;
}

static int target_path(struct bf_slice path, const char *prefix, struct upstream_target *t,
		       struct bf_slice url, struct bf_err *err)
{
	while (path.len && path.ptr[path.len - 1] == '/')
		path.len--;
	if (target_has_version(path))
		prefix = "";
	int n = snprintf(t->path, sizeof(t->path), "%.*s%s", BF_SLICE_FMT(path), prefix);
	if (n < 0 || (size_t)n >= sizeof(t->path))
		return bf_err_set(err, BF_E_LIMIT, "base_url \"%.*s\": the path is too long",
				  BF_SLICE_FMT(url));
	return 0;
}

int upstream_target_parse(struct bf_slice url, const char *prefix,
			  struct upstream_target *ret_target, struct bf_err *err)
{
	struct upstream_target *t = ret_target;
	struct bf_slice left = url;
	struct bf_addr addr;
	int r;

	memset(t, 0, sizeof(*t));
	t->tls = bf_slice_starts(url, BF_SLICE_LIT("https://"));
	if (!t->tls && !bf_slice_starts(url, BF_SLICE_LIT("http://")))
		return target_bad(url, "it must begin with http:// or https://", err);
	left.ptr += t->tls ? 8 : 7;
	left.len -= t->tls ? 8 : 7;
	if (!target_is_clean(left))
		return target_bad(
		    url, "it holds a query, a user or a character that is not allowed", err);
	r = target_authority(&left, t, url, err);
	if (r == 0)
		r = target_path(left, prefix, t, url, err);
	if (r < 0)
		return r;
	t->literal = strcmp(t->host, "localhost") == 0 ||
		     bf_addr_from_ip(bf_slice_from(t->host), t->port, &addr) == 0;
	const char *open = strchr(t->host, ':') ? "[" : "", *close = open[0] ? "]" : "";
	if (t->port == (t->tls ? 443 : 80))
		(void)snprintf(t->authority, sizeof(t->authority), "%s%s%s", open, t->host, close);
	else
		(void)snprintf(t->authority, sizeof(t->authority), "%s%s%s:%u", open, t->host,
			       close, t->port);
	return 0;
}

const char *upstream_target_refuses(const struct upstream_target *t, const struct bf_addr *addr)
{
	switch (bf_addr_scope(addr)) {
	case BF_ADDR_GLOBAL:
	case BF_ADDR_LOOPBACK:
		return NULL;
	case BF_ADDR_PRIVATE:
		return t->allow_private
			   ? NULL
			   : "a private address: set network_config.allow_private_network: true";
	case BF_ADDR_LINK_LOCAL:
		return "link-local addresses are refused";
	case BF_ADDR_NOWHERE:
		break;
	}
	return "no server can have this address";
}

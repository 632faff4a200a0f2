/*
 * Can this provider be served at all? The check of one entry of providers, called by the decoder
 * once the entry has no other error.
 */
#include <arpa/inet.h>

#include <stdio.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/base/num.h"
#include "common/schema/config_priv.h"
#include "common/schema/nearest.h"
#include "common/schema/provider_name.h"

#define URL_MAX      1024u
#define URL_HOST_MAX 253u

/* Host of an http(s) URL, without port and brackets; ptr NULL when it is none. */
static struct bf_slice url_host(struct bf_slice url)
{
	struct bf_slice none = {NULL, 0};
	size_t skip = 0;

	if (bf_slice_starts(url, BF_SLICE_LIT("http://")))
		skip = strlen("http://");
	else if (bf_slice_starts(url, BF_SLICE_LIT("https://")))
		skip = strlen("https://");
	else
		return none;
	const char *host = url.ptr + skip;
	size_t len = strcspn(host, "/?#");
	if (memchr(host, '@', len))
		return none;
	if (host[0] == '[') {
		const char *close = memchr(host, ']', len);
		return close ? (struct bf_slice){host + 1, (size_t)(close - host) - 1} : none;
	}
	const char *colon = memchr(host, ':', len);
	if (colon)
		len = (size_t)(colon - host);
	return len ? (struct bf_slice){host, len} : none;
}

/* "", ":PORT" */
static bool is_port(struct bf_slice text)
{
	uint64_t port = 0;

	if (text.len == 0)
		return true;
	return text.ptr[0] == ':' && text.len <= 6 &&
	       bf_parse_u64((struct bf_slice){text.ptr + 1, text.len - 1}, &port) == 0 &&
	       port >= 1 && port <= UINT16_MAX;
}

bool bf_url_is_askable(struct bf_slice url)
{
	struct bf_slice host = url_host(url), port;
	const char *end = url.ptr + url.len, *slash;

	if (!host.ptr || host.len == 0 || host.len > URL_HOST_MAX || url.len > URL_MAX)
		return false;
	for (size_t i = 0; i < url.len; i++)
		if (url.ptr[i] <= ' ' || url.ptr[i] > '~' || strchr("\"<>\\^`{|}@?#", url.ptr[i]))
			return false;
	port.ptr = host.ptr + host.len;
	if (port.ptr < end && *port.ptr == ']')
		port.ptr++;
	slash = port.ptr < end ? memchr(port.ptr, '/', (size_t)(end - port.ptr)) : NULL;
	port.len = (size_t)((slash ? slash : end) - port.ptr);
	return is_port(port);
}

bool bf_url_is_http(struct bf_slice url)
{
	return url_host(url).ptr != NULL;
}

bool bf_url_is_loopback(struct bf_slice url)
{
	char text[64];
	struct in_addr v4;
	struct in6_addr v6;
	struct bf_slice host = url_host(url);

	if (!host.ptr || host.len >= sizeof(text))
		return false;
	(void)snprintf(text, sizeof(text), "%.*s", BF_SLICE_FMT(host));
	if (strcmp(text, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, text, &v4) == 1)
		return (ntohl(v4.s_addr) >> 24) == 127;
	return inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static int check_name(const struct bf_conf_provider *p, struct bf_err *err)
{
	for (size_t i = 0; i < p->name.len; i++) {
		char c = p->name.ptr[i];
		bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
			    c == '_' || c == '.';

		if (!fine)
			return bf_err_set(
			    err, BF_E_SYNTAX,
			    "a provider's name may hold a-z, 0-9, '-', '_' and '.' only");
	}
	if (p->name.len == 0)
		return bf_err_set(err, BF_E_SYNTAX, "a provider needs a name");
	return 0;
}

static int check_url(const struct bf_conf_provider *p, struct bf_err *err)
{
	struct bf_slice url = p->network_config.base_url;
	struct bf_nearest nearest;

	if (url.len && !bf_url_is_askable(url))
		return bf_err_set(err, BF_E_SYNTAX, "network_config.base_url " BF_URL_MUST_BE);
	if (url.len || bf_provider_is_known(p->name))
		return 0;
	bf_nearest_init(&nearest, p->name);
	for (enum bf_provider_kind k = BF_PROVIDER_MOCK; k < BF_PROVIDER_CUSTOM; k++)
		bf_nearest_offer(&nearest, bf_slice_from(bf_provider_kind_name(k)));
	if (nearest.best.ptr)
		return bf_err_set(err, BF_E_MISSING,
				  "unknown provider: did you mean \"%.*s\"? Otherwise give its "
				  "network_config.base_url",
				  BF_SLICE_FMT(nearest.best));
	return bf_err_set(err, BF_E_MISSING,
			  "unknown provider: give its network_config.base_url "
			  "(any server that speaks the OpenAI API will do)");
}

bool bf_provider_needs_key(const struct bf_conf_provider *p)
{
	return !bf_provider_kind_is_keyless(bf_provider_kind_of(p->name)) &&
	       !p->custom_provider_config.is_key_less &&
	       !bf_url_is_loopback(p->network_config.base_url);
}

static int check_keys(const struct bf_conf_provider *p, struct bf_err *err)
{
	const struct bf_conf_provider_key *keys = p->keys.items;
	bool needs_key = bf_provider_needs_key(p);

	for (uint32_t i = 0; i < p->keys.count; i++) {
		if (!keys[i].enabled)
			continue;
		if (!bf_slice_is_visible(keys[i].value))
			return bf_err_set(
			    err, BF_E_SYNTAX,
			    "keys[%u].value holds a space, a line break or what is no ASCII, and "
			    "could not be sent in a header: give it without",
			    i);
		if (needs_key && keys[i].value.len == 0)
			return bf_err_set(
			    err, BF_E_MISSING,
			    "keys[%u].value is empty: give the secret or set enabled: false", i);
		if (p->custom_provider_config.is_key_less && keys[i].value.len)
			return bf_err_set(err, BF_E_STATE,
					  "keys[%u].value would never be sent: remove it, or set "
					  "custom_provider_config.is_key_less: false",
					  i);
	}
	return 0;
}

static int check_mock(const struct bf_conf_provider *p, struct bf_err *err)
{
	const struct bf_conf_mock *mock = &p->mock_config;
	bool is_mock = bf_slice_is(p->name, "mock");

	if (!is_mock && (mock->reply.len || mock->latency_ms || mock->token_interval_ms))
		return bf_err_set(err, BF_E_UNKNOWN,
				  "mock_config is for the provider \"mock\" only: remove it");
	if (is_mock && p->network_config.base_url.len)
		return bf_err_set(
		    err, BF_E_UNKNOWN,
		    "the provider \"mock\" is built in and has no network_config.base_url: "
		    "remove it, or choose another name");
	if (is_mock && (p->custom_provider_config.is_key_less ||
			p->custom_provider_config.does_not_send_done_marker))
		return bf_err_set(err, BF_E_UNKNOWN,
				  "custom_provider_config has no effect on the provider \"mock\": "
				  "remove it");
	return 0;
}

int bf_provider_check_live(const void *object, struct bf_err *err)
{
	const struct bf_conf_provider *p = object;
	int r = check_name(p, err);

	if (r == 0)
		r = check_mock(p, err);
	if (r == 0)
		r = check_url(p, err);
	return r < 0 ? r : check_keys(p, err);
}

int bf_provider_check(const void *object, struct bf_err *err)
{
	const struct bf_conf_provider *p = object;
	int r = bf_provider_check_live(p, err);

	if (r < 0 || p->keys.count || !bf_provider_needs_key(p))
		return r;
	return bf_err_set(err, BF_E_MISSING,
			  "needs at least one key: add keys: [{name: NAME, value: env.VARIABLE}]");
}

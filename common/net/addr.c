/*
 * Socket addresses from and to text. Called for server.listen and for log lines. Must never resolve
 * a name: that would block; "localhost" is the one name it knows.
 */
#include "common/net/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/macros.h"
#include "common/base/num.h"

static int bad(struct bf_slice text, const char *why, struct bf_err *err)
{
	return bf_err_set(err, BF_E_SYNTAX, "address \"%.*s\": %s", BF_SLICE_FMT(text), why);
}

static int parse_port(struct bf_slice digits, uint16_t *ret_port)
{
	uint64_t value = 0;

	for (size_t i = 0; i < digits.len; i++) {
		if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
			return BF_E_SYNTAX;
	}
	if (digits.len == 0 || digits.len > 5 || bf_parse_u64(digits, &value) < 0 || value < 1 ||
	    value > 65535)
		return BF_E_RANGE;
	*ret_port = (uint16_t)value;
	return 0;
}

static int set_v4(const char *host, uint16_t port, struct bf_addr *out)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};

	if (inet_pton(AF_INET, host, &sin.sin_addr) != 1)
		return BF_E_SYNTAX;
	memset(out, 0, sizeof(*out));
	memcpy(&out->ss, &sin, sizeof(sin));
	out->len = sizeof(sin);
	return 0;
}

static int set_v6(const char *host, uint16_t port, struct bf_addr *out)
{
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	if (inet_pton(AF_INET6, host, &sin6.sin6_addr) != 1)
		return BF_E_SYNTAX;
	memset(out, 0, sizeof(*out));
	memcpy(&out->ss, &sin6, sizeof(sin6));
	out->len = sizeof(sin6);
	return 0;
}

/* The host between brackets, or before the last colon; false when it cannot be one. */
static bool copy_host(struct bf_slice host, char out[INET6_ADDRSTRLEN])
{
	if (host.len >= INET6_ADDRSTRLEN || (host.len && memchr(host.ptr, '\0', host.len)))
		return false;
	if (host.len)
		memcpy(out, host.ptr, host.len);
	out[host.len] = '\0';
	return true;
}

static int parse_host(struct bf_slice text, struct bf_slice host, bool bracketed, uint16_t port,
		      struct bf_addr *ret_addr, struct bf_err *err)
{
	char name[INET6_ADDRSTRLEN];

	if (!copy_host(host, name))
		return bad(text, "no IP address; write \"127.0.0.1:8080\" or \"[::1]:8080\"", err);
	if (bracketed)
		return set_v6(name, port, ret_addr) < 0
			   ? bad(text, "no IPv6 address between [ and ]", err)
			   : 0;
	if (host.len == 0)
		return set_v6("::", port, ret_addr);
	if (bf_slice_is(host, "localhost"))
		return set_v4("127.0.0.1", port, ret_addr);
	if (strchr(name, ':'))
		return bad(text, "an IPv6 address stands between [ and ], such as \"[::1]:8080\"",
			   err);
	if (set_v4(name, port, ret_addr) < 0)
		return bad(text,
			   "no IPv4 address; names other than localhost are not looked up, write "
			   "the address",
			   err);
	return 0;
}

/* Splits at the last colon; false when there is none outside of brackets. */
static bool split_port(struct bf_slice text, struct bf_slice *host, struct bf_slice *port)
{
	for (size_t i = text.len; i > 0 && text.ptr[i - 1] != ']'; i--) {
		if (text.ptr[i - 1] == ':') {
			*host = (struct bf_slice){text.ptr, i - 1};
			*port = (struct bf_slice){text.ptr + i, text.len - i};
			return true;
		}
	}
	return false;
}

int bf_addr_parse(struct bf_slice text, struct bf_addr *ret_addr, struct bf_err *err)
{
	struct bf_slice host, digits;
	uint16_t port = 0;

	if (!split_port(text, &host, &digits))
		return bad(text, "the port is missing, such as in \"127.0.0.1:8080\"", err);
	int r = parse_port(digits, &port);
	if (r == BF_E_SYNTAX)
		return bad(text, "the port is not a number", err);
	if (r < 0)
		return bf_err_set(err, BF_E_RANGE, "address \"%.*s\": the port must be 1 to 65535",
				  BF_SLICE_FMT(text));

	bool bracketed = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
	if (bracketed)
		host = (struct bf_slice){host.ptr + 1, host.len - 2};
	return parse_host(text, host, bracketed, port, ret_addr, err);
}

const char *bf_addr_format(const struct bf_addr *addr, char out[64])
{
	char host[INET6_ADDRSTRLEN] = "?";
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;

	if (addr->ss.ss_family == AF_INET) {
		memcpy(&sin, &addr->ss, sizeof(sin));
		(void)inet_ntop(AF_INET, &sin.sin_addr, host, sizeof(host));
		(void)snprintf(out, 64, "%s:%u", host, ntohs(sin.sin_port));
	} else if (addr->ss.ss_family == AF_INET6) {
		memcpy(&sin6, &addr->ss, sizeof(sin6));
		(void)inet_ntop(AF_INET6, &sin6.sin6_addr, host, sizeof(host));
		(void)snprintf(out, 64, "[%s]:%u", host, ntohs(sin6.sin6_port));
	} else {
		(void)snprintf(out, 64, "unknown address family %u", addr->ss.ss_family);
	}
	return out;
}

bool bf_addr_is_loopback(const struct bf_addr *addr)
{
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;

	if (addr->ss.ss_family == AF_INET) {
		memcpy(&sin, &addr->ss, sizeof(sin));
		return ntohl(sin.sin_addr.s_addr) >> 24 == 127;
	}
	if (addr->ss.ss_family != AF_INET6)
		return false;
	memcpy(&sin6, &addr->ss, sizeof(sin6));
	if (IN6_IS_ADDR_V4MAPPED(&sin6.sin6_addr))
		return sin6.sin6_addr.s6_addr[12] == 127;
	return IN6_IS_ADDR_LOOPBACK(&sin6.sin6_addr);
}

int bf_addr_from_ip(struct bf_slice ip, uint16_t port, struct bf_addr *ret_addr)
{
	char name[INET6_ADDRSTRLEN];

	if (!copy_host(ip, name))
		return BF_E_SYNTAX;
	return strchr(name, ':') ? set_v6(name, port, ret_addr) : set_v4(name, port, ret_addr);
}

void bf_addr_set_port(struct bf_addr *addr, uint16_t port)
{
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;

	if (addr->ss.ss_family == AF_INET) {
		memcpy(&sin, &addr->ss, sizeof(sin));
		sin.sin_port = htons(port);
		memcpy(&addr->ss, &sin, sizeof(sin));
	} else if (addr->ss.ss_family == AF_INET6) {
		memcpy(&sin6, &addr->ss, sizeof(sin6));
		sin6.sin6_port = htons(port);
		memcpy(&addr->ss, &sin6, sizeof(sin6));
	}
}

void bf_addr_bytes(const struct bf_addr *addr, uint8_t ret_bytes[16])
{
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;

	memset(ret_bytes, 0, 16);
	if (addr->ss.ss_family == AF_INET) {
		memcpy(&sin, &addr->ss, sizeof(sin));
		ret_bytes[10] = ret_bytes[11] = 0xff;
		memcpy(ret_bytes + 12, &sin.sin_addr, 4);
	} else if (addr->ss.ss_family == AF_INET6) {
		memcpy(&sin6, &addr->ss, sizeof(sin6));
		memcpy(ret_bytes, &sin6.sin6_addr, 16);
	}
}

bool bf_addr_bytes_are_v4(const uint8_t bytes[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(bytes, mapped, sizeof(mapped)) == 0;
}

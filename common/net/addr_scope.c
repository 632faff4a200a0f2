/*
 * Where an address leads: this machine, its neighbours, the world. Called before a connection is
 * made to an address that a name gave. Must never look anything up.
 */
#include <netinet/in.h>
#include <string.h>

#include "common/base/macros.h"
#include "common/net/addr.h"

static const struct {
	uint32_t prefix;
	unsigned bits;
	enum bf_addr_scope scope;
} ranges_v4[] = {
    {0x00000000, 8, BF_ADDR_NOWHERE},     /* 0.0.0.0/8 */
    {0x7f000000, 8, BF_ADDR_LOOPBACK},    /* 127.0.0.0/8 */
    {0x0a000000, 8, BF_ADDR_PRIVATE},     /* 10.0.0.0/8 */
    {0x64400000, 10, BF_ADDR_PRIVATE},    /* 100.64.0.0/10 */
    {0xac100000, 12, BF_ADDR_PRIVATE},    /* 172.16.0.0/12 */
    {0xc0a80000, 16, BF_ADDR_PRIVATE},    /* 192.168.0.0/16 */
    {0xa9fe0000, 16, BF_ADDR_LINK_LOCAL}, /* 169.254.0.0/16 */
    {0xe0000000, 3, BF_ADDR_NOWHERE},     /* 224.0.0.0/4 and 240.0.0.0/4 */
};

static enum bf_addr_scope scope_v4(uint32_t ip)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(ranges_v4); i++) {
		if (ip >> (32 - ranges_v4[i].bits) ==
		    ranges_v4[i].prefix >> (32 - ranges_v4[i].bits))
			return ranges_v4[i].scope;
	}
	return BF_ADDR_GLOBAL;
}

static uint32_t read_v4(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static enum bf_addr_scope scope_v6(const struct in6_addr *ip)
{
	static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};

	if (IN6_IS_ADDR_LOOPBACK(ip))
		return BF_ADDR_LOOPBACK;
	if (IN6_IS_ADDR_V4MAPPED(ip) || memcmp(ip->s6_addr, nat64, sizeof(nat64)) == 0)
		return scope_v4(read_v4(ip->s6_addr + 12));
	if (ip->s6_addr[0] == 0x20 && ip->s6_addr[1] == 0x02)
		return scope_v4(read_v4(ip->s6_addr + 2));
	if (IN6_IS_ADDR_UNSPECIFIED(ip) || IN6_IS_ADDR_MULTICAST(ip) || IN6_IS_ADDR_V4COMPAT(ip))
		return BF_ADDR_NOWHERE;
	if (IN6_IS_ADDR_LINKLOCAL(ip))
		return BF_ADDR_LINK_LOCAL;
	if ((ip->s6_addr[0] & 0xfe) == 0xfc || IN6_IS_ADDR_SITELOCAL(ip))
		return BF_ADDR_PRIVATE;
	return BF_ADDR_GLOBAL;
}

enum bf_addr_scope bf_addr_scope(const struct bf_addr *addr)
{
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;

	if (addr->ss.ss_family == AF_INET) {
		memcpy(&sin, &addr->ss, sizeof(sin));
		return scope_v4(ntohl(sin.sin_addr.s_addr));
	}
	if (addr->ss.ss_family != AF_INET6)
		return BF_ADDR_NOWHERE;
	memcpy(&sin6, &addr->ss, sizeof(sin6));
	return scope_v6(&sin6.sin6_addr);
}

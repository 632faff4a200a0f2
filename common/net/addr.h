/* Socket addresses in text form. No name resolution here. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/err.h"
#include "common/base/slice.h"

struct bf_addr {
	struct sockaddr_storage ss;
	socklen_t len;
};

/* "127.0.0.1:8080", "[::1]:8080", "localhost:8080" (127.0.0.1), ":8080" (all IPv4 and IPv6 by
 * "[::]"). Port 1..65535. */
int bf_addr_parse(struct bf_slice text, struct bf_addr *ret_addr, struct bf_err *err);
const char *bf_addr_format(const struct bf_addr *addr, char out[64]);
bool bf_addr_is_loopback(const struct bf_addr *addr);

/* The address without its port as 16 bytes of IPv6, IPv4 as ::ffff:a.b.c.d; zero for another
 * family. */
void bf_addr_bytes(const struct bf_addr *addr, uint8_t ret_bytes[16]);
/* Such bytes: are they an IPv4 address, the last four? */
bool bf_addr_bytes_are_v4(const uint8_t bytes[16]);

/* A bare IPv4 or IPv6 address without brackets. BF_E_SYNTAX when it is none. */
int bf_addr_from_ip(struct bf_slice ip, uint16_t port, struct bf_addr *ret_addr);
void bf_addr_set_port(struct bf_addr *addr, uint16_t port);

/* Where an address leads. */
enum bf_addr_scope {
	BF_ADDR_GLOBAL,
	BF_ADDR_LOOPBACK,
	BF_ADDR_PRIVATE,    /* RFC 1918, RFC 4193, and the shared space of RFC 6598 */
	BF_ADDR_LINK_LOCAL, /* also where clouds keep their metadata */
	BF_ADDR_NOWHERE,    /* unspecified, multicast, broadcast, reserved: no server is there */
};

/* IPv4 inside of IPv6 (mapped, NAT64, 6to4) counts as the IPv4 address. */
enum bf_addr_scope bf_addr_scope(const struct bf_addr *addr);

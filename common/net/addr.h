/* Socket addresses in text form. No name resolution here. */
#pragma once

#include <stdbool.h>
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

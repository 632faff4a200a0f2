/* Listening TCP sockets. */
#pragma once

#include "common/net/addr.h"

/*
 * A non-blocking, close-on-exec listener with SO_REUSEPORT. An address in use is reported with the
 * address and how to find the process that holds it. Returns the descriptor or a negative code. The
 * first of a group must be made with first = true: it binds once without SO_REUSEPORT to notice a
 * foreign listener of the same user, which REUSEPORT would silently share the port with. Accepted
 * connections inherit TCP_NODELAY. "[::]" takes IPv4 too.
 */
int bf_listen_tcp(const struct bf_addr *addr, bool first, struct bf_err *err);

/*
 * Listening TCP sockets. Called by the supervisor alone, once per worker slot and address. Must
 * never share a port with a program that is not ours without noticing.
 */
#include "common/net/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

/* Cut by the kernel to net.core.somaxconn. */
#define BACKLOG 4096

static unsigned port_of(const struct bf_addr *addr)
{
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;

	if (addr->ss.ss_family == AF_INET) {
		memcpy(&sin, &addr->ss, sizeof(sin));
		return ntohs(sin.sin_port);
	}
	memcpy(&sin6, &addr->ss, sizeof(sin6));
	return ntohs(sin6.sin6_port);
}

static int report(const struct bf_addr *addr, int code, const char *step, struct bf_err *err)
{
	char text[64];
	unsigned port = port_of(addr);

	(void)bf_addr_format(addr, text);
	if (code == -EADDRINUSE)
		return bf_err_set(err, code,
				  "listen: %s: the port is in use: find its holder with: ss -ltnp "
				  "'sport = :%u', stop it or "
				  "change server.listen",
				  text, port);
	if (code == -EACCES)
		return bf_err_set(err, code,
				  "listen: %s: not permitted: ports below 1024 need root or "
				  "CAP_NET_BIND_SERVICE; give a "
				  "higher port in server.listen",
				  text);
	if (code == -EADDRNOTAVAIL)
		return bf_err_set(err, code,
				  "listen: %s: no interface of this machine has the address: see "
				  "ip addr, and correct "
				  "server.listen",
				  text);
	if (code == -EAFNOSUPPORT)
		return bf_err_set(err, code,
				  "listen: %s: this kernel has no such addresses: without IPv6 "
				  "write 0.0.0.0:%u in server.listen",
				  text, port);
	return bf_err_sys(err, code, "listen: %s: %s", text, step);
}

static int set_on(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

/* A bound socket or a negative code with err. */
static int bound_socket(const struct bf_addr *addr, bool reuse_port, struct bf_err *err)
{
	int fd = socket(addr->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const char *step = "setsockopt";
	int code;

	if (fd < 0)
		return report(addr, -errno, "socket", err);
	/* REUSEADDR: connections of the last run that wait in TIME_WAIT must not keep a restart
	 * from binding. */
	if (set_on(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
	    (reuse_port && set_on(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0) ||
	    (addr->ss.ss_family == AF_INET6 && set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) < 0))
		goto fail;
	step = "bind";
	if (bind(fd, (const struct sockaddr *)&addr->ss, addr->len) < 0)
		goto fail;
	return fd;
fail:
	code = -errno;
	(void)close(fd);
	return report(addr, code, step, err);
}

int bf_listen_tcp(const struct bf_addr *addr, bool first, struct bf_err *err)
{
	if (first) {
		int probe = bound_socket(addr, false, err);
		if (probe < 0)
			return probe;
		(void)close(probe);
	}
	int fd = bound_socket(addr, true, err);
	if (fd < 0)
		return fd;
	/* Inherited by every accepted connection, which saves a call for each. */
	if (set_on(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0 || listen(fd, BACKLOG) < 0) {
		int code = -errno;
		(void)close(fd);
		return report(addr, code, "listen", err);
	}
	return fd;
}

/*
 * The seam between connections and sockets. Called by input and respond. Must never add a system
 * call to the plain path: one recv or one send each.
 */
#include "proxyd/front/transport.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/base/err.h"
#include "common/net/pieces.h"

_Static_assert(BF_PIECES_JOIN_BYTES <= BF_TLS_RECORD_MAX, "what is joined fits the scratch");

static ssize_t transport_error(void)
{
	return errno == EAGAIN || errno == EINTR ? -EAGAIN : BF_E_CLOSED;
}

ssize_t transport_read(int fd, struct bf_tls_peer *tls, void *out, size_t size)
{
	if (tls)
		return bf_tls_peer_read(tls, out, size);
	ssize_t n = recv(fd, out, size, 0);
	return n >= 0 ? n : transport_error();
}

static ssize_t transport_write_tls(struct bf_tls_peer *tls, const struct iovec *iov, size_t count,
				   char *scratch)
{
	size_t taken = 0;

	for (;;) {
		struct bf_slice record =
		    bf_pieces_cut(iov, count, taken, BF_TLS_RECORD_MAX, scratch);
		if (record.len == 0)
			return (ssize_t)taken;
		ssize_t n = bf_tls_peer_write(tls, record.ptr, record.len);
		if (n < 0)
			return taken && n == -EAGAIN ? (ssize_t)taken : n;
		taken += (size_t)n;
	}
}

static ssize_t transport_write_plain(int fd, struct iovec *iov, size_t count, char *scratch)
{
	ssize_t n = bf_pieces_send(fd, iov, count, scratch);

	return n >= 0 || n == -EAGAIN ? n : BF_E_CLOSED;
}

ssize_t transport_write(int fd, struct bf_tls_peer *tls, struct iovec *iov, size_t count,
			char *scratch)
{
	return tls ? transport_write_tls(tls, iov, count, scratch)
		   : transport_write_plain(fd, iov, count, scratch);
}

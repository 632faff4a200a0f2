/*
 * The seam between connections and sockets. Called by input and respond. Must never add a system
 * call to the plain path: one recv or one send each.
 */
#include "proxyd/front/transport.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/err.h"
#include "common/base/macros.h"

#define TRANSPORT_JOIN_BYTES (4u << 10)

_Static_assert(TRANSPORT_JOIN_BYTES <= BF_TLS_RECORD_MAX, "what is joined fits the scratch");

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

/* The next record's bytes, `from` bytes into iov: where they are when they lie in one piece, else
 * copied together. */
static struct bf_slice transport_record(const struct iovec *iov, size_t count, size_t from,
					char *scratch)
{
	size_t len = 0;

	for (size_t i = 0; i < count && len < BF_TLS_RECORD_MAX; i++) {
		if (from >= iov[i].iov_len) {
			from -= iov[i].iov_len;
			continue;
		}
		const char *bytes = (const char *)iov[i].iov_base + from;
		size_t n = iov[i].iov_len - from;
		if (len == 0 && (i + 1 == count || n >= BF_TLS_RECORD_MAX))
			return (struct bf_slice){bytes, BF_MIN(n, (size_t)BF_TLS_RECORD_MAX)};
		n = BF_MIN(n, BF_TLS_RECORD_MAX - len);
		memcpy(scratch + len, bytes, n);
		len += n;
		from = 0;
	}
	return (struct bf_slice){scratch, len};
}

static ssize_t transport_write_tls(struct bf_tls_peer *tls, const struct iovec *iov, size_t count,
				   char *scratch)
{
	size_t taken = 0;

	for (;;) {
		struct bf_slice record = transport_record(iov, count, taken, scratch);
		if (record.len == 0)
			return (ssize_t)taken;
		ssize_t n = bf_tls_peer_write(tls, record.ptr, record.len);
		if (n < 0)
			return taken && n == -EAGAIN ? (ssize_t)taken : n;
		taken += (size_t)n;
	}
}

/* All of it in one piece if that is short: copying it costs less than the kernel's reading of a
 * list. Empty: it is long. */
static struct bf_slice transport_short(const struct iovec *iov, size_t count, char *scratch)
{
	size_t len = 0;

	if (count == 1)
		return (struct bf_slice){iov[0].iov_base, iov[0].iov_len};
	for (size_t i = 0; i < count; i++) {
		if (iov[i].iov_len > TRANSPORT_JOIN_BYTES - len)
			return (struct bf_slice){NULL, 0};
		memcpy(scratch + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	return (struct bf_slice){scratch, len};
}

static ssize_t transport_write_plain(int fd, struct iovec *iov, size_t count, char *scratch)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};
	struct bf_slice all = transport_short(iov, count, scratch);
	ssize_t n = all.len ? send(fd, all.ptr, all.len, MSG_NOSIGNAL | MSG_DONTWAIT)
			    : sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

	return n >= 0 ? n : transport_error();
}

ssize_t transport_write(int fd, struct bf_tls_peer *tls, struct iovec *iov, size_t count,
			char *scratch)
{
	return tls ? transport_write_tls(tls, iov, count, scratch)
		   : transport_write_plain(fd, iov, count, scratch);
}

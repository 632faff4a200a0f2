/*
 * Pieces become one. Called for every answer and every request that leaves. Must never allocate,
 * nor copy what may stay where it is.
 */
#include "common/net/pieces.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/macros.h"

/* Empty: they are long, or there is no room for them. */
static struct bf_slice joined(const struct iovec *iov, size_t count, char *scratch)
{
	size_t len = 0;

	if (count == 1)
		return (struct bf_slice){iov[0].iov_base, iov[0].iov_len};
	for (size_t i = 0; i < count; i++)
		len += iov[i].iov_len;
	if (len > BF_PIECES_JOIN_BYTES || !scratch)
		return (struct bf_slice){NULL, 0};
	len = 0;
	for (size_t i = 0; i < count; i++) {
		memcpy(scratch + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	return (struct bf_slice){scratch, len};
}

ssize_t bf_pieces_send(int fd, struct iovec *iov, size_t count, char *scratch)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};
	struct bf_slice all = joined(iov, count, scratch);
	ssize_t n = all.len ? send(fd, all.ptr, all.len, MSG_NOSIGNAL | MSG_DONTWAIT)
			    : sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n >= 0)
		return n;
	return errno == EINTR ? -EAGAIN : -errno;
}

struct bf_slice bf_pieces_cut(const struct iovec *iov, size_t count, size_t from, size_t max,
			      char *scratch)
{
	size_t len = 0;

	for (size_t i = 0; i < count && len < max; i++) {
		if (from >= iov[i].iov_len) {
			from -= iov[i].iov_len;
			continue;
		}
		const char *bytes = (const char *)iov[i].iov_base + from;
		size_t n = iov[i].iov_len - from;
		if (len == 0 && (i + 1 == count || n >= max))
			return (struct bf_slice){bytes, BF_MIN(n, max)};
		n = BF_MIN(n, max - len);
		memcpy(scratch + len, bytes, n);
		len += n;
		from = 0;
	}
	return (struct bf_slice){scratch, len};
}

/*
 * Whole frames on a socket with a deadline, for bifrostctl and tests. Must never be used on a loop:
 * it waits.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/ipc/channel.h"
#include "common/ipc/fdpass.h"

#define SEND_TIMEOUT_MS 5000

/* 0 when the socket is ready, BF_E_TIMEOUT, -errno. */
static int wait_for(int fd, short events, int64_t deadline_ms)
{
	for (;;) {
		int64_t left = deadline_ms - bf_mono_ms();
		struct pollfd p = {.fd = fd, .events = events};
		int r = poll(&p, 1, left < 0 ? 0 : left > 60000 ? 60000 : (int)left);

		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return -errno;
		if (left <= 0)
			return BF_E_TIMEOUT;
	}
}

int bf_frame_send_blocking(int fd, const struct bf_frame *f, struct bf_err *err)
{
	int64_t deadline = bf_mono_ms() + SEND_TIMEOUT_MS;
	uint8_t header[BF_FRAME_HEADER_SIZE];
	struct bf_frame h = *f;

	if (f->body.len > BF_FRAME_MAX_BODY)
		return bf_err_set(err, BF_E_LIMIT,
				  "control channel: body of %zu bytes, the limit is %u",
				  f->body.len, BF_FRAME_MAX_BODY);
	h.flags = (uint8_t)(f->fd >= 0 ? f->flags | BF_FRAME_FD : f->flags & ~BF_FRAME_FD);
	bf_frame_encode_header(&h, header);
	for (;;) {
		int r = bf_fdpass_send(fd, header, sizeof(header), f->body.ptr, f->body.len, f->fd);
		if (r == 0)
			return 0;
		if (r == -EPIPE || r == -ECONNRESET || r == -ENOTCONN)
			return bf_err_set(err, BF_E_CLOSED, "control channel: the peer closed it");
		if (r == -EAGAIN)
			r = wait_for(fd, POLLOUT, deadline);
		if (r < 0)
			return bf_err_sys(err, r, "control channel: send");
	}
}

/* The length of one datagram, BF_E_CLOSED, BF_E_TIMEOUT or another error. */
static ssize_t recv_within(int fd, uint8_t *buf, int64_t deadline_ms, int *ret_fd)
{
	for (;;) {
		ssize_t n = bf_fdpass_recv(fd, buf, BF_FRAME_MAX, ret_fd);
		if (n == 0)
			return BF_E_CLOSED;
		if (n == -ECONNRESET)
			continue; /* told once; what the peer sent before it left follows */
		if (n != -EAGAIN)
			return n;
		int r = wait_for(fd, POLLIN, deadline_ms);
		if (r < 0)
			return r;
	}
}

int bf_frame_recv_blocking(int fd, uint8_t *buf, int64_t timeout_ms, struct bf_frame *ret_frame,
			   struct bf_err *err)
{
	int passed = -1;
	ssize_t n = recv_within(fd, buf, bf_mono_ms() + timeout_ms, &passed);

	if (n < 0)
		return bf_err_sys(err, (int)n, "control channel: receive");
	int r = bf_frame_decode((struct bf_slice){(const char *)buf, (size_t)n}, passed, ret_frame,
				err);
	if (r < 0 && passed >= 0)
		(void)close(passed);
	return r;
}

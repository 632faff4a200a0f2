/*
 * sendmsg and recvmsg with SCM_RIGHTS. Called by the channel and the blocking helpers. Must never
 * leave a descriptor of a peer open that nobody asked for: a hostile peer could fill our table with
 * them.
 */
#include "common/ipc/fdpass.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base/err.h"

/* More than one would be an error; room for a few lets us close them by hand and say so. */
#define ROOM_FDS 8

union control {
	char bytes[CMSG_SPACE(ROOM_FDS * sizeof(int))];
	struct cmsghdr align;
};

int bf_fdpass_send(int sock, const void *head, size_t head_len, const void *body, size_t body_len,
		   int fd)
{
	union control control = {.bytes = {0}};
	/* sendmsg does not write through these; iovec has no const form. */
	struct iovec iov[2] = {
	    {.iov_base = (void *)(uintptr_t)head, .iov_len = head_len},
	    {.iov_base = (void *)(uintptr_t)body, .iov_len = body_len},
	};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = body_len ? 2 : 1};

	if (fd >= 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	for (;;) {
		if (sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

/* Keeps the first descriptor in *keep and closes the others; returns how many came. */
static size_t collect_fds(struct msghdr *msg, int *keep)
{
	size_t came = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (came++ == 0)
				*keep = fd;
			else
				(void)close(fd);
		}
	}
	return came;
}

ssize_t bf_fdpass_recv(int sock, void *buf, size_t cap, int *ret_fd)
{
	union control control;
	struct iovec iov = {.iov_base = buf, .iov_len = cap};
	struct msghdr msg = {
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes),
	};
	int fd = -1;
	ssize_t n;

	*ret_fd = -1;
	do {
		n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;

	size_t came = collect_fds(&msg, &fd);
	/* CTRUNC: more came than there was room for, or our own descriptor table is full. */
	if (came > 1 || (msg.msg_flags & MSG_CTRUNC))
		n = BF_E_SYNTAX;
	else if (msg.msg_flags & MSG_TRUNC)
		n = BF_E_LIMIT;
	if (n <= 0 && fd >= 0) {
		(void)close(fd);
		fd = -1;
	}
	*ret_fd = fd;
	return n;
}

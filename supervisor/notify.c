/*
 * sd_notify without libsystemd: the protocol is one datagram of NAME=VALUE lines. Used by lifecycle
 * code of the supervisor. Must never block: the socket is non-blocking and failures are ignored.
 */
#include "supervisor/notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/num.h"

int notify_address(const char *path, struct sockaddr_un *ret_address, socklen_t *ret_len)
{
	size_t len = strlen(path);

	memset(ret_address, 0, sizeof(*ret_address));
	ret_address->sun_family = AF_UNIX;
	if ((path[0] != '/' && path[0] != '@') || len < 2 || len >= sizeof(ret_address->sun_path))
		return BF_E_SYNTAX;
	memcpy(ret_address->sun_path, path, len);
	if (path[0] == '@')
		ret_address->sun_path[0] = '\0';
	/* An abstract name has no terminator: its length counts. */
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (path[0] == '/'));
	return 0;
}

int64_t notify_watchdog_ms(const char *usec, const char *for_pid, int64_t own_pid)
{
	int64_t us, pid;

	if (!usec || bf_parse_i64(bf_slice_from(usec), &us) != 0 || us <= 0)
		return 0;
	if (for_pid && (bf_parse_i64(bf_slice_from(for_pid), &pid) != 0 || pid != own_pid))
		return 0;
	return us / 2000 > 0 ? us / 2000 : 1;
}

static int format_head(enum notify_kind kind, int64_t mono_us, char *out, size_t size)
{
	switch (kind) {
	case NOTIFY_READY:
		return snprintf(out, size, "READY=1");
	case NOTIFY_RELOADING:
		return snprintf(out, size, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)mono_us);
	case NOTIFY_STOPPING:
		return snprintf(out, size, "STOPPING=1");
	case NOTIFY_WATCHDOG:
		return snprintf(out, size, "WATCHDOG=1");
	case NOTIFY_STATUS:
		break;
	}
	return 0;
}

size_t notify_format(enum notify_kind kind, const char *status, int64_t mono_us, char *out,
		     size_t size)
{
	int head = format_head(kind, mono_us, out, size);
	size_t len = head > 0 ? (size_t)head : 0;
	size_t from;
	int more;

	if (!status || len >= size)
		return len < size ? len : size - 1;
	from = len;
	more = snprintf(out + len, size - len, "%sSTATUS=%s", len ? "\n" : "", status);
	len += more > 0 ? (size_t)more : 0;
	if (len >= size)
		len = size - 1;
	for (size_t i = from + (from > 0); i < len; i++) {
		if (out[i] == '\n')
			out[i] = ' ';
	}
	return len;
}

int notify_open(struct notify *n, struct bf_err *err)
{
	const char *path = getenv("NOTIFY_SOCKET");

	memset(n, 0, sizeof(*n));
	n->fd = -1;
	if (!path || !*path)
		return 0;
	if (notify_address(path, &n->address, &n->address_len) != 0)
		return bf_err_set(
		    err, BF_E_SYNTAX,
		    "NOTIFY_SOCKET: %s: neither a path nor @name: not telling anybody", path);
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (n->fd < 0)
		return bf_err_sys(err, -errno, "NOTIFY_SOCKET: socket");
	n->watchdog_ms =
	    notify_watchdog_ms(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"), getpid());
	return 0;
}

void notify_close(struct notify *n)
{
	if (n->fd >= 0)
		(void)close(n->fd);
	n->fd = -1;
}

void notify_send(const struct notify *n, enum notify_kind kind, const char *status)
{
	char text[512];
	size_t len;

	if (n->fd < 0)
		return;
	len = notify_format(kind, status, bf_mono_ns() / 1000, text, sizeof(text));
	(void)sendto(n->fd, text, len, MSG_NOSIGNAL, (const struct sockaddr *)&n->address,
		     n->address_len);
}

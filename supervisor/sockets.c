/*
 * Listeners. Opened once at start, by main.c, before a child exists; closed when the node stops, so
 * that new connections are refused instead of hanging. Must never be reopened while workers live:
 * connections waiting in the old sockets would be lost.
 */
#include "supervisor/sockets.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/slice.h"
#include "common/net/listen.h"

#define LEFTOVERS_MS 500

void sockets_init(struct sockets *s)
{
	s->slots = s->addresses = 0;
	for (uint32_t i = 0; i < SOCKETS_MAX; i++)
		s->fds[i] = -1;
}

/* The children of a supervisor that was killed are gone for the lock a moment before the kernel has
 * closed all they had. */
static int open_first(const struct bf_addr *addr, struct bf_err *err)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	int64_t end = bf_mono_ms() + LEFTOVERS_MS;
	int fd = bf_listen_tcp(addr, true, err);

	while (fd == -EADDRINUSE && bf_mono_ms() < end) {
		(void)nanosleep(&pause, NULL);
		fd = bf_listen_tcp(addr, true, err);
	}
	return fd;
}

static int open_address(struct sockets *s, const struct bf_addr *addr, uint32_t a,
			struct bf_err *err)
{
	for (uint32_t slot = 0; slot < s->slots; slot++) {
		int fd = slot == 0 ? open_first(addr, err) : bf_listen_tcp(addr, false, err);

		if (fd < 0)
			return fd;
		s->fds[slot * s->addresses + a] = fd;
	}
	return 0;
}

int sockets_open(struct sockets *s, const struct bf_array *listen, uint32_t slots,
		 struct bf_err *err)
{
	const struct bf_slice *texts = listen->items;

	sockets_init(s);
	s->slots = slots;
	s->addresses = listen->count;
	if ((uint64_t)slots * listen->count > SOCKETS_MAX || listen->count == 0)
		return bf_err_set(err, BF_E_LIMIT,
				  "server.listen: %u addresses for %u workers: between 1 and %u "
				  "sockets are possible",
				  listen->count, slots, SOCKETS_MAX);
	for (uint32_t a = 0; a < listen->count; a++) {
		struct bf_addr addr;
		int r = bf_addr_parse(texts[a], &addr, err);

		if (r == 0)
			r = open_address(s, &addr, a, err);
		if (r < 0) {
			sockets_close(s);
			return r;
		}
	}
	return 0;
}

void sockets_close(struct sockets *s)
{
	for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
		if (s->fds[i] >= 0)
			(void)close(s->fds[i]);
		s->fds[i] = -1;
	}
}

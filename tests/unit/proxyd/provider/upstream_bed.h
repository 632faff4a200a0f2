/* Two pools over one queue against servers in this process, and calls that note what they hear. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "proxyd/provider/upstream.h"
#include "tests/unit/proxyd/harness.h"

#define ANSWER  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
#define SERVERS 2u

struct house {
	struct ev_loop *loop;
	struct bf_resolver *resolver;
	struct upstream_queue queue;
	struct upstream up[SERVERS];
	struct bf_arena arena;
	int listener[SERVERS];
};

struct caller {
	struct upstream_call call;
	int ends, fails, repeats, http_status;
	bool local;
	char type[64];
};

static inline bool on_head(struct upstream_call *call BF_UNUSED,
			   const struct upstream_head *h BF_UNUSED)
{
	return true;
}

static inline bool on_body(struct upstream_call *call BF_UNUSED, struct bf_slice bytes BF_UNUSED)
{
	return true;
}

static inline bool wants_more(struct upstream_call *call BF_UNUSED)
{
	return true;
}

static inline void on_end(struct upstream_call *call)
{
	BF_CONTAINER_OF(call, struct caller, call)->ends++;
}

static inline void on_fail(struct upstream_call *call, const struct upstream_failure *f)
{
	struct caller *c = BF_CONTAINER_OF(call, struct caller, call);

	c->fails++;
	c->http_status = f->http_status;
	c->local = f->local;
	(void)snprintf(c->type, sizeof(c->type), "%s", f->type);
}

static inline void on_repeat(struct upstream_call *call)
{
	BF_CONTAINER_OF(call, struct caller, call)->repeats++;
}

static const struct upstream_events events = {.on_head = on_head,
					      .on_body = on_body,
					      .wants_more = wants_more,
					      .on_repeat = on_repeat,
					      .on_end = on_end,
					      .on_fail = on_fail};

static inline void open_server(struct house *h, unsigned i, unsigned conns_max)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	const struct upstream_options options = {.queue = &h->queue, .conns_max = conns_max};
	socklen_t len = sizeof(sin);
	struct upstream_target target;
	char url[64];

	h->listener[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(h->listener[i], (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(h->listener[i], 128), 0);
	assert_int_equal(getsockname(h->listener[i], (struct sockaddr *)&sin, &len), 0);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", ntohs(sin.sin_port));
	assert_int_equal(upstream_target_parse(bf_slice_from(url), "", &target, NULL), 0);
	assert_int_equal(upstream_open(&h->up[i], h->loop, h->resolver, NULL, &target, &options),
			 0);
}

static inline void house_open(struct house *h, unsigned running_max, unsigned conns_max)
{
	const struct bf_resolver_options options = {"/dev/null", "127.0.0.1:1"};
	struct bf_err err = {0};

	memset(h, 0, sizeof(*h));
	assert_int_equal(bf_resolver_new(&options, &h->resolver, &err), 0);
	h->loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	bf_resolver_start(h->resolver, h->loop);
	bf_arena_init(&h->arena, 1 << 24);
	h->queue.running_max = running_max;
	upstream_queue_open(&h->queue, h->loop, NULL);
	for (unsigned i = 0; i < SERVERS; i++)
		open_server(h, i, conns_max);
}

static inline void house_close(struct house *h)
{
	for (unsigned i = 0; i < SERVERS; i++) {
		upstream_close(&h->up[i]);
		(void)close(h->listener[i]);
	}
	assert_int_equal(h->queue.running, 0);
	assert_int_equal(h->queue.waiting, 0);
	upstream_queue_close(&h->queue);
	bf_resolver_free(h->resolver);
	bf_arena_done(&h->arena);
	ev_loop_destroy(h->loop);
}

static inline void turn(struct house *h, int n)
{
	for (int i = 0; i < n; i++) {
		(void)ev_run(h->loop, EVRUN_NOWAIT);
		(void)usleep(200);
	}
}

static inline void prepare(struct house *h, struct caller *c, unsigned server)
{
	static char request[] = "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n";

	memset(c, 0, sizeof(*c));
	c->call.up = &h->up[server];
	c->call.events = &events;
	c->call.arena = &h->arena;
	c->call.iov[0] = (struct iovec){request, sizeof(request) - 1};
	c->call.iov_count = 1;
	c->call.timeout_ms = 30000;
}

static inline void start(struct house *h, struct caller *c, unsigned server)
{
	prepare(h, c, server);
	upstream_start(&c->call);
}

/* The server's side of the next connection, its request read. */
static inline int take(struct house *h, unsigned server)
{
	char buf[256];
	ssize_t n = -1;
	int fd = -1;

	for (int i = 0; i < 2000 && fd < 0; i++) {
		turn(h, 1);
		fd = accept4(h->listener[server], NULL, NULL, SOCK_CLOEXEC);
	}
	assert_true(fd >= 0);
	int one = 1; /* what is said is to be heard at once */
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
	for (int i = 0; i < 2000 && n <= 0; i++) {
		turn(h, 1);
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	}
	assert_true(n > 0);
	return fd;
}

static inline void say(struct house *h, int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	turn(h, 5);
}

/* Pool and calls against a server in this process: idle connections, bounds, deadlines, addresses.
 */
#include <arpa/inet.h>
#include <errno.h>
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

#include "common/base/macros.h"
#include "proxyd/provider/upstream.h"
#include "tests/unit/proxyd/harness.h"

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

struct house {
	struct ev_loop *loop;
	struct bf_resolver *resolver;
	struct upstream_queue queue;
	struct upstream up;
	struct bf_arena arena;
	int listener;
};

/* One call, and what it reported. */
struct caller {
	struct upstream_call call;
	int heads, ends, fails;
	size_t body;
	char type[64], text[400];
	int http_status;
	bool holds; /* wants no more */
	bool cancels, releases;
};

static bool on_head(struct upstream_call *call, const struct upstream_head *head)
{
	struct caller *c = BF_CONTAINER_OF(call, struct caller, call);

	assert_int_equal(head->status, 200);
	c->heads++;
	return true;
}

static bool on_body(struct upstream_call *call, struct bf_slice bytes)
{
	struct caller *c = BF_CONTAINER_OF(call, struct caller, call);

	c->body += bytes.len;
	if (c->cancels)
		upstream_cancel(call);
	else if (c->releases)
		upstream_release(call);
	return !c->cancels && !c->releases;
}

static bool wants_more(struct upstream_call *call)
{
	return !BF_CONTAINER_OF(call, struct caller, call)->holds;
}

static void on_end(struct upstream_call *call)
{
	BF_CONTAINER_OF(call, struct caller, call)->ends++;
}

static void on_fail(struct upstream_call *call, const struct upstream_failure *f)
{
	struct caller *c = BF_CONTAINER_OF(call, struct caller, call);

	c->fails++;
	c->http_status = f->http_status;
	(void)snprintf(c->type, sizeof(c->type), "%s", f->type);
	(void)snprintf(c->text, sizeof(c->text), "%s", f->text);
}

static void on_repeat(struct upstream_call *call BF_UNUSED)
{
	fail_msg("sent twice");
}

static const struct upstream_events events = {.on_head = on_head,
					      .on_body = on_body,
					      .wants_more = wants_more,
					      .on_repeat = on_repeat,
					      .on_end = on_end,
					      .on_fail = on_fail};

/* hosts: text of a hosts file, or NULL. url: %u is the listener's port. */
static void house_open(struct house *h, const char *url, const char *hosts)
{
	char path[] = "/tmp/test-upstream-XXXXXX", text[128];
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sin);
	struct upstream_target target;
	struct bf_err err = {0};
	int fd = mkstemp(path);

	memset(h, 0, sizeof(*h));
	assert_true(fd >= 0);
	if (hosts)
		assert_int_equal(write(fd, hosts, strlen(hosts)), (ssize_t)strlen(hosts));
	(void)close(fd);
	h->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(h->listener, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(h->listener, 128), 0);
	assert_int_equal(getsockname(h->listener, (struct sockaddr *)&sin, &len), 0);
	(void)snprintf(text, sizeof(text), "%s:%u", url, ntohs(sin.sin_port));
	assert_int_equal(upstream_target_parse(bf_slice_from(text), "/v1", &target, &err), 0);
	const struct bf_resolver_options options = {path, "127.0.0.1:1"};
	assert_int_equal(bf_resolver_new(&options, &h->resolver, &err), 0);
	(void)unlink(path);
	assert_int_equal(bf_resolver_add(h->resolver, bf_slice_from(target.host)), 0);
	h->loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	bf_resolver_start(h->resolver, h->loop);
	bf_arena_init(&h->arena, 1 << 24);
	const struct upstream_options bounds = {.queue = &h->queue};
	upstream_queue_open(&h->queue, h->loop, NULL);
	assert_int_equal(upstream_open(&h->up, h->loop, h->resolver, NULL, &target, &bounds), 0);
}

static void house_close(struct house *h)
{
	upstream_close(&h->up);
	upstream_queue_close(&h->queue);
	assert_int_equal(h->queue.running + h->queue.waiting, 0);
	assert_int_equal(h->up.conn_count, 0);
	assert_int_equal(h->up.idle_count, 0);
	bf_resolver_free(h->resolver);
	bf_arena_done(&h->arena);
	ev_loop_destroy(h->loop);
	(void)close(h->listener);
}

static void turn(struct house *h, int n)
{
	for (int i = 0; i < n; i++) {
		(void)ev_run(h->loop, EVRUN_NOWAIT);
		(void)usleep(200);
	}
}

static void start(struct house *h, struct caller *c)
{
	static char request[] = "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n";

	memset(&c->call, 0, sizeof(c->call));
	c->call.up = &h->up;
	c->call.events = &events;
	c->call.arena = &h->arena;
	c->call.iov[0] = (struct iovec){request, sizeof(request) - 1};
	c->call.iov_count = 1;
	c->call.timeout_ms = 30000;
	upstream_start(&c->call);
}

/* The server's side of the next connection. */
static int take(struct house *h)
{
	int fd = -1;

	for (int i = 0; i < 2000 && fd < 0; i++) {
		turn(h, 1);
		fd = accept4(h->listener, NULL, NULL, SOCK_CLOEXEC);
	}
	assert_true(fd >= 0);
	return fd;
}

static void hear(struct house *h, int fd)
{
	char buf[256];
	ssize_t n = -1;

	for (int i = 0; i < 2000 && n <= 0; i++) {
		turn(h, 1);
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	}
	assert_true(n > 0);
}

static void say(struct house *h, int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	turn(h, 5);
}

static bool is_closed(struct house *h, int fd)
{
	char byte;

	turn(h, 5);
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno != EAGAIN);
}

static void an_answer_and_its_connection_again(void **state BF_UNUSED)
{
	struct caller a = {0}, b = {0};
	struct house h;

	house_open(&h, "http://127.0.0.1", NULL);
	start(&h, &a);
	int fd = take(&h);
	hear(&h, fd);
	say(&h, fd, ANSWER);
	assert_int_equal(a.ends, 1);
	assert_int_equal(a.body, 2);
	assert_int_equal(h.up.idle_count, 1);
	start(&h, &b);
	assert_int_equal(h.up.idle_count, 0);
	hear(&h, fd);
	say(&h, fd, ANSWER);
	assert_int_equal(b.ends, 1);
	assert_int_equal(b.call.attempts, 1);
	assert_int_equal(h.up.conn_count, 1);
	(void)close(fd);
	turn(&h, 5);
	assert_int_equal(h.up.conn_count, 0);
	house_close(&h);
}

static void idle_connections_have_a_bound(void **state BF_UNUSED)
{
	enum {
		CALLS = UPSTREAM_IDLE_MAX + 3
	};
	static struct caller calls[CALLS];
	int fds[CALLS];
	struct house h;

	house_open(&h, "http://127.0.0.1", NULL);
	memset(calls, 0, sizeof(calls));
	for (size_t i = 0; i < CALLS; i++) {
		start(&h, &calls[i]);
		fds[i] = take(&h);
	}
	for (size_t i = 0; i < CALLS; i++) {
		hear(&h, fds[i]);
		say(&h, fds[i], ANSWER);
		assert_int_equal(calls[i].ends, 1);
	}
	assert_int_equal(h.up.idle_count, UPSTREAM_IDLE_MAX);
	assert_int_equal(h.up.conn_count, UPSTREAM_IDLE_MAX);
	for (size_t i = 0; i < CALLS; i++) {
		assert_int_equal(is_closed(&h, fds[i]), i < 3); /* the oldest went */
		(void)close(fds[i]);
	}
	house_close(&h);
}

static void idle_connections_expire(void **state BF_UNUSED)
{
	struct caller a = {0};
	struct house h;

	harness_clock(true);
	house_open(&h, "http://127.0.0.1", NULL);
	start(&h, &a);
	int fd = take(&h);
	hear(&h, fd);
	say(&h, fd, ANSWER);
	harness_tick(UPSTREAM_IDLE_EXPIRY_MS - 1);
	ev_invoke(h.loop, &h.up.reaper, EV_TIMER);
	assert_int_equal(h.up.idle_count, 1);
	assert_true(ev_is_active(&h.up.reaper));
	harness_tick(1);
	ev_invoke(h.loop, &h.up.reaper, EV_TIMER);
	assert_int_equal(h.up.idle_count, 0);
	assert_false(ev_is_active(&h.up.reaper));
	assert_true(is_closed(&h, fd));
	(void)close(fd);
	house_close(&h);
	harness_clock(false);
}

static void unasked_bytes_end_an_idle_connection(void **state BF_UNUSED)
{
	struct caller a = {0};
	struct house h;

	house_open(&h, "http://127.0.0.1", NULL);
	start(&h, &a);
	int fd = take(&h);
	hear(&h, fd);
	say(&h, fd, ANSWER);
	assert_int_equal(h.up.idle_count, 1);
	say(&h, fd, "HTTP/1.1 408 Timeout\r\n\r\n");
	assert_int_equal(h.up.conn_count, 0);
	(void)close(fd);
	house_close(&h);
}

static void cancelling_at_every_step(void **state BF_UNUSED)
{
	struct house h;

	house_open(&h, "http://127.0.0.1", NULL);
	for (int step = 0; step < 4; step++) {
		struct caller a = {.cancels = step == 3};
		int fd = -1;
		start(&h, &a);
		if (step >= 1) {
			fd = take(&h);
			hear(&h, fd);
		}
		if (step == 2)
			say(&h, fd, "HTTP/1.1 200 OK\r\nContent-");
		if (step == 3)
			say(&h, fd, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab");
		if (step < 3)
			upstream_cancel(&a.call);
		assert_int_equal(h.up.conn_count, 0);
		if (fd < 0)
			fd = take(&h);
		(void)is_closed(&h, fd);
		upstream_cancel(&a.call); /* twice is no harm */
		assert_int_equal(a.ends + a.fails, 0);
		(void)close(fd);
	}
	house_close(&h);
}

static void a_released_call_keeps_its_connection(void **state BF_UNUSED)
{
	static const struct {
		const char *rest;
		unsigned idle;
	} list[] = {{"\r\n0\r\n\r\n", 1}, {"\r\n1\r\nx\r\n0\r\n\r\n", 1}, {"\r\nzz\r\n", 0}};

	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		struct caller a = {.releases = true};
		struct house h;
		house_open(&h, "http://127.0.0.1", NULL);
		start(&h, &a);
		int fd = take(&h);
		hear(&h, fd);
		say(&h, fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab");
		assert_int_equal(a.body, 2);
		assert_int_equal(h.up.conn_count, 1);
		assert_int_equal(h.up.idle_count, 0);
		say(&h, fd, list[i].rest);
		assert_int_equal(h.up.idle_count, list[i].idle);
		assert_int_equal(a.ends + a.fails, 0);
		(void)close(fd);
		house_close(&h);
	}
}

static void a_released_call_drains_within_bounds(void **state BF_UNUSED)
{
	static char junk[UPSTREAM_DRAIN_BYTES + 64];
	struct caller a = {.releases = true}, b = {.releases = true};
	struct house h;

	harness_clock(true);
	house_open(&h, "http://127.0.0.1", NULL);
	start(&h, &a);
	int fd = take(&h);
	hear(&h, fd);
	say(&h, fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nab");
	memset(junk, 'j', sizeof(junk) - 1);
	say(&h, fd, junk);
	assert_int_equal(h.up.conn_count, 0);
	(void)close(fd);
	start(&h, &b);
	fd = take(&h);
	hear(&h, fd);
	say(&h, fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nab");
	harness_tick(UPSTREAM_DRAIN_MS);
	ev_invoke(h.loop, &h.up.reaper, EV_TIMER);
	assert_int_equal(h.up.conn_count, 0);
	(void)close(fd);
	house_close(&h);
	harness_clock(false);
}

static void deadlines_move(void **state BF_UNUSED)
{
	struct caller a = {0};
	struct house h;

	harness_clock(true);
	house_open(&h, "http://127.0.0.1", NULL);
	start(&h, &a);
	int fd = take(&h);
	hear(&h, fd);
	harness_tick(29999);
	ev_invoke(h.loop, &a.call.timer, EV_TIMER);
	assert_int_equal(a.fails, 0);
	upstream_deadline(&a.call, 5000);
	harness_tick(4999);
	ev_invoke(h.loop, &a.call.timer, EV_TIMER);
	upstream_deadline(&a.call, 0); /* for ever */
	harness_tick(1000000);
	ev_invoke(h.loop, &a.call.timer, EV_TIMER);
	assert_int_equal(a.fails, 0);
	upstream_deadline(&a.call, 100);
	harness_tick(100);
	ev_invoke(h.loop, &a.call.timer, EV_TIMER);
	assert_int_equal(a.fails, 1);
	assert_string_equal(a.type, "upstream_timeout");
	assert_int_equal(a.http_status, 504);
	assert_true(is_closed(&h, fd));
	(void)close(fd);
	house_close(&h);
	harness_clock(false);
}

static void holding_and_going_on(void **state BF_UNUSED)
{
	struct caller a = {.holds = true};
	struct house h;

	house_open(&h, "http://127.0.0.1", NULL);
	start(&h, &a);
	int fd = take(&h);
	hear(&h, fd);
	say(&h, fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
	assert_int_equal(a.body, 2);
	assert_true(a.call.paused);
	say(&h, fd, "cd");
	assert_int_equal(a.body, 2);
	a.holds = false;
	upstream_resume(&a.call);
	turn(&h, 5);
	assert_int_equal(a.body, 4);
	assert_int_equal(a.ends, 1);
	(void)close(fd);
	house_close(&h);
}

static void the_next_address_is_tried(void **state BF_UNUSED)
{
	struct caller a = {0};
	struct house h;

	house_open(&h, "http://many.test",
		   "10.0.0.1 many.test\n127.1.2.3 many.test\n127.0.0.1 many.test\n");
	start(&h, &a);
	int fd = take(&h);
	hear(&h, fd);
	say(&h, fd, ANSWER);
	assert_int_equal(a.ends, 1);
	(void)close(fd);
	house_close(&h);
}

static void a_name_for_a_private_address(void **state BF_UNUSED)
{
	static const char *const hosts[] = {"10.0.0.1 inner.test\n", "169.254.169.254 inner.test\n",
					    "fd00::1 inner.test\n",
					    "::ffff:192.168.0.1 inner.test\n"};

	for (size_t i = 0; i < BF_ARRAY_LEN(hosts); i++) {
		struct caller a = {0};
		struct house h;
		house_open(&h, "http://inner.test", hosts[i]);
		start(&h, &a);
		assert_int_equal(a.fails, 1);
		assert_string_equal(a.type, "upstream_address_refused");
		assert_non_null(strstr(a.text, "inner.test"));
		house_close(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_answer_and_its_connection_again),
	    cmocka_unit_test(idle_connections_have_a_bound),
	    cmocka_unit_test(idle_connections_expire),
	    cmocka_unit_test(unasked_bytes_end_an_idle_connection),
	    cmocka_unit_test(cancelling_at_every_step),
	    cmocka_unit_test(a_released_call_keeps_its_connection),
	    cmocka_unit_test(a_released_call_drains_within_bounds),
	    cmocka_unit_test(deadlines_move),
	    cmocka_unit_test(holding_and_going_on),
	    cmocka_unit_test(the_next_address_is_tried),
	    cmocka_unit_test(a_name_for_a_private_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

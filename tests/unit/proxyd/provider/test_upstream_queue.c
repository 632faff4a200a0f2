/*
 * Turns: who runs, who waits, who is refused; time limits of a call from its first moment to its
 * last; what is sent again and what never is. Against a server in this process.
 */
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

static bool on_head(struct upstream_call *call BF_UNUSED, const struct upstream_head *h BF_UNUSED)
{
	return true;
}

static bool on_body(struct upstream_call *call BF_UNUSED, struct bf_slice bytes BF_UNUSED)
{
	return true;
}

static bool wants_more(struct upstream_call *call BF_UNUSED)
{
	return true;
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
	c->local = f->local;
	(void)snprintf(c->type, sizeof(c->type), "%s", f->type);
}

static void on_repeat(struct upstream_call *call)
{
	BF_CONTAINER_OF(call, struct caller, call)->repeats++;
}

static const struct upstream_events events = {.on_head = on_head,
					      .on_body = on_body,
					      .wants_more = wants_more,
					      .on_repeat = on_repeat,
					      .on_end = on_end,
					      .on_fail = on_fail};

static void open_server(struct house *h, unsigned i, unsigned conns_max)
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

static void house_open(struct house *h, unsigned running_max, unsigned conns_max)
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

static void house_close(struct house *h)
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

static void turn(struct house *h, int n)
{
	for (int i = 0; i < n; i++) {
		(void)ev_run(h->loop, EVRUN_NOWAIT);
		(void)usleep(200);
	}
}

static void prepare(struct house *h, struct caller *c, unsigned server)
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

static void start(struct house *h, struct caller *c, unsigned server)
{
	prepare(h, c, server);
	upstream_start(&c->call);
}

/* The server's side of the next connection, its request read. */
static int take(struct house *h, unsigned server)
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

static void say(struct house *h, int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	turn(h, 5);
}

static void first_come_first_served(void **state BF_UNUSED)
{
	static struct caller c[6];
	struct house h;

	house_open(&h, 2, 100);
	for (unsigned i = 0; i < 6; i++)
		start(&h, &c[i], 0);
	assert_int_equal(h.queue.running, 2);
	assert_int_equal(h.queue.waiting, 4);
	int a = take(&h, 0), b = take(&h, 0);
	assert_int_equal(h.up[0].conn_count, 2);
	upstream_cancel(&c[3].call); /* leaves the queue's middle */
	assert_int_equal(h.queue.waiting, 3);
	for (unsigned done = 1; done <= 5; done++) {
		static const unsigned order[] = {0, 2, 4, 5};
		say(&h, a, ANSWER);
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(c[order[i]].ends, i < done);
	}
	say(&h, b, ANSWER);
	assert_int_equal(c[1].ends, 1);
	assert_int_equal(c[3].ends + c[3].fails, 0);
	assert_int_equal(h.up[0].conn_count, 1); /* the fifth answer to a was unasked for */
	(void)close(a);
	(void)close(b);
	house_close(&h);
}

static void connections_are_a_limit_too(void **state BF_UNUSED)
{
	static struct caller c[3];
	struct house h;

	house_open(&h, 0, 1);
	for (unsigned i = 0; i < 2; i++)
		start(&h, &c[i], 0);
	assert_int_equal(h.queue.waiting, 1);
	/* Who waits for one server does not hold up who goes to another. */
	start(&h, &c[2], 1);
	int other = take(&h, 1);
	say(&h, other, ANSWER);
	assert_int_equal(c[2].ends, 1);
	int fd = take(&h, 0);
	assert_int_equal(h.up[0].conn_count, 1);
	/* The answer closes its connection: the next one gets a new one. */
	say(&h, fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}");
	assert_int_equal(c[0].ends, 1);
	(void)close(fd);
	fd = take(&h, 0);
	say(&h, fd, ANSWER);
	assert_int_equal(c[1].ends, 1);
	(void)close(fd);
	(void)close(other);
	house_close(&h);
}

static void a_full_queue(void **state BF_UNUSED)
{
	static struct caller c[5];
	struct house h;

	for (unsigned waiting = 0; waiting <= 2; waiting++) {
		house_open(&h, 1, 100);
		h.queue.drop_excess = true;
		h.queue.waiting_max = waiting;
		for (unsigned i = 0; i < 5; i++)
			start(&h, &c[i], 0);
		for (unsigned i = 0; i < 5; i++) {
			assert_int_equal(c[i].fails, i > waiting);
			if (!c[i].fails)
				continue;
			assert_string_equal(c[i].type, "bifrost_dropped");
			assert_int_equal(c[i].http_status, 503);
			assert_true(c[i].local);
		}
		for (unsigned i = 0; i <= waiting; i++)
			upstream_cancel(&c[i].call);
		house_close(&h);
	}
	/* Without drop_excess they wait beyond the number. */
	house_open(&h, 1, 100);
	h.queue.waiting_max = 1;
	for (unsigned i = 0; i < 5; i++)
		start(&h, &c[i], 0);
	assert_int_equal(h.queue.waiting, 4);
	for (unsigned i = 5; i-- > 0;)
		upstream_cancel(&c[i].call);
	turn(&h, 2);
	house_close(&h);
}

static void late(struct house *h, struct caller *c, int64_t after_ms, const char *type)
{
	harness_tick(after_ms - 1);
	ev_invoke(h->loop, &c->call.timer, EV_TIMER);
	if (c->fails)
		fail_msg("%s came early", type);
	harness_tick(1);
	ev_invoke(h->loop, &c->call.timer, EV_TIMER);
	assert_int_equal(c->fails, 1);
	assert_string_equal(c->type, type);
	assert_int_equal(c->http_status, 504);
}

static void time_in_the_queue(void **state BF_UNUSED)
{
	static struct caller c[4];
	struct house h;

	harness_clock(true);
	for (int drop = 0; drop < 2; drop++) {
		house_open(&h, 1, 100);
		h.queue.drop_excess = drop;
		h.queue.waiting_max = 10;
		start(&h, &c[0], 0);
		upstream_deadline(&c[0].call, 0);
		prepare(&h, &c[1], 0);
		c[1].call.give_up_ms = bf_mono_ms() + 700;
		upstream_start(&c[1].call);
		start(&h, &c[2], 0); /* no deadline of all attempts */
		prepare(&h, &c[3], 0);
		c[3].call.give_up_ms = bf_mono_ms() + 90000; /* one that is further off */
		upstream_start(&c[3].call);
		late(&h, &c[1], 700, "upstream_queue_timeout");
		assert_true(c[1].local);
		late(&h, &c[2], 30000 - 700, "upstream_queue_timeout");
		ev_invoke(h.loop, &c[3].call.timer, EV_TIMER);
		assert_string_equal(c[3].type, "upstream_queue_timeout");
		upstream_cancel(&c[0].call);
		house_close(&h);
	}
	/* Who got its turn has what is left. */
	house_open(&h, 1, 100);
	start(&h, &c[0], 0);
	start(&h, &c[1], 0);
	int fd = take(&h, 0);
	harness_tick(20000);
	say(&h, fd, ANSWER);
	assert_int_equal(c[0].ends, 1);
	assert_true(c[1].call.running);
	late(&h, &c[1], 10000, "upstream_timeout");
	(void)close(fd);
	house_close(&h);
	harness_clock(false);
}

static void time_to_connect_and_to_the_first_byte(void **state BF_UNUSED)
{
	struct caller c;
	struct house h;

	harness_clock(true);
	house_open(&h, 0, 0);
	h.up[0].connect_timeout_ms = 1500;
	start(&h, &c, 0);
	late(&h, &c, 1500, "upstream_connect_timeout");
	prepare(&h, &c, 0);
	c.call.first_byte_ms = 400;
	upstream_start(&c.call);
	int stale = accept4(h.listener[0], NULL, NULL, SOCK_CLOEXEC); /* of the first call */
	int fd = take(&h, 0);
	late(&h, &c, 400, "upstream_timeout");
	(void)close(fd);
	(void)close(stale);
	/* Once the head is there, the whole answer has its own time. */
	prepare(&h, &c, 0);
	c.call.first_byte_ms = 400;
	upstream_start(&c.call);
	fd = take(&h, 0);
	say(&h, fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
	late(&h, &c, 30000, "upstream_timeout");
	(void)close(fd);
	house_close(&h);
	harness_clock(false);
}

static void the_total_bounds_every_phase(void **state BF_UNUSED)
{
	struct caller c;
	struct house h;

	harness_clock(true);
	for (int phase = 0; phase < 4; phase++) {
		int fd = -1;
		house_open(&h, 0, 0);
		prepare(&h, &c, 0);
		c.call.give_up_ms = bf_mono_ms() + 300;
		upstream_start(&c.call);
		if (phase >= 1)
			fd = take(&h, 0);
		if (phase >= 2)
			say(&h, fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
		if (phase == 3)
			upstream_deadline(&c.call, 0); /* a slow client's stream */
		late(&h, &c, 300, "upstream_total_timeout");
		if (fd >= 0)
			(void)close(fd);
		house_close(&h);
	}
	/* Over before it began. */
	house_open(&h, 0, 0);
	prepare(&h, &c, 0);
	c.call.give_up_ms = bf_mono_ms() - 1;
	upstream_start(&c.call);
	ev_invoke(h.loop, &c.call.timer, EV_TIMER);
	assert_string_equal(c.type, "upstream_total_timeout");
	house_close(&h);
	harness_clock(false);
}

/* Connections do not live for ever, however busy. */
static void an_old_connection_is_not_kept(void **state BF_UNUSED)
{
	struct caller c;
	struct house h;

	harness_clock(true);
	house_open(&h, 0, 0);
	start(&h, &c, 0);
	int fd = take(&h, 0);
	say(&h, fd, ANSWER);
	assert_int_equal(h.up[0].idle_count, 1);
	harness_tick(UPSTREAM_LIFETIME_MS);
	start(&h, &c, 0);
	turn(&h, 3);
	say(&h, fd, ANSWER);
	assert_int_equal(c.ends, 1);
	assert_int_equal(h.up[0].conn_count, 0);
	(void)close(fd);
	house_close(&h);
	harness_clock(false);
}

/* A server that has the request and ends the connection in order is no idle race, however few bytes
 * of an answer came. */
static void never_sent_twice_once_heard(void **state BF_UNUSED)
{
	for (size_t cut = 0; cut < sizeof(ANSWER) - 1; cut++) {
		char begin[sizeof(ANSWER)];
		struct caller c;
		struct house h;
		house_open(&h, 0, 0);
		start(&h, &c, 0);
		int fd = take(&h, 0);
		say(&h, fd, ANSWER);
		start(&h, &c, 0);
		turn(&h, 2);
		memcpy(begin, ANSWER, cut);
		begin[cut] = '\0';
		if (cut)
			say(&h, fd, begin);
		(void)shutdown(fd, SHUT_WR);
		turn(&h, 4);
		assert_int_equal(c.fails, 1);
		assert_int_equal(c.repeats, 0);
		assert_int_equal(c.call.attempts, 1);
		assert_string_equal(c.type, "upstream_closed");
		assert_int_equal(accept4(h.listener[0], NULL, NULL, SOCK_CLOEXEC), -1);
		(void)close(fd);
		house_close(&h);
	}
}

/* What the server of a kept connection does just before or after the request is sent. */
enum race {
	RACE_CLOSED, /* before: our bytes meet nobody */
	RACE_RESET,  /* before: they are refused */
	RACE_UNREAD, /* after: nobody read them */
	RACE_ANSWERED_WITH_RESET,
	RACE_COUNT
};

static void close_hard(int fd)
{
	const struct linger hard = {.l_onoff = 1};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
	(void)close(fd);
}

/* A call on a connection that dies, of which the loop hears after_ms later. Returns the listener's
 * next connection, -1 when none may come. */
static int race(struct house *h, struct caller *c, enum race what, int64_t after_ms)
{
	char bytes[256];

	start(h, c, 0);
	int fd = take(h, 0);
	say(h, fd, ANSWER);
	assert_int_equal(h->up[0].idle_count, 1);
	if (what == RACE_CLOSED)
		(void)close(fd);
	else if (what == RACE_RESET)
		close_hard(fd);
	start(h, c, 0);
	if (what == RACE_UNREAD) {
		(void)close(fd);
	} else if (what == RACE_ANSWERED_WITH_RESET) {
		assert_true(recv(fd, bytes, sizeof(bytes), 0) > 0);
		(void)usleep(100000); /* its kernel acknowledges */
		close_hard(fd);
	}
	harness_tick(after_ms);
	turn(h, 4);
	return c->fails ? -1 : take(h, 0);
}

/* The idle race: nobody can have heard of the request. Late, or acknowledged: it is a failure. */
static void a_kept_connection_that_was_dead(void **state BF_UNUSED)
{
	for (int what = 0; what < RACE_COUNT; what++) {
		for (int late = 0; late < 2; late++) {
			struct caller c;
			struct house h;
			harness_clock(true);
			house_open(&h, 0, 0);
			int again = race(&h, &c, (enum race)what,
					 late ? UPSTREAM_RACE_MAX_MS + 1 : UPSTREAM_RACE_MIN_MS);
			if (late || what == RACE_ANSWERED_WITH_RESET) {
				assert_int_equal(again, -1);
				assert_string_equal(c.type, "upstream_closed");
				assert_int_equal(c.call.attempts, 1);
				assert_int_equal(c.repeats, 0);
			} else {
				assert_int_equal(c.repeats, 1);
				say(&h, again, ANSWER);
				assert_int_equal(c.ends, 1);
				assert_int_equal(c.call.attempts, 2);
				(void)close(again);
			}
			house_close(&h);
			harness_clock(false);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(first_come_first_served),
	    cmocka_unit_test(connections_are_a_limit_too),
	    cmocka_unit_test(a_full_queue),
	    cmocka_unit_test(time_in_the_queue),
	    cmocka_unit_test(time_to_connect_and_to_the_first_byte),
	    cmocka_unit_test(the_total_bounds_every_phase),
	    cmocka_unit_test(an_old_connection_is_not_kept),
	    cmocka_unit_test(never_sent_twice_once_heard),
	    cmocka_unit_test(a_kept_connection_that_was_dead),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

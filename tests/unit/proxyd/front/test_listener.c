/* Listening: own and adopted slots, the connection limit, and what happens when descriptors run
 * out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "shm/metrics.h"
#include "tests/unit/proxyd/harness.h"

#define FIRST_FD 200
#define SLOTS    2u

static struct sockaddr_in addresses[SLOTS];

/* One listener per slot at the numbers the contract would give them. */
static void open_listeners(struct harness *h, void (*tweak)(struct bf_config *config))
{
	struct bf_err err = {0};

	harness_open(h, tweak);
	listener_done(&h->f.listener);
	for (uint32_t i = 0; i < SLOTS; i++) {
		socklen_t len = sizeof(addresses[i]);
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		addresses[i] = (struct sockaddr_in){.sin_family = AF_INET,
						    .sin_addr = {htonl(INADDR_LOOPBACK)}};
		assert_int_equal(bind(fd, (struct sockaddr *)(void *)&addresses[i], len), 0);
		assert_int_equal(listen(fd, 64), 0);
		assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&addresses[i], &len),
				 0);
		assert_int_equal(dup3(fd, FIRST_FD + (int)i, O_CLOEXEC), FIRST_FD + (int)i);
		(void)close(fd);
	}
	assert_int_equal(listener_init(&h->f.listener, &h->f, FIRST_FD, SLOTS, 1, &err), 0);
}

static void close_listeners(struct harness *h)
{
	harness_close(h);
	for (int i = 0; i < (int)SLOTS; i++)
		(void)close(FIRST_FD + i);
}

static int dial(uint32_t slot)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(
	    connect(fd, (struct sockaddr *)(void *)&addresses[slot], sizeof(addresses[slot])), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static void accepts_from_its_own_and_adopted_slots(void **state)
{
	static const char live[] = "GET /live HTTP/1.1\r\nHost: a\r\n\r\n";
	struct listener *l;
	struct harness h;
	char answer[1024];

	(void)state;
	open_listeners(&h, NULL);
	l = &h.f.listener;
	assert_int_equal(listener_adopt(l, 0), 0);
	int own = dial(0), other = dial(1);
	harness_turns(&h, 4);
	assert_int_equal(h.f.conn_count, 1);
	/* The other one was waiting in the kernel's queue: it is served as soon as its slot is
	 * adopted. */
	assert_int_equal(listener_adopt(l, 1), 0);
	assert_int_equal(listener_adopt(l, 1), 0);
	(void)harness_ask(&h, other, live, answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 200 OK\r\n", 17);
	/* Given back, it is left alone; connections that were taken stay. */
	assert_int_equal(listener_release(l, 1), 0);
	int later = dial(1);
	harness_turns(&h, 4);
	assert_int_equal(h.f.conn_count, 2);
	(void)harness_ask(&h, other, live, answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 200 OK\r\n", 17);
	assert_int_equal(listener_adopt(l, SLOTS), BF_E_RANGE);
	assert_int_equal(listener_release(l, SLOTS), BF_E_RANGE);
	(void)close(own);
	(void)close(other);
	(void)close(later);
	harness_turns(&h, 4);
	close_listeners(&h);
}

static void a_drain_stops_all_slots_for_good(void **state)
{
	struct harness h;

	(void)state;
	open_listeners(&h, NULL);
	assert_int_equal(listener_adopt(&h.f.listener, 0), 0);
	assert_int_equal(listener_adopt(&h.f.listener, 1), 0);
	front_drain(&h.f, NULL, NULL);
	assert_int_equal(listener_adopt(&h.f.listener, 1), 0);
	int a = dial(0), b = dial(1);
	harness_turns(&h, 4);
	assert_int_equal(h.f.conn_count, 0);
	(void)close(a);
	(void)close(b);
	close_listeners(&h);
}

static void two_at_most(struct bf_config *config)
{
	config->server.max_connections = 2;
}

static void connections_beyond_the_limit_are_closed_and_counted(void **state)
{
	struct harness h;
	int fds[5];
	char byte;

	(void)state;
	open_listeners(&h, two_at_most);
	assert_int_equal(listener_adopt(&h.f.listener, 0), 0);
	for (int i = 0; i < 5; i++)
		fds[i] = dial(0);
	harness_turns(&h, 4);
	assert_int_equal(h.f.conn_count, 2);
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_CONNECTIONS_OPENED), 2);
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_CONNECTIONS_OPEN), 2);
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_CONNECTIONS_REFUSED), 3);
	for (int i = 0; i < 5; i++) {
		assert_true((recv(fds[i], &byte, 1, 0) == 0) == (i >= 2));
		(void)close(fds[i]);
	}
	harness_turns(&h, 4);
	assert_int_equal(h.f.conn_count, 0);
	close_listeners(&h);
}

static unsigned turns;

static void on_turn(struct ev_loop *loop, ev_check *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
	turns++;
}

static void on_stop(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

/* A pending connection that cannot be taken must not make the loop spin; once descriptors are back
 * it is served. */
static void no_descriptors_no_spin(void **state)
{
	struct rlimit old, none;
	struct harness h;
	ev_check check;
	ev_timer stop;

	(void)state;
	open_listeners(&h, NULL);
	assert_int_equal(listener_adopt(&h.f.listener, 0), 0);
	int fd = dial(0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	ev_check_init(&check, on_turn);
	ev_check_start(h.loop, &check);
	ev_timer_init(&stop, on_stop, 0.25, 0.0);
	ev_timer_start(h.loop, &stop);
	turns = 0;
	(void)ev_run(h.loop, 0);
	assert_true(turns < 20);
	assert_int_equal(h.f.conn_count, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	ev_timer_set(&stop, 0.25, 0.0);
	ev_timer_start(h.loop, &stop);
	(void)ev_run(h.loop, 0);
	assert_int_equal(h.f.conn_count, 1);
	ev_check_stop(h.loop, &check);
	(void)close(fd);
	harness_turns(&h, 4);
	close_listeners(&h);
}

/* The last ones are for others: a frame of the supervisor that brings one must find room. */
static void the_last_descriptors_are_not_for_clients(void **state)
{
	struct harness h;
	char byte;

	(void)state;
	open_listeners(&h, NULL);
	assert_int_equal(listener_adopt(&h.f.listener, 0), 0);
	int fd = dial(0), next = dup(fd);
	(void)close(next);
	h.w.fd_limit = next + WORKER_FDS_BEYOND_CLIENTS;
	harness_turns(&h, 4);
	assert_int_equal(h.f.conn_count, 0);
	assert_true(h.f.listener.paused);
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_CONNECTIONS_REFUSED), 1);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	(void)close(fd);
	h.w.fd_limit += 8;
	ev_invoke(h.loop, &h.f.listener.pause, EV_TIMER);
	fd = dial(0);
	harness_turns(&h, 4);
	assert_int_equal(h.f.conn_count, 1);
	(void)close(fd);
	harness_turns(&h, 4);
	close_listeners(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(accepts_from_its_own_and_adopted_slots),
	    cmocka_unit_test(a_drain_stops_all_slots_for_good),
	    cmocka_unit_test(connections_beyond_the_limit_are_closed_and_counted),
	    cmocka_unit_test(no_descriptors_no_spin),
	    cmocka_unit_test(the_last_descriptors_are_not_for_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A kept connection that fails: what is sent again and what never is; and one that is not made. */
#include "upstream_bed.h"

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

/* The idle race: at once, nobody is believed to have heard of the request, not even who
 * acknowledged it and then sent a reset, as a kernel does for bytes that were not read. Late, it is
 * a failure. */
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
			if (late) {
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

/* What the supervisor sends must find room. */
static void the_last_descriptors_are_not_for_calls(void **state BF_UNUSED)
{
	struct worker w = {.fd_limit = WORKER_FDS_BEYOND_CALLS + 1};
	struct caller c;
	struct house h;

	house_open(&h, 0, 0);
	h.queue.worker = &w;
	start(&h, &c, 0);
	turn(&h, 2);
	assert_int_equal(c.fails, 1);
	assert_string_equal(c.type, "upstream_connect_failed");
	w.fd_limit += 1000;
	start(&h, &c, 0);
	int fd = take(&h, 0);
	say(&h, fd, ANSWER);
	assert_int_equal(c.ends, 1);
	(void)close(fd);
	house_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(never_sent_twice_once_heard),
	    cmocka_unit_test(a_kept_connection_that_was_dead),
	    cmocka_unit_test(the_last_descriptors_are_not_for_calls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

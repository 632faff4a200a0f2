/*
 * Turns: who runs, who waits, who is refused; time limits of a call from its first moment to its
 * last. Against a server in this process.
 */
#include "upstream_bed.h"

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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

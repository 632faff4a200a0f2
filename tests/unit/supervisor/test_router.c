/* The control socket and the router: real sockets, real children (this program). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "desk.h"

static void test_questions_find_their_way(void **state)
{
	struct bf_frame f;
	int a, b;

	(void)state;
	begin("parts");
	a = greet();
	b = greet();
	/* Equal ids of two connections. */
	put(a, BF_MSG_STATUS_GET, DISCOVERYD, 7, 0);
	put(b, BF_MSG_STATUS_GET, WRITERD, 7, 0);
	for (int part = 0; part < 3; part++) {
		assert_int_equal(get(a, &f, 5000), 0);
		assert_int_equal(f.request, 7);
		assert_int_equal(f.source, DISCOVERYD);
		assert_int_equal((f.flags & BF_FRAME_MORE) != 0, part < 2);
	}
	assert_int_equal(get(b, &f, 5000), 0);
	assert_int_equal(f.source, WRITERD);
	assert_int_equal(BF_ENDPOINT_ROLE(f.target), BF_ROLE_CTL);
	put(a, BF_MSG_STATUS_GET, SUPERVISOR, 8, 0);
	assert_int_equal(get(a, &f, 5000), 0);
	assert_int_equal(f.request, 8);
	assert_int_equal(last_question.type, BF_MSG_STATUS_GET);
	assert_int_equal(bad_frames, 0);
	/* The same id may be used again when its answer is whole. */
	put(b, BF_MSG_STATUS_GET, WRITERD, 7, 0);
	assert_int_equal(get(b, &f, 5000), 0);
	(void)close(a);
	(void)close(b);
}

static void test_silent_child(void **state)
{
	int fd;

	(void)state;
	begin("silent");
	fd = greet();
	put(fd, BF_MSG_STATUS_GET, DISCOVERYD, 2, 0);
	put(fd, BF_MSG_STATUS_GET, DISCOVERYD, 2, 0);
	expect_error(fd, BF_E_DUPLICATE);
	for (uint32_t i = 0; i < PENDING_MAX_OF_ONE; i++)
		put(fd, BF_MSG_STATUS_GET, DISCOVERYD, 100 + i, 0);
	expect_error(fd, BF_E_FULL);
	/* Cancelled: its place is free again. */
	put(fd, BF_MSG_STATUS_GET, DISCOVERYD, 2, BF_FRAME_CANCEL);
	put(fd, BF_MSG_STATUS_GET, DISCOVERYD, 500, 0);
	put(fd, BF_MSG_STATUS_GET, DISCOVERYD, 501, 0);
	expect_error(fd, BF_E_FULL);
	for (size_t i = 0; i < PENDING_MAX; i++) {
		if (r.pending.entries[i].id)
			r.pending.entries[i].deadline_mono_ms = 0;
	}
	router_tick(&r);
	for (uint32_t i = 0; i < PENDING_MAX_OF_ONE; i++)
		expect_error(fd, BF_E_TIMEOUT);
	put(fd, BF_MSG_STATUS_GET, DISCOVERYD, 600, 0);
	world_run(&w, 100);
	(void)kill(crew_find(&w.crew, DISCOVERYD)->pid, SIGKILL);
	expect_error(fd, BF_E_CLOSED);
	(void)close(fd);
}

static void test_nobody_there(void **state)
{
	int fd;

	(void)state;
	begin("obey");
	fd = greet();
	put(fd, BF_MSG_STATUS_GET, BF_ENDPOINT(BF_ROLE_PROXYD, 9), 2, 0);
	expect_error(fd, BF_E_STATE);
	/* No reply wanted, none given. */
	put(fd, BF_MSG_STATUS_GET, WRITERD, 0, 0);
	put(fd, BF_MSG_STATUS_GET, BF_ENDPOINT(BF_ROLE_PROXYD, 9), 3, 0);
	expect_error(fd, BF_E_STATE);
	(void)close(fd);
}

static void test_stray_replies_are_dropped(void **state)
{
	struct bf_frame f;
	int fd;

	(void)state;
	begin("stray");
	fd = greet();
	put(fd, BF_MSG_STATUS_GET, DISCOVERYD, 2, 0);
	assert_int_equal(get(fd, &f, 5000), 0);
	assert_int_equal(f.request, 2);
	assert_int_equal(get(fd, &f, 200), BF_E_TIMEOUT);
	assert_int_equal(bad_frames, 0);
	assert_non_null(crew_find(&w.crew, DISCOVERYD));
	/* Whoever asked is gone before the answer comes. */
	put(fd, BF_MSG_STATUS_GET, DISCOVERYD, 3, 0);
	(void)close(fd);
	world_run(&w, 200);
	assert_null(pending_any_of_asker(&r.pending, 0));
}

static void lies(const char *how)
{
	pid_t others[2];
	int fd;

	begin(how);
	others[0] = crew_find(&w.crew, WRITERD)->pid;
	others[1] = crew_find(&w.crew, BF_ENDPOINT(BF_ROLE_PROXYD, 0))->pid;
	fd = greet();
	put(fd, BF_MSG_STATUS_GET, DISCOVERYD, 2, 0);
	expect_error(fd, BF_E_CLOSED);
	assert_int_equal(bad_frames, 1);
	assert_int_equal(others[0], crew_find(&w.crew, WRITERD)->pid);
	assert_int_equal(others[1], crew_find(&w.crew, BF_ENDPOINT(BF_ROLE_PROXYD, 0))->pid);
	WORLD_UNTIL(&w, world_all_ready(&w));
	(void)close(fd);
}

static void test_child_that_claims_to_be_another(void **state)
{
	(void)state;
	lies("liar");
}

static void test_child_that_commands(void **state)
{
	(void)state;
	lies("bossy");
	assert_int_equal(world_notes(&w, "writerd.0 stop"), 0);
}

static void test_what_bifrostctl_may_not(void **state)
{
	static const struct {
		uint16_t type, target;
		uint8_t flags;
	} forbidden[] = {
	    {BF_MSG_READY, SUPERVISOR, 0},
	    {BF_MSG_STOP, WRITERD, 0},
	    {BF_MSG_DRAIN, BF_ENDPOINT(BF_ROLE_PROXYD, 0), 0},
	    {BF_MSG_STATUS, SUPERVISOR, BF_FRAME_REPLY},
	    {BF_MSG_STATUS_GET, BF_ENDPOINT(BF_ROLE_CTL, 1), 0},
	    {999, SUPERVISOR, 0},
	};

	(void)state;
	begin("obey");
	for (size_t i = 0; i < BF_ARRAY_LEN(forbidden); i++) {
		struct bf_frame f;
		int fd = greet();

		put(fd, forbidden[i].type, forbidden[i].target, 5, forbidden[i].flags);
		/* One error at most, then the end. */
		while (get(fd, &f, 5000) == 0)
			assert_true(f.flags & BF_FRAME_ERROR);
		assert_int_equal(bad_frames, i + 1);
		(void)close(fd);
	}
	assert_int_equal(world_notes(&w, "writerd.0 stop"), 0);
	assert_int_equal(admin_open_count(&w.admin), 0);
}

static void test_hello_comes_first(void **state)
{
	struct bf_frame f;
	int fd;

	(void)state;
	begin("obey");
	fd = dial();
	put(fd, BF_MSG_STATUS_GET, WRITERD, 1, 0);
	expect_error(fd, BF_E_STATE);
	assert_true(get(fd, &f, 5000) < 0);
	assert_int_equal(world_notes(&w, "writerd.0 status_get"), 0);
	(void)close(fd);
}

static void test_connections_are_bounded(void **state)
{
	int fds[ADMIN_MAX_SEATS + 1];
	struct bf_frame f;

	(void)state;
	begin("obey");
	for (size_t i = 0; i < ADMIN_MAX_CONNECTIONS; i++)
		fds[i] = greet();
	for (size_t i = ADMIN_MAX_CONNECTIONS; i < ADMIN_MAX_SEATS; i++)
		fds[i] = dial();
	/* Beyond the bound: told so, or closed at once. */
	put(fds[ADMIN_MAX_CONNECTIONS], BF_MSG_HELLO, SUPERVISOR, 1, 0);
	expect_error(fds[ADMIN_MAX_CONNECTIONS], BF_E_FULL);
	fds[ADMIN_MAX_SEATS] = dial();
	(void)close(fds[0]);
	world_run(&w, 50);
	fds[0] = greet();
	assert_true(w.admin.refused <= 1);
	for (size_t i = 0; i <= ADMIN_MAX_SEATS; i++)
		(void)close(fds[i]);
	world_run(&w, 50);
	assert_int_equal(admin_open_count(&w.admin), 0);
	assert_int_equal(get(fds[0], &f, 0) == 0, 0);
}

static void test_who_may_connect(void **state)
{
	(void)state;
	assert_true(admin_may_connect(0, 1000));
	assert_true(admin_may_connect(1000, 1000));
	assert_true(admin_may_connect(geteuid(), 1000));
	assert_false(admin_may_connect(geteuid() + 77, 1000));
}

static void test_late_answers_find_nobody(void **state)
{
	struct admin_connection *c;
	struct admin_ticket ticket;
	struct bf_frame f = {.request = 5};
	int first, second;

	(void)state;
	begin("obey");
	first = greet();
	c = &w.admin.connections[0];
	ticket = admin_ticket_of(c, &f);
	assert_ptr_equal(admin_ticket_connection(&w.admin, &ticket), c);
	(void)close(first);
	world_run(&w, 50);
	assert_null(admin_ticket_connection(&w.admin, &ticket));
	/* The next user of the same place does not get it. */
	second = greet();
	assert_true(c->open);
	assert_null(admin_ticket_connection(&w.admin, &ticket));
	assert_int_equal(admin_reply(&w.admin, &ticket, BF_MSG_OK, NULL, false), 0);
	assert_int_equal(admin_reply_error(&w.admin, &ticket, BF_E_STATE, "x"), 0);
	assert_int_equal(get(second, &f, 100), BF_E_TIMEOUT);
	(void)close(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_questions_find_their_way, teardown),
	    cmocka_unit_test_teardown(test_silent_child, teardown),
	    cmocka_unit_test_teardown(test_nobody_there, teardown),
	    cmocka_unit_test_teardown(test_stray_replies_are_dropped, teardown),
	    cmocka_unit_test_teardown(test_child_that_claims_to_be_another, teardown),
	    cmocka_unit_test_teardown(test_child_that_commands, teardown),
	    cmocka_unit_test_teardown(test_what_bifrostctl_may_not, teardown),
	    cmocka_unit_test_teardown(test_hello_comes_first, teardown),
	    cmocka_unit_test_teardown(test_connections_are_bounded, teardown),
	    cmocka_unit_test(test_who_may_connect),
	    cmocka_unit_test_teardown(test_late_answers_find_nobody, teardown),
	};

	fake_child_main();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The control socket, the router, the trace: real sockets, real children (this program). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "supervisor/router.h"
#include "world.h"

static struct world w;
static struct router r;
static unsigned questions, bad_frames;
static struct bf_frame last_question;

static void child_frame(struct world *world, struct child *child, struct bf_frame *f)
{
	(void)world;
	router_from_child(&r, child, f);
}

static void ctl_frame(void *owner, struct admin_connection *c, struct bf_frame *f)
{
	(void)owner;
	router_from_ctl(&r, c, f);
}

static void ctl_closed(void *owner, struct admin_connection *c)
{
	(void)owner;
	router_ctl_gone(&r, c);
}

static const struct admin_events admin_events = {.on_frame = ctl_frame, .on_closed = ctl_closed};

static void on_question(void *owner, struct admin_connection *c, struct bf_frame *f)
{
	struct admin_ticket ticket = admin_ticket_of(c, f);

	(void)owner;
	questions++;
	last_question = *f;
	c->greeted = true;
	if (f->type == BF_MSG_TRACE)
		assert_int_equal(trace_start(&r.trace, &ticket), 0);
	else
		(void)admin_reply(&w.admin, &ticket, BF_MSG_OK, NULL, false);
}

static void on_bad_frame(void *owner)
{
	(void)owner;
	bad_frames++;
}

static const struct router_events events = {.on_question = on_question,
					    .on_bad_frame = on_bad_frame};

static void on_gone(void *owner, struct child *child, int wait_status)
{
	world_on_gone(owner, child, wait_status);
	router_child_gone(&r, child);
}

static void on_sent(void *owner, const struct bf_frame *f)
{
	world_on_sent(owner, f);
	trace_frame(&r.trace, f, NULL);
}

static struct crew_events crew_events;

/* writerd does what how says. */
static void begin(const char *how)
{
	questions = bad_frames = 0;
	world_init(&w, 2);
	crew_events = world_events;
	crew_events.on_gone = on_gone;
	crew_events.on_sent = on_sent;
	w.crew.events = &crew_events;
	w.on_frame = child_frame;
	(void)close(w.slices.fds[BF_ROLE_DISCOVERYD]);
	w.slices.fds[BF_ROLE_DISCOVERYD] = config_of(how);
	assert_int_equal(crew_init(&w.crew, &w.slices, 2), 0);
	assert_int_equal(
	    admin_open(&w.admin, w.loop, &w.folders, &w.owner, &admin_events, NULL, NULL), 0);
	router_init(&r, &w.crew, &w.admin, &events, NULL);
	crew_start(&w.crew);
	WORLD_UNTIL(&w, world_all_ready(&w));
}

static int teardown(void **state)
{
	(void)state;
	world_done(&w);
	return 0;
}

static int dial(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unsigned before = admin_open_count(&w.admin);

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%.90s/control.sock", w.folders.runtime);
	assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	for (int i = 0; i < 20 && admin_open_count(&w.admin) == before; i++)
		world_run(&w, 5);
	return fd;
}

static void put(int fd, uint16_t type, uint16_t target, uint32_t request, uint8_t flags)
{
	static const struct bf_msg_hello hello = {.protocol = BF_FRAME_VERSION};
	struct bf_frame f = {.type = type,
			     .source = BF_ENDPOINT(BF_ROLE_CTL, 0),
			     .target = target,
			     .request = request,
			     .flags = flags,
			     .fd = -1};
	struct bf_buf body;

	bf_buf_init(&body, 4096);
	if (type == BF_MSG_HELLO && !(flags & BF_FRAME_CANCEL))
		assert_int_equal(bf_msg_encode(type, &hello, &body), 0);
	f.body = bf_buf_slice(&body);
	assert_int_equal(bf_frame_send_blocking(fd, &f, NULL), 0);
	bf_buf_done(&body);
}

/* The next frame; BF_E_CLOSED at the end, BF_E_TIMEOUT when nothing comes within ms. */
static int get(int fd, struct bf_frame *f, int ms)
{
	static uint8_t buf[BF_FRAME_MAX];
	int code = BF_E_TIMEOUT;

	for (int i = 0; i <= ms && code == BF_E_TIMEOUT; i += 5) {
		code = bf_frame_recv_blocking(fd, buf, 0, f, NULL);
		if (code == BF_E_TIMEOUT)
			world_run(&w, 5);
	}
	return code;
}

static int greet(void)
{
	struct bf_frame f;
	int fd = dial();

	put(fd, BF_MSG_HELLO, BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0), 1, 0);
	assert_int_equal(get(fd, &f, 5000), 0);
	assert_int_equal(f.type, BF_MSG_OK);
	return fd;
}

#define SUPERVISOR BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0)
#define DISCOVERYD BF_ENDPOINT(BF_ROLE_DISCOVERYD, 0)
#define WRITERD    BF_ENDPOINT(BF_ROLE_WRITERD, 0)

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

static void expect_error(int fd, int code)
{
	struct bf_msg_error e;
	struct bf_frame f;
	struct bf_arena arena;

	assert_int_equal(get(fd, &f, 5000), 0);
	assert_int_equal(f.type, BF_MSG_ERROR);
	assert_true(f.flags & BF_FRAME_ERROR);
	bf_arena_init(&arena, 65536);
	assert_int_equal(bf_msg_decode(f.type, f.body, &e, &arena, NULL), 0);
	assert_int_equal(e.code, code);
	bf_arena_done(&arena);
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

static unsigned traced(int fd, uint16_t type)
{
	unsigned n = 0;
	struct bf_frame f;

	while (get(fd, &f, 100) == 0) {
		struct bf_msg_traced t;
		struct bf_frame inner;
		struct bf_arena arena;

		if (f.type != BF_MSG_TRACED)
			continue;
		assert_true(f.flags & BF_FRAME_MORE);
		bf_arena_init(&arena, 200000);
		assert_int_equal(bf_msg_decode(f.type, f.body, &t, &arena, NULL), 0);
		assert_int_equal(bf_frame_decode(t.frame, -1, &inner, NULL), 0);
		n += inner.type == type;
		bf_arena_done(&arena);
	}
	return n;
}

static void test_trace(void **state)
{
	struct bf_frame f;
	int watcher, asker;

	(void)state;
	begin("obey");
	watcher = greet();
	asker = greet();
	put(watcher, BF_MSG_TRACE, SUPERVISOR, 9, 0);
	world_run(&w, 50);
	put(asker, BF_MSG_STATUS_GET, WRITERD, 1, 0);
	assert_int_equal(get(asker, &f, 5000), 0);
	(void)kill(crew_find(&w.crew, DISCOVERYD)->pid, SIGKILL);
	WORLD_UNTIL(&w, w.gone == 1);
	WORLD_UNTIL(&w, world_all_ready(&w));
	/* The question once, although it passed under two ids; then what the successor was sent. */
	put(asker, BF_MSG_STATUS_GET, DISCOVERYD, 2, 0);
	assert_int_equal(get(asker, &f, 5000), 0);
	assert_int_equal(traced(watcher, BF_MSG_STATUS_GET), 2);
	assert_int_equal(r.trace.count, 1);
	put(watcher, BF_MSG_TRACE, SUPERVISOR, 9, BF_FRAME_CANCEL);
	world_run(&w, 50);
	assert_int_equal(r.trace.count, 0);
	put(asker, BF_MSG_STATUS_GET, WRITERD, 3, 0);
	assert_int_equal(traced(watcher, BF_MSG_STATUS_GET), 0);
	/* A watcher that goes away is forgotten too. */
	put(watcher, BF_MSG_TRACE, SUPERVISOR, 10, 0);
	world_run(&w, 50);
	assert_int_equal(r.trace.count, 1);
	(void)close(watcher);
	world_run(&w, 50);
	assert_int_equal(r.trace.count, 0);
	(void)close(asker);
}

static void test_slow_watcher_is_dropped(void **state)
{
	char body[30000];
	struct bf_frame f = {.type = BF_MSG_STATUS, .body = {body, sizeof(body)}, .fd = -1};
	int fd;

	(void)state;
	begin("obey");
	fd = greet();
	memset(body, 0, sizeof(body));
	put(fd, BF_MSG_TRACE, SUPERVISOR, 9, 0);
	world_run(&w, 50);
	assert_int_equal(r.trace.count, 1);
	for (int i = 0; i < 2000 && r.trace.count; i++)
		trace_frame(&r.trace, &f, NULL);
	assert_int_equal(r.trace.count, 0);
	assert_int_equal(r.trace.dropped_readers, 1);
	/* The connection itself is whole: what waited is read, then the reason, and it may ask
	 * again. */
	while (get(fd, &f, 5000) == 0 && f.type == BF_MSG_TRACED)
		continue;
	assert_int_equal(f.type, BF_MSG_ERROR);
	put(fd, BF_MSG_STATUS_GET, WRITERD, 11, 0);
	assert_int_equal(get(fd, &f, 5000), 0);
	assert_int_equal(f.type, BF_MSG_OK);
	(void)close(fd);
}

static void test_longest_frame_is_cut_for_the_trace(void **state)
{
	static char body[BF_FRAME_MAX_BODY];
	struct bf_frame f = {.type = BF_MSG_STATUS, .body = {body, sizeof(body)}, .fd = -1};
	struct bf_frame got;
	int fd;

	(void)state;
	begin("obey");
	fd = greet();
	put(fd, BF_MSG_TRACE, SUPERVISOR, 9, 0);
	world_run(&w, 50);
	trace_frame(&r.trace, &f, NULL);
	assert_int_equal(get(fd, &got, 5000), 0);
	assert_int_equal(got.type, BF_MSG_TRACED);
	assert_true(got.body.len > BF_FRAME_MAX_BODY - 400);
	(void)close(fd);
}

static void test_one_trace_per_connection(void **state)
{
	struct trace t = {.admin = &w.admin};
	struct admin_ticket one = {.index = 3, .request = 1, .generation = 1},
			    nobody = {.index = 4};

	(void)state;
	assert_int_equal(trace_start(&t, &nobody), BF_E_MISSING);
	assert_int_equal(trace_start(&t, &one), 0);
	assert_int_equal(trace_start(&t, &one), BF_E_DUPLICATE);
	assert_int_equal(t.count, 1);
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
	    cmocka_unit_test_teardown(test_trace, teardown),
	    cmocka_unit_test_teardown(test_slow_watcher_is_dropped, teardown),
	    cmocka_unit_test_teardown(test_longest_frame_is_cut_for_the_trace, teardown),
	    cmocka_unit_test(test_one_trace_per_connection),
	};

	fake_child_main();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

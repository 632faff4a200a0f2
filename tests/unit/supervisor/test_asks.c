/* Questions of children to each other: channels whose far ends are the test's, and no processes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/ipc/messages.h"
#include "supervisor/asks.h"

#define OLD_WORKER 0
#define NEW_WORKER 1 /* holds the same endpoint while it replaces the other */
#define OTHER      2
#define READER     3
#define COUNT      4

static struct crew crew;
static struct asks asks;
static struct child children[COUNT];
static int far[COUNT];
static uint8_t bytes[BF_FRAME_MAX];

static void on_frame(struct bf_channel *c, struct bf_frame *f)
{
	asks_frame(&asks, c->owner, f);
}

static void on_closed(struct bf_channel *c, int code, const char *why)
{
	(void)c;
	(void)code;
	(void)why;
}

static void put_child(size_t i, enum bf_role role, uint32_t index)
{
	static const struct bf_channel_events events = {on_frame, on_closed};
	struct child *child = &children[i];
	int pair[2];

	memset(child, 0, sizeof(*child));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	far[i] = pair[1];
	child->crew = &crew;
	child->proc_slot = (uint32_t)i + 10;
	child->endpoint = BF_ENDPOINT(role, index);
	child->fsm.state = CHILD_READY;
	bf_list_init(&child->node);
	bf_list_append(&crew.children, &child->node);
	assert_int_equal(bf_channel_open(&child->channel, crew.loop, pair[0], &events, child, NULL),
			 0);
}

static void put_seat(uint32_t at, enum bf_role role, uint32_t index, struct child *serving)
{
	crew.seats[at] =
	    (struct seat){.crew = &crew, .row = plan_of(role), .index = index, .serving = serving};
	crew.seat_count = at + 1;
}

static int setup(void **state)
{
	(void)state;
	memset(&crew, 0, sizeof(crew));
	crew.loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	bf_list_init(&crew.children);
	put_child(OLD_WORKER, BF_ROLE_PROXYD, 0);
	put_child(NEW_WORKER, BF_ROLE_PROXYD, 0);
	put_child(OTHER, BF_ROLE_PROXYD, 1);
	put_child(READER, BF_ROLE_READER, 0);
	put_seat(0, BF_ROLE_PROXYD, 0, &children[NEW_WORKER]);
	put_seat(1, BF_ROLE_PROXYD, 1, &children[OTHER]);
	put_seat(2, BF_ROLE_READER, 0, &children[READER]);
	asks_init(&asks, &crew);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		bf_channel_close(&children[i].channel);
		(void)close(far[i]);
	}
	ev_loop_destroy(crew.loop);
	return 0;
}

static void turns(void)
{
	for (int i = 0; i < 10; i++)
		(void)ev_run(crew.loop, EVRUN_NOWAIT);
}

static void put(size_t from, uint16_t type, uint16_t target, uint32_t request, uint8_t flags,
		int fd, const char *body)
{
	const struct bf_frame f = {.flags = (uint8_t)(flags | (fd >= 0 ? BF_FRAME_FD : 0)),
				   .type = type,
				   .source = children[from].endpoint,
				   .target = target,
				   .request = request,
				   .body = bf_slice_from(body),
				   .fd = fd};

	assert_int_equal(bf_frame_send_blocking(far[from], &f, NULL), 0);
	turns();
}

static void ask(size_t from, uint32_t request)
{
	put(from, BF_MSG_LOGS_QUERY, children[READER].endpoint, request, 0, -1, "unread by us");
}

static void reply(uint32_t id, int fd)
{
	put(READER, BF_MSG_LOGS_RESULT, children[OLD_WORKER].endpoint, id, BF_FRAME_REPLY, fd, "n");
}

static struct bf_frame get(size_t at)
{
	struct bf_frame f;

	turns();
	assert_int_equal(bf_frame_recv_blocking(far[at], bytes, 0, &f, NULL), 0);
	return f;
}

static void nothing(size_t at)
{
	struct bf_frame f;

	turns();
	assert_int_equal(bf_frame_recv_blocking(far[at], bytes, 0, &f, NULL), BF_E_TIMEOUT);
}

static void expect_error(size_t at, uint32_t request, int code)
{
	struct bf_frame f = get(at);
	struct bf_msg_error m;
	struct bf_arena arena;

	assert_int_equal(f.type, BF_MSG_ERROR);
	assert_int_equal(f.request, request);
	assert_int_equal(f.target, children[at].endpoint);
	assert_int_equal(bf_msg_permitted(&f, NULL), 0);
	bf_arena_init(&arena, 1 << 16);
	assert_int_equal(bf_msg_decode(f.type, f.body, &m, &arena, NULL), 0);
	assert_int_equal(m.code, code);
	bf_arena_done(&arena);
}

static void test_equal_ids_and_equal_endpoints(void **state)
{
	struct bf_frame f;
	uint32_t ids[3];

	(void)state;
	for (size_t i = OLD_WORKER; i <= OTHER; i++) {
		ask(i, 7);
		f = get(READER);
		assert_int_equal(f.source, children[i].endpoint);
		assert_true(bf_slice_is(f.body, "unread by us"));
		ids[i] = f.request;
	}
	for (size_t i = OTHER + 1; i-- > OLD_WORKER;) {
		reply(ids[i], -1);
		f = get(i);
		assert_int_equal(f.type, BF_MSG_LOGS_RESULT);
		assert_int_equal(f.request, 7);
		assert_int_equal(f.target, children[i].endpoint);
	}
	for (size_t i = 0; i < COUNT; i++)
		nothing(i);
	/* Answered twice, or never asked. */
	reply(ids[0], -1);
	reply(12345, -1);
	for (size_t i = 0; i < COUNT; i++)
		nothing(i);
}

static void test_a_descriptor_goes_through(void **state)
{
	int fd = memfd_create("x", MFD_CLOEXEC);
	struct stat a, b;
	struct bf_frame f;

	(void)state;
	ask(OTHER, 1);
	f = get(READER);
	reply(f.request, fd);
	f = get(OTHER);
	assert_true(f.fd >= 0);
	assert_int_equal(fstat(fd, &a), 0);
	assert_int_equal(fstat(f.fd, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	(void)close(f.fd);
	(void)close(fd);
	/* None is left here. */
	ask(OTHER, 2);
	f = get(READER);
	fd = memfd_create("y", MFD_CLOEXEC);
	reply(f.request + 1, fd);
	assert_int_equal(memfd_create("z", MFD_CLOEXEC), fd + 1);
	(void)close(fd);
	(void)close(fd + 1);
}

static void test_parts(void **state)
{
	uint32_t id;

	(void)state;
	ask(OTHER, 3);
	id = get(READER).request;
	for (int part = 0; part < 3; part++) {
		put(READER, BF_MSG_LOGS_RESULT, children[OTHER].endpoint, id,
		    part < 2 ? BF_FRAME_REPLY | BF_FRAME_MORE : BF_FRAME_REPLY, -1, "n");
		assert_int_equal(get(OTHER).request, 3);
	}
	reply(id, -1);
	nothing(OTHER);
}

static void test_cancel(void **state)
{
	struct bf_frame f;
	uint32_t id;

	(void)state;
	ask(OTHER, 4);
	id = get(READER).request;
	put(NEW_WORKER, BF_MSG_LOGS_QUERY, children[READER].endpoint, 4, BF_FRAME_CANCEL, -1, "");
	nothing(READER);
	put(OTHER, BF_MSG_LOGS_QUERY, children[READER].endpoint, 4, BF_FRAME_CANCEL, -1, "");
	f = get(READER);
	assert_int_equal(f.flags, BF_FRAME_CANCEL);
	assert_int_equal(f.request, id);
	assert_int_equal(bf_msg_permitted(&f, NULL), 0);
	reply(id, -1);
	nothing(OTHER);
}

static void test_nobody_there(void **state)
{
	(void)state;
	crew.seats[2].serving = NULL;
	ask(OTHER, 5);
	expect_error(OTHER, 5, BF_E_CLOSED);
	crew.seats[2].serving = &children[READER];
	children[READER].fsm.state = CHILD_STARTING;
	ask(OTHER, 6);
	expect_error(OTHER, 6, BF_E_CLOSED);
	/* No answer is wanted: none is given, nothing is passed on. */
	children[READER].fsm.state = CHILD_READY;
	ask(OTHER, 0);
	nothing(READER);
	nothing(OTHER);
}

static void test_bounds(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= PENDING_MAX_OF_ONE; i++)
		ask(OTHER, i);
	ask(OTHER, 1000);
	expect_error(OTHER, 1000, BF_E_FULL);
	ask(OTHER, 1);
	expect_error(OTHER, 1, BF_E_DUPLICATE);
	/* Another worker is not held up by it. */
	ask(NEW_WORKER, 1);
	nothing(NEW_WORKER);
}

static void test_deaths(void **state)
{
	uint32_t id;

	(void)state;
	ask(OTHER, 8);
	ask(NEW_WORKER, 9);
	id = get(READER).request;
	bf_list_remove(&children[OTHER].node);
	asks_child_gone(&asks, &children[OTHER]);
	reply(id, -1);
	nothing(OTHER);
	asks_child_gone(&asks, &children[READER]);
	expect_error(NEW_WORKER, 9, BF_E_CLOSED);
	for (size_t i = 0; i < PENDING_MAX; i++)
		assert_int_equal(asks.pending.entries[i].id, 0);
}

static void test_silence(void **state)
{
	(void)state;
	ask(OTHER, 11);
	asks_tick(&asks);
	nothing(OTHER);
	for (size_t i = 0; i < PENDING_MAX; i++) {
		if (asks.pending.entries[i].id)
			asks.pending.entries[i].deadline_mono_ms = bf_mono_ms();
	}
	asks_tick(&asks);
	expect_error(OTHER, 11, BF_E_TIMEOUT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_equal_ids_and_equal_endpoints),
	    TEST(test_a_descriptor_goes_through),
	    TEST(test_parts),
	    TEST(test_cancel),
	    TEST(test_nobody_there),
	    TEST(test_bounds),
	    TEST(test_deaths),
	    TEST(test_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

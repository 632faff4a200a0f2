/* A router with its crew and its control socket, and bifrostctl's side of it. Only for tests. */
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include "supervisor/router.h"
#include "world.h"

static struct world w;
static struct router r;
static unsigned questions, bad_frames;
static struct bf_frame last_question;

static inline void child_frame(struct world *world, struct child *child, struct bf_frame *f)
{
	(void)world;
	router_from_child(&r, child, f);
}

static inline void ctl_frame(void *owner, struct admin_connection *c, struct bf_frame *f)
{
	(void)owner;
	router_from_ctl(&r, c, f);
}

static inline void ctl_closed(void *owner, struct admin_connection *c)
{
	(void)owner;
	router_ctl_gone(&r, c);
}

static const struct admin_events admin_events = {.on_frame = ctl_frame, .on_closed = ctl_closed};

static inline void on_question(void *owner, struct admin_connection *c, struct bf_frame *f)
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

static inline void on_bad_frame(void *owner)
{
	(void)owner;
	bad_frames++;
}

static inline void on_snapshot(void *owner, struct child *child, struct bf_frame *f)
{
	(void)owner;
	(void)child;
	(void)f;
}

static const struct router_events events = {
    .on_question = on_question, .on_snapshot = on_snapshot, .on_bad_frame = on_bad_frame};

static inline void on_gone(void *owner, struct child *child, int wait_status)
{
	world_on_gone(owner, child, wait_status);
	router_child_gone(&r, child);
}

static inline void on_sent(void *owner, const struct bf_frame *f)
{
	world_on_sent(owner, f);
	trace_frame(&r.trace, f, NULL);
}

static struct crew_events crew_events;

/* writerd does what how says. */
static inline void begin(const char *how)
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

static inline int teardown(void **state)
{
	(void)state;
	world_done(&w);
	return 0;
}

static inline int dial(void)
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

static inline void put(int fd, uint16_t type, uint16_t target, uint32_t request, uint8_t flags)
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
static inline int get(int fd, struct bf_frame *f, int ms)
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

static inline int greet(void)
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

static inline void expect_error(int fd, int code)
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

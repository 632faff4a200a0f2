/*
 * A supervisor that says what a test wrote into its script, in a thread of its own on a real
 * control.sock, and a way to run bifrostctl against it. The thread never asserts: it notes the
 * first thing that went wrong, and the test looks at the end.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/macros.h"
#include "common/codec/json_tape.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages.h"
#include "ctl/ctl.h"
#include "tests/support/fd_count.h"

#define FAKE_SUPERVISOR BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0)
#define FAKE_CTL        BF_ENDPOINT(BF_ROLE_CTL, 5) /* the index a supervisor would have given */
#define FAKE_WAIT_MS    5000

struct fake {
	char dir[200]; /* --runtime-dir */
	char socket[256];
	int listener, conn;
	bool running;
	pthread_t thread;
	void (*script)(struct fake *f);
	uint8_t buf[BF_FRAME_MAX];
	struct bf_arena arena;
	char trouble[256]; /* "" when all went as written */
	int fds_before;
	/* Of the last run of bifrostctl. */
	char *out, *err;
	int code;
};

static inline void fake_trouble(struct fake *f, const char *what, unsigned number)
{
	if (!f->trouble[0])
		(void)snprintf(f->trouble, sizeof(f->trouble), "%s %u", what, number);
}

/* The next frame; its type must be this one. message may be NULL. */
static inline struct bf_frame fake_expect(struct fake *f, uint16_t type, void *message)
{
	struct bf_frame frame = {.type = 0, .fd = -1};

	if (f->trouble[0])
		return frame;
	int r = bf_frame_recv_blocking(f->conn, f->buf, FAKE_WAIT_MS, &frame, NULL);
	if (r < 0)
		fake_trouble(f, "nothing came instead of message", type);
	else if (frame.type != type)
		fake_trouble(f, "expected another message than", frame.type);
	else if (bf_msg_permitted(&frame, NULL) < 0)
		fake_trouble(f, "not permitted: message", type);
	else if (message && bf_msg_decode(type, frame.body, message, &f->arena, NULL) < 0)
		fake_trouble(f, "undecodable message", type);
	return frame;
}

static inline void fake_send(struct fake *f, uint16_t type, uint16_t source, uint32_t request,
			     uint8_t flags, const void *message)
{
	struct bf_buf body;

	bf_buf_init(&body, BF_FRAME_MAX_BODY);
	if (bf_msg_encode(type, message, &body) < 0)
		fake_trouble(f, "unencodable message", type);
	struct bf_frame frame = {
	    .flags = flags,
	    .type = type,
	    .source = source,
	    .target = FAKE_CTL,
	    .request = request,
	    .body = bf_buf_slice(&body),
	    .fd = -1,
	};
	if (!f->trouble[0] && bf_frame_send_blocking(f->conn, &frame, NULL) < 0)
		fake_trouble(f, "could not send message", type);
	bf_buf_done(&body);
}

static inline void fake_reply(struct fake *f, const struct bf_frame *to, uint16_t type,
			      const void *message, bool more)
{
	unsigned flags = BF_FRAME_REPLY;

	if (more)
		flags |= BF_FRAME_MORE;
	if (type == BF_MSG_ERROR)
		flags |= BF_FRAME_ERROR;
	fake_send(f, type, FAKE_SUPERVISOR, to->request, (uint8_t)flags, message);
}

static inline void fake_refuse(struct fake *f, const struct bf_frame *to, int code,
			       const char *text)
{
	struct bf_msg_error error = {code, bf_slice_from(text)};

	fake_reply(f, to, BF_MSG_ERROR, &error, false);
}

static inline void fake_greet(struct fake *f)
{
	struct bf_msg_hello hello;
	struct bf_frame frame = fake_expect(f, BF_MSG_HELLO, &hello);

	if (frame.type == BF_MSG_HELLO && hello.protocol != BF_FRAME_VERSION)
		fake_trouble(f, "hello of protocol", (unsigned)hello.protocol);
	fake_reply(f, &frame, BF_MSG_OK, NULL, false);
}

/* Waits until bifrostctl is gone: closing first would race with what it still sends. */
static inline void fake_expect_end(struct fake *f)
{
	struct bf_frame frame;

	if (f->trouble[0])
		return;
	if (bf_frame_recv_blocking(f->conn, f->buf, FAKE_WAIT_MS, &frame, NULL) != BF_E_CLOSED)
		fake_trouble(f, "more came than was expected", 0);
}

static inline void *fake_main(void *arg)
{
	struct fake *f = arg;

	f->conn = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	if (f->conn < 0) {
		fake_trouble(f, "accept", 0);
		return NULL;
	}
	f->script(f);
	(void)close(f->conn);
	f->conn = -1;
	return NULL;
}

static inline int fake_setup(void **state)
{
	struct fake *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	f->fds_before = fd_count();
	f->listener = f->conn = -1;
	bf_arena_init(&f->arena, 1 << 20);
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/bifrost-ctl-XXXXXX");
	*state = f;
	return mkdtemp(f->dir) ? 0 : -1;
}

static inline void fake_listen(struct fake *f)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	(void)snprintf(f->socket, sizeof(f->socket), "%s/control.sock", f->dir);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%.100s", f->socket);
	f->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->listener, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(f->listener, 4), 0);
}

static inline void fake_start(struct fake *f, void (*script)(struct fake *f))
{
	f->script = script;
	if (f->listener < 0)
		fake_listen(f);
	assert_int_equal(pthread_create(&f->thread, NULL, fake_main, f), 0);
	f->running = true;
}

static inline void fake_join(struct fake *f)
{
	if (f->running)
		(void)pthread_join(f->thread, NULL);
	f->running = false;
	assert_string_equal(f->trouble, "");
}

static inline int fake_teardown(void **state)
{
	struct fake *f = *state;
	char path[280];

	if (f->running)
		(void)pthread_join(f->thread, NULL);
	if (f->listener >= 0)
		(void)close(f->listener);
	static const char *const files[] = {"control.sock", "segment", "bifrost-config"};
	for (size_t i = 0; i < BF_ARRAY_LEN(files); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", f->dir, files[i]);
		(void)unlink(path);
	}
	(void)rmdir(f->dir);
	free(f->out);
	free(f->err);
	bf_arena_done(&f->arena);
	int leaked = fd_count() - f->fds_before;
	free(f);
	return leaked == 0 ? 0 : -1;
}

/* Runs bifrostctl with up to six words; its exit code, and its output in f->out and f->err. */
static inline int fake_ctl(struct fake *f, const char *a, const char *b, const char *c,
			   const char *d)
{
	const char *words[] = {"bifrostctl", "--runtime-dir", f->dir, a, b, c, d};
	char copies[BF_ARRAY_LEN(words)][256];
	char *argv[BF_ARRAY_LEN(words) + 1] = {NULL};
	size_t out_len, err_len;
	int argc = 0;

	for (size_t i = 0; i < BF_ARRAY_LEN(words) && words[i]; i++) {
		(void)snprintf(copies[i], sizeof(copies[i]), "%s", words[i]);
		argv[argc++] = copies[i];
	}
	free(f->out);
	free(f->err);
	FILE *out = open_memstream(&f->out, &out_len);
	FILE *err = open_memstream(&f->err, &err_len);
	assert_non_null(out);
	assert_non_null(err);
	f->code = ctl_run(argc, argv, out, err);
	(void)fclose(out);
	(void)fclose(err);
	return f->code;
}

static inline bool fake_says(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

/* One line, ended, that begins with the name of the program. */
static inline bool fake_one_line(const char *err)
{
	const char *end = strchr(err, '\n');

	return end && end[1] == '\0' && strncmp(err, "bifrostctl: ", 12) == 0;
}

/* The output must be JSON, whole, one object. */
static inline struct bf_json_tape fake_json(struct fake *f)
{
	struct bf_json_tape tape = {.count = 0};
	struct bf_err err = {0};

	int r =
	    bf_json_parse(&tape, bf_slice_from(f->out), &f->arena, &bf_json_default_limits, &err);
	assert_string_equal(err.text, "");
	assert_int_equal(r, 0);
	assert_int_equal(tape.tokens[0].type, BF_JSON_OBJECT);
	return tape;
}

#define WITH_FAKE(test) cmocka_unit_test_setup_teardown(test, fake_setup, fake_teardown)

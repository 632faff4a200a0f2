/* A worker whose control channel ends in the test, which plays supervisor and reader. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/proc/fds.h"
#include "proxyd/ask.h"
#include "shm/metrics.h"
#include "tests/unit/proxyd/harness.h"

#define ASKER_ME     BF_ENDPOINT(BF_ROLE_PROXYD, 0)
#define ASKER_READER BF_ENDPOINT(BF_ROLE_READER, 0)

struct asker {
	struct harness h;
	struct bf_channel channel;
	struct ask_table table;
	int far; /* the other end */
	uint8_t bytes[BF_FRAME_MAX];
};

static inline void asker_on_frame(struct bf_channel *c, struct bf_frame *f)
{
	struct asker *a = c->owner;
	struct bf_arena arena;
	struct bf_err err = {0};
	union {
		struct bf_msg_logs_result result;
		struct bf_msg_entity_result entity;
		struct bf_msg_error error;
	} m;

	bf_arena_init(&arena, 1 << 20);
	assert_int_equal(bf_msg_permitted(f, &err), 0);
	assert_int_equal(bf_msg_decode(f->type, f->body, &m, &arena, &err), 0);
	if (f->type == BF_MSG_ERROR)
		ask_error(&a->table, f->request, &m.error);
	else if (f->type == BF_MSG_ENTITY_RESULT)
		ask_entity_result(&a->table, f->request, &m.entity, f->fd);
	else
		ask_logs_result(&a->table, f->request, &m.result, f->fd);
	bf_arena_done(&arena);
}

static inline void asker_on_closed(struct bf_channel *c, int code, const char *why)
{
	(void)c;
	(void)code;
	(void)why;
}

/* tweak: of the configuration; NULL: as harness_open() has it. */
static inline void asker_open_with(struct asker *a, void (*tweak)(struct bf_config *config))
{
	static const struct bf_channel_events events = {asker_on_frame, asker_on_closed};
	struct bf_err err = {0};
	int pair[2];

	memset(a, 0, sizeof(*a));
	harness_open(&a->h, tweak);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	a->far = pair[1];
	assert_int_equal(bf_channel_open(&a->channel, a->h.loop, pair[0], &events, a, &err), 0);
	ask_open(&a->table, &a->h.w, &a->channel, ASKER_ME);
}

static inline void asker_open(struct asker *a)
{
	asker_open_with(a, NULL);
}

static inline void asker_close(struct asker *a)
{
	ask_close(&a->table);
	bf_channel_close(&a->channel);
	(void)close(a->far);
	harness_close(&a->h);
}

/* The next frame the worker sent; BF_E_TIMEOUT when there is none. */
static inline int asker_get(struct asker *a, struct bf_frame *f)
{
	struct bf_err err = {0};

	harness_turns(&a->h, 5);
	return bf_frame_recv_blocking(a->far, a->bytes, 0, f, &err);
}

static inline void asker_put(struct asker *a, uint16_t type, uint32_t request, uint8_t flags,
			     const void *message, int fd)
{
	struct bf_err err = {0};
	struct bf_buf body;

	bf_buf_init(&body, BF_FRAME_MAX_BODY);
	assert_int_equal(bf_msg_encode(type, message, &body), 0);
	struct bf_frame f = {.flags =
				 (uint8_t)(BF_FRAME_REPLY | flags | (fd >= 0 ? BF_FRAME_FD : 0)),
			     .type = type,
			     .source = ASKER_READER,
			     .target = ASKER_ME,
			     .request = request,
			     .body = bf_buf_slice(&body),
			     .fd = fd};
	assert_int_equal(bf_frame_send_blocking(a->far, &f, &err), 0);
	bf_buf_done(&body);
	harness_turns(&a->h, 5);
}

/* An answer of the reader that holds text. */
static inline void asker_answer(struct asker *a, uint32_t request, const char *text, size_t len)
{
	struct bf_msg_logs_result m = {.size = len};
	int fd = bf_memfd_sealed("answer", text, len);

	assert_true(fd >= 0);
	asker_put(a, BF_MSG_LOGS_RESULT, request, 0, &m, fd);
	(void)close(fd);
}

/* An answer of writerd, or of the reader to a question about entities. */
static inline void asker_answer_change(struct asker *a, uint32_t request, int http_status,
				       const char *text)
{
	struct bf_msg_entity_result m = {
	    .status = (uint64_t)http_status, .version = 7, .size = strlen(text)};
	int fd = bf_memfd_sealed("answer", text, strlen(text));

	assert_true(fd >= 0);
	asker_put(a, BF_MSG_ENTITY_RESULT, request, 0, &m, fd);
	(void)close(fd);
}

static inline void asker_fail(struct asker *a, uint32_t request, int code, const char *text)
{
	struct bf_msg_error m = {.code = code, .text = bf_slice_from(text)};

	asker_put(a, BF_MSG_ERROR, request, BF_FRAME_ERROR, &m, -1);
}

static inline int64_t asker_metric(const struct asker *a, enum shm_metric m)
{
	return (int64_t)shm_metric_sum(&a->h.seg, m);
}

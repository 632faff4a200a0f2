/*
 * A registry with its queue of changes, a store in a folder of its own, and the other end of its
 * channel: a supervisor that maps what it is given and answers as it was told to. For the tests of
 * entities only.
 */
#pragma once

#include "tests/unit/writerd/crafted.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "common/base/macros.h"
#include "common/crypt/seal.h"
#include "common/ipc/messages.h"
#include "common/proc/fds.h"
#include "common/schema/load.h"
#include "common/snapshot/snapshot.h"
#include "writerd/change/changes.h"

enum bed_mood {
	BED_TAKES,
	BED_REFUSES,
	BED_SILENT,
	BED_MUTE, /* takes, and does not say so */
};

struct bed {
	struct crafted c;
	uint32_t slot;
	char path[96];
	struct ev_loop *loop;
	struct bf_child child;
	int supervisor; /* its end of the channel */
	struct bf_arena arena;
	struct bf_config config;
	struct registry r;
	struct bf_err start_err; /* of registry_start() */
	struct changes changes;
	enum bed_mood mood;
	/* What was given last, and what is in force. */
	struct bf_snapshot_blob *base, *overlay, *next_base;
	uint32_t bases, overlays;
	/* The last answer. */
	uint32_t answers;
	uint64_t status, version;
	char json[65536];
	uint32_t request;
};

static inline const char *bed_get_env(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return NULL;
}

static inline int bed_read_file(void *ctx, const char *path, struct bf_arena *arena,
				struct bf_slice *ret_text)
{
	(void)ctx;
	(void)path;
	(void)arena;
	(void)ret_text;
	return -ENOENT;
}

/* As writerd's slice has it. */
static inline void bed_configure(struct bed *b, const char *yaml)
{
	static const struct bf_config_env env = {bed_get_env, bed_read_file, NULL};
	struct bf_config whole;
	struct bf_diags diags;
	struct bf_buf bytes;
	struct bf_err err = {0};

	bf_buf_init(&bytes, 64 << 20);
	if (bf_config_load(BF_SLICE_LIT("x.yaml"), bf_slice_from(yaml), &env, &b->arena, &whole,
			   &diags) < 0) {
		assert_int_equal(bf_diags_print(&diags, &bytes), 0);
		fail_msg("%.*s", BF_SLICE_FMT(bf_buf_slice(&bytes)));
	}
	assert_int_equal(bf_table_encode_mp(&bf_config_table, &whole, BF_FOR_WRITERD, &bytes), 0);
	if (bf_table_decode_mp(&bf_config_table, &b->config, bf_buf_slice(&bytes), &b->arena,
			       &err) < 0)
		fail_msg("%s", err.text);
	bf_buf_done(&bytes);
}

/* ---- the supervisor */

static inline void bed_map(struct bed *b, const struct bf_frame *f, struct bf_snapshot_blob **place)
{
	struct bf_err err = {0};

	bf_snapshot_unmap(*place);
	*place = NULL;
	if (bf_snapshot_map(f->fd, place, &err) < 0)
		fail_msg("%s", err.text);
	(void)close(f->fd);
	(void)b;
}

static inline void bed_reply(struct bed *b, const struct bf_frame *f)
{
	const struct bf_frame reply = {.flags = BF_FRAME_REPLY,
				       .type = b->mood == BED_TAKES ? BF_MSG_SNAPSHOT_TAKEN
								    : BF_MSG_SNAPSHOT_REFUSED,
				       .source = BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0),
				       .target = f->source,
				       .request = f->request,
				       .fd = -1};

	if (b->mood != BED_SILENT && b->mood != BED_MUTE)
		assert_int_equal(bf_frame_send_blocking(b->supervisor, &reply, NULL), 0);
}

static inline void bed_on_overlay(struct bed *b, const struct bf_frame *f)
{
	struct bf_snapshot_blob *overlay = NULL;

	b->overlays++;
	bed_map(b, f, &overlay);
	assert_true(bf_snapshot_is_overlay(overlay));
	assert_true(bf_snapshot_base_id(overlay) ==
		    bf_snapshot_base_id(b->next_base ? b->next_base : b->base));
	bed_reply(b, f);
	if (b->mood != BED_TAKES && b->mood != BED_MUTE) {
		bf_snapshot_unmap(overlay);
		bf_snapshot_unmap(b->next_base);
		b->next_base = NULL;
		return;
	}
	bf_snapshot_unmap(b->overlay);
	b->overlay = overlay;
	if (b->next_base) {
		bf_snapshot_unmap(b->base);
		b->base = b->next_base;
		b->next_base = NULL;
	}
}

static inline void bed_on_result(struct bed *b, const struct bf_frame *f)
{
	struct bf_msg_entity_result m;
	struct bf_arena arena;
	struct bf_err err = {0};

	bf_arena_init(&arena, 1 << 16);
	assert_int_equal(bf_msg_decode(BF_MSG_ENTITY_RESULT, f->body, &m, &arena, &err), 0);
	bf_arena_done(&arena);
	assert_true(m.size < sizeof(b->json));
	assert_int_equal(pread(f->fd, b->json, m.size, 0), (ssize_t)m.size);
	b->json[m.size] = '\0';
	(void)close(f->fd);
	b->status = m.status;
	b->version = m.version;
	b->answers++;
}

static inline bool bed_hear(struct bed *b)
{
	static uint8_t buf[BF_FRAME_MAX];
	struct bf_frame f;

	if (bf_frame_recv_blocking(b->supervisor, buf, 0, &f, NULL) < 0)
		return false;
	assert_int_equal(bf_msg_permitted(&f, NULL), 0);
	if (f.type == BF_MSG_SNAPSHOT_BASE) {
		b->bases++;
		bed_map(b, &f, &b->next_base);
		assert_false(bf_snapshot_is_overlay(b->next_base));
	} else if (f.type == BF_MSG_SNAPSHOT_OVERLAY) {
		bed_on_overlay(b, &f);
	} else if (f.type == BF_MSG_OK || f.type == BF_MSG_ERROR) {
		b->status = f.type;
		b->answers++;
	} else {
		assert_int_equal(f.type, BF_MSG_ENTITY_RESULT);
		bed_on_result(b, &f);
	}
	return true;
}

/* ---- our end */

static inline void bed_on_frame(struct bf_channel *c, struct bf_frame *f)
{
	struct bed *b = c->owner;

	publish_answered(&b->r.publish, f->request, f->type == BF_MSG_SNAPSHOT_TAKEN);
}

static inline void bed_on_closed(struct bf_channel *c, int code, const char *why)
{
	(void)c;
	(void)code;
	fail_msg("%s", why);
}

static inline void bed_on_published(void *owner, int code, const char *why)
{
	struct bed *b = owner;

	changes_published(&b->changes, code, why);
}

/* Until nothing moves any more. */
static inline void bed_settle(struct bed *b)
{
	for (int quiet = 0; quiet < 3;) {
		ev_run(b->loop, EVRUN_NOWAIT);
		if (bed_hear(b) || b->r.publish.base == PUBLISH_BASE_WALKS)
			quiet = 0;
		else
			quiet++;
	}
}

static inline void bed_start(struct bed *b)
{
	b->r = (struct registry){.config = &b->config,
				 .path = b->config.config_store.enabled ? b->path : NULL,
				 .state_dir = b->c.folder,
				 .seg = &b->c.seg,
				 .proc_slot = b->slot,
				 .on_published = bed_on_published,
				 .owner = b};
	changes_init(&b->changes, &b->child, &b->r);
	b->start_err = (struct bf_err){0};
	(void)registry_start(&b->r, b->loop, &b->child.channel, b->child.endpoint, &b->start_err);
	bed_settle(b);
}

/* As if the process had ended, or been killed: nothing is said to anybody. */
static inline void bed_stop(struct bed *b)
{
	changes_done(&b->changes);
	registry_done(&b->r);
	while (bed_hear(b))
		continue;
}

static inline void bed_open(struct bed *b, const char *yaml)
{
	static const struct bf_channel_events events = {.on_frame = bed_on_frame,
							.on_closed = bed_on_closed};
	int fds[2];

	memset(b, 0, sizeof(*b));
	crafted_init(&b->c);
	b->slot = crafted_worker(&b->c);
	(void)snprintf(b->path, sizeof(b->path), "%s/config.db", b->c.folder);
	bf_arena_init(&b->arena, (size_t)256 << 20);
	b->loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	b->supervisor = fds[1];
	b->child.loop = b->loop;
	b->child.endpoint = BF_ENDPOINT(BF_ROLE_WRITERD, 0);
	assert_int_equal(bf_channel_open(&b->child.channel, b->loop, fds[0], &events, b, NULL), 0);
	bed_configure(b, yaml);
	bed_start(b);
}

static inline void bed_close(struct bed *b)
{
	bed_stop(b);
	bf_channel_close(&b->child.channel);
	(void)close(b->supervisor);
	ev_loop_destroy(b->loop);
	bf_snapshot_unmap(b->base);
	bf_snapshot_unmap(b->overlay);
	bf_snapshot_unmap(b->next_base);
	bf_arena_done(&b->arena);
	crafted_done(&b->c);
}

/* A new process with this configuration. */
static inline void bed_again(struct bed *b, const char *yaml)
{
	bed_stop(b);
	bed_configure(b, yaml);
	bed_start(b);
}

#include "tests/unit/writerd/entities_ask.h"

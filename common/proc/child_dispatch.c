/*
 * What a child does with a control frame: permission, decoding by table, the handler of its type;
 * HELLO, STOP and STATUS_GET are answered here. Called by the channel, from the loop. Its only peer
 * is the supervisor: a frame that may not be there means the two do not understand each other, and
 * the child leaves.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/proc/child_priv.h"
#include "common/proc/contract.h"

#define STATUS_VALUE_MAX 512u

void bf_status_add(struct bf_array *items, struct bf_arena *arena, const char *name,
		   const char *fmt, ...)
{
	struct bf_msg_status_item *list = items->items;
	char value[STATUS_VALUE_MAX + 1];
	struct bf_msg_status_item item;
	va_list ap;

	if (items->count >= BF_STATUS_MAX_ITEMS)
		return;
	if (list == NULL)
		list = bf_arena_alloc(arena, BF_STATUS_MAX_ITEMS * sizeof(*list));
	va_start(ap, fmt);
	(void)vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	item.name = bf_arena_dup(arena, bf_slice_from(name));
	item.value = bf_arena_dup(arena, bf_slice_from(value));
	if (list == NULL || item.name.ptr == NULL || item.value.ptr == NULL)
		return;
	list[items->count++] = item;
	items->items = list;
}

static void add_sandbox(const struct bf_sandbox_report *s, struct bf_array *items,
			struct bf_arena *arena)
{
	bf_status_add(
	    items, arena, "sandbox", "seccomp%s%s%s", s->landlock_files ? " landlock-files" : "",
	    s->landlock_net ? " landlock-net" : "", s->landlock_scope ? " landlock-scope" : "");
	bf_status_add(items, arena, "landlock_abi", "%d", s->landlock_abi);
}

static void answer_status(struct bf_child *child, struct bf_frame *f)
{
	struct bf_msg_status status = {0};
	struct bf_arena *arena = &child->scratch;
	char name[24];
	int r;

	status.process = bf_slice_from(bf_endpoint_format(child->endpoint, name));
	status.pid = (uint64_t)getpid();
	status.uptime_ms = bf_mono_ms() - child->started_mono_ms;
	bf_status_add(&status.items, arena, "version", "%s", bf_version());
	bf_status_add(&status.items, arena, "build", "%s", bf_build_id());
	bf_status_add(&status.items, arena, "proc_slot", "%u", child->proc_slot);
	add_sandbox(&child->sandbox, &status.items, arena);
	if (child->spec->status != NULL)
		child->spec->status(child, &status.items, arena);
	r = bf_channel_reply(&child->channel, f, BF_MSG_STATUS, &status, false);
	if (r == BF_E_LIMIT)
		(void)bf_channel_reply_error(&child->channel, f, r, "status: longer than a frame");
}

static void answer_hello(struct bf_child *child, const struct bf_msg_hello *hello)
{
	uint64_t layout = child->spec->layout_version;

	if (hello->protocol != BF_FRAME_VERSION || !bf_slice_is(hello->build_id, bf_build_id()) ||
	    (layout != 0 && hello->layout_version != layout)) {
		bf_log(BF_LOG_ERROR, "version_mismatch",
		       "supervisor=%.*s child=%s layout=%llu want=%llu hint=%s",
		       BF_SLICE_FMT(hello->build_id), bf_build_id(),
		       (unsigned long long)hello->layout_version, (unsigned long long)layout,
		       "\"two builds are mixed: restart the supervisor\"");
		bf_child_leave(child, BF_EXIT_VERSION);
		return;
	}
	bf_child_begin(child);
}

static void refuse(struct bf_child *child, const struct bf_frame *f, const char *why)
{
	bf_log(BF_LOG_ERROR, "bad_frame", "type=%u why=%s", f->type, bf_log_quote(why));
	bf_child_leave(child, BF_EXIT_FAILED);
}

static const struct bf_child_handler *find_handler(const struct bf_child *child, uint16_t type)
{
	const struct bf_child_handler *h = child->spec->handlers;

	while (h != NULL && h->type != BF_MSG_NONE && h->type != type)
		h++;
	return h != NULL && h->type == type ? h : NULL;
}

static void run_handler(struct bf_child *child, struct bf_frame *f, const void *message)
{
	const struct bf_child_handler *h = find_handler(child, f->type);

	switch (f->type) {
	case BF_MSG_HELLO:
		refuse(child, f, "a second hello");
		return;
	case BF_MSG_STOP:
		bf_child_leave(child, BF_EXIT_OK);
		return;
	case BF_MSG_STATUS_GET:
		answer_status(child, f);
		return;
	default:
		break;
	}
	if (h != NULL)
		h->handle(child, f, message);
	else
		(void)bf_channel_reply_error(&child->channel, f, BF_E_UNKNOWN,
					     "this process does not answer it");
}

static void decode_and_run(struct bf_child *child, struct bf_frame *f, const struct bf_msg_def *def)
{
	struct bf_err err = {0};
	void *message = NULL;

	if (def->body != NULL) {
		message = bf_arena_alloc(&child->scratch, def->body->size);
		if (message == NULL) {
			refuse(child, f, "no memory to decode it");
			return;
		}
	}
	if (bf_msg_decode(f->type, f->body, message, &child->scratch, &err) < 0) {
		refuse(child, f, err.text);
		return;
	}
	if (child->phase == BF_CHILD_RUNNING)
		run_handler(child, f, message);
	else if (f->type == BF_MSG_HELLO)
		answer_hello(child, message);
	else
		refuse(child, f, "the first message must be hello");
}

static void on_frame(struct bf_channel *c, struct bf_frame *f)
{
	struct bf_child *child = c->owner;
	struct bf_err err = {0};

	if (child->phase == BF_CHILD_LEAVING)
		return;
	if (bf_msg_permitted(f, &err) < 0) {
		refuse(child, f, err.text);
		return;
	}
	if (f->target != child->endpoint) {
		refuse(child, f, "meant for another process");
		return;
	}
	if (f->flags & BF_FRAME_CANCEL) {
		if (child->phase == BF_CHILD_RUNNING && child->spec->cancelled != NULL)
			child->spec->cancelled(child, f->source, f->request);
		return;
	}
	decode_and_run(child, f, bf_msg_def(f->type));
	bf_arena_reset(&child->scratch);
}

static void on_closed(struct bf_channel *c, int code, const char *why)
{
	struct bf_child *child = c->owner;

	bf_deathwatch_start();
	child->orphaned = true;
	bf_log(code == 0 ? BF_LOG_WARN : BF_LOG_ERROR, "channel_closed", "code=%d why=%s", code,
	       bf_log_quote(why));
	bf_child_leave(child, code == 0 ? BF_EXIT_OK : BF_EXIT_FAILED);
}

const struct bf_channel_events bf_child_events = {.on_frame = on_frame, .on_closed = on_closed};

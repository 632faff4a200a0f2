/*
 * The queue of changes and their answers. Called by control.c and, when a flip is over, by main.c.
 * Must never say that something is done which the next writerd would not find.
 */
#include "writerd/change/changes.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/macros.h"
#include "common/base/nodump.h"
#include "common/ipc/messages.h"
#include "common/log/log.h"
#include "common/proc/fds.h"
#include "shm/metrics.h"

struct change_item {
	struct bf_list node;
	uint16_t asker;
	uint32_t request;
	bool gone; /* nobody waits for the answer */
	struct change_answer answer;
	size_t bytes; /* of this block */
	size_t len;
	char body[]; /* of the frame, as it came: it may hold keys */
};

/* ---- items */

static struct change_item *item_of(struct bf_list *node)
{
	return BF_CONTAINER_OF(node, struct change_item, node);
}

static void forget(struct change_item *i)
{
	bf_list_remove(&i->node);
	bf_buf_done(&i->answer.json);
	bf_nodump_free(i, i->bytes);
}

static struct change_item *keep(const struct bf_frame *f)
{
	size_t bytes = sizeof(struct change_item) + f->body.len;
	struct change_item *i = bf_nodump_alloc(&bytes);

	if (!i)
		return NULL;
	bf_list_init(&i->node);
	i->asker = f->source;
	i->request = f->request;
	i->bytes = bytes;
	i->len = f->body.len;
	if (f->body.len)
		memcpy(i->body, f->body.ptr, f->body.len);
	bf_buf_init_nodump(&i->answer.json, CHANGE_ANSWER_MAX);
	return i;
}

/* ---- answers */

static int send_result(struct changes *c, const struct change_item *i, int fd, uint64_t size)
{
	const struct bf_msg_entity_result message = {
	    .status = (uint64_t)i->answer.http_status, .version = i->answer.version, .size = size};
	struct bf_buf body;
	int r;

	bf_buf_init(&body, BF_FRAME_MAX_BODY);
	r = bf_msg_encode(BF_MSG_ENTITY_RESULT, &message, &body);
	if (r == 0) {
		const struct bf_frame f = {.flags = BF_FRAME_REPLY,
					   .type = BF_MSG_ENTITY_RESULT,
					   .source = c->child->endpoint,
					   .target = i->asker,
					   .request = i->request,
					   .body = bf_buf_slice(&body),
					   .fd = fd};

		r = bf_channel_send(&c->child->channel, &f);
	}
	bf_buf_done(&body);
	return r;
}

static void answer(struct changes *c, struct change_item *i)
{
	struct bf_slice json = bf_buf_slice(&i->answer.json);
	int fd = i->gone ? -1 : bf_memfd_sealed("bifrost-change", json.ptr, json.len);

	c->answered++;
	c->refused += i->answer.http_status >= 400;
	shm_metric_add(c->r->seg, c->r->proc_slot, SHM_M_ENTITY_CHANGES, 1);
	if (!i->gone && (fd < 0 || send_result(c, i, fd, json.len) < 0))
		bf_log(BF_LOG_WARN, "change_not_answered", "status=%d", i->answer.http_status);
	if (fd >= 0)
		(void)close(fd);
	forget(i);
}

static void answer_all(struct changes *c, const char *type, const char *why)
{
	while (!bf_list_empty(&c->flying)) {
		struct change_item *i = item_of(c->flying.next);

		if (type)
			change_refuse(&i->answer, 503, type, why);
		answer(c, i);
	}
}

/* ---- groups */

static bool is_reset(const struct bf_msg_entity_change *ask)
{
	return ask->action == BF_ENTITY_RESET_USAGE;
}

/* resets: where those go that wait for the end of the group; NULL: it is over. */
static void apply(struct changes *c, struct change_item *i, struct bf_arena *arena,
		  struct bf_list *resets)
{
	struct bf_msg_entity_change ask;
	struct bf_err err = {0};

	bf_list_remove(&i->node);
	if (bf_msg_decode(BF_MSG_ENTITY_CHANGE, (struct bf_slice){i->body, i->len}, &ask, arena,
			  &err) < 0)
		change_refuse(&i->answer, 400, "invalid_request", err.text);
	else if (resets && is_reset(&ask))
		bf_list_append(resets, &i->node);
	else
		change_apply(c->r, &ask, arena, &i->answer);
	if (!bf_list_empty(&i->node))
		return;
	if (i->answer.changed)
		bf_list_append(&c->flying, &i->node);
	else
		answer(c, i);
}

/* Those that wait, one after the other: each sees what those before it did. */
static void apply_group(struct changes *c, struct bf_list *resets)
{
	struct bf_arena arena;

	bf_arena_init_nodump(&arena, CHANGE_ARENA_BYTES);
	for (uint32_t n = 0; n < CHANGES_GROUP_MAX && !bf_list_empty(&c->waiting); n++) {
		c->waiting_count--;
		apply(c, item_of(c->waiting.next), &arena, resets);
		bf_arena_reset(&arena);
	}
	bf_arena_done(&arena);
}

/* They change no entity, so nothing of them has to come into force: each is answered at once. */
static void apply_resets(struct changes *c, struct bf_list *resets)
{
	struct bf_arena arena;

	bf_arena_init_nodump(&arena, CHANGE_ARENA_BYTES);
	while (!bf_list_empty(resets)) {
		apply(c, item_of(resets->next), &arena, NULL);
		bf_arena_reset(&arena);
	}
	bf_arena_done(&arena);
}

static void refuse_waiting(struct changes *c, const char *type, const char *why)
{
	while (!bf_list_empty(&c->waiting)) {
		struct change_item *i = item_of(c->waiting.next);

		c->waiting_count--;
		change_refuse(&i->answer, 503, type, why);
		answer(c, i);
	}
}

static void end_group(struct changes *c)
{
	struct bf_err err = {0};

	if (bf_list_empty(&c->flying)) {
		registry_rollback(c->r);
		return;
	}
	if (registry_commit(c->r, &err) < 0) {
		bf_log(BF_LOG_ERROR, "config_store_failing", "reason=%s", bf_log_quote(err.text));
		answer_all(c, "config_store_failing", err.text);
		return;
	}
	publish_now(&c->r->publish);
}

static void run_group(struct changes *c)
{
	bool open = !registry_refusal(c->r);
	struct bf_list resets;
	struct bf_err err = {0};

	if (open && registry_begin(c->r, &err) < 0) {
		bf_log(BF_LOG_ERROR, "config_store_failing", "reason=%s", bf_log_quote(err.text));
		refuse_waiting(c, "config_store_failing", err.text);
		return;
	}
	bf_list_init(&resets);
	/* Where nothing can be changed each is told so by itself. */
	apply_group(c, &resets);
	if (open)
		end_group(c);
	apply_resets(c, &resets);
}

static void run(struct changes *c)
{
	while (!bf_list_empty(&c->waiting) && bf_list_empty(&c->flying) &&
	       !publish_is_busy(&c->r->publish))
		run_group(c);
}

/* ---- from outside */

void changes_init(struct changes *c, struct bf_child *child, struct registry *r)
{
	*c = (struct changes){.child = child, .r = r};
	bf_list_init(&c->waiting);
	bf_list_init(&c->flying);
}

void changes_done(struct changes *c)
{
	if (!c->child)
		return;
	while (!bf_list_empty(&c->waiting))
		forget(item_of(c->waiting.next));
	while (!bf_list_empty(&c->flying))
		forget(item_of(c->flying.next));
}

void changes_take(struct changes *c, const struct bf_frame *f)
{
	struct change_item *i = c->waiting_count < CHANGES_WAITING_MAX ? keep(f) : NULL;

	if (!i) {
		(void)bf_channel_reply_error(&c->child->channel, f, BF_E_FULL,
					     "too many changes wait: try again");
		return;
	}
	bf_list_append(&c->waiting, &i->node);
	c->waiting_count++;
	run(c);
}

static void cancel_in(struct bf_list *list, uint16_t asker, uint32_t request)
{
	struct bf_list *it, *next;

	BF_LIST_FOREACH_SAFE(it, next, list)
	{
		struct change_item *i = item_of(it);

		if (i->asker == asker && i->request == request)
			i->gone = true;
	}
}

void changes_cancel(struct changes *c, uint16_t asker, uint32_t request)
{
	struct bf_list *it, *next;

	cancel_in(&c->flying, asker, request);
	BF_LIST_FOREACH_SAFE(it, next, &c->waiting)
	{
		struct change_item *i = item_of(it);

		if (i->asker != asker || i->request != request)
			continue;
		c->waiting_count--;
		forget(i);
	}
}

void changes_published(struct changes *c, int code, const char *why)
{
	if (!c->child)
		return;
	if (code == 0)
		answer_all(c, NULL, NULL);
	else
		answer_all(c, "not_in_force",
			   why[0] ? why : "it is stored, and could not be put in force yet");
	run(c);
}

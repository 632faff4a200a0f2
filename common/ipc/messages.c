/*
 * The permission matrix and the codec of message bodies, both walks over the table. Called by the
 * supervisor for every frame it routes, by children and bifrostctl for their own. Must never look
 * into the body of a frame to decide whether it may travel: the supervisor decodes nothing a child
 * wrote.
 */
#include "common/ipc/messages.h"

#include <assert.h>

#include "common/base/buf.h"

static bool has_role(uint16_t set, enum bf_role role)
{
	return (unsigned)role < BF_ROLE_COUNT && (set & (1u << role));
}

static bool route_exists(const struct bf_msg_def *def, enum bf_role from, enum bf_role to)
{
	for (unsigned i = 0; i < BF_MSG_ROUTES; i++) {
		if (has_role(def->routes[i].senders, from) &&
		    has_role(def->routes[i].receivers, to))
			return true;
	}
	return false;
}

/* What the header says against its own type; NULL when nothing does. */
static const char *header_problem(const struct bf_frame *f, const struct bf_msg_def *def)
{
	if (((f->flags & BF_FRAME_REPLY) != 0) != def->is_reply)
		return def->is_reply ? "is only sent as a reply" : "is never a reply";
	if (((f->flags & BF_FRAME_ERROR) != 0) != (f->type == BF_MSG_ERROR))
		return "and the ERROR flag contradict each other";
	if (((f->flags & BF_FRAME_FD) != 0) != (def->with_fd && !(f->flags & BF_FRAME_CANCEL)))
		return "and the FD flag contradict each other";
	if (f->body.len && (!def->body || (f->flags & BF_FRAME_CANCEL)))
		return "has no body";
	return NULL;
}

int bf_msg_permitted(const struct bf_frame *f, struct bf_err *err)
{
	const struct bf_msg_def *def = bf_msg_def(f->type);

	if (!def)
		return bf_err_set(err, BF_E_UNKNOWN, "control message: no type %u in this build",
				  f->type);
	if (!route_exists(def, BF_ENDPOINT_ROLE(f->source), BF_ENDPOINT_ROLE(f->target))) {
		char source[24], target[24];
		return bf_err_set(
		    err, BF_E_DENIED, "control message %s: not permitted from %s to %s", def->name,
		    bf_endpoint_format(f->source, source), bf_endpoint_format(f->target, target));
	}
	const char *flaw = header_problem(f, def);
	if (flaw)
		return bf_err_set(err, BF_E_DENIED, "control message: %s %s", def->name, flaw);
	return 0;
}

int bf_msg_encode(uint16_t type, const void *message, struct bf_buf *out)
{
	const struct bf_msg_def *def = bf_msg_def(type);

	if (!def)
		return BF_E_UNKNOWN;
	assert((message != NULL) == (def->body != NULL));
	if (!def->body)
		return 0;

	size_t before = bf_buf_len(out);
	int r = bf_table_encode_mp(def->body, message, 0, out);
	if (r == 0 && bf_buf_len(out) - before > BF_FRAME_MAX_BODY)
		r = BF_E_LIMIT;
	return r;
}

int bf_msg_decode(uint16_t type, struct bf_slice body, void *ret_message, struct bf_arena *arena,
		  struct bf_err *err)
{
	const struct bf_msg_def *def = bf_msg_def(type);

	if (!def)
		return bf_err_set(err, BF_E_UNKNOWN, "control message: no type %u in this build",
				  type);
	if (def->body)
		return bf_table_decode_mp(def->body, ret_message, body, arena, err);
	if (body.len)
		return bf_err_set(err, BF_E_SYNTAX,
				  "control message %s: %zu bytes where no body belongs", def->name,
				  body.len);
	return 0;
}

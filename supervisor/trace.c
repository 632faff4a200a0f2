/*
 * The tap on the control channels. Called by router.c for every frame. Must never block, fail a
 * frame because somebody looks at it, or show a connection the parts it gets (each would make
 * another one).
 */
#include "supervisor/trace.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/ipc/messages.h"
#include "common/log/log.h"

int trace_start(struct trace *t, const struct admin_ticket *asker)
{
	if (asker->generation == 0)
		return BF_E_MISSING;
	for (uint32_t i = 0; i < t->count; i++) {
		if (t->readers[i].index == asker->index)
			return BF_E_DUPLICATE;
	}
	/* One per connection: there is always room. */
	t->readers[t->count++] = *asker;
	return 0;
}

static void forget(struct trace *t, uint32_t i)
{
	t->readers[i] = t->readers[--t->count];
}

bool trace_stop(struct trace *t, const struct admin_connection *c, uint32_t request)
{
	for (uint32_t i = 0; i < t->count; i++) {
		if (t->readers[i].index == c->index &&
		    (request == 0 || t->readers[i].request == request)) {
			forget(t, i);
			return true;
		}
	}
	return false;
}

/* True when the reader stays. */
static bool show(struct trace *t, uint32_t i, const struct bf_msg_traced *traced)
{
	const struct admin_ticket *reader = &t->readers[i];
	struct admin_connection *c = admin_ticket_connection(t->admin, reader);

	if (!c)
		return false;
	if (c->channel.queue_frames >= TRACE_MAX_WAITING ||
	    c->channel.queue_bytes >= BF_CHANNEL_MAX_BYTES / 2) {
		t->dropped_readers++;
		bf_log(BF_LOG_WARN, "trace_dropped", "peer_pid=%d waiting=%u", (int)c->peer_pid,
		       c->channel.queue_frames);
		(void)admin_reply_error(t->admin, reader, BF_E_FULL,
					"trace: you read too slowly: what follows is not shown");
		return false;
	}
	t->shown++;
	(void)admin_reply(t->admin, reader, BF_MSG_TRACED, traced, true);
	return true;
}

void trace_frame(struct trace *t, const struct bf_frame *f, const struct admin_connection *end)
{
	uint8_t bytes[BF_TRACED_MAX_BYTES];
	struct bf_msg_traced traced = {.wall_ns = bf_wall_ns(), .has_fd = f->fd >= 0};
	size_t body = BF_MIN(f->body.len, sizeof(bytes) - BF_FRAME_HEADER_SIZE);

	if (t->count == 0)
		return;
	bf_frame_encode_header(f, bytes);
	if (body)
		memcpy(bytes + BF_FRAME_HEADER_SIZE, f->body.ptr, body);
	traced.frame = (struct bf_slice){(const char *)bytes, BF_FRAME_HEADER_SIZE + body};
	for (uint32_t i = t->count; i-- > 0;) {
		if (end && t->readers[i].index == end->index)
			continue;
		if (!show(t, i, &traced))
			forget(t, i);
	}
}

/*
 * From child to child by way of the star's centre. Called by router.c, which has checked that the
 * sender may send this type to that role. Must never decode a body, and never answer anybody but
 * the very process that asked: an endpoint may be held by two processes while one replaces the
 * other.
 */
#include "supervisor/asks.h"

#include "common/base/clock.h"
#include "common/ipc/messages.h"

void asks_init(struct asks *a, struct crew *crew)
{
	a->crew = crew;
	pending_init(&a->pending);
}

static void refuse(struct child *asker, uint32_t request, int code, const char *text)
{
	const struct bf_msg_error message = {.code = code, .text = bf_slice_from(text)};

	(void)bf_channel_send_msg(&asker->channel, BF_MSG_ERROR, BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0),
				  asker->endpoint, request, BF_FRAME_REPLY | BF_FRAME_ERROR,
				  &message);
}

static void fail_entry(struct asks *a, struct pending_entry *e, int code, const char *text)
{
	struct child *asker = crew_holder(a->crew, e->asker);
	uint32_t request = e->asker_request;

	pending_free(e);
	if (asker)
		refuse(asker, request, code, text);
}

static void pass_on(struct asks *a, struct child *asker, const struct bf_frame *f)
{
	struct child *peer = crew_find(a->crew, f->target);
	struct bf_frame out = *f;
	struct pending_entry *e;
	int code = 0;

	if (f->request == 0)
		return;
	if (!peer) {
		refuse(asker, f->request, BF_E_CLOSED,
		       "the process that answers it is not running");
		return;
	}
	e = pending_add(&a->pending, asker->proc_slot, f->request, peer->proc_slot, f->type,
			bf_mono_ms(), &code);
	if (!e) {
		refuse(asker, f->request, code, "too many questions wait for an answer");
		return;
	}
	out.request = e->id;
	(void)bf_channel_send(&peer->channel, &out);
}

static void cancel(struct asks *a, const struct child *asker, const struct bf_frame *f)
{
	struct pending_entry *e = pending_of_asker(&a->pending, asker->proc_slot, f->request);
	struct bf_frame out = *f;
	struct child *peer;

	if (!e)
		return;
	peer = crew_holder(a->crew, e->peer);
	out.request = e->id;
	pending_free(e);
	if (peer)
		(void)bf_channel_send(&peer->channel, &out);
}

/* One that nobody waits for is no fault: the asker may have cancelled, or be gone. */
static void bring_back(struct asks *a, const struct child *peer, const struct bf_frame *f)
{
	struct pending_entry *e = pending_of_reply(&a->pending, f->request, peer->proc_slot);
	struct bf_frame out = *f;
	struct child *asker;

	if (!e)
		return;
	asker = crew_holder(a->crew, e->asker);
	out.request = e->asker_request;
	if (f->flags & BF_FRAME_MORE)
		pending_touch(e, bf_mono_ms());
	else
		pending_free(e);
	if (!asker)
		return;
	out.target = asker->endpoint;
	(void)bf_channel_send(&asker->channel, &out);
}

void asks_frame(struct asks *a, struct child *from, const struct bf_frame *f)
{
	if (f->flags & BF_FRAME_REPLY)
		bring_back(a, from, f);
	else if (f->flags & BF_FRAME_CANCEL)
		cancel(a, from, f);
	else
		pass_on(a, from, f);
}

void asks_child_gone(struct asks *a, const struct child *child)
{
	struct pending_entry *e;

	while ((e = pending_any_of_asker(&a->pending, child->proc_slot)) != NULL)
		pending_free(e);
	while ((e = pending_any_of_peer(&a->pending, child->proc_slot)) != NULL)
		fail_entry(a, e, BF_E_CLOSED, "the process ended before it answered");
}

void asks_tick(struct asks *a)
{
	struct pending_entry *e;

	while ((e = pending_any_expired(&a->pending, bf_mono_ms())) != NULL)
		fail_entry(a, e, BF_E_TIMEOUT, "the process did not answer in time");
}

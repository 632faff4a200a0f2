/*
 * The star's centre. Called for every frame of a child (crew.c) and of bifrostctl (admin.c). Must
 * never decode a body a child wrote, never trust a source or target it has not checked, and never
 * keep more than pending.h allows.
 */
#include "supervisor/router.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/ipc/messages.h"
#include "common/log/log.h"

_Static_assert(ADMIN_MAX_CONNECTIONS == 16, "a text below says so");

void router_init(struct router *r, struct crew *crew, struct admin *admin,
		 const struct router_events *events, void *owner)
{
	memset(r, 0, sizeof(*r));
	r->crew = crew;
	r->admin = admin;
	r->events = events;
	r->owner = owner;
	pending_init(&r->pending);
	asks_init(&r->asks, crew);
	r->trace.admin = admin;
}

/* ------------------------------------------------------------------ from children */

static int check_child_frame(const struct child *child, const struct bf_frame *f,
			     struct bf_err *err)
{
	if (f->source != child->endpoint)
		return bf_err_set(err, BF_E_DENIED, "it claims to be another process");
	if ((f->flags & BF_FRAME_CANCEL) && BF_ENDPOINT_ROLE(f->target) == BF_ROLE_SUPERVISOR)
		return bf_err_set(err, BF_E_DENIED, "a child asks us nothing that it could cancel");
	return bf_msg_permitted(f, err);
}

static struct admin_ticket ticket_of(const struct pending_entry *e, const struct router *r,
				     uint16_t target)
{
	return (struct admin_ticket){
	    .index = e->asker,
	    .request = e->asker_request,
	    .generation = r->admin->connections[e->asker].generation,
	    .target = target,
	};
}

/* A reply on its way back. One that nobody waits for is no fault: the asker may have cancelled. */
static void bring_back(struct router *r, struct child *child, struct bf_frame *f)
{
	struct pending_entry *e = pending_of_reply(&r->pending, f->request, child->proc_slot);
	struct admin_connection *c;
	struct admin_ticket ticket;
	struct bf_frame out = *f;

	if (!e)
		return;
	ticket = ticket_of(e, r, child->endpoint);
	c = admin_ticket_connection(r->admin, &ticket);
	out.target = BF_ENDPOINT(BF_ROLE_CTL, e->asker);
	out.request = e->asker_request;
	if (f->flags & BF_FRAME_MORE)
		pending_touch(e, bf_mono_ms());
	else
		pending_free(e);
	if (c)
		(void)bf_channel_send(&c->channel, &out);
}

static void to_supervisor(struct router *r, struct child *child, struct bf_frame *f)
{
	switch (f->type) {
	case BF_MSG_READY:
		child_feed(child, CHILD_EV_READY, "it said READY twice");
		break;
	case BF_MSG_STARTING:
		child_feed(child, CHILD_EV_STARTING, "it said STARTING behind READY");
		break;
	case BF_MSG_DRAINING:
		crew_shut(child);
		break;
	case BF_MSG_DRAINED:
		crew_shut(child);
		child_feed(child, CHILD_EV_DRAINED, "it said DRAINED unasked");
		break;
	case BF_MSG_PROC_SWEPT:
		crew_slots_freed(r->crew);
		break;
	case BF_MSG_SNAPSHOT_BASE:
	case BF_MSG_SNAPSHOT_OVERLAY:
	case BF_MSG_SNAPSHOT_TAKEN:
	case BF_MSG_SNAPSHOT_REFUSED:
		r->events->on_snapshot(r->owner, child, f);
		break;
	default:
		break; /* the permission matrix lets nothing else through */
	}
}

void router_from_child(struct router *r, struct child *child, struct bf_frame *f)
{
	struct bf_err err = {0};
	char name[24];

	trace_frame(&r->trace, f, NULL);
	if (check_child_frame(child, f, &err) < 0) {
		bf_log(BF_LOG_ERROR, "bad_frame", "child=%s child_pid=%d type=%u why=%s",
		       bf_endpoint_format(child->endpoint, name), (int)child->pid, f->type,
		       bf_log_quote(err.text));
		r->events->on_bad_frame(r->owner);
		child_feed(child, CHILD_EV_CLOSED, err.text);
		return;
	}
	if (BF_ENDPOINT_ROLE(f->target) == BF_ROLE_CTL)
		bring_back(r, child, f);
	else if (BF_ENDPOINT_ROLE(f->target) == BF_ROLE_SUPERVISOR)
		to_supervisor(r, child, f);
	else
		asks_frame(&r->asks, child, f);
}

/* ------------------------------------------------------------------ from bifrostctl */

static void refuse(struct router *r, struct admin_connection *c, const struct bf_frame *f, int code,
		   const char *text)
{
	struct admin_ticket ticket = admin_ticket_of(c, f);

	(void)admin_reply_error(r->admin, &ticket, code, text);
}

static void cancel(struct router *r, const struct admin_connection *c, uint32_t request)
{
	struct pending_entry *e = pending_of_asker(&r->pending, c->index, request);

	/* The child's answer, when it comes, finds nobody: its reply is whole and short. */
	if (e)
		pending_free(e);
	else
		(void)trace_stop(&r->trace, c, request);
}

static void pass_on(struct router *r, struct admin_connection *c, const struct bf_frame *f)
{
	struct child *child = crew_find(r->crew, f->target);
	struct pending_entry *e;
	struct bf_frame out = *f;
	char text[96], name[24];
	int code = 0;

	if (f->request == 0)
		return;
	if (!child) {
		(void)snprintf(text, sizeof(text),
			       "%s: no such process is ready: see bifrostctl status",
			       bf_endpoint_format(f->target, name));
		refuse(r, c, f, BF_E_STATE, text);
		return;
	}
	e = pending_add(&r->pending, c->index, f->request, child->proc_slot, f->type, bf_mono_ms(),
			&code);
	if (!e) {
		refuse(r, c, f, code,
		       code == BF_E_FULL ? "too many questions wait for an answer: try again"
					 : "this request id is still in use");
		return;
	}
	out.request = e->id;
	(void)bf_channel_send(&child->channel, &out);
}

static bool greeted(struct router *r, struct admin_connection *c, const struct bf_frame *f)
{
	if (f->type != BF_MSG_HELLO && !c->greeted) {
		refuse(r, c, f, BF_E_STATE, "the first message must be hello");
		admin_drop(c);
		return false;
	}
	if (f->type == BF_MSG_HELLO && c->index >= ADMIN_MAX_CONNECTIONS) {
		refuse(r, c, f, BF_E_FULL, "16 connections of bifrostctl are open: end one first");
		admin_drop(c);
		return false;
	}
	return true;
}

void router_from_ctl(struct router *r, struct admin_connection *c, struct bf_frame *f)
{
	struct bf_err err = {0};
	int code = 0;

	/* It cannot know its index; the one it writes is overwritten. */
	if (BF_ENDPOINT_ROLE(f->source) == BF_ROLE_CTL)
		f->source = BF_ENDPOINT(BF_ROLE_CTL, c->index);
	else
		code =
		    bf_err_set(&err, BF_E_DENIED, "control message: only bifrostctl speaks here");
	trace_frame(&r->trace, f, c);
	if (code == 0)
		code = bf_msg_permitted(f, &err);
	if (code < 0) {
		bf_log(BF_LOG_WARN, "bad_frame", "peer_pid=%d type=%u why=%s", (int)c->peer_pid,
		       f->type, bf_log_quote(err.text));
		r->events->on_bad_frame(r->owner);
		refuse(r, c, f, code, err.text);
		admin_drop(c);
		return;
	}
	if (!greeted(r, c, f))
		return;
	if (f->flags & BF_FRAME_CANCEL)
		cancel(r, c, f->request);
	else if (BF_ENDPOINT_ROLE(f->target) == BF_ROLE_SUPERVISOR)
		r->events->on_question(r->owner, c, f);
	else
		pass_on(r, c, f);
}

/* ------------------------------------------------------------------ ends */

static void answer_for(struct router *r, struct pending_entry *e, int code, const char *text)
{
	struct admin_ticket ticket = ticket_of(e, r, BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0));

	pending_free(e);
	(void)admin_reply_error(r->admin, &ticket, code, text);
}

void router_child_gone(struct router *r, const struct child *child)
{
	struct pending_entry *e;

	while ((e = pending_any_of_peer(&r->pending, child->proc_slot)) != NULL)
		answer_for(r, e, BF_E_CLOSED, "the process ended before it answered");
	asks_child_gone(&r->asks, child);
}

void router_ctl_gone(struct router *r, struct admin_connection *c)
{
	struct pending_entry *e;

	while ((e = pending_any_of_asker(&r->pending, c->index)) != NULL)
		pending_free(e);
	(void)trace_stop(&r->trace, c, 0);
}

void router_tick(struct router *r)
{
	struct pending_entry *e;

	while ((e = pending_any_expired(&r->pending, bf_mono_ms())) != NULL)
		answer_for(r, e, BF_E_TIMEOUT, "the process did not answer in time");
	asks_tick(&r->asks);
}

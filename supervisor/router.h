/*
 * Where control frames go. By their header only: what a child wrote is never decoded here.
 * Questions of bifrostctl, and of children to each other (asks.h), are passed on under ids of our
 * own and their answers brought back.
 */
#pragma once

#include "supervisor/admin.h"
#include "supervisor/asks.h"
#include "supervisor/crew.h"
#include "supervisor/pending.h"
#include "supervisor/trace.h"

struct router_events {
	/* A question for the supervisor itself: permitted, of a connection that greeted. */
	void (*on_question)(void *owner, struct admin_connection *c, struct bf_frame *f);
	/* What writerd gives to be put in force, and what others say of it. */
	void (*on_snapshot)(void *owner, struct child *child, struct bf_frame *f);
	/* A frame was refused: malformed or not permitted. */
	void (*on_bad_frame)(void *owner);
};

struct router {
	struct crew *crew;
	struct admin *admin;
	const struct router_events *events;
	void *owner;
	struct pending pending; /* of bifrostctl */
	struct asks asks;       /* of children to each other */
	struct trace trace;
};

void router_init(struct router *r, struct crew *crew, struct admin *admin,
		 const struct router_events *events, void *owner);
void router_from_child(struct router *r, struct child *child, struct bf_frame *f);
void router_from_ctl(struct router *r, struct admin_connection *c, struct bf_frame *f);

/* Its open questions are answered with an error, or cancelled. */
void router_child_gone(struct router *r, const struct child *child);
void router_ctl_gone(struct router *r, struct admin_connection *c);
/* Once a second: answers what nobody answered in time. */
void router_tick(struct router *r);

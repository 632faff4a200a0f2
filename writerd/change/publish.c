/*
 * Bases and overlays. Driven by timers and by answers of the supervisor; called by registry.c. Must
 * never stand still for a large table: a base is made 2 ms at a time.
 */
#include "writerd/change/publish.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/pulse.h"
#include "common/base/rand.h"
#include "common/ipc/deadlines.h"
#include "common/ipc/messages.h"
#include "common/log/log.h"

#define SLICE_MS       2
#define SLICE_ENTITIES 32u /* between two looks at the clock */
#define PAUSE_S        0.001

_Static_assert(2 * BF_FLIP_LIMIT_MS < PUBLISH_ANSWER_LIMIT_MS,
	       "a flip of the writerd before this one ends first, then ours");
_Static_assert(PUBLISH_ANSWER_LIMIT_MS + PUBLISH_LATE_MS <= BF_PUBLISH_LIMIT_MS,
	       "whoever waits for a change knows how long this takes");
_Static_assert(2 * BF_PUBLISH_LIMIT_MS < BF_CHANGE_LIMIT_MS,
	       "what is under way ends first, then ours, and the disk has its time");

/* ---- what changed */

static void drop_changes(struct publish_changes *c)
{
	free(c->items);
	*c = (struct publish_changes){.items = NULL};
}

static int note_in(struct publish *p, int which, struct entity *x, struct entity *old)
{
	struct publish_changes *c = &p->changes[which];
	uint32_t at = old ? old->change_at[which] : 0;

	c->bytes += x->e.body.len;
	if (at) {
		c->items[at - 1] = x;
		x->change_at[which] = at;
		return 0;
	}
	if (c->count == c->room) {
		uint32_t room = c->room ? 2 * c->room : 256;
		struct entity **wider = realloc(c->items, room * sizeof(struct entity *));

		if (!wider)
			return -ENOMEM;
		c->items = wider;
		c->room = room;
	}
	c->items[c->count++] = x;
	x->change_at[which] = c->count;
	return 0;
}

int publish_note(struct publish *p, struct entity *x, struct entity *old)
{
	int r = note_in(p, 0, x, old);

	if (p->base != PUBLISH_NO_BASE && note_in(p, 1, x, old) < 0)
		r = -ENOMEM;
	return r;
}

/* What is in the new base is no change any more. */
static void take_next_changes(struct publish *p)
{
	struct publish_changes *c = p->changes;

	for (uint32_t i = 0; i < c[0].count; i++)
		c[0].items[i]->change_at[0] = 0;
	drop_changes(&c[0]);
	c[0] = c[1];
	c[1] = (struct publish_changes){.items = NULL};
	for (uint32_t i = 0; i < c[0].count; i++) {
		c[0].items[i]->change_at[0] = i + 1;
		c[0].items[i]->change_at[1] = 0;
	}
}

static void forget_next_changes(struct publish *p)
{
	for (uint32_t i = 0; i < p->changes[1].count; i++)
		p->changes[1].items[i]->change_at[1] = 0;
	drop_changes(&p->changes[1]);
}

/* ---- descriptors */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void forget_base(struct publish *p)
{
	ev_timer_stop(p->loop, &p->slice);
	if (p->base == PUBLISH_BASE_WALKS)
		entities_walk_end(p->t);
	bf_snapshot_builder_close(p->builder);
	p->builder = NULL;
	close_fd(&p->next_base_fd);
	forget_next_changes(p);
	p->base = PUBLISH_NO_BASE;
}

/* ---- saying how it went */

static void tell(struct publish *p, int code, const char *why)
{
	p->request = 0;
	ev_timer_stop(p->loop, &p->limit);
	p->flip_ms = bf_mono_ms() - p->began_mono_ms;
	if (code == 0)
		p->flips++;
	else
		p->refused++;
	p->events->done(p->events->owner, code, why);
}

static void hand_over(struct publish *p);

/* A base that became ready meanwhile: nobody asked for it. */
static void go_on(struct publish *p)
{
	if (!p->request && p->base == PUBLISH_BASE_READY)
		hand_over(p);
}

static void in_force(struct publish *p)
{
	bool new_base = p->base == PUBLISH_BASE_SENT;

	close_fd(&p->overlay_fd);
	p->overlay_fd = p->next_overlay_fd;
	p->next_overlay_fd = -1;
	if (new_base) {
		close_fd(&p->base_fd);
		p->base_fd = p->next_base_fd;
		p->next_base_fd = -1;
		p->base_id = p->next_base_id;
		p->unsure = false;
		take_next_changes(p);
		p->base = PUBLISH_NO_BASE;
		p->events->based(p->events->owner);
	}
	tell(p, 0, "");
	go_on(p);
	if (p->base == PUBLISH_NO_BASE && (p->changes[0].count > PUBLISH_OVERLAY_MAX_RECORDS ||
					   p->changes[0].bytes > PUBLISH_OVERLAY_MAX_BYTES))
		publish_rebase(p);
}

static void not_in_force(struct publish *p, int code, const char *why)
{
	close_fd(&p->next_overlay_fd);
	if (p->base == PUBLISH_BASE_SENT)
		forget_base(p);
	tell(p, code, why);
	go_on(p);
}

void publish_answered(struct publish *p, uint32_t request, bool taken)
{
	bool is_base = p->base == PUBLISH_BASE_SENT && request + 1 == p->request;

	if (p->request == 0 || (request != p->request && !is_base) || (is_base && taken))
		return;
	if (taken)
		in_force(p);
	else
		not_in_force(p, BF_E_DENIED, "a process refused the snapshot: its log says why");
}

static void wait_for_answer(struct publish *p, int64_t ms)
{
	ev_timer_set(&p->limit, (double)ms / 1000., 0.);
	ev_timer_start(p->loop, &p->limit);
}

/* Where we stood still ourselves the answer lies in the channel, which is read behind timers. */
static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct publish *p = w->data;

	(void)loop;
	(void)revents;
	if (!p->late) {
		p->late = true;
		wait_for_answer(p, PUBLISH_LATE_MS);
		return;
	}
	p->unsure = true;
	not_in_force(p, BF_E_TIMEOUT, "the supervisor did not answer");
}

/* ---- sending */

static int add(struct bf_snapshot_builder *b, const struct entity *x, struct bf_err *err)
{
	struct bf_entity e = x->e;

	bf_pulse();
	/* It must not be found in the place of the other one, whose secret it keeps for when that
	 * one is gone. */
	if (x->doubled)
		memset(e.secret, 0, sizeof(e.secret));
	return bf_snapshot_builder_add(b, &e, err);
}

static int send_fd(struct publish *p, uint16_t type, int fd, uint32_t *ret_request)
{
	struct bf_frame f = {.type = type,
			     .source = p->endpoint,
			     .target = BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0),
			     .fd = fd};

	p->last_request++;
	if (p->last_request == 0)
		p->last_request = 1;
	f.request = *ret_request = p->last_request;
	return bf_channel_send(p->channel, &f);
}

static int build_overlay(struct publish *p, const struct publish_changes *c, uint64_t base_id,
			 struct bf_err *err)
{
	struct bf_snapshot_builder *b = NULL;
	int r = bf_snapshot_builder_open(&b, true, base_id, p->pepper, err);

	for (uint32_t i = 0; i < c->count && r == 0; i++)
		r = add(b, c->items[i], err);
	if (r == 0)
		r = bf_snapshot_builder_finish(b, err);
	bf_snapshot_builder_close(b);
	return r;
}

static void hand_over(struct publish *p)
{
	bool new_base = p->base == PUBLISH_BASE_READY;
	struct bf_err err = {0};
	uint32_t request;
	int r =
	    build_overlay(p, &p->changes[new_base], new_base ? p->next_base_id : p->base_id, &err);

	p->began_mono_ms = bf_mono_ms();
	if (r >= 0) {
		p->next_overlay_fd = r;
		r = 0;
	}
	if (r == 0 && new_base) {
		p->base = PUBLISH_BASE_SENT;
		r = send_fd(p, BF_MSG_SNAPSHOT_BASE, p->next_base_fd, &request);
	}
	if (r == 0)
		r = send_fd(p, BF_MSG_SNAPSHOT_OVERLAY, p->next_overlay_fd, &request);
	if (r < 0) {
		not_in_force(p, r, err.text[0] ? err.text : bf_err_text(r));
		return;
	}
	p->request = request;
	p->late = false;
	wait_for_answer(p, PUBLISH_ANSWER_LIMIT_MS);
}

/* ---- a base */

static void fail_base(struct publish *p, const struct bf_err *err)
{
	bool was_wanted = p->wanted;

	bf_log(BF_LOG_ERROR, "snapshot_not_made", "reason=%s", bf_log_quote(err->text));
	forget_base(p);
	p->wanted = false;
	if (was_wanted)
		tell(p, err->code, err->text);
}

static void finish_base(struct publish *p)
{
	struct bf_err err = {0};
	int fd = bf_snapshot_builder_finish(p->builder, &err);

	entities_walk_end(p->t);
	if (fd < 0) {
		p->base = PUBLISH_BASE_READY; /* the walk is over */
		fail_base(p, &err);
		return;
	}
	bf_snapshot_builder_close(p->builder);
	p->builder = NULL;
	p->next_base_fd = fd;
	p->base = PUBLISH_BASE_READY;
	if (p->request)
		return; /* with what comes next */
	p->wanted = false;
	hand_over(p);
}

static void on_slice(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct publish *p = w->data;
	int64_t end = bf_mono_ms() + SLICE_MS;
	struct bf_err err = {0};
	struct entity *x = NULL;

	(void)revents;
	do {
		for (uint32_t i = 0; i < SLICE_ENTITIES; i++) {
			x = entities_walk_next(p->t);
			if (!x)
				break;
			if (add(p->builder, x, &err) < 0) {
				fail_base(p, &err);
				return;
			}
		}
	} while (x && bf_mono_ms() < end);
	if (!x) {
		finish_base(p);
		return;
	}
	ev_timer_set(w, PAUSE_S, 0.);
	ev_timer_start(loop, w);
}

void publish_rebase(struct publish *p)
{
	struct bf_err err = {0};

	if (p->base == PUBLISH_BASE_SENT)
		return;
	if (p->base != PUBLISH_NO_BASE)
		forget_base(p);
	do
		bf_rand_bytes(&p->next_base_id, sizeof(p->next_base_id));
	while (p->next_base_id == 0);
	if (bf_snapshot_builder_open(&p->builder, false, p->next_base_id, p->pepper, &err) < 0) {
		fail_base(p, &err);
		return;
	}
	p->base = PUBLISH_BASE_WALKS;
	entities_walk_begin(p->t, &p->walk);
	ev_timer_set(&p->slice, 0., 0.);
	ev_timer_start(p->loop, &p->slice);
}

/* ---- all of it */

void publish_init(struct publish *p, struct ev_loop *loop, struct bf_channel *channel,
		  uint16_t endpoint, const struct publish_events *events)
{
	*p = (struct publish){
	    .loop = loop, .channel = channel, .endpoint = endpoint, .events = events};
	p->base_fd = p->overlay_fd = p->next_base_fd = p->next_overlay_fd = -1;
	ev_timer_init(&p->slice, on_slice, 0., 0.);
	ev_timer_init(&p->limit, on_limit, 0., 0.);
	p->slice.data = p->limit.data = p;
}

static void forget_all(struct publish *p)
{
	if (p->t)
		forget_base(p);
	ev_timer_stop(p->loop, &p->limit);
	drop_changes(&p->changes[0]);
	close_fd(&p->base_fd);
	close_fd(&p->overlay_fd);
	close_fd(&p->next_overlay_fd);
	p->request = 0;
	p->wanted = false;
}

void publish_done(struct publish *p)
{
	if (p->loop)
		forget_all(p);
	p->loop = NULL;
}

void publish_begin(struct publish *p, struct entities *t, const uint8_t pepper[32])
{
	forget_all(p);
	p->t = t;
	p->pepper = pepper;
	p->base_id = 0;
}

void publish_now(struct publish *p)
{
	if (p->request)
		return;
	p->began_mono_ms = bf_mono_ms();
	/* Overlays of a base that is not the one in force would be refused for ever. */
	if (p->base == PUBLISH_BASE_READY || (p->base_fd >= 0 && !p->unsure)) {
		hand_over(p);
		return;
	}
	p->wanted = true;
	if (p->base == PUBLISH_NO_BASE)
		publish_rebase(p);
}

bool publish_is_busy(const struct publish *p)
{
	return p->request != 0 || p->wanted;
}

uint32_t publish_overlay_records(const struct publish *p)
{
	return p->changes[0].count;
}

bool publish_is_in_force(const struct publish *p)
{
	return p->base_fd >= 0;
}

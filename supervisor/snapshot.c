/*
 * The hands of flip.c: descriptors, frames, the segment's generation, and SIGKILL for who does not
 * take part. Called by lifecycle.c and router.c. Must never read what is in a snapshot: it holds
 * keys of providers, and this process needs none.
 */
#include "supervisor/snapshot.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/ipc/messages.h"
#include "common/log/log.h"
#include "shm/health.h"
#include "shm/metrics.h"

#define SLOT_NONE UINT32_MAX

_Static_assert(SHM_PROC_SLOTS <= FLIP_MEMBERS, "every process slot may be a member");

static const char why_silent[] = "it did not take the next snapshot within 5 s";
static const char why_refuser[] = "it refused the snapshot in force: see its log";

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void close_pair(struct snapshot_pair *p)
{
	close_fd(&p->base);
	close_fd(&p->overlay);
}

/* ------------------------------------------------------------------ orders */

static void send_next(struct child *child, uint64_t generation, uint32_t request, int fd)
{
	const struct bf_msg_snapshot_next message = {.generation = generation};

	(void)child_ask(child, BF_MSG_SNAPSHOT_NEXT, &message, request, fd);
}

static void tell(const struct snapshots *s, const struct flip_order *o)
{
	const struct snapshot_pair *p = o->kind == FLIP_TELL_NOW ? &s->now : &s->next;
	struct child *child = crew_holder(s->crew, o->slot);

	if (!child)
		return;
	if (o->with_base)
		send_next(child, 0, 0, p->base >= 0 ? p->base : s->now.base);
	send_next(child, o->generation, flip_request(o->generation), p->overlay);
}

static void kill_child(struct snapshots *s, const struct flip_order *o)
{
	struct child *child = crew_holder(s->crew, o->slot);

	if (!child)
		return;
	s->killed++;
	shm_metric_add(s->crew->shm, s->crew->own_slot, SHM_M_SNAPSHOT_KILLS, 1);
	child_feed(child, CHILD_EV_KILL, o->kind == FLIP_KILL_SILENT ? why_silent : why_refuser);
}

static void begin(struct snapshots *s)
{
	s->next = s->coming;
	s->coming = (struct snapshot_pair){-1, -1};
	s->began_mono_ms = bf_mono_ms();
}

static void put_in_force(struct snapshots *s, uint64_t generation)
{
	bool new_base = s->next.base >= 0;

	if (!new_base) {
		s->next.base = s->now.base;
		s->now.base = -1;
	}
	close_pair(&s->now);
	s->now = s->next;
	s->next = (struct snapshot_pair){-1, -1};
	shm_set_generation(s->crew->shm, generation);
	shm_health_set(s->crew->shm, s->crew->own_slot, SHM_H_SNAPSHOT_REFUSED, false);
	shm_metric_set(s->crew->shm, s->crew->own_slot, SHM_M_SNAPSHOT_GENERATION,
		       (int64_t)generation);
	shm_metric_set(s->crew->shm, s->crew->own_slot, SHM_M_SNAPSHOT_BYTES,
		       (int64_t)snapshots_bytes(s));
	bf_log(new_base ? BF_LOG_INFO : BF_LOG_DEBUG, "snapshot_in_force",
	       "generation=%llu bytes=%llu ms=%lld", (unsigned long long)generation,
	       (unsigned long long)snapshots_bytes(s),
	       (long long)(bf_mono_ms() - s->began_mono_ms));
}

static void forget(struct snapshots *s, const struct flip_order *o)
{
	const struct child *child = crew_holder(s->crew, o->slot);
	char name[24] = "?";

	close_pair(&s->next);
	shm_health_set(s->crew->shm, s->crew->own_slot, SHM_H_SNAPSHOT_REFUSED, true);
	bf_log(BF_LOG_ERROR, "snapshot_refused", "child=%s effect=%s",
	       child ? bf_endpoint_format(child->endpoint, name) : name,
	       bf_log_quote("what was in force before stays"));
}

static void answer(const struct snapshots *s, const struct flip_order *o)
{
	struct child *writer = crew_holder(s->crew, s->writer_slot);

	if (writer)
		(void)bf_channel_send_msg(&writer->channel,
					  o->kind == FLIP_TAKEN ? BF_MSG_SNAPSHOT_TAKEN
								: BF_MSG_SNAPSHOT_REFUSED,
					  BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0), writer->endpoint,
					  o->request, BF_FRAME_REPLY, NULL);
}

static void obey_one(struct snapshots *s, const struct flip_order *o)
{
	switch (o->kind) {
	case FLIP_TELL_NOW:
	case FLIP_TELL_NEXT:
		tell(s, o);
		break;
	case FLIP_KILL_SILENT:
	case FLIP_KILL_REFUSER:
		kill_child(s, o);
		break;
	case FLIP_BEGIN:
		begin(s);
		break;
	case FLIP_IN_FORCE:
		put_in_force(s, o->generation);
		break;
	case FLIP_FORGET:
		forget(s, o);
		break;
	case FLIP_TAKEN:
	case FLIP_REFUSED:
		answer(s, o);
		break;
	}
}

static void arm(struct snapshots *s)
{
	struct ev_loop *loop = s->crew->loop;
	int64_t left = s->flip.deadline_mono_ms - bf_mono_ms();

	ev_timer_stop(loop, &s->deadline);
	if (!s->flip.next)
		return;
	ev_now_update(loop);
	ev_timer_set(&s->deadline, left > 0 ? (double)left / 1000. : 0., 0.);
	ev_timer_start(loop, &s->deadline);
}

static void obey(struct snapshots *s, const struct flip_orders *orders)
{
	for (uint32_t i = 0; i < orders->count; i++)
		obey_one(s, &orders->items[i]);
	arm(s);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct snapshots *s = w->data;
	struct flip_orders orders;

	(void)loop;
	(void)revents;
	orders.count = 0;
	flip_late(&s->flip, bf_mono_ms(), &orders);
	obey(s, &orders);
}

/* ------------------------------------------------------------------ the crew */

void snapshots_init(struct snapshots *s, struct crew *crew)
{
	memset(s, 0, sizeof(*s));
	s->crew = crew;
	s->now = s->next = s->coming = (struct snapshot_pair){-1, -1};
	s->writer_slot = SLOT_NONE;
	flip_init(&s->flip, shm_generation(crew->shm));
	ev_timer_init(&s->deadline, on_deadline, 0., 0.);
	s->deadline.data = s;
}

void snapshots_done(struct snapshots *s)
{
	if (!s->crew)
		return;
	ev_timer_stop(s->crew->loop, &s->deadline);
	close_pair(&s->now);
	close_pair(&s->next);
	close_pair(&s->coming);
}

void snapshots_greeted(struct snapshots *s, struct child *child)
{
	struct flip_orders orders;

	if (!child->seat->row->takes_snapshots)
		return;
	orders.count = 0;
	flip_joined(&s->flip, child->proc_slot, &orders);
	obey(s, &orders);
}

void snapshots_ready(struct snapshots *s, const struct child *child)
{
	/* The reader need not be waited for: what it is asked comes behind what it is told. */
	if (child->seat->row->has_listeners)
		flip_serves(&s->flip, child->proc_slot);
}

void snapshots_gone(struct snapshots *s, const struct child *child)
{
	struct flip_orders orders;

	if (child->proc_slot == s->writer_slot) {
		s->writer_slot = SLOT_NONE;
		flip_writer_gone(&s->flip);
		close_pair(&s->coming);
	}
	if (!child->seat->row->takes_snapshots)
		return;
	orders.count = 0;
	flip_gone(&s->flip, child->proc_slot, bf_mono_ms(), &orders);
	obey(s, &orders);
}

/* ------------------------------------------------------------------ frames */

static void take_fd(int *place, struct bf_frame *f)
{
	close_fd(place);
	*place = f->fd;
	f->fd = -1;
}

static void on_base(struct snapshots *s, struct bf_frame *f, struct flip_orders *orders)
{
	if (flip_base(&s->flip, f->request, orders))
		take_fd(&s->coming.base, f);
}

static void on_overlay(struct snapshots *s, struct bf_frame *f, struct flip_orders *orders)
{
	int had = s->coming.overlay;

	/* Taken before it is known whether it may begin: the orders follow at once. */
	s->coming.overlay = f->fd;
	if (!flip_overlay(&s->flip, f->request, bf_mono_ms(), orders))
		s->coming.overlay = had;
	else
		f->fd = -1;
}

void snapshots_frame(struct snapshots *s, struct child *child, struct bf_frame *f)
{
	struct flip_orders orders;

	orders.count = 0;
	if (f->type == BF_MSG_SNAPSHOT_BASE || f->type == BF_MSG_SNAPSHOT_OVERLAY)
		s->writer_slot = child->proc_slot;
	if (f->type == BF_MSG_SNAPSHOT_BASE)
		on_base(s, f, &orders);
	else if (f->type == BF_MSG_SNAPSHOT_OVERLAY)
		on_overlay(s, f, &orders);
	else
		flip_answered(&s->flip, child->proc_slot, f->request,
			      f->type == BF_MSG_SNAPSHOT_TAKEN, bf_mono_ms(), &orders);
	obey(s, &orders);
}

static uint64_t size_of(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

uint64_t snapshots_bytes(const struct snapshots *s)
{
	return size_of(s->now.base) + size_of(s->now.overlay);
}

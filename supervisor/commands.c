/*
 * Answers to bifrostctl that the supervisor gives itself: a table of questions, one small function
 * each. Called by router.c after the permission check. Must never wait: what takes longer is
 * answered later, by ticket.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/ipc/messages.h"
#include "common/log/log.h"
#include "common/proc/child.h"
#include "shm/health.h"
#include "shm/wall.h"
#include "supervisor/identity.h"
#include "supervisor/spawn.h"
#include "supervisor/supervisor.h"

#define ARENA_BYTES 262144u

struct question {
	struct supervisor *s;
	struct admin_connection *c;
	struct admin_ticket ticket;
	const void *message; /* decoded, NULL without a body */
	struct bf_arena *arena;
};

static void reply(const struct question *q, uint16_t type, const void *message, bool more)
{
	(void)admin_reply(&q->s->admin, &q->ticket, type, message, more);
}

static void refuse(const struct question *q, int code, const char *text)
{
	(void)admin_reply_error(&q->s->admin, &q->ticket, code, text);
}

static void on_hello(const struct question *q)
{
	const struct bf_msg_hello *hello = q->message;

	if (hello->protocol != BF_FRAME_VERSION) {
		refuse(q, BF_E_VERSION,
		       "this gateway speaks another version of the protocol: use the bifrostctl of "
		       "its build");
		admin_drop(q->c);
		return;
	}
	q->c->greeted = true;
	reply(q, BF_MSG_OK, NULL, false);
}

/* ------------------------------------------------------------------ children and status */

static void tell_child(const struct question *q, const struct seat *seat, const struct child *child,
		       const char *suffix)
{
	int64_t now = bf_mono_ms();
	char name[64];
	struct bf_msg_child m = {
	    .proc_slot = child ? child->proc_slot : 0,
	    .pid = child ? (uint64_t)child->pid : 0,
	    .uptime_ms = child ? now - child->started_mono_ms : 0,
	    .restarts = seat->restart.starts > 0 ? seat->restart.starts - 1 : 0,
	    .heartbeat_age_ms = child ? watch_heartbeat_age_ms(child, now) : 0,
	    .backoff_ms = seat->pause_until_mono_ms > now ? seat->pause_until_mono_ms - now : 0,
	    .last_exit = bf_slice_from(seat->last_exit),
	    .queue_frames = child ? child->channel.queue_frames : 0,
	};

	m.last_exit.len = BF_MIN(m.last_exit.len, (size_t)128);
	(void)bf_endpoint_format(seat_endpoint(seat), name);
	(void)snprintf(name + strlen(name), sizeof(name) - strlen(name), "%s", suffix);
	m.name = bf_slice_from(name);
	m.state = bf_slice_from(child ? child_states[child->fsm.state].name
				      : seat_states[seat->state].name);
	reply(q, BF_MSG_CHILD, &m, true);
}

static void tell_leaving(const struct question *q, const struct seat *seat)
{
	struct bf_list *it, *next;

	BF_LIST_FOREACH_SAFE(it, next, &q->s->crew.children)
	{
		const struct child *child = BF_CONTAINER_OF(it, struct child, node);

		if (child->seat == seat && child->part == CHILD_LEAVING)
			tell_child(q, seat, child, "/old");
	}
}

static void on_children_get(const struct question *q)
{
	for (uint32_t i = 0; i < q->s->crew.seat_count; i++) {
		const struct seat *seat = &q->s->crew.seats[i];

		tell_child(q, seat, seat->serving ? seat->serving : seat->coming, "");
		if (seat->serving && seat->coming)
			tell_child(q, seat, seat->coming, "/new");
		tell_leaving(q, seat);
	}
	reply(q, BF_MSG_OK, NULL, false);
}

static void add_health(const struct question *q, struct bf_array *items)
{
	uint64_t bits = shm_health_all(q->s->crew.shm);

	for (unsigned b = 0; b < SHM_HEALTH_COUNT; b++) {
		if (bits & (UINT64_C(1) << b))
			bf_status_add(items, q->arena, "degraded", "%s: %s",
				      shm_health_defs[b].component, shm_health_defs[b].reason);
	}
}

static void add_snapshot(const struct question *q, struct bf_array *items)
{
	const struct snapshots *s = &q->s->snapshots;

	bf_status_add(items, q->arena, "snapshot_generation", "%llu",
		      (unsigned long long)s->flip.now);
	bf_status_add(items, q->arena, "snapshot_bytes", "%llu",
		      (unsigned long long)snapshots_bytes(s));
	if (s->flip.next)
		bf_status_add(items, q->arena, "snapshot_waits_for", "%u processes",
			      flip_waits_for(&s->flip));
}

static void add_sheet(const struct question *q, struct bf_array *items)
{
	const struct bf_conf_sheet *sheet = &q->s->reload.now->pricing.sheet;

	bf_status_add(items, q->arena, "price_sheet", "%.*s", BF_SLICE_FMT(sheet->file));
	if (sheet->date.len)
		bf_status_add(items, q->arena, "price_sheet_date", "%.*s",
			      BF_SLICE_FMT(sheet->date));
	bf_status_add(items, q->arena, "price_sheet_models", "%" PRIu64, sheet->models);
	bf_status_add(items, q->arena, "price_sheet_skipped", "%" PRIu64, sheet->skipped);
}

static void on_status_get(const struct question *q)
{
	const struct supervisor *s = q->s;
	struct bf_msg_status m = {
	    .process = BF_SLICE_LIT("supervisor"),
	    .pid = (uint64_t)getpid(),
	    .uptime_ms = bf_mono_ms() - s->started_mono_ms,
	};
	const struct bf_slice *listen = s->reload.now->server.listen.items;

	bf_status_add(&m.items, q->arena, "version", "%s", bf_version());
	bf_status_add(&m.items, q->arena, "build", "%s", bf_build_id());
	for (uint32_t i = 0; i < s->reload.now->server.listen.count; i++)
		bf_status_add(&m.items, q->arena, "listen", "%.*s", BF_SLICE_FMT(listen[i]));
	bf_status_add(&m.items, q->arena, "config", "%s", s->options->file);
	bf_status_add(&m.items, q->arena, "config_hash", "%.*s",
		      BF_SLICE_FMT(s->reload.now->config_hash));
	bf_status_add(&m.items, q->arena, "state_dir", "%s", s->folders.state);
	bf_status_add(&m.items, q->arena, "runtime_dir", "%s", s->folders.runtime);
	bf_status_add(&m.items, q->arena, "workers", "%u", s->workers);
	bf_status_add(&m.items, q->arena, "draining", "%s",
		      shm_draining(s->crew.shm) ? "yes" : "no");
	bf_status_add(&m.items, q->arena, "segment", "%s",
		      s->segment.taken_over ? "taken over" : "new");
	bf_status_add(&m.items, q->arena, "proc_slots_free", "%u",
		      identity_count(s->crew.shm, SHM_SLOT_FREE));
	bf_status_add(&m.items, q->arena, "proc_slots_unswept", "%u",
		      identity_count(s->crew.shm, SHM_SLOT_DEAD));
	bf_status_add(&m.items, q->arena, "control_connections", "%u of %u",
		      admin_open_count(&s->admin), ADMIN_MAX_CONNECTIONS);
	bf_status_add(&m.items, q->arena, "trace_readers_dropped", "%llu",
		      (unsigned long long)s->router.trace.dropped_readers);
	add_snapshot(q, &m.items);
	if (s->reload.now->pricing.sheet.file.len)
		add_sheet(q, &m.items);
	add_health(q, &m.items);
	reply(q, BF_MSG_STATUS, &m, false);
}

/* ------------------------------------------------------------------ restart, reload, drain, trace
 */

static void on_restart(const struct question *q)
{
	const struct bf_msg_restart *m = q->message;
	struct supervisor *s = q->s;
	uint16_t endpoint = 0;
	struct seat *seat;

	if (bf_endpoint_parse(m->name, &endpoint) < 0 ||
	    (seat = crew_seat(&s->crew, endpoint)) == NULL) {
		refuse(q, BF_E_UNKNOWN, "no process has this name: see bifrostctl status");
		return;
	}
	if (s->roll.running || s->reload.phase != RELOAD_IDLE) {
		refuse(q, BF_E_STATE,
		       "another restart or reload is running: try again when it is done");
		return;
	}
	bf_log(BF_LOG_INFO, "restart_asked", "child=%.*s peer_pid=%d", BF_SLICE_FMT(m->name),
	       (int)q->c->peer_pid);
	s->restart_asker = q->ticket;
	roll_clear(&s->roll);
	(void)roll_add(&s->roll, seat, -1);
	roll_start(&s->roll);
}

void command_restart_done(struct supervisor *s, const struct seat *failed, const struct bf_err *err)
{
	if (failed)
		(void)admin_reply_error(&s->admin, &s->restart_asker, err->code, err->text);
	else
		(void)admin_reply(&s->admin, &s->restart_asker, BF_MSG_OK, NULL, false);
	s->restart_asker = (struct admin_ticket){.generation = 0};
}

static void on_reload(const struct question *q)
{
	notify_send(&q->s->notify, NOTIFY_RELOADING, "reloading");
	reload_request(&q->s->reload, &q->ticket);
}

static void on_node_drain(const struct question *q)
{
	const struct bf_msg_node_drain *m = q->message;

	bf_log(BF_LOG_INFO, "node_drain", "on=%s peer_pid=%d", m->on ? "yes" : "no",
	       (int)q->c->peer_pid);
	shm_set_draining(q->s->crew.shm, m->on);
	supervisor_tell_status(q->s);
	reply(q, BF_MSG_OK, NULL, false);
}

static void on_clock_accept(const struct question *q)
{
	struct shm_wall wall = shm_wall_read(q->s->crew.shm);

	shm_wall_accept(q->s->crew.shm, bf_wall_ns(), bf_boot_ns());
	bf_log(BF_LOG_INFO, "clock_accepted", "ahead_ms=%lld peer_pid=%d",
	       (long long)(wall.ahead_ns / 1000000), (int)q->c->peer_pid);
	reply(q, BF_MSG_OK, NULL, false);
}

static void on_trace(const struct question *q)
{
	int r = trace_start(&q->s->router.trace, &q->ticket);

	if (r < 0)
		refuse(q, r, "this connection traces already");
}

/* ------------------------------------------------------------------ table */

static const struct {
	uint16_t type;
	void (*answer)(const struct question *q);
} table[] = {
    {BF_MSG_HELLO, on_hello},           {BF_MSG_CHILDREN_GET, on_children_get},
    {BF_MSG_STATUS_GET, on_status_get}, {BF_MSG_RESTART, on_restart},
    {BF_MSG_RELOAD, on_reload},         {BF_MSG_NODE_DRAIN, on_node_drain},
    {BF_MSG_TRACE, on_trace},           {BF_MSG_CLOCK_ACCEPT, on_clock_accept},
};

/* These start something: not while the node stops. */
static bool too_late(const struct supervisor *s, uint16_t type)
{
	return s->phase == LIFE_STOPPING &&
	       (type == BF_MSG_RESTART || type == BF_MSG_RELOAD || type == BF_MSG_NODE_DRAIN);
}

static void decode_and_answer(struct question *q, const struct bf_frame *f,
			      void (*answer)(const struct question *q))
{
	const struct bf_table *body = bf_msg_def(f->type)->body;
	struct bf_err err = {0};
	void *message = NULL;

	if (body) {
		message = bf_arena_alloc(q->arena, body->size);
		if (!message || bf_msg_decode(f->type, f->body, message, q->arena, &err) < 0) {
			supervisor_router_events.on_bad_frame(q->s);
			refuse(q, BF_E_SYNTAX, message ? err.text : "no memory to decode it");
			admin_drop(q->c);
			return;
		}
	}
	q->message = message;
	answer(q);
}

void command_answer(struct supervisor *s, struct admin_connection *c, struct bf_frame *f)
{
	struct bf_arena arena;
	struct question q = {.s = s, .c = c, .ticket = admin_ticket_of(c, f), .arena = &arena};

	bf_arena_init(&arena, ARENA_BYTES);
	for (size_t i = 0; i < BF_ARRAY_LEN(table); i++) {
		if (table[i].type != f->type)
			continue;
		if (too_late(s, f->type))
			refuse(&q, BF_E_STATE, "the node is stopping");
		else
			decode_and_answer(&q, f, table[i].answer);
	}
	bf_arena_done(&arena);
}

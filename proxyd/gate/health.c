/*
 * Health as the segment knows it: reasons set by any process, and whether the processes that should
 * live do. Called by the route table. Must never wait for a process it reports on.
 */
#include "proxyd/gate/health.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/codec/json_writer.h"
#include "common/ipc/frame.h"
#include "proxyd/api/api.h"
#include "proxyd/gate/govern.h"
#include "shm/health.h"
#include "shm/slot.h"

#define HEALTH_SILENCE_MS  10000 /* a heartbeat comes every second */
#define HEALTH_COMPONENTS  24u
#define HEALTH_MAX_REASONS (SHM_HEALTH_COUNT + 1u)

struct health_component {
	const char *name;
	const char *reasons[HEALTH_MAX_REASONS];
	unsigned count;
};

struct health_report {
	int64_t node_uptime_ms; /* since the supervisor started; else since this worker did */
	struct health_component components[HEALTH_COMPONENTS];
	unsigned count;
	bool degraded;
};

static struct health_component *report_component(struct health_report *r, const char *name)
{
	for (unsigned i = 0; i < r->count; i++) {
		if (strcmp(r->components[i].name, name) == 0)
			return &r->components[i];
	}
	if (r->count == HEALTH_COMPONENTS)
		return &r->components[HEALTH_COMPONENTS - 1];
	r->components[r->count] = (struct health_component){.name = name};
	return &r->components[r->count++];
}

static void report_reason(struct health_report *r, const char *component, const char *reason)
{
	struct health_component *c = report_component(r, component);

	if (c->count < HEALTH_MAX_REASONS)
		c->reasons[c->count++] = reason;
	r->degraded = true;
}

/* The processes of which one must live on every node. */
static const enum bf_role health_roles[] = {
    BF_ROLE_SUPERVISOR, BF_ROLE_PROXYD,  BF_ROLE_CLUSTERD,
    BF_ROLE_DISCOVERYD, BF_ROLE_WRITERD, BF_ROLE_READER,
};

static void report_role(struct health_report *r, const struct worker *w, enum bf_role role,
			int64_t now_mono_ms)
{
	bool lives = false, beats = false;

	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		struct shm_slot_info info;
		shm_slot_info(w->seg, p, &info);
		if (info.state != SHM_SLOT_LIVE || info.role != role)
			continue;
		lives = true;
		if (role == BF_ROLE_SUPERVISOR)
			r->node_uptime_ms = (bf_wall_ns() - info.started_wall_ns) / 1000000;
		if (now_mono_ms - info.heartbeat_mono_ns / 1000000 < HEALTH_SILENCE_MS)
			beats = true;
	}
	(void)report_component(r, bf_role_name(role));
	if (!lives)
		report_reason(r, bf_role_name(role), "the process is not running");
	else if (!beats)
		report_reason(r, bf_role_name(role),
			      "the heartbeat has been silent for 10 seconds");
}

static void report_collect(struct health_report *r, const struct worker *w, int64_t now_mono_ms)
{
	uint64_t bits = shm_health_all(w->seg);

	memset(r, 0, sizeof(*r));
	r->node_uptime_ms = now_mono_ms - w->started_mono_ms;
	for (size_t i = 0; i < BF_ARRAY_LEN(health_roles); i++)
		report_role(r, w, health_roles[i], now_mono_ms);
	for (unsigned b = 0; b < SHM_HEALTH_COUNT; b++) {
		(void)report_component(r, shm_health_defs[b].component);
		if (bits & (UINT64_C(1) << b))
			report_reason(r, shm_health_defs[b].component, shm_health_defs[b].reason);
	}
}

static const char *health_status_name(enum health_status s)
{
	return s == HEALTH_OK ? "ok" : s == HEALTH_DEGRADED ? "degraded" : "draining";
}

static void health_write_component(struct bf_json_writer *j, const struct health_component *c)
{
	bf_jw_key(j, c->name);
	bf_jw_object(j);
	bf_jw_key(j, "status");
	bf_jw_cstr(j, c->count ? "degraded" : "ok");
	bf_jw_key(j, "reasons");
	bf_jw_array(j);
	for (unsigned i = 0; i < c->count; i++)
		bf_jw_cstr(j, c->reasons[i]);
	bf_jw_end_array(j);
	bf_jw_end_object(j);
}

int health_write(const struct worker *w, int64_t now_mono_ms, struct bf_buf *out,
		 enum health_status *ret_status)
{
	struct health_report r;
	struct bf_json_writer j;

	report_collect(&r, w, now_mono_ms);
	*ret_status = shm_draining(w->seg) ? HEALTH_DRAINING
		      : r.degraded         ? HEALTH_DEGRADED
					   : HEALTH_OK;
	bf_jw_init(&j, out);
	bf_jw_object(&j);
	bf_jw_key(&j, "status");
	bf_jw_cstr(&j, health_status_name(*ret_status));
	bf_jw_key(&j, "components");
	bf_jw_object(&j);
	for (unsigned i = 0; i < r.count; i++)
		health_write_component(&j, &r.components[i]);
	bf_jw_end_object(&j);
	bf_jw_key(&j, "version");
	bf_jw_cstr(&j, w->version);
	bf_jw_key(&j, "management_api");
	bf_jw_cstr(&j, api_reach(w));
	bf_jw_key(&j, "uptime_ms");
	bf_jw_i64(&j, r.node_uptime_ms);
	bf_jw_end_object(&j);
	return bf_jw_finish(&j);
}

static void health_send(struct exchange *x, int http_status, struct bf_slice body)
{
	exchange_set_state(x, EXCHANGE_DONE);
	x->out->answer(x, http_status, BF_SLICE_LIT("application/json"), body);
}

void health_answer(struct exchange *x)
{
	struct worker *w = x->worker;
	enum health_status status;

	bf_buf_clear(&w->text);
	if (health_write(w, bf_mono_ms(), &w->text, &status) < 0)
		health_send(x, 503, BF_SLICE_LIT("{\"status\":\"degraded\"}"));
	else
		health_send(x, status == HEALTH_DRAINING ? 503 : 200, bf_buf_slice(&w->text));
}

void health_answer_live(struct exchange *x)
{
	health_send(x, 200, BF_SLICE_LIT("{\"status\":\"live\"}"));
}

void health_answer_ready(struct exchange *x)
{
	struct worker *w = x->worker;

	if (shm_draining(w->seg))
		health_send(x, 503, BF_SLICE_LIT("{\"status\":\"draining\"}"));
	else if (w->governance && !govern_follow(w))
		health_send(x, 503, BF_SLICE_LIT("{\"status\":\"loading\"}"));
	else
		health_send(x, 200, BF_SLICE_LIT("{\"status\":\"ready\"}"));
}

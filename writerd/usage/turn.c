/*
 * One turn of writerd's work. Driven by libev watchers and by control.c; must never run longer than
 * one transaction of each kind, and must leave everything in the segment when the store refuses.
 */
#include "writerd/usage/turn.h"

#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/ipc/frame.h"
#include "common/log/log.h"
#include "shm/content.h"
#include "shm/doorbell.h"
#include "shm/health.h"
#include "shm/metrics.h"
#include "shm/usage.h"
#include "writerd/priority.h"

#define SAFETY_S        0.1
#define DROPPED_SHOW_MS 60000
#define HURRY_BATCHES   2 /* a quarter of a ring */
#define FLUSH_TRIES     8 /* more than the rows need: rings take turns */

static void look(const struct turn *t, struct batch_waiting *ret_waiting)
{
	intake_look(&t->intake, ret_waiting);
	if (sweep_pending(&t->sweep))
		ret_waiting->urgent = true;
}

/* A request is better late than refused because the rings are full. */
static bool rows_fall_behind(void *ctx)
{
	const struct turn *t = ctx;
	struct batch_waiting waiting;

	intake_look(&t->intake, &waiting);
	return waiting.urgent || waiting.rows > HURRY_BATCHES * t->batch.limits.rows;
}

static void count(struct turn *t, unsigned written, unsigned swept)
{
	t->rows_written += written + swept;
	t->rows_swept += swept;
	if (written + swept)
		shm_metric_add(t->seg, t->proc_slot, SHM_M_ROWS_WRITTEN, (int64_t)written + swept);
	if (swept)
		shm_metric_add(t->seg, t->proc_slot, SHM_M_ROWS_SWEPT, swept);
}

static void tell(struct turn *t, const struct batch_verdict *verdict, const struct bf_err *err)
{
	if (verdict->broke) {
		shm_health_set(t->seg, t->proc_slot, SHM_H_STORE_FAILING, true);
		bf_log(BF_LOG_ERROR, "store_failing", "reason=%s effect=%s",
		       bf_log_quote(err->text),
		       bf_log_quote("rows wait in the segment and are tried again"));
	}
	if (verdict->healed) {
		shm_health_set(t->seg, t->proc_slot, SHM_H_STORE_FAILING, false);
		bf_log(BF_LOG_INFO, "store_healed", "failures=%u", verdict->failures);
	}
}

/* 1: something was done, 0: there was nothing, or the store's error. */
static int transact(struct turn *t, bool mend)
{
	unsigned written = 0, taken = 0, swept = 0;
	struct batch_verdict verdict;
	struct bf_err err = {0};
	int r = mend ? t->store->ops->mend(t->store, &err) : 0;

	if (r == 0 && mend && t->limits)
		r = limits_keep(t->limits, &err);
	/* Before the first row: what it is about must be known to be watched. */
	if (r == 0 && t->limits)
		r = limits_ready(t->limits, &err);
	if (r == 0)
		r = intake_commit(&t->intake, bf_mono_ms(), &written, &taken, &err);
	if (r == 0)
		r = sweep_run(&t->sweep, bf_wall_ns(), &swept, &err);
	count(t, written, swept);
	if (r < 0) {
		t->store_errors++;
		shm_metric_add(t->seg, t->proc_slot, SHM_M_STORE_ERRORS, 1);
	}
	verdict = batch_done(&t->batch, r < 0 ? r : 0, bf_mono_ms());
	tell(t, &verdict, &err);
	if (r < 0)
		return r;
	return r > 0 || taken > 0;
}

static void expire(struct turn *t)
{
	struct bf_err err = {0};
	bool finished = false;
	int r;

	if (t->batch.state == BATCH_FAILING)
		return;
	r = retention_run(&t->retention, t->store, bf_mono_ms(), bf_wall_ns(), &finished, &err);
	if (r < 0) {
		t->store_errors++;
		shm_metric_add(t->seg, t->proc_slot, SHM_M_STORE_ERRORS, 1);
		bf_log(BF_LOG_WARN, "retention_failed", "reason=%s effect=%s",
		       bf_log_quote(err.text), bf_log_quote("old rows stay until the next pass"));
	} else if (finished && t->retention.deleted) {
		bf_log(BF_LOG_INFO, "retention_done", "rows=%llu days=%lld",
		       (unsigned long long)t->retention.deleted, (long long)t->retention.days);
	}
}

static void arm(struct turn *t, int64_t pause_ms)
{
	ev_timer_stop(t->loop, &t->next);
	ev_timer_set(&t->next, (double)BF_MAX(pause_ms, 0) / 1000.0, 0.0);
	ev_timer_start(t->loop, &t->next);
}

/* Announced first, looked at again afterwards: a record that came in between is not slept over. */
static void fall_asleep(struct turn *t)
{
	struct batch_waiting waiting;

	shm_doorbell_sleeping(t->seg, true);
	look(t, &waiting);
	if (waiting.rows || waiting.urgent) {
		shm_doorbell_sleeping(t->seg, false);
		arm(t, 0);
	}
}

static void run(struct turn *t)
{
	struct batch_waiting waiting;
	struct batch_step step;
	int done;

	shm_doorbell_sleeping(t->seg, false);
	look(t, &waiting);
	step = batch_look(&t->batch, &waiting, bf_mono_ms());
	switch (step.action) {
	case BATCH_SLEEP:
		expire(t);
		ev_timer_stop(t->loop, &t->next);
		fall_asleep(t);
		break;
	case BATCH_LOOK:
		arm(t, step.at_ms - bf_mono_ms());
		break;
	case BATCH_COMMIT:
	case BATCH_MEND:
		done = transact(t, step.action == BATCH_MEND);
		expire(t);
		/* Nothing came of it: a slot that cannot be read must not make this loop spin. */
		arm(t, done == 0 ? t->batch.limits.look_ms : 0);
		break;
	}
}

static void on_bell(struct ev_loop *loop, ev_io *w, int revents)
{
	struct turn *t = w->data;
	uint64_t rings;

	(void)loop;
	(void)revents;
	(void)!read(t->doorbell_fd, &rings, sizeof(rings));
	run(t);
}

static void on_next(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	run(w->data);
}

static void on_safety(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct turn *t = w->data;

	(void)loop;
	(void)revents;
	if (!ev_is_active(&t->next))
		run(t);
}

void turn_start(struct turn *t, struct ev_loop *loop, struct shm_segment *seg, struct store *store,
		uint32_t proc_slot, int doorbell_fd, bool keep_content, int64_t retention_days)
{
	t->loop = loop;
	t->seg = seg;
	t->store = store;
	t->proc_slot = proc_slot;
	t->doorbell_fd = doorbell_fd;
	batch_init(&t->batch, &batch_default_limits);
	intake_init(&t->intake, seg, store, keep_content);
	sweep_init(&t->sweep, seg, store, keep_content, BF_ROLE_PROXYD);
	retention_init(&t->retention, retention_days, bf_mono_ms());
	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++)
		t->dropped_seen[p] = intake_slot_held(seg, p) ? shm_content_dropped(seg, p) : 0;
	ev_io_init(&t->bell, on_bell, doorbell_fd, EV_READ);
	ev_timer_init(&t->next, on_next, 0.0, 0.0);
	ev_timer_init(&t->safety, on_safety, SAFETY_S, SAFETY_S);
	t->bell.data = t->next.data = t->safety.data = t;
	priority_ask(rows_fall_behind, t);
	ev_io_start(loop, &t->bell);
	ev_timer_start(loop, &t->safety);
	ev_timer_start(loop, &t->next);
}

void turn_poke(struct turn *t)
{
	arm(t, 0);
}

/* Of what waited in each ring, what still does: *io_left is at most that. */
static uint64_t still_waiting(const struct turn *t, uint64_t io_left[SHM_PROC_SLOTS])
{
	uint64_t rows = 0;

	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		uint64_t now = intake_slot_held(t->seg, p) ? shm_usage_waiting(t->seg, p) : 0;

		io_left[p] = BF_MIN(io_left[p], now);
		rows += io_left[p];
	}
	return rows;
}

/* Rings are emptied in their order: what is new stands behind what is old. */
static void count_taken(const struct turn *t, uint64_t io_left[SHM_PROC_SLOTS])
{
	for (uint32_t i = 0; i < t->intake.part_count; i++) {
		uint64_t *left = &io_left[t->intake.parts[i].p];

		*left -= BF_MIN(*left, (uint64_t)t->intake.parts[i].rows);
	}
}

bool turn_flush(struct turn *t)
{
	uint64_t left[SHM_PROC_SLOTS], rows, tries;

	if (!t->loop)
		return true;
	memset(left, 0xff, sizeof(left));
	rows = still_waiting(t, left);
	/* A store that fails is for the timer to try again. */
	if (t->batch.state == BATCH_FAILING)
		return rows == 0;
	/* Living workers go on meanwhile: what they add now need not be in it. */
	for (tries = rows / JOIN_MAX_RECORDS + FLUSH_TRIES; rows > 0 && tries > 0; tries--) {
		if (transact(t, false) <= 0)
			break;
		count_taken(t, left);
		rows = still_waiting(t, left);
	}
	return rows == 0;
}

void turn_second(struct turn *t)
{
	int64_t now_ms = bf_mono_ms();
	bool overflow = false;

	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		uint64_t dropped;

		if (!intake_slot_held(t->seg, p))
			continue;
		dropped = shm_content_dropped(t->seg, p);
		overflow |= shm_usage_overflow_waiting(t->seg, p) > 0;
		if (dropped > t->dropped_seen[p])
			t->dropped_at_ms = now_ms;
		t->dropped_seen[p] = dropped; /* a slot used anew counts from zero */
	}
	shm_health_set(t->seg, t->proc_slot, SHM_H_USAGE_OVERFLOW, overflow);
	shm_health_set(t->seg, t->proc_slot, SHM_H_CONTENT_DROPPED,
		       t->dropped_at_ms && now_ms - t->dropped_at_ms < DROPPED_SHOW_MS);
}

uint64_t turn_stop(struct turn *t, int64_t limit_ms)
{
	int64_t deadline_ms = bf_mono_ms() + limit_ms;
	struct batch_waiting waiting;
	uint64_t goal;

	ev_io_stop(t->loop, &t->bell);
	ev_timer_stop(t->loop, &t->next);
	ev_timer_stop(t->loop, &t->safety);
	look(t, &waiting);
	/* Living workers go on while a restarted writerd leaves: what they add now is the next
	 * one's. */
	goal = t->rows_written + waiting.rows;
	while ((waiting.rows || waiting.urgent) && bf_mono_ms() < deadline_ms) {
		if (transact(t, t->batch.state == BATCH_FAILING) <= 0)
			break;
		look(t, &waiting);
		if (t->rows_written >= goal && !waiting.urgent)
			break;
	}
	priority_ask(NULL, NULL);
	intake_done(&t->intake);
	sweep_done(&t->sweep);
	return waiting.rows;
}

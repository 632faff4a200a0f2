/*
 * bifrost-writerd: owns the stores. Empties the rings of all workers into logs.db and sweeps dead
 * ones; with --role=reader it is reader.c instead. Started by the supervisor only; must never be
 * needed for a request to succeed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/pulse.h"
#include "common/log/log.h"
#include "common/proc/contract.h"
#include "shm/content.h"
#include "shm/health.h"
#include "shm/metrics.h"
#include "shm/slot.h"
#include "writerd/control.h"
#include "writerd/limits/limits_reset.h"
#include "writerd/paths.h"
#include "writerd/priority.h"
#include "writerd/reader/reader.h"
#include "writerd/store/store_null.h"
#include "writerd/store/store_sqlite.h"
#include "writerd/store/store_sqlite_config.h"
#include "writerd/writerd.h"

#define STOP_LIMIT_MS 20000 /* of an ordered stop: the supervisor waits */
#define LOST_LIMIT_MS 1000  /* the supervisor is gone: leave within 2 s */
/* What is in force may come later than that: who waits for us has other things to do. */
#define READY_LIMIT_MS 5000
/* Between our start, or a flip, and the last worker that knew less being told to leave. */
#define OTHERS_MARGIN_MS 300000

#define MIGRATE_PAUSE_MS 2000 /* after a failure */

enum path_slot {
	PATH_STATE,
	PATH_LOGS,
	PATH_CONFIG,
	PATH_END,
	PATH_COUNT,
};

/* A store that the configuration puts elsewhere adds its own folder in open(), before the sandbox
 * is applied. */
static struct bf_sandbox_path sandbox_paths[PATH_COUNT + 1] = {
    [PATH_STATE] = {"@state", BF_PATH_READ | BF_PATH_WRITE},
};

static const struct bf_sandbox sandbox = {
    .groups = BF_SYS_BASE | BF_SYS_CHANNEL | BF_SYS_FILES | BF_SYS_MEMFD,
    .paths = sandbox_paths,
};

static void beat(struct bf_child *child)
{
	struct writerd *w = child->daemon;

	shm_slot_beat(&w->seg, child->proc_slot, bf_mono_ns());
	shm_metric_add(&w->seg, child->proc_slot, SHM_M_LOG_LINES_LOST, bf_log_take_lost());
}

/* Told once; as long as it took, and more, is left to the rest before the next try. */
static void migrate_later(struct writerd *w, int64_t took_ms, const struct bf_err *err)
{
	if (w->migrate_at_ms == 0)
		bf_log(BF_LOG_ERROR, "store_not_migrated", "reason=%s effect=%s",
		       bf_log_quote(err->text),
		       bf_log_quote("rows wait in the segment and it is tried again"));
	w->migrate_at_ms = bf_mono_ms() + took_ms + MIGRATE_PAUSE_MS;
}

/* Takes as long as it takes: who watches us was told that we are ready, and sees us beat. */
static void migrate(struct bf_child *child)
{
	struct writerd *w = child->daemon;
	int64_t began_ms = bf_mono_ms(), took_ms;
	struct bf_err err = {0};
	int r = w->store->ops->mend(w->store, &err);

	if (r == 0)
		r = limits_keep(&w->limits, &err);
	took_ms = bf_mono_ms() - began_ms;
	w->store_is_old = r < 0;
	shm_health_set(&w->seg, child->proc_slot, SHM_H_STORE_FAILING, r < 0);
	if (r < 0)
		migrate_later(w, took_ms, &err);
	else
		bf_log(BF_LOG_INFO, "store_migrated", "ms=%lld", (long long)took_ms);
}

static void ready(struct bf_child *child)
{
	struct writerd *w = child->daemon;

	w->ready_limit_ms = 0;
	bf_child_ready(child);
}

static void on_published(void *owner, int code, const char *why)
{
	struct bf_child *child = owner;
	struct writerd *w = child->daemon;

	if (code == 0) {
		limits_in_force(&w->limits);
		ready(child);
	}
	prices_published(&w->prices, code, why);
	changes_published(&w->changes, code, why);
}

/* Their meters are open before anybody can meet them, and know of every request whose end its
 * client had seen when it asked for the change. */
static void on_changes(void *owner, const struct registry_step *steps, uint32_t count)
{
	struct bf_child *child = owner;
	struct writerd *w = child->daemon;

	(void)turn_flush(&w->turn);
	for (uint32_t i = 0; i < count; i++)
		limits_change(&w->limits, steps[i].now->e.type, steps[i].now->e.id);
	limits_settle(&w->limits);
}

/* As on_changes(): what its asker saw the end of is forgiven too. */
static int on_reset(void *owner, struct limits_reset *reset)
{
	struct bf_child *child = owner;
	struct writerd *w = child->daemon;

	if (!turn_flush(&w->turn)) {
		(void)bf_err_set(&reset->err, BF_E_TIMEOUT,
				 "logs_store: rows that wait could not be written yet: try again");
		return LIMITS_RESET_FAILED;
	}
	return (int)limits_reset(&w->limits, reset);
}

static void on_loaded(void *owner)
{
	struct bf_child *child = owner;
	struct writerd *w = child->daemon;

	limits_load(&w->limits);
}

static void on_cancelled(struct bf_child *child, uint16_t asker, uint32_t request)
{
	struct writerd *w = child->daemon;

	changes_cancel(&w->changes, asker, request);
}

static void on_second(struct bf_child *child)
{
	struct writerd *w = child->daemon;

	if (w->store_is_old && bf_mono_ms() >= w->migrate_at_ms)
		migrate(child);
	turn_second(&w->turn);
	limits_second(&w->limits);
	registry_second(&w->registry);
	prices_second(&w->prices);
	if (w->ready_limit_ms && bf_mono_ms() >= w->ready_limit_ms)
		ready(child);
}

/* Out of the midst of long work. */
static void on_pulse(void *owner)
{
	struct bf_child *child = owner;

	beat(child);
	bf_child_starting(child);
}

static int choose_paths(struct bf_child *child, struct bf_err *err)
{
	struct writerd *w = child->daemon;
	const struct bf_config *c = &child->config;
	struct bf_sandbox_path *rule = &sandbox_paths[PATH_LOGS];
	int r = 0;

	if (c->logs_store.enabled && c->client.enable_logging) {
		r = paths_resolve(child, &c->logs_store, "logs_store", &w->store_path, err);
		if (r == 0)
			r = paths_allow(child, w->store_path, "logs_store",
					BF_PATH_READ | BF_PATH_WRITE, rule++, err);
	}
	if (r == 0 && c->config_store.enabled) {
		r = paths_resolve(child, &c->config_store, "config_store", &w->config_path, err);
		if (r == 0)
			r = paths_allow(child, w->config_path, "config_store",
					BF_PATH_READ | BF_PATH_WRITE, rule++, err);
	}
	if (r == 0 && w->store_path && w->config_path && strcmp(w->store_path, w->config_path) == 0)
		r = bf_err_set(err, BF_E_DUPLICATE,
			       "config_store: %s: is the logs store's file too: give each its own",
			       w->config_path);
	return r;
}

static int writerd_open(struct bf_child *child, struct bf_err *err)
{
	static struct writerd writerd;
	int r = shm_segment_attach(child->segment_fd, false, NULL, &writerd.seg, err);

	if (r < 0)
		return r;
	child->daemon = &writerd;
	r = shm_slot_enter(&writerd.seg, child->proc_slot, (uint32_t)getpid(), bf_wall_ns(),
			   bf_mono_ns());
	if (r < 0)
		return bf_err_set(
		    err, r,
		    "segment: process slot %u is not ours: start writerd through the supervisor",
		    child->proc_slot);
	child->beat = beat;
	(void)umask(077);
	priority_lower();
	(void)choose_paths(child, &writerd.refusal);
	return 0;
}

static int open_stores(struct bf_child *child, struct bf_err *err)
{
	struct writerd *w = child->daemon;
	int r = w->refusal.code;

	if (r < 0) {
		*err = w->refusal;
		return r;
	}
	/* What is wrong with it the registry tells, and tries again; rows have no node meanwhile.
	 */
	if (w->config_path)
		(void)config_store_note(w->config_path, BF_SLICE_LIT(""), bf_version(), w->node_id,
					NULL);
	if (w->store_path)
		r = store_sqlite_open(w->store_path, w->node_id, &w->store, err);
	/* A lock ends, a disk gets room: rows wait in the segment meanwhile, as for a store that
	 * fails later. */
	if (w->store && (r == -EAGAIN || store_sqlite_heals(r))) {
		const char *event = r == BF_E_TIMEOUT ? "store_locked" : "store_not_open";

		w->store_is_old = r == -EAGAIN;
		bf_log(BF_LOG_WARN, w->store_is_old ? "store_old" : event, "reason=%s effect=%s",
		       bf_log_quote(err->text),
		       bf_log_quote("rows wait in the segment and it is tried again"));
		r = 0;
	}
	if (r == 0 && !w->store_path)
		w->store = store_null_open();
	return r;
}

static int start_limits(struct bf_child *child, struct bf_err *err)
{
	struct writerd *w = child->daemon;

	return limits_start(&w->limits, &w->seg, w->store, &w->registry.t,
			    child->config.supervisor.drain_timeout_ms + OTHERS_MARGIN_MS,
			    child->proc_slot, err);
}

static int start_registry(struct bf_child *child, struct bf_err *err)
{
	struct writerd *w = child->daemon;
	struct registry *r = &w->registry;

	*r = (struct registry){.config = &child->config,
			       .path = w->config_path,
			       .state_dir = child->state_dir,
			       .seg = &w->seg,
			       .proc_slot = child->proc_slot,
			       .on_changes = on_changes,
			       .on_loaded = on_loaded,
			       .on_reset = on_reset,
			       .on_published = on_published,
			       .owner = child};
	changes_init(&w->changes, child, r);
	prices_init(&w->prices, child, r);
	return registry_start(r, child->loop, &child->channel, child->endpoint, err);
}

static int writerd_start(struct bf_child *child, struct bf_err *err)
{
	struct writerd *w = child->daemon;
	const struct bf_config *c = &child->config;
	int r;

	bf_pulse_to(on_pulse, child);
	shm_health_set(&w->seg, child->proc_slot, SHM_H_SANDBOX_PARTIAL,
		       !child->sandbox.landlock_files);
	/* Not a crash: the configuration, or what lies at its path, is to be mended by a person.
	 * A lock is nobody's mistake: it is tried again. */
	r = open_stores(child, err);
	if (r == BF_E_TIMEOUT)
		return r;
	if (r < 0) {
		bf_log(BF_LOG_ERROR, "store_unusable", "reason=%s effect=%s",
		       bf_log_quote(err->text),
		       bf_log_quote("rows wait in the segment until writerd can start"));
		bf_child_leave(child, BF_EXIT_CONFIG);
		return 0;
	}
	/* Limits follow what the registry loads. */
	if (start_limits(child, err) < 0)
		return err->code;
	if (start_registry(child, err) < 0) {
		bf_log(BF_LOG_ERROR, "file_refused", "reason=%s effect=%s", bf_log_quote(err->text),
		       bf_log_quote("nothing of it was taken over"));
		bf_child_leave(child, BF_EXIT_CONFIG);
		return 0;
	}
	turn_start(&w->turn, child->loop, &w->seg, w->store, child->proc_slot, child->doorbell_fd,
		   w->store_path != NULL, c->logs_store.retention_days);
	w->turn.sweep.on_freed = control_slot_freed;
	w->turn.sweep.owner = child;
	w->turn.limits = &w->limits;
	w->turn.intake.fold = w->turn.sweep.fold = &w->limits.fold;
	child->on_second = on_second;
	bf_log(BF_LOG_INFO, "writerd_started", "store=%s node_id=%s memory_bytes=%zu",
	       bf_log_quote(w->store_path ? w->store_path : "off"), w->node_id,
	       sizeof(*w) + 2 * (size_t)SHM_CONTENT_MAX_BYTES + limits_memory());
	w->ready_limit_ms = bf_mono_ms() + READY_LIMIT_MS;
	return BF_CHILD_READY_LATER;
}

static void writerd_stop(struct bf_child *child)
{
	struct writerd *w = child->daemon;
	uint64_t left;

	if (!w || !w->turn.loop)
		return;
	left = turn_stop(&w->turn, child->orphaned ? LOST_LIMIT_MS : STOP_LIMIT_MS);
	if (left)
		bf_log(BF_LOG_WARN, "rows_left", "rows=%llu effect=%s", (unsigned long long)left,
		       bf_log_quote("they stay in the segment for the next writerd"));
	limits_done(&w->limits);
	prices_done(&w->prices);
	changes_done(&w->changes);
	registry_done(&w->registry);
	w->store->ops->close(w->store);
}

static bool is_reader(int argc, char **argv)
{
	const char *role = getenv(BF_ENV_ROLE);

	if (role)
		return strcmp(role, bf_role_name(BF_ROLE_READER)) == 0;
	return argc > 1 && strcmp(argv[1], "--role=reader") == 0;
}

int main(int argc, char **argv)
{
	static const struct bf_child_spec spec = {
	    .role = BF_ROLE_WRITERD,
	    .layout_version = SHM_LAYOUT_VERSION,
	    .sandbox = &sandbox,
	    .handlers = control_handlers,
	    .open = writerd_open,
	    .start = writerd_start,
	    .stop = writerd_stop,
	    .cancelled = on_cancelled,
	    .status = control_status,
	};

	/* The same program reads the store for questions; what it was started as decides. */
	return bf_child_main(argc, argv, is_reader(argc, argv) ? &reader_spec : &spec);
}

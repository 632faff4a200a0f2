/*
 * From the command line to the moment before the first child: configuration, folders, lock,
 * segment, sockets. Called once, by lifecycle.c. Each failure is one line that says what and how to
 * mend it, and an exit code. Must never touch the segment or a listening address before the lock is
 * held.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/log/log.h"
#include "common/proc/contract.h"
#include "shm/health.h"
#include "shm/wall.h"
#include "supervisor/banner.h"
#include "supervisor/identity.h"
#include "supervisor/supervisor.h"

/* ------------------------------------------------------------------ configuration */

struct first_read {
	struct supervisor *s;
	struct bf_err *err;
	int exit_code;
	bool done;
};

static void on_first_bundle(struct config_job *job, int code, const struct bf_bundle *bundle,
			    const struct bf_err *err)
{
	struct first_read *first = job->owner;

	first->done = true;
	ev_break(first->s->loop, EVBREAK_ALL);
	if (code < 0) {
		*first->err = *err;
		first->exit_code = code == BF_E_CLOSED ? BF_EXIT_FAILED : BF_EXIT_CONFIG;
		return;
	}
	/* Warnings too: whoever starts it should see them once. */
	(void)fprintf(stderr, "%.*s", BF_SLICE_FMT(bundle->diagnostics));
	if (!bundle->ok) {
		(void)bf_err_set(first->err, BF_E_STATE, "%s: not started: mend the configuration",
				 job->file);
		first->exit_code = BF_EXIT_CONFIG;
	} else if (reload_init(&first->s->reload, bundle, first->err) < 0) {
		first->exit_code = BF_EXIT_VERSION;
	} else {
		first->exit_code = BF_EXIT_OK;
	}
}

int start_read_config(struct supervisor *s, struct bf_err *err)
{
	struct first_read first = {.s = s, .err = err, .exit_code = BF_EXIT_FAILED};
	struct config_job *job = &s->reload.job;

	job->loop = s->loop;
	job->helper = s->binaries.config_helper;
	job->file = s->options->file;
	job->user = s->owner.name;
	job->inherited_env = s->environment;
	job->on_done = on_first_bundle;
	job->owner = &first;
	if (config_job_start(job, err) < 0)
		return BF_EXIT_CONFIG;
	(void)ev_run(s->loop, 0);
	if (!first.done) {
		config_job_cancel(job);
		(void)bf_err_set(err, BF_E_STATE, "stopped before the configuration was read");
	}
	return first.exit_code;
}

/* ------------------------------------------------------------------ folders, segment, sockets */

static int prepare_folders(struct supervisor *s, struct bf_err *err)
{
	const struct bf_conf_supervisor *conf = &s->reload.now->supervisor;
	int r = folder_choose(&s->folders, conf->state_dir, conf->runtime_dir, err);

	if (r == 0)
		r = folder_prepare(&s->folders, &s->owner, err);
	if (r < 0)
		return BF_EXIT_FAILED;
	r = folder_lock(&s->folders, &s->owner, FOLDER_LOCK_WAIT_MS, err);
	if (r < 0)
		return r == BF_E_STATE ? BF_EXIT_RUNNING : BF_EXIT_FAILED;
	return BF_EXIT_OK;
}

static int prepare_segment(struct supervisor *s, struct bf_err *err)
{
	uint8_t boot_id[16];
	int slot, r = segment_boot_id(boot_id, err);

	if (r == 0)
		r = segment_open(&s->segment, &s->folders, &s->owner, boot_id, err);
	if (r < 0)
		return r == BF_E_VERSION ? BF_EXIT_VERSION : BF_EXIT_FAILED;
	(void)shm_wall_update(&s->segment.shm, bf_wall_ns(), bf_boot_ns());
	(void)identity_recover(&s->segment.shm);
	shm_set_draining(&s->segment.shm, false);
	slot = identity_own(&s->segment.shm);
	if (slot < 0) {
		(void)bf_err_set(err, BF_E_FULL,
				 "%s/segment: no free process slot: move the file away",
				 s->folders.runtime);
		return BF_EXIT_FAILED;
	}
	s->crew.own_slot = (uint32_t)slot;
	return BF_EXIT_OK;
}

static int prepare_sockets(struct supervisor *s, struct bf_err *err)
{
	const struct bf_config *config = s->reload.now;

	if (sockets_open(&s->sockets, &config->server.listen, s->workers, err) < 0)
		return BF_EXIT_FAILED;
	s->doorbell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->doorbell_fd < 0) {
		(void)bf_err_sys(err, -errno, "eventfd");
		return BF_EXIT_FAILED;
	}
	if (admin_open(&s->admin, s->loop, &s->folders, &s->owner, &supervisor_admin_events, s,
		       err) < 0)
		return BF_EXIT_FAILED;
	return BF_EXIT_OK;
}

static void set_health(const struct supervisor *s, enum shm_health_bit bit, bool on)
{
	shm_health_set(s->crew.shm, s->crew.own_slot, bit, on);
}

static void introduce(struct supervisor *s)
{
	struct bf_err room = {.text = ""};
	struct bf_buf text;
	struct banner b = {
	    .file = s->options->file,
	    .state_dir = s->folders.state,
	    .runtime_dir = s->folders.runtime,
	    .programs = s->binaries.folder,
	    .config = s->reload.now,
	    .workers = s->workers,
	    .unswept = identity_count(&s->segment.shm, SHM_SLOT_DEAD),
	    .taken_over = s->segment.taken_over,
	    .landlock_abi = banner_landlock_abi(),
	    .keeps_root = geteuid() == 0 && s->owner.name[0] == '\0',
	    .runtime_is_tmpfs = s->folders.runtime_is_tmpfs,
	    .note = s->segment.note,
	    .room = room.text,
	};

	(void)shm_segment_check_room(s->segment.fd, s->workers, &room);
	bf_buf_init(&text, 65536);
	(void)banner_write(&b, &text);
	(void)fprintf(stderr, "%.*s", BF_SLICE_FMT(bf_buf_slice(&text)));
	bf_buf_done(&text);
	/* The block above is for whoever starts us and may wait for the reader; what follows is
	 * not. */
	bf_log_never_wait();
	set_health(s, SHM_H_RUNTIME_NOT_TMPFS, !b.runtime_is_tmpfs);
	set_health(s, SHM_H_SANDBOX_PARTIAL, b.landlock_abi == 0);
	supervisor_show_config(s);
}

static int prepare_crew(struct supervisor *s, struct bf_err *err)
{
	struct crew *crew = &s->crew;
	int r;

	crew->loop = s->loop;
	crew->shm = &s->segment.shm;
	crew->segment_fd = s->segment.fd;
	crew->lock_fd = s->folders.lock_fd;
	crew->doorbell_fd = s->doorbell_fd;
	crew->binaries = &s->binaries;
	crew->sockets = &s->sockets;
	crew->folders = &s->folders;
	crew->user = s->owner.name;
	crew->inherited_env = s->environment;
	crew->conf = &s->reload.now->supervisor;
	crew->events = &supervisor_crew_events;
	crew->owner = s;
	r = crew_init(crew, &s->reload.slices, s->workers);
	if (r < 0) {
		(void)bf_err_sys(err, r, "children");
		return BF_EXIT_FAILED;
	}
	router_init(&s->router, crew, &s->admin, &supervisor_router_events, s);
	snapshots_init(&s->snapshots, crew);
	s->reload.crew = crew;
	s->reload.roll = &s->roll;
	s->reload.admin = &s->admin;
	s->reload.events = &supervisor_reload_events;
	s->reload.owner = s;
	return BF_EXIT_OK;
}

int start_prepare(struct supervisor *s, struct bf_err *err)
{
	int code;

	bf_log_set_level((enum bf_log_level)s->reload.now->supervisor.log_level);
	s->workers = plan_workers(s->reload.now->supervisor.workers, PLAN_MAX_WORKERS);
	code = prepare_folders(s, err);
	if (code == BF_EXIT_OK)
		code = prepare_segment(s, err);
	if (code == BF_EXIT_OK)
		code = prepare_sockets(s, err);
	if (code == BF_EXIT_OK)
		code = prepare_crew(s, err);
	if (code == BF_EXIT_OK)
		introduce(s);
	return code;
}

void start_undo(struct supervisor *s)
{
	snapshots_done(&s->snapshots);
	crew_done(&s->crew);
	admin_close(&s->admin);
	roll_clear(&s->roll);
	reload_done(&s->reload);
	sockets_close(&s->sockets);
	if (s->doorbell_fd >= 0)
		(void)close(s->doorbell_fd);
	if (s->segment.shm.map)
		identity_dead(&s->segment.shm, s->crew.own_slot, NULL);
	segment_close(&s->segment);
	folder_close(&s->folders);
	binaries_close(&s->binaries);
	notify_close(&s->notify);
}

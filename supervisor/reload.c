/*
 * Reload. Asked by SIGHUP and bifrostctl reload. Must never leave the node with some children on
 * the new file and some on the old one, and never report success before all of them are ready.
 */
#include "supervisor/reload.h"

#include <string.h>

#include "common/ipc/messages.h"
#include "common/log/log.h"

#define NAMES_MAX 4096u

static void on_bundle(struct config_job *job, int code, const struct bf_bundle *bundle,
		      const struct bf_err *err);

void reload_prepare(struct reload *r)
{
	r->phase = RELOAD_IDLE;
	r->now = &r->configs[0];
	slices_init(&r->trial);
	slices_init(&r->slices);
	bf_arena_init_nodump(&r->arenas[0], CONFIG_ARENA_BYTES);
	bf_arena_init_nodump(&r->arenas[1], CONFIG_ARENA_BYTES);
}

int reload_init(struct reload *r, const struct bf_bundle *bundle, struct bf_err *err)
{
	int code;

	r->job.on_done = on_bundle;
	r->job.owner = r;
	code = config_decode_own(bundle, &r->arenas[0], r->now, err);
	return code < 0 ? code : slices_seal(&r->slices, bundle, err);
}

void reload_done(struct reload *r)
{
	config_job_cancel(&r->job);
	slices_close(&r->slices);
	slices_close(&r->trial);
	bf_arena_done(&r->arenas[0]);
	bf_arena_done(&r->arenas[1]);
}

/* ------------------------------------------------------------------ answers */

static void tell_line(struct reload *r, bool is_error, struct bf_slice text)
{
	struct bf_msg_diag diag = {.is_error = is_error, .text = text};

	diag.text.len = BF_MIN(diag.text.len, BF_DIAG_MAX_BYTES);
	if (text.len == 0)
		return;
	(void)admin_reply(r->admin, &r->asker, BF_MSG_DIAG, &diag, true);
}

/* One part per line of what bifrost-config printed. */
static void tell_lines(struct reload *r, struct bf_slice lines)
{
	while (lines.len) {
		const char *end = memchr(lines.ptr, '\n', lines.len);
		size_t len = end ? (size_t)(end - lines.ptr) : lines.len;
		struct bf_slice line = {lines.ptr, len};

		tell_line(r, memmem(line.ptr, line.len, ": error:", 8) != NULL, line);
		lines.ptr += len + (end != NULL);
		lines.len -= len + (end != NULL);
	}
}

static void end(struct reload *r, bool ok, const char *why)
{
	struct admin_ticket asker = r->asker;

	slices_close(&r->trial);
	r->phase = RELOAD_IDLE;
	r->asker = (struct admin_ticket){.generation = 0};
	if (ok)
		bf_log(BF_LOG_INFO, "reload_done", "config=%.*s",
		       BF_SLICE_FMT(r->now->config_hash));
	else
		bf_log(BF_LOG_ERROR, "reload_refused", "why=%s", bf_log_quote(why));
	r->events->on_done(r->owner, ok, r->now);
	if (ok)
		(void)admin_reply(r->admin, &asker, BF_MSG_OK, NULL, false);
	else
		(void)admin_reply_error(r->admin, &asker, BF_E_STATE, why);
	if (r->again) {
		r->again = false;
		reload_request(r, NULL);
	}
}

static void refuse(struct reload *r, const char *why)
{
	bf_arena_reset(&r->arenas[!r->at]);
	end(r, false, why);
}

/* ------------------------------------------------------------------ steps */

static void commit(struct reload *r)
{
	struct slices old = r->slices;

	r->slices = r->trial;
	slices_close(&old);
	slices_init(&r->trial);
	r->at = !r->at;
	r->now = &r->configs[r->at];
	r->crew->conf = &r->now->supervisor;
	bf_arena_reset(&r->arenas[!r->at]);
	end(r, true, NULL);
}

/* Seats whose slice changed, in the order of the plan. */
static int collect(struct reload *r, struct bf_err *err)
{
	roll_clear(r->roll);
	for (uint32_t i = 0; i < r->crew->seat_count; i++) {
		struct seat *seat = &r->crew->seats[i];
		int fd = r->trial.fds[seat->row->role], code;

		/* The seat's own, not r->slices: it may have missed a change whose revert failed.
		 */
		if (slices_equal(seat->config_fd, fd))
			continue;
		code = roll_add(r->roll, seat, fd);
		if (code < 0)
			return bf_err_sys(err, code, "reload: descriptors");
	}
	return 0;
}

/* 0 when nothing stands against it. */
static int check(struct reload *r, const struct bf_config *next, struct bf_err *err)
{
	struct bf_buf names;
	int n;

	bf_buf_init(&names, NAMES_MAX);
	n = bf_table_diff(&bf_config_table, r->now, next, BF_FOR_SUPERVISOR, BF_RELOAD_START,
			  &names);
	if (n > 0)
		n = bf_err_set(err, BF_E_STATE,
			       "%.*s: cannot change while the gateway runs: restart it (systemctl "
			       "restart bifrost), or take the change back",
			       BF_SLICE_FMT(bf_buf_slice(&names)));
	else if (n < 0)
		n = bf_err_sys(err, n, "reload: comparing the configurations");
	bf_buf_done(&names);
	return n;
}

static void roll_out(struct reload *r, const struct bf_bundle *bundle)
{
	struct bf_config *next = &r->configs[!r->at];
	struct bf_err err = {0};
	int code = config_decode_own(bundle, &r->arenas[!r->at], next, &err);

	if (code == 0)
		code = check(r, next, &err);
	if (code == 0 && r->roll->running)
		code =
		    bf_err_set(&err, BF_E_STATE, "a restart is running: try again when it is done");
	if (code == 0)
		code = slices_seal(&r->trial, bundle, &err);
	if (code == 0)
		code = collect(r, &err);
	if (code < 0) {
		tell_line(r, true, bf_slice_from(err.text));
		refuse(r, err.text);
		return;
	}
	r->phase = RELOAD_ROLLING;
	roll_start(r->roll);
}

static void on_bundle(struct config_job *job, int code, const struct bf_bundle *bundle,
		      const struct bf_err *err)
{
	struct reload *r = job->owner;

	if (code < 0) {
		tell_line(r, true, bf_slice_from(err->text));
		refuse(r, err->text);
		return;
	}
	tell_lines(r, bundle->diagnostics);
	if (bundle->ok) {
		roll_out(r, bundle);
		return;
	}
	bf_log(BF_LOG_ERROR, "config_invalid", "first=%s", bf_log_quote(bundle->diagnostics.ptr));
	refuse(r, "the file has errors: the running configuration stays in force");
}

/* Those replaced already get their old configuration back. */
static void revert(struct reload *r)
{
	struct roll *roll = r->roll;
	struct seat *done[CREW_MAX_SEATS];
	uint32_t n = roll->at;
	int code = 0;

	for (uint32_t i = 0; i < n; i++)
		done[i] = roll->steps[i].seat;
	roll_clear(roll);
	for (uint32_t i = n; i-- > 0 && code == 0;)
		code = roll_add(roll, done[i], r->slices.fds[done[i]->row->role]);
	r->phase = RELOAD_REVERTING;
	roll_start(roll);
}

void reload_on_roll(struct reload *r, const struct seat *failed, const struct bf_err *err)
{
	if (r->phase == RELOAD_REVERTING) {
		if (failed)
			bf_log(BF_LOG_ERROR, "reload_revert_failed", "why=%s",
			       bf_log_quote(err->text));
		tell_line(r, true, bf_slice_from(r->why.text));
		refuse(r, r->why.text);
	} else if (r->phase == RELOAD_ROLLING && failed) {
		r->why = *err;
		revert(r);
	} else if (r->phase == RELOAD_ROLLING) {
		commit(r);
	}
}

void reload_request(struct reload *r, const struct admin_ticket *asker)
{
	struct bf_err err = {0};

	if (r->phase != RELOAD_IDLE) {
		if (!asker)
			r->again = true;
		else
			(void)admin_reply_error(r->admin, asker, BF_E_STATE,
						"a reload is running: try again when it is done");
		return;
	}
	if (asker)
		r->asker = *asker;
	bf_log(BF_LOG_INFO, "reload_started", "file=%s", bf_log_quote(r->job.file));
	r->phase = RELOAD_READING;
	if (config_job_start(&r->job, &err) < 0) {
		tell_line(r, true, bf_slice_from(err.text));
		refuse(r, err.text);
	}
}

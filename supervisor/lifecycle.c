/*
 * The supervisor's life: signals, readiness, reaping, the ordered stop, and the wires between the
 * parts. Called by main.c. Must never wait outside the loop once a child exists.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/clock.h"
#include "common/ipc/messages.h"
#include "common/log/log.h"
#include "common/proc/contract.h"
#include "shm/health.h"
#include "shm/metrics.h"
#include "supervisor/supervisor.h"

static void count(const struct supervisor *s, enum shm_metric m)
{
	shm_metric_add(s->crew.shm, s->crew.own_slot, m, 1);
}

/* ------------------------------------------------------------------ readiness */

static bool is_up(const struct seat *seat)
{
	return seat->serving && seat->serving->fsm.state == CHILD_READY;
}

static uint32_t workers_up(const struct supervisor *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->crew.seat_count; i++)
		n += s->crew.seats[i].row->per_worker && is_up(&s->crew.seats[i]);
	return n;
}

void supervisor_tell_status(const struct supervisor *s)
{
	char text[96];

	if (s->phase == LIFE_STOPPING)
		(void)snprintf(text, sizeof(text), "stopping");
	else
		(void)snprintf(text, sizeof(text), "%s: %u of %u workers ready",
			       shm_draining(s->crew.shm) ? "draining" : "serving", workers_up(s),
			       s->workers);
	notify_send(&s->notify, NOTIFY_STATUS, text);
}

/* Nobody waits for a first start any more, and somebody serves. */
static bool is_settled(const struct supervisor *s)
{
	for (uint32_t i = 0; i < s->crew.seat_count; i++) {
		const struct seat *seat = &s->crew.seats[i];

		if (!is_up(seat) && seat->restart.failures == 0)
			return false;
	}
	return workers_up(s) > 0;
}

static bool is_hopeless(int exit_code)
{
	return exit_code == BF_EXIT_VERSION || exit_code == BF_EXIT_SANDBOX ||
	       exit_code == BF_EXIT_CONFIG;
}

/* All processes of a role ended with an error that another try cannot mend; 0 when that is not so.
 */
static int hopeless_role(const struct supervisor *s, const struct plan_row *row)
{
	int code = 0;

	for (uint32_t i = 0; i < s->crew.seat_count; i++) {
		const struct seat *seat = &s->crew.seats[i];

		if (seat->row != row)
			continue;
		if (seat->restart.failures == 0 || !is_hopeless(seat->exit_code))
			return 0;
		code = seat->exit_code;
	}
	return code;
}

/* Until the node has been ready once: is it, or can it never be? */
static void settle(struct supervisor *s)
{
	if (s->was_ready || s->phase != LIFE_RUNNING)
		return;
	for (size_t i = 0; i < plan_row_count; i++) {
		int code = hopeless_role(s, &plan_rows[i]);

		if (code != 0) {
			supervisor_stop(s, code, "a child cannot run here: its message is above");
			return;
		}
	}
	if (!is_settled(s))
		return;
	s->was_ready = true;
	notify_send(&s->notify, NOTIFY_READY, NULL);
	bf_log(BF_LOG_INFO, "ready", "workers=%u of=%u after_ms=%lld", workers_up(s), s->workers,
	       (long long)(bf_mono_ms() - s->started_mono_ms));
}

/* ------------------------------------------------------------------ stopping */

static void advance_stop(struct supervisor *s)
{
	while (crew_living(&s->crew, s->stop_order) == 0) {
		if (++s->stop_order >= PLAN_STOP_ORDERS) {
			ev_break(s->loop, EVBREAK_ALL);
			return;
		}
		(void)crew_close(&s->crew, s->stop_order);
	}
}

static void begin_stop(struct supervisor *s, int exit_code, const char *why)
{
	s->phase = LIFE_STOPPING;
	s->exit_code = exit_code;
	bf_log(BF_LOG_INFO, "stopping", "why=%s", bf_log_quote(why));
	notify_send(&s->notify, NOTIFY_STOPPING, "stopping");
	shm_set_draining(s->crew.shm, true);
	config_job_cancel(&s->reload.job);
	s->crew.closing = true;
	/* Whoever connects now is refused once the workers have let go too, instead of waiting for
	 * nobody. */
	sockets_close(&s->sockets);
	s->stop_order = 0;
	(void)crew_close(&s->crew, 0);
	advance_stop(s);
}

void supervisor_stop(struct supervisor *s, int exit_code, const char *why)
{
	if (s->phase == LIFE_STARTING) {
		ev_break(s->loop, EVBREAK_ALL);
		return;
	}
	s->stop_signals++;
	if (s->phase != LIFE_STOPPING) {
		begin_stop(s, exit_code, why);
		return;
	}
	bf_log(BF_LOG_WARN, "stopping_faster", "times=%u", s->stop_signals);
	for (uint8_t order = 0; order < PLAN_STOP_ORDERS; order++) {
		if (s->stop_signals > 2)
			crew_feed(&s->crew, order, CHILD_EV_KILL,
				  "told to stop for the third time");
		else if (order <= s->stop_order)
			crew_feed(&s->crew, order, CHILD_EV_STOP, "told to stop a second time");
	}
}

/* ------------------------------------------------------------------ signals */

static void on_chld(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct supervisor *s = w->data;
	int status;
	pid_t pid;

	(void)loop;
	(void)revents;
	/* Bounded by the number of children: new ones are not reaped before they are forked. */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (!config_job_reaped(&s->reload.job, pid, status) && s->phase != LIFE_STARTING)
			(void)crew_reaped(&s->crew, pid, status);
	}
	if (s->phase == LIFE_STARTING)
		return;
	supervisor_tell_status(s);
	settle(s);
	if (s->phase == LIFE_STOPPING)
		advance_stop(s);
}

static void on_term(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)loop;
	(void)revents;
	supervisor_stop(w->data, BF_EXIT_OK, w->signum == SIGINT ? "SIGINT" : "SIGTERM");
}

static void on_hup(struct ev_loop *loop, ev_signal *w, int revents)
{
	struct supervisor *s = w->data;

	(void)loop;
	(void)revents;
	if (s->phase != LIFE_RUNNING)
		return;
	notify_send(&s->notify, NOTIFY_RELOADING, "reloading");
	reload_request(&s->reload, NULL);
}

static void on_watchdog(struct ev_loop *loop, ev_timer *w, int revents)
{
	const struct supervisor *s = w->data;

	(void)loop;
	(void)revents;
	notify_send(&s->notify, NOTIFY_WATCHDOG, NULL);
}

static void watch_signals(struct supervisor *s)
{
	(void)signal(SIGPIPE, SIG_IGN);
	ev_signal_init(&s->on_chld, on_chld, SIGCHLD);
	ev_signal_init(&s->on_term, on_term, SIGTERM);
	ev_signal_init(&s->on_int, on_term, SIGINT);
	ev_signal_init(&s->on_hup, on_hup, SIGHUP);
	s->on_chld.data = s->on_term.data = s->on_int.data = s->on_hup.data = s;
	ev_signal_start(s->loop, &s->on_chld);
	ev_signal_start(s->loop, &s->on_term);
	ev_signal_start(s->loop, &s->on_int);
	ev_signal_start(s->loop, &s->on_hup);
}

/* ------------------------------------------------------------------ wires */

static void on_child_frame(void *owner, struct child *child, struct bf_frame *f)
{
	struct supervisor *s = owner;

	router_from_child(&s->router, child, f);
}

static void on_child_greeted(void *owner, struct child *child)
{
	struct supervisor *s = owner;

	snapshots_greeted(&s->snapshots, child);
}

static void on_child_sent(void *owner, const struct bf_frame *f)
{
	struct supervisor *s = owner;

	trace_frame(&s->router.trace, f, NULL);
}

/* For the store's history of configurations. */
static void tell_config(struct supervisor *s)
{
	struct child *writer = crew_find(&s->crew, BF_ENDPOINT(BF_ROLE_WRITERD, 0));
	struct bf_msg_config_applied message = {.config_hash = s->reload.now->config_hash};

	if (writer)
		(void)child_send(writer, BF_MSG_CONFIG_APPLIED, &message);
}

static void on_child_ready(void *owner, struct child *child)
{
	struct supervisor *s = owner;

	snapshots_ready(&s->snapshots, child);
	if (BF_ENDPOINT_ROLE(child->endpoint) == BF_ROLE_WRITERD)
		tell_config(s);
	watch_child_ready(&s->watch);
	supervisor_tell_status(s);
	settle(s);
}

static void on_child_gone(void *owner, struct child *child, int wait_status)
{
	struct supervisor *s = owner;

	(void)wait_status;
	router_child_gone(&s->router, child);
	snapshots_gone(&s->snapshots, child);
	if (child->part != CHILD_LEAVING && s->phase == LIFE_RUNNING)
		count(s, SHM_M_CHILD_RESTARTS);
}

static void on_seat_rolled(void *owner, struct seat *seat, bool ok)
{
	struct supervisor *s = owner;

	roll_on_seat(&s->roll, seat, ok);
}

const struct crew_events supervisor_crew_events = {
    .on_frame = on_child_frame,
    .on_greeted = on_child_greeted,
    .on_sent = on_child_sent,
    .on_ready = on_child_ready,
    .on_gone = on_child_gone,
    .on_rolled = on_seat_rolled,
};

static void on_roll_done(struct roll *roll, const struct seat *failed, const struct bf_err *err)
{
	struct supervisor *s = roll->owner;

	if (s->reload.phase == RELOAD_ROLLING || s->reload.phase == RELOAD_REVERTING)
		reload_on_roll(&s->reload, failed, err);
	else
		command_restart_done(s, failed, err);
}

static void on_ctl_frame(void *owner, struct admin_connection *c, struct bf_frame *f)
{
	struct supervisor *s = owner;

	router_from_ctl(&s->router, c, f);
}

static void on_ctl_closed(void *owner, struct admin_connection *c)
{
	struct supervisor *s = owner;

	router_ctl_gone(&s->router, c);
}

const struct admin_events supervisor_admin_events = {.on_frame = on_ctl_frame,
						     .on_closed = on_ctl_closed};

static void on_question(void *owner, struct admin_connection *c, struct bf_frame *f)
{
	command_answer(owner, c, f);
}

static void on_bad_frame(void *owner)
{
	count(owner, SHM_M_CONTROL_BAD_FRAMES);
}

static void on_snapshot(void *owner, struct child *child, struct bf_frame *f)
{
	struct supervisor *s = owner;

	snapshots_frame(&s->snapshots, child, f);
}

const struct router_events supervisor_router_events = {
    .on_question = on_question, .on_snapshot = on_snapshot, .on_bad_frame = on_bad_frame};

void supervisor_show_config(const struct supervisor *s)
{
	const struct bf_conf_sheet *sheet = &s->reload.now->pricing.sheet;
	struct shm_segment *shm = s->crew.shm;
	uint32_t slot = s->crew.own_slot;

	shm_health_set(shm, slot, SHM_H_UNBUILT_KEYS, s->reload.now->unbuilt.count > 0);
	shm_metric_set(shm, slot, SHM_M_PRICE_SHEET_MODELS, (int64_t)sheet->models);
	shm_metric_set(shm, slot, SHM_M_PRICE_SHEET_SKIPPED, (int64_t)sheet->skipped);
}

static void on_reload_done(void *owner, bool ok, const struct bf_config *now)
{
	struct supervisor *s = owner;

	bf_log_set_level((enum bf_log_level)now->supervisor.log_level);
	shm_health_set(s->crew.shm, s->crew.own_slot, SHM_H_RELOAD_FAILED, !ok);
	supervisor_show_config(s);
	if (ok)
		tell_config(s);
	notify_send(&s->notify, NOTIFY_READY, NULL);
	supervisor_tell_status(s);
}

const struct reload_events supervisor_reload_events = {.on_done = on_reload_done};

/* ------------------------------------------------------------------ the life itself */

static int open_basics(struct supervisor *s, struct bf_err *err)
{
	struct bf_err warning = {0};

	s->loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	if (!s->loop) {
		(void)bf_err_set(err, -ENOSYS, "no epoll loop: this kernel is too old");
		return BF_EXIT_FAILED;
	}
	if (notify_open(&s->notify, &warning) < 0)
		(void)fprintf(stderr, "bifrost: warning: %s\n", warning.text);
	if (owner_find(s->options->user, &s->owner, err) < 0)
		return BF_EXIT_USAGE;
	if (binaries_open(&s->binaries, err) < 0)
		return BF_EXIT_FAILED;
	watch_signals(s);
	return BF_EXIT_OK;
}

static void live(struct supervisor *s)
{
	s->phase = LIFE_RUNNING;
	s->roll.on_done = on_roll_done;
	s->roll.owner = s;
	if (s->notify.watchdog_ms > 0) {
		double every = (double)s->notify.watchdog_ms / 1000.;

		ev_timer_init(&s->watchdog, on_watchdog, every, every);
		s->watchdog.data = s;
		ev_timer_start(s->loop, &s->watchdog);
	}
	watch_start(&s->watch, &s->crew, &s->admin, &s->router);
	crew_start(&s->crew);
	(void)ev_run(s->loop, 0);
	watch_stop(&s->watch);
	bf_log(BF_LOG_INFO, "stopped", "exit=%d", s->exit_code);
}

int supervisor_run(const struct options *options, char *const *environment)
{
	/* Large tables, one instance, the whole life of the process. */
	static struct supervisor s;
	struct bf_err err = {0};
	int code;

	s.options = options;
	s.environment = environment;
	s.started_mono_ms = bf_mono_ms();
	s.doorbell_fd = s.notify.fd = s.segment.fd = s.folders.lock_fd = s.folders.runtime_fd = -1;
	bf_log_init("supervisor", BF_LOG_INFO);
	binaries_init(&s.binaries);
	sockets_init(&s.sockets);
	reload_prepare(&s.reload);
	code = open_basics(&s, &err);
	if (code == BF_EXIT_OK)
		code = start_read_config(&s, &err);
	if (code == BF_EXIT_OK)
		code = start_prepare(&s, &err);
	if (code == BF_EXIT_OK) {
		live(&s);
		code = s.exit_code;
	} else {
		(void)fprintf(stderr, "bifrost: %s\n", err.text);
	}
	start_undo(&s);
	if (s.loop)
		ev_loop_destroy(s.loop);
	return code;
}

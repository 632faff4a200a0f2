/*
 * The loop of a child: heartbeat, signals, READY, and leaving in order. Called by bf_child_main
 * when everything is open and the sandbox is up.
 */
#include <errno.h>
#include <signal.h>

#include "common/base/clock.h"
#include "common/proc/child_priv.h"
#include "common/proc/contract.h"

/* A last message (DRAINED, a status) that could not be sent at once may take this long. */
#define FLUSH_LIMIT_S 1.

void bf_child_leave(struct bf_child *child, int code)
{
	if (child->phase == BF_CHILD_LEAVING)
		return;
	child->phase = BF_CHILD_LEAVING;
	child->exit_code = code;
	ev_break(child->loop, EVBREAK_ALL);
}

void bf_child_ready(struct bf_child *child)
{
	if (child->ready || child->phase != BF_CHILD_RUNNING)
		return;
	child->ready = true;
	(void)bf_channel_send_msg(&child->channel, BF_MSG_READY, child->endpoint,
				  BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0), 0, 0, NULL);
}

void bf_child_starting(struct bf_child *child)
{
	if (!child->ready && child->phase != BF_CHILD_LEAVING)
		(void)bf_channel_send_msg(&child->channel, BF_MSG_STARTING, child->endpoint,
					  BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0), 0, 0, NULL);
}

void bf_child_begin(struct bf_child *child)
{
	struct bf_err err = {0};
	int r = child->spec->start != NULL ? child->spec->start(child, &err) : 0;

	if (r < 0) {
		bf_log(BF_LOG_ERROR, "start_failed", "why=%s", bf_log_quote(err.text));
		bf_child_leave(child, BF_EXIT_FAILED);
		return;
	}
	child->begun = true;
	if (child->phase == BF_CHILD_LEAVING)
		return;
	child->phase = BF_CHILD_RUNNING;
	if (r != BF_CHILD_READY_LATER)
		bf_child_ready(child);
}

static void beat(struct bf_child *child)
{
	if (child->beat != NULL)
		child->beat(child);
}

static void on_heartbeat(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct bf_child *child = w->data;

	(void)loop;
	(void)revents;
	beat(child);
	bf_log_tick();
	if (child->on_second != NULL)
		child->on_second(child);
}

static void on_term(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
	bf_log(BF_LOG_INFO, "sigterm_ignored",
	       "hint=\"the supervisor decides: stop it, or use bifrostctl restart\"");
}

/* Ctrl-C and a closed terminal reach the whole process group; the order of leaving is the
 * supervisor's. */
static void watch_signals(struct bf_child *child)
{
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	ev_signal_init(&child->on_term, on_term, SIGTERM);
	ev_signal_start(child->loop, &child->on_term);
}

static void on_flush_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

static void flush_channel(struct bf_child *child)
{
	ev_timer limit;

	ev_timer_init(&limit, on_flush_limit, FLUSH_LIMIT_S, 0.);
	ev_timer_start(child->loop, &limit);
	while (!child->orphaned && child->channel.queue_frames > 0 && ev_is_active(&limit))
		(void)ev_run(child->loop, EVRUN_ONCE);
	ev_timer_stop(child->loop, &limit);
}

static int open_loop(struct bf_child *child, struct bf_err *err)
{
	child->loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	if (child->loop == NULL)
		return bf_err_set(err, -ENOSYS, "child: no epoll loop");
	ev_timer_init(&child->heartbeat, on_heartbeat, 1., 1.);
	child->heartbeat.data = child;
	ev_timer_start(child->loop, &child->heartbeat);
	watch_signals(child);
	return bf_channel_open(&child->channel, child->loop, BF_FD_CHANNEL, &bf_child_events, child,
			       err);
}

static void leave_in_order(struct bf_child *child)
{
	if (child->begun && child->spec->stop != NULL)
		child->spec->stop(child);
	flush_channel(child);
	bf_log(BF_LOG_INFO, "leaving", "exit=%d orphaned=%d", child->exit_code, child->orphaned);
	bf_channel_close(&child->channel);
	ev_loop_destroy(child->loop);
}

int bf_child_run(struct bf_child *child)
{
	struct bf_err err = {0};

	if (open_loop(child, &err) < 0) {
		bf_log(BF_LOG_ERROR, "loop_failed", "why=%s", bf_log_quote(err.text));
		return BF_EXIT_FAILED;
	}
	beat(child);
	(void)ev_run(child->loop, 0);
	leave_in_order(child);
	return child->exit_code;
}

/*
 * The run: who asks when. Called by main.c; must not let a slow target slow the schedule down.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "tests/support/loadgen/load_priv.h"

#define EVENTS_MAX  256
#define INPUT_BYTES (256u << 10)
#define SWEEP_NS    50000000
#define CONNECT_NS  10000000000
#define NS          1000000000.0

static const char *const end_names[LOAD_END_COUNT] = {
    [LOAD_DONE] = "done",       [LOAD_NO_TERMINAL] = "no_terminal",
    [LOAD_CUT] = "cut",         [LOAD_ERROR_EVENT] = "error_event",
    [LOAD_RST] = "rst",         [LOAD_BAD_HTTP] = "bad_http",
    [LOAD_TIMEOUT] = "timeout", [LOAD_GARBLED] = "garbled",
};

const char *load_end_name(enum load_end end)
{
	return end_names[end];
}

/* May request number i still be sent? */
static bool wanted(const struct load *l, int64_t meant_ns)
{
	const struct options *o = l->options;

	if (o->requests && l->issued >= o->requests)
		return false;
	return o->idle || meant_ns < l->end_ns;
}

void load_free_client(struct load *l, struct client *c)
{
	const struct options *o = l->options;

	if (o->idle && c->was_asked) {
		c->state = CLIENT_HELD;
		return;
	}
	c->state = CLIENT_FREE;
	if (l->start_ns && !o->rate_micro && wanted(l, l->now_ns)) {
		client_ask(c, bf_mono_ns());
		return;
	}
	l->free_ring[(l->free_first + l->free_count++) % o->connections] =
	    (uint32_t)(c - l->clients);
}

/* The client that is free for longest; those that closed meanwhile are passed over. */
static struct client *take_free(struct load *l)
{
	while (l->free_count) {
		struct client *c = &l->clients[l->free_ring[l->free_first]];

		l->free_first = (l->free_first + 1) % l->options->connections;
		l->free_count--;
		if (c->state == CLIENT_FREE)
			return c;
	}
	return NULL;
}

/* Sends what is due and has a connection. Returns when the next one is due. */
static int64_t issue(struct load *l)
{
	const struct options *o = l->options;
	struct client *c;

	if (!o->rate_micro) {
		while (wanted(l, l->now_ns) && (c = take_free(l)))
			client_ask(c, bf_mono_ns());
		return INT64_MAX;
	}
	for (;;) {
		int64_t meant = schedule_time_ns(&l->schedule, l->issued);

		if (!wanted(l, meant))
			return INT64_MAX;
		if (meant > l->now_ns)
			return meant;
		c = take_free(l);
		if (!c)
			return INT64_MAX; /* one that comes free takes it */
		client_ask(c, meant);
	}
}

static uint32_t count_state(const struct load *l, enum client_state state)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->options->connections; i++)
		n += l->clients[i].state == state;
	return n;
}

/* Waits for events, at most until `until`. */
static void turn(struct load *l, int64_t until)
{
	struct epoll_event events[EVENTS_MAX];
	int64_t left = BF_MAX(until - l->now_ns, 0);
	struct timespec wait = {left / 1000000000, left % 1000000000};
	int n = epoll_pwait2(l->epoll, events, EVENTS_MAX, &wait, NULL);

	l->now_ns = bf_mono_ns();
	for (int i = 0; i < n; i++)
		client_on_events(events[i].data.ptr, events[i].events);
}

/* Tries again where a connection failed. */
static void reopen(struct load *l)
{
	for (uint32_t i = 0; i < l->options->connections; i++) {
		struct client *c = &l->clients[i];

		if (c->state == CLIENT_CLOSED && c->retry_ns <= l->now_ns &&
		    (!l->options->idle || !c->was_asked))
			client_connect(c);
	}
}

static void sweep(struct load *l)
{
	int64_t longest = (int64_t)(l->options->timeout_s * NS);

	for (uint32_t i = 0; i < l->options->connections; i++) {
		struct client *c = &l->clients[i];

		if (c->state == CLIENT_BUSY && l->now_ns - c->sent_ns > longest)
			client_end(c, LOAD_TIMEOUT);
	}
	reopen(l);
	load_flush(l);
}

static int connect_all(struct load *l, struct bf_err *err)
{
	int64_t end = bf_mono_ns() + CONNECT_NS;

	for (uint32_t i = 0; i < l->options->connections; i++) {
		l->now_ns = bf_mono_ns();
		client_connect(&l->clients[i]);
		if (i % 64 == 63) /* as many as a listener's queue holds */
			turn(l, l->now_ns + 1000000);
	}
	while (count_state(l, CLIENT_FREE) < l->options->connections) {
		turn(l, l->now_ns + SWEEP_NS);
		reopen(l);
		if (l->now_ns > end)
			return bf_err_set(err, -ECONNREFUSED,
					  "target: %s:%s: %u of %u connections within 10 s",
					  l->options->host, l->options->port,
					  count_state(l, CLIENT_FREE), l->options->connections);
	}
	return 0;
}

static bool is_over(const struct load *l)
{
	const struct options *o = l->options;
	int64_t grace = (int64_t)(o->timeout_s * NS);

	if (o->idle)
		return l->now_ns >= l->end_ns;
	if (l->now_ns < l->end_ns && !(o->requests && l->issued >= o->requests))
		return false;
	if (l->now_ns > l->end_ns + grace)
		return true;
	if (o->rate_micro && wanted(l, schedule_time_ns(&l->schedule, l->issued)))
		return false; /* what was meant to be sent is still sent */
	return count_state(l, CLIENT_BUSY) == 0;
}

static void run(struct load *l)
{
	const struct options *o = l->options;
	int64_t next_sweep = 0;
	bool holding = !o->idle;

	l->now_ns = l->start_ns = bf_mono_ns();
	l->measured_ns = l->start_ns + (int64_t)(o->warmup_s * NS);
	l->end_ns = l->measured_ns + (int64_t)(o->duration_s * NS);
	l->schedule = (struct schedule){l->start_ns, o->rate_micro};
	while (!is_over(l)) {
		int64_t next = issue(l);

		turn(l, BF_MIN(next, next_sweep));
		if (l->now_ns < next_sweep)
			continue;
		next_sweep = l->now_ns + SWEEP_NS;
		sweep(l);
		/* The time of holding begins when all were answered. */
		if (!holding && count_state(l, CLIENT_HELD) == o->connections) {
			holding = true;
			l->report.held = o->connections;
			l->end_ns = l->now_ns + (int64_t)(o->duration_s * NS);
		} else if (!holding) {
			l->end_ns = l->now_ns + (int64_t)NS;
		} else if (o->idle && count_state(l, CLIENT_HELD) == 0) {
			l->end_ns = l->now_ns; /* all were lost */
		}
	}
}

static void count_rest(struct load *l)
{
	const struct options *o = l->options;
	struct load_report *r = &l->report;

	l->now_ns = bf_mono_ns();
	for (uint32_t i = 0; i < o->connections; i++) {
		if (l->clients[i].state == CLIENT_BUSY)
			client_end(&l->clients[i], LOAD_TIMEOUT);
	}
	if (o->rate_micro) {
		r->due = schedule_due(&l->schedule, l->end_ns - 1);
		if (o->requests)
			r->due = BF_MIN(r->due, o->requests);
		r->unsent = r->due - l->issued;
	}
	r->elapsed_ns = l->last_end_ns > l->measured_ns ? l->last_end_ns - l->measured_ns : 0;
	load_flush(l);
}

static int prepare(struct load *l, struct bf_err *err)
{
	const struct options *o = l->options;
	int r = message_build(&l->message, o, err);

	if (r < 0)
		return r;
	l->ledger = -1;
	if (o->ledger) {
		l->ledger = open(o->ledger, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (l->ledger < 0)
			return bf_err_sys(err, -errno, "ledger: %s", o->ledger);
	}
	bf_buf_init(&l->lines, 16u << 20);
	bf_buf_init(&l->input, INPUT_BYTES);
	l->tls = o->tls ? link_context(NULL, NULL) : NULL;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->clients = calloc(o->connections, sizeof(*l->clients));
	l->free_ring = calloc(o->connections, sizeof(*l->free_ring));
	if (bf_buf_reserve(&l->input, INPUT_BYTES) != 0 || (o->tls && !l->tls) || l->epoll < 0 ||
	    !l->clients || !l->free_ring)
		return bf_err_sys(err, -ENOMEM, "loadgen: cannot start");
	for (uint32_t i = 0; i < o->connections; i++) {
		struct client *c = &l->clients[i];

		c->load = l;
		c->link.fd = -1;
		reply_init(&c->reply);
		seen_init(&c->seen);
	}
	return 0;
}

static void raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

int load_run(struct load *l, struct bf_err *err)
{
	int r;

	raise_limits();
	r = prepare(l, err);
	r = r < 0 ? r : connect_all(l, err);
	if (r < 0)
		return r;
	run(l);
	count_rest(l);
	return 0;
}

void load_done(struct load *l)
{
	for (uint32_t i = 0; l->clients && i < l->options->connections; i++) {
		link_close(&l->clients[i].link);
		reply_done(&l->clients[i].reply);
		seen_done(&l->clients[i].seen);
	}
	free(l->clients);
	free(l->free_ring);
	message_done(&l->message);
	bf_buf_done(&l->lines);
	bf_buf_done(&l->input);
	link_context_free(l->tls);
	if (l->epoll > 0)
		(void)close(l->epoll);
	if (l->ledger > 0)
		(void)close(l->ledger);
}

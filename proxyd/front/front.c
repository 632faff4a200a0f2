/*
 * The front as a whole: life of the connection set, end of turn, sweep, drain. Called by main,
 * control and the loop. Must never do unbounded work in a turn: what is left waits for the next
 * one.
 */
#include "proxyd/front/front.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/log/log.h"
#include "proxyd/front/conn.h"
#include "proxyd/front/input.h"
#include "proxyd/front/respond.h"

static struct conn *conn_of_turn(struct bf_list *node)
{
	return BF_CONTAINER_OF(node, struct conn, turn_node);
}

static struct conn *conn_of(struct bf_list *node)
{
	return BF_CONTAINER_OF(node, struct conn, node);
}

void front_later(struct front *f, struct conn *c)
{
	if (c->state != CONN_CLOSED && bf_list_empty(&c->turn_node))
		bf_list_append(&f->turn, &c->turn_node);
}

static void front_finish_turn(struct conn *c)
{
	if (!c->broken && bf_buf_len(&c->out) > 0 && !ev_is_active(&c->writer))
		respond_flush(c);
	if (c->broken)
		conn_lost(c, EXCHANGE_CLIENT_GONE);
	else
		input_more(c);
}

static void front_free_dead(struct front *f)
{
	while (!bf_list_empty(&f->dead)) {
		struct conn *c = conn_of(f->dead.next);
		bf_list_remove(&c->node);
		conn_free(c);
	}
}

static void front_close_idle(struct front *f)
{
	struct bf_list *it, *tmp;

	BF_LIST_FOREACH_SAFE(it, tmp, &f->conns)
	{
		struct conn *c = conn_of(it);
		if (c->state == CONN_IDLE && bf_buf_len(&c->in) == 0)
			conn_close(c);
	}
}

static void front_check_drain(struct front *f)
{
	enum drain_step step =
	    drain_next(&f->drain, bf_mono_ms(), f->conn_count - f->idle_count, f->idle_count);

	if (step == DRAIN_CLOSE_IDLE) {
		front_close_idle(f);
		front_free_dead(f);
	}
	if (f->conn_count == 0 && f->on_drained) {
		void (*on_drained)(void *) = f->on_drained;
		f->on_drained = NULL;
		on_drained(f->drained_ctx);
	}
}

/* Moves all of from, so that what is put there meanwhile waits for the next time. What is done to
 * one connection may take any other one off its list. */
static void front_take_all(struct bf_list *from, struct bf_list *to)
{
	bf_list_init(to);
	while (!bf_list_empty(from)) {
		struct bf_list *node = from->next;
		bf_list_remove(node);
		bf_list_append(to, node);
	}
}

static void front_run_turn_end(struct front *f)
{
	struct bf_list now;

	front_take_all(&f->turn, &now);
	while (!bf_list_empty(&now)) {
		struct conn *c = conn_of_turn(now.next);
		bf_list_remove(&c->turn_node);
		front_finish_turn(c);
	}
	front_free_dead(f);
	if (f->drain.on)
		front_check_drain(f);
	if (bf_list_empty(&f->turn))
		ev_idle_stop(f->w->loop, &f->again);
	else
		ev_idle_start(f->w->loop, &f->again);
}

static void on_front_turn_begin(struct ev_loop *loop, ev_check *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
	bf_clock_turn_begin();
}

static void on_front_turn_end(struct ev_loop *loop, ev_prepare *w, int revents)
{
	(void)loop;
	(void)revents;
	front_run_turn_end(w->data);
	bf_clock_turn_end(); /* what is waited for now may be long */
}

static void on_front_again(struct ev_loop *loop, ev_idle *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents; /* it only keeps the loop from sleeping */
}

static void front_tick(struct conn *c, int64_t now_ms)
{
	struct exchange *x = c->x;

	if (x && x->on_tick && (x->state == EXCHANGE_CALLING || x->state == EXCHANGE_STREAMING))
		x->on_tick(x, now_ms);
}

void front_sweep(struct front *f, int64_t now_ms)
{
	struct bf_list all;

	front_take_all(&f->conns, &all);
	while (!bf_list_empty(&all)) {
		struct conn *c = conn_of(all.next);
		bf_list_remove(&c->node);
		bf_list_append(&f->conns, &c->node);
		front_tick(c, now_ms);
		conn_check_time(c, now_ms);
	}
}

static void on_front_sweep(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct front *f = w->data;

	(void)revents;
	front_sweep(f, bf_mono_ms());
	if (f->conn_count == 0 && !f->drain.on)
		ev_timer_stop(loop, w);
}

static void front_start_sweep(struct front *f)
{
	if (!ev_is_active(&f->sweep))
		ev_timer_again(f->w->loop, &f->sweep);
}

int front_init(struct front *f, struct worker *w, struct bf_err *err)
{
	*f = (struct front){.w = w};
	bf_list_init(&f->conns);
	bf_list_init(&f->turn);
	bf_list_init(&f->dead);
	f->scratch =
	    mmap(NULL, FRONT_SCRATCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f->scratch == MAP_FAILED) {
		f->scratch = NULL;
		return bf_err_sys(err, -errno, "front");
	}
	(void)madvise(f->scratch, FRONT_SCRATCH, MADV_DONTDUMP);
	f->record = f->scratch + FRONT_READ_BYTES;
	ev_prepare_init(&f->turn_end, on_front_turn_end);
	ev_check_init(&f->turn_begin, on_front_turn_begin);
	ev_set_priority(&f->turn_begin, EV_MAXPRI); /* before what the turn is about */
	ev_idle_init(&f->again, on_front_again);
	ev_timer_init(&f->sweep, on_front_sweep, 0.0, FRONT_SWEEP_MS / 1000.0);
	f->turn_end.data = f->again.data = f->sweep.data = f;
	ev_prepare_start(w->loop, &f->turn_end);
	ev_check_start(w->loop, &f->turn_begin);
	return 0;
}

void front_done(struct front *f)
{
	if (!f->w)
		return;
	listener_done(&f->listener);
	while (!bf_list_empty(&f->conns))
		conn_leave(conn_of(f->conns.next));
	front_free_dead(f);
	ev_prepare_stop(f->w->loop, &f->turn_end);
	ev_check_stop(f->w->loop, &f->turn_begin);
	bf_clock_turn_end();
	ev_idle_stop(f->w->loop, &f->again);
	ev_timer_stop(f->w->loop, &f->sweep);
	if (f->scratch)
		(void)munmap(f->scratch, FRONT_SCRATCH);
	*f = (struct front){0};
}

int front_take(struct front *f, int fd, const struct bf_addr *peer)
{
	if (!conn_new(f, fd, peer))
		return -ENOMEM;
	front_start_sweep(f);
	return 0;
}

void front_drain(struct front *f, void (*on_drained)(void *ctx), void *ctx)
{
	if (f->drain.on)
		return;
	bf_log(BF_LOG_INFO, "drain_started", "connections=%u idle=%u", f->conn_count,
	       f->idle_count);
	listener_stop(&f->listener);
	drain_begin(&f->drain, f->w->config->server.idle_timeout_ms);
	f->on_drained = on_drained;
	f->drained_ctx = ctx;
	front_start_sweep(f);
}

bool front_closes(const struct front *f)
{
	return f->drain.on || shm_draining(f->w->seg);
}

#define DATE_LINE  "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define DATE_CLOCK (sizeof("Date: Sun, 06 Nov 1994 ") - 1)
#define DAY_S      86400

_Static_assert(sizeof(DATE_LINE) <= sizeof(((struct front *)0)->date), "a line fits");

/* The C locale is never left, so the names of days and months are the ones HTTP wants. */
static void date_set_day(struct front *f, int64_t day)
{
	time_t t = (time_t)(day * DAY_S);
	struct tm tm;

	f->date_day = day;
	if (!gmtime_r(&t, &tm) ||
	    strftime(f->date, sizeof(f->date), "Date: %a, %d %b %Y 00:00:00 GMT\r\n", &tm) == 0)
		f->date[0] = '\0';
}

static void date_set_clock(char *to, unsigned second)
{
	unsigned fields[] = {second / 3600, second / 60 % 60, second % 60};

	for (size_t i = 0; i < BF_ARRAY_LEN(fields); i++) {
		to[3 * i] = (char)('0' + fields[i] / 10);
		to[3 * i + 1] = (char)('0' + fields[i] % 10);
	}
}

static void date_set(struct front *f, int64_t now_ms)
{
	int64_t wall_ms = BF_MAX(bf_wall_ms(), 0);
	int64_t s = wall_ms / 1000;

	if (f->date_until_ms == 0 || s / DAY_S != f->date_day)
		date_set_day(f, s / DAY_S);
	f->date_until_ms = now_ms + 1000 - wall_ms % 1000;
	if (f->date[0])
		date_set_clock(f->date + DATE_CLOCK, (unsigned)(s % DAY_S));
}

struct bf_slice front_date_line(struct front *f)
{
	int64_t now_ms = bf_mono_coarse_ms();

	if (BF_UNLIKELY(now_ms >= f->date_until_ms))
		date_set(f, now_ms);
	return (struct bf_slice){f->date, f->date[0] ? sizeof(DATE_LINE) - 1 : 0};
}

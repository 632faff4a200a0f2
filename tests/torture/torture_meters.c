/*
 * Meters, entries, records and the directory under random SIGKILL: workers that reserve, extend and
 * settle over shared limits; a writer that writes rows, sweeps the dead, and opens and retires
 * meters as the plan changes; both die anywhere, windows turn, limits change. Whenever all are dead
 * and swept, each meter must be worth exactly what its rows charged. `torture-meters SECONDS SEED
 * SOURCES...`: every kill point of the sources must have been passed.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "meter_ledger.h"
#include "shm/inflight.h"
#include "shm/layout.h"
#include "shm/meter.h"
#include "shm/slot.h"
#include "torture.h"

#define WORKERS 4u
#define BATCH   16u
#define POINTS  120

struct shared {
	_Atomic uint32_t now; /* windows that have turned */
	_Atomic int64_t max[LIMITS], missed[LIMITS];
	_Atomic bool granted[LIMITS], planned[LIMITS];
	_Atomic uint64_t requests; /* numbers of rows */
	struct {
		_Atomic uint64_t admitted, refused, stale, busy, extended, nowhere, opened;
	} count;
	const char *_Atomic points[POINTS]; /* that were passed */
	struct meter_ledger ledger;
};

static struct shared *shared;
static struct shm_segment seg;
static uint64_t noise = 1; /* random numbers of this process's delays */
static uint64_t die_after; /* kill points until this process dies; 0: never */

/* Literals: one address in all processes, and one for each place that has the name. */
static void note_point(const char *name)
{
	for (int i = 0; i < POINTS; i++) {
		if (shared->points[i] == NULL)
			shared->points[i] = name;
		if (shared->points[i] == name)
			return;
	}
	TORTURE_CHECK(false, "more than %d kill points", POINTS);
}

void shm_killpoint(const char *name)
{
	if (die_after && --die_after == 0)
		(void)raise(SIGKILL);
	note_point(name);
	if (torture_below(&noise, 64) == 0)
		(void)sched_yield();
	if (torture_below(&noise, 4096) == 0) {
		const struct timespec t = {0, 20000};
		(void)nanosleep(&t, NULL);
	}
}

/* ---- a worker */

struct work {
	struct shm_meter_writer w;
	uint64_t random;
	int entries[LEDGER_LANES]; /* -1: free */
};

/* The limits of a request that can be found; -1: the plan names one that is not open yet. */
static int make_wants(struct work *o, struct shm_meter_want *wants)
{
	int64_t tokens = (int64_t)torture_below(&o->random, 9);
	int n = 0;

	for (uint32_t i = 0; i < LIMITS; i++) {
		const struct ledger_limit *limit = &ledger_limits[i];
		struct shm_meter_want *want = &wants[n];

		if (torture_below(&o->random, 2) == 0 || !shared->planned[i])
			continue;
		want->meter = shm_meter_resolve(&seg, limit->identity, &want->config);
		if (want->meter == SHM_METER_NOWHERE)
			return -1;
		want->epoch = ledger_epoch(i, shared->now);
		want->amount = limit->quantity == SHM_METER_TOKENS ? tokens
			       : limit->quantity == SHM_METER_NUSD ? tokens * 2
								   : 1;
		n++;
	}
	return n;
}

static void try_admit(struct work *o, uint32_t lane)
{
	struct shm_meter_want wants[LIMITS];
	struct shm_usage_record r;
	uint64_t id = ledger_id(1 + shared->requests++, lane);
	unsigned which = 0;
	int n = make_wants(o, wants), entry;

	if (n < 0) {
		shared->count.nowhere++;
		return;
	}
	if (torture_below(&o->random, 4) > 0 &&
	    shm_meter_look(&seg, wants, (unsigned)n, &which, NULL) == SHM_METER_REFUSED)
		return;
	memset(&r, 0, sizeof(r));
	memcpy(r.id, &id, sizeof(id));
	entry = shm_inflight_begin(&seg, o->w.p, &r);
	if (entry < 0)
		return; /* nobody writes rows for a while */
	switch (shm_meter_admit(&o->w, entry, wants, (unsigned)n, &which)) {
	case SHM_METER_OK:
		shared->count.admitted++;
		o->entries[lane] = entry;
		return;
	case SHM_METER_REFUSED:
		shared->count.refused++;
		break;
	case SHM_METER_STALE:
		shared->count.stale++;
		break;
	case SHM_METER_BUSY:
		shared->count.busy++;
		break;
	}
	shm_inflight_cancel(&seg, o->w.p, entry);
}

/* Record and meters of the same numbers, in the order of the real one. */
static void settle(struct work *o, int entry)
{
	const struct shm_inflight_entry *e = &seg.map->stores[o->w.p].inflight[entry];
	int64_t actual[SHM_METERS_PER_REQUEST] = {0}, percent;
	struct shm_usage_record r = e->record;

	percent = (int64_t)torture_below(&o->random, 101);
	r.meter_count = e->meter_count;
	for (uint32_t k = 0; k < r.meter_count; k++) {
		uint32_t m = e->meters[k].meter, quantity = shm_meter_quantity(&seg, m);

		r.meters[k] = m;
		r.epochs[k] = e->meters[k].epoch;
		actual[k] = e->meters[k].amount * percent / 100;
		if (quantity == SHM_METER_CONCURRENT)
			actual[k] = 0;
		else if (quantity == SHM_METER_REQUESTS)
			r.requests_charged = (uint32_t)actual[k];
		else if (quantity == SHM_METER_TOKENS)
			r.tokens_charged = (uint64_t)actual[k];
		else
			r.cost_nusd = actual[k];
	}
	shm_meter_closing(&o->w, entry, actual);
	shm_inflight_push(&seg, o->w.p, entry, &r);
	shm_meter_close(&o->w, entry);
	shm_inflight_end(&seg, o->w.p, entry);
}

static void extend(struct work *o, int entry)
{
	const struct shm_inflight_entry *e = &seg.map->stores[o->w.p].inflight[entry];
	int64_t more[SHM_METERS_PER_REQUEST], tokens = (int64_t)torture_below(&o->random, 3);
	unsigned which = 0;

	for (uint32_t k = 0; k < e->meter_count; k++) {
		uint32_t quantity = shm_meter_quantity(&seg, e->meters[k].meter);
		more[k] = quantity == SHM_METER_TOKENS ? tokens
			  : quantity == SHM_METER_NUSD ? tokens * 2
						       : 0;
	}
	if (shm_meter_extend(&o->w, entry, more, NULL, &which) == SHM_METER_OK)
		shared->count.extended++;
}

static void work_once(struct work *o)
{
	uint32_t lane = (uint32_t)torture_below(&o->random, LEDGER_LANES);

	if (o->entries[lane] < 0) {
		try_admit(o, lane);
	} else if (torture_below(&o->random, 3) == 0) {
		extend(o, o->entries[lane]);
	} else {
		settle(o, o->entries[lane]);
		o->entries[lane] = -1;
	}
}

static void worker(uint32_t p, uint64_t seed)
{
	struct work o = {.random = seed | 1};

	for (uint32_t lane = 0; lane < LEDGER_LANES; lane++)
		o.entries[lane] = -1;
	TORTURE_CHECK(shm_slot_enter(&seg, p, (uint32_t)getpid(), 1, 1) == 0, "enter");
	shm_meter_enter(&o.w, &seg, p);
	for (;;)
		work_once(&o);
}

/* ---- the writer */

/* What the plan says of one limit: open with its maximum, or retired. */
static void reconcile(uint32_t i)
{
	const struct ledger_limit *limit = &ledger_limits[i];
	uint32_t m = shm_meter_find(&seg, limit->identity), epoch = ledger_epoch(i, shared->now);
	int64_t max = shared->max[i];
	bool fresh, granted = shared->granted[i];

	if (!shared->planned[i]) {
		for (m = 0; (m = shm_meter_next(&seg, m)) != SHM_METER_NOWHERE; m++) {
			if (shm_meter_identity(&seg, m) == limit->identity)
				shm_meter_retire(&seg, m);
		}
		return;
	}
	if (m != SHM_METER_NOWHERE)
		shm_meter_set_missed(&seg, m, epoch, shared->missed[i]);
	if (m != SHM_METER_NOWHERE && shm_meter_configured(&seg, m, max, granted))
		return;
	TORTURE_CHECK(shm_meter_place(&seg, limit->identity, &m, &fresh) == 0, "no place");
	if (fresh) {
		shm_meter_load(&seg, m, epoch, limit->turns ? shared->ledger.settled[i][epoch] : 0);
		shared->count.opened++;
	}
	if (!shm_meter_configured(&seg, m, max, granted))
		(void)shm_meter_configure(&seg, m, max, granted, false, 0);
	shm_meter_open(&seg, m, limit->identity, limit->quantity);
}

static void sweep_slot(uint32_t p)
{
	struct shm_usage_record r;

	for (int i = 0; (i = shm_inflight_sweep(&seg, p, i, 1, &r)) >= 0; i++) {
		ledger_commit(&shared->ledger, &seg, p, &r);
		shm_inflight_swept(&seg, p, i);
	}
	(void)shm_slot_free(&seg, p);
}

/* Whether there was anything to do. */
static bool write_rows(void)
{
	const struct shm_usage_record *records[BATCH];
	bool busy = false;

	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		struct shm_slot_info info;
		size_t n;

		shm_slot_info(&seg, p, &info);
		if (info.state != SHM_SLOT_LIVE && info.state != SHM_SLOT_DEAD)
			continue;
		n = shm_usage_peek(&seg, p, records, BATCH);
		for (size_t i = 0; i < n; i++)
			ledger_commit(&shared->ledger, &seg, p, records[i]);
		shm_usage_release(&seg, p, n);
		busy |= n > 0 || info.state == SHM_SLOT_DEAD;
		if (info.state == SHM_SLOT_DEAD && n == 0)
			sweep_slot(p);
	}
	return busy;
}

static void writer(bool drain, uint64_t seed)
{
	ledger_recover(&shared->ledger);
	while (write_rows() || !drain) {
		uint64_t dice = torture_below(&seed, 200);

		if (dice < LIMITS)
			reconcile((uint32_t)dice);
		if (dice == LIMITS)
			(void)shm_meter_collect(&seg);
	}
	for (uint32_t i = 0; i < LIMITS; i++)
		reconcile(i);
}

/* ---- the supervisor */

struct cast {
	pid_t worker[WORKERS], writer;
	uint32_t slot[WORKERS];
};

static uint64_t kills, writer_kills, checks;

static pid_t start(int p, bool drain, uint64_t seed)
{
	pid_t pid = fork();

	TORTURE_CHECK(pid >= 0, "fork");
	if (pid > 0)
		return pid;
	noise = seed | 1;
	if (torture_below(&seed, 2) == 0)
		die_after = 1 + torture_below(&seed, UINT64_C(1) << (3 + torture_below(&seed, 10)));
	if (p >= 0)
		worker((uint32_t)p, seed);
	else
		writer(drain, seed);
	_exit(0);
}

static bool reap(pid_t pid, int how)
{
	int status = 0;
	pid_t got = waitpid(pid, &status, how);

	if (got == 0)
		return false;
	TORTURE_CHECK(got == pid, "waitpid");
	TORTURE_CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0,
		      "a process ended with %d", status);
	return WIFSIGNALED(status);
}

/* Dies by itself or is killed; its slot is given to the sweep. */
static void bury(struct cast *c, uint32_t who, bool now)
{
	pid_t *pid = who < WORKERS ? &c->worker[who] : &c->writer;

	if (*pid == 0)
		return;
	if (now)
		(void)kill(*pid, SIGKILL);
	if (!reap(*pid, now ? 0 : WNOHANG))
		return;
	*pid = 0;
	if (who < WORKERS) {
		shm_slot_dead(&seg, c->slot[who]);
		kills++;
	} else {
		writer_kills++;
	}
}

static void revive(struct cast *c, uint64_t *random)
{
	for (uint32_t i = 0; i < WORKERS; i++) {
		int p = c->worker[i] ? -1 : shm_slot_assign(&seg, 1, i);
		if (p < 0)
			continue;
		c->slot[i] = (uint32_t)p;
		c->worker[i] = start(p, false, torture_random(random));
	}
	if (c->writer == 0)
		c->writer = start(-1, false, torture_random(random));
}

/* Windows turn; the plan changes; other nodes use something. */
static void change(uint64_t *random)
{
	uint32_t i = (uint32_t)torture_below(random, LIMITS), m;
	const struct ledger_limit *limit = &ledger_limits[i];

	if (torture_below(random, 10) == 0 && shared->now < LEDGER_EPOCHS - 2)
		shared->now++;
	if (torture_below(random, 6) == 0) {
		shared->max[i] = limit->most - (int64_t)torture_below(random, 10);
		shared->granted[i] = torture_below(random, 3) == 0;
	}
	if (torture_below(random, 4) == 0)
		shared->planned[i] = torture_below(random, 4) > 0;
	m = shm_meter_find(&seg, limit->identity);
	if (m != SHM_METER_NOWHERE && torture_below(random, 3) == 0) {
		uint32_t epoch = ledger_epoch(i, shared->now);
		shm_meter_set_remote(&seg, m, epoch, (int64_t)torture_below(random, 8));
		shm_meter_set_allowance(&seg, m, epoch, limit->most);
		shared->missed[i] = (int64_t)torture_below(random, 8);
	}
}

static void round_of_kills(struct cast *c, uint64_t *random)
{
	for (unsigned n = 0; n < 16; n++) {
		const struct timespec t = {0, (long)torture_below(random, 2000000)};

		revive(c, random);
		(void)nanosleep(&t, NULL);
		change(random);
		for (uint32_t who = 0; who <= WORKERS; who++)
			bury(c, who, false);
		bury(c, (uint32_t)torture_below(random, WORKERS + 1), true);
	}
	for (uint32_t who = 0; who <= WORKERS; who++)
		bury(c, who, true);
	while (reap(start(-1, true, torture_random(random)), 0))
		writer_kills++;
	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		struct shm_slot_info info;
		shm_slot_info(&seg, p, &info);
		TORTURE_CHECK(info.state == SHM_SLOT_FREE, "slot %u is not free", p);
	}
	checks += ledger_check_meters(&shared->ledger, &seg);
}

/* A kill point of the sources that nobody ever passed would be a hole in this test. */
static bool is_passed(const char *name)
{
	for (int i = 0; i < POINTS; i++)
		if (shared->points[i] && strcmp(shared->points[i], name) == 0)
			return true;
	return false;
}

static void set_up(void)
{
	shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	TORTURE_CHECK(shared != MAP_FAILED, "mmap");
	(void)torture_segment(&seg);
	for (uint32_t i = 0; i < LIMITS; i++) {
		shared->max[i] = ledger_limits[i].most;
		shared->planned[i] = true;
	}
}

static void report(void)
{
	const struct meter_ledger *l = &shared->ledger;

	printf("%llu kills of workers, %llu of writers; admitted %llu, refused %llu, stale %llu, "
	       "busy %llu, not found %llu, extended %llu; places taken %llu; rows %llu, crashed "
	       "%llu (%llu charged), repeated and refused %llu; %llu exact checks, none wrong\n",
	       (unsigned long long)kills, (unsigned long long)writer_kills,
	       (unsigned long long)shared->count.admitted,
	       (unsigned long long)shared->count.refused, (unsigned long long)shared->count.stale,
	       (unsigned long long)shared->count.busy, (unsigned long long)shared->count.nowhere,
	       (unsigned long long)shared->count.extended, (unsigned long long)shared->count.opened,
	       (unsigned long long)l->rows, (unsigned long long)l->crashed,
	       (unsigned long long)l->charged_crashed, (unsigned long long)l->repeated,
	       (unsigned long long)checks);
	TORTURE_CHECK(shared->count.admitted > 0 && shared->count.refused > 0 &&
			  shared->count.extended > 0 && shared->count.opened > LIMITS &&
			  l->charged_crashed > 0,
		      "too quiet a run");
}

int main(int argc, char **argv)
{
	int64_t until_ms = bf_mono_ms() + 1000 * (argc > 1 ? atoi(argv[1]) : 5);
	uint64_t random = argc > 2 ? (uint64_t)atoll(argv[2]) : 20261121;
	struct cast c = {.writer = 0};

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	set_up();
	while (bf_mono_ms() < until_ms)
		round_of_kills(&c, &random);
	report();
	for (int i = 3; i < argc; i++)
		torture_points_of(argv[i], is_passed);
	return 0;
}

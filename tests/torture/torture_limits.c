/*
 * The last unit of a limit: processes that all want more than there is, on one set of meters, in
 * window after window. In each window exactly what the limit says must be admitted, no less and no
 * more, whenever it turns, also when one of them sleeps through thirty windows somewhere between
 * its clock and the word. `torture-limits WINDOWS`.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "shm/inflight.h"
#include "shm/layout.h"
#include "shm/meter.h"
#include "shm/slot.h"
#include "torture.h"

#define PROCESSES   6u
#define HELD        16u
#define LIMIT       500 /* requests in a window; the bottleneck */
#define WINDOWS_MAX 10000u
#define WAIT_MS     20000

enum {
	REQUESTS,
	TOKENS,
	RUNNING,
	METERS
};

struct shared {
	_Atomic uint32_t now;
	_Atomic uint32_t config[METERS];
	_Atomic uint64_t admitted[WINDOWS_MAX], refused[WINDOWS_MAX];
	_Atomic uint64_t busy, looks;
};

static struct shared *shared;
static struct shm_segment seg;

void shm_killpoint(const char *name)
{
	static uint64_t noise;

	(void)name;
	if (noise == 0)
		noise = (uint64_t)getpid() * 2654435761u | 1;
	if (torture_below(&noise, 500) == 0)
		(void)sched_yield();
}

struct work {
	struct shm_meter_writer w;
	uint64_t random;
	int entries[HELD];
	unsigned held;
};

/* Requests are what runs short; tokens of theirs and requests at once never do. */
static void try_admit(struct work *o)
{
	uint32_t now = shared->now;
	int64_t tokens = (int64_t)torture_below(&o->random, 100);
	const struct shm_meter_want wants[METERS] = {
	    {.meter = TOKENS,
	     .config = shared->config[TOKENS],
	     .epoch = now / 10,
	     .amount = tokens},
	    {.meter = RUNNING, .config = shared->config[RUNNING], .amount = 1},
	    {.meter = REQUESTS, .config = shared->config[REQUESTS], .epoch = now, .amount = 1}};
	struct shm_usage_record r;
	unsigned which = 0;
	int entry;

	if (torture_below(&o->random, 4) > 0 &&
	    shm_meter_look(&seg, wants, METERS, &which, NULL) == SHM_METER_REFUSED) {
		shared->looks++;
		shared->refused[now]++;
		return;
	}
	memset(&r, 0, sizeof(r));
	entry = shm_inflight_begin(&seg, o->w.p, &r);
	TORTURE_CHECK(entry >= 0, "no entry");
	switch (shm_meter_admit(&o->w, entry, wants, METERS, &which)) {
	case SHM_METER_OK:
		shared->admitted[seg.map->stores[o->w.p].inflight[entry].meters[2].epoch]++;
		o->entries[o->held++] = entry;
		return;
	case SHM_METER_REFUSED:
		TORTURE_CHECK(which == 2, "want %u was refused", which);
		shared->refused[now]++;
		break;
	case SHM_METER_BUSY:
		shared->busy++;
		break;
	case SHM_METER_STALE:
		TORTURE_CHECK(false, "nobody changes anything");
	}
	shm_inflight_cancel(&seg, o->w.p, entry);
}

static void settle(struct work *o, unsigned i)
{
	const struct shm_inflight_entry *e = &seg.map->stores[o->w.p].inflight[o->entries[i]];
	const int64_t actual[METERS] = {e->meters[0].amount / 2, 0, 1};

	shm_meter_closing(&o->w, o->entries[i], actual);
	shm_meter_close(&o->w, o->entries[i]);
	shm_inflight_end(&seg, o->w.p, o->entries[i]);
	o->entries[i] = o->entries[--o->held];
}

static void work(uint32_t p)
{
	struct work o = {.random = p + 77};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	TORTURE_CHECK(shm_slot_enter(&seg, p, (uint32_t)getpid(), 1, 1) == 0, "enter");
	shm_meter_enter(&o.w, &seg, p);
	while (shared->now != UINT32_MAX) {
		if (o.held == HELD || (o.held && torture_below(&o.random, 2)))
			settle(&o, (unsigned)torture_below(&o.random, o.held));
		else
			try_admit(&o);
	}
	while (o.held > 0)
		settle(&o, 0);
	_exit(0);
}

static void set_up(void)
{
	static const int64_t limits[METERS] = {LIMIT, INT64_C(1) << 40, PROCESSES * HELD};

	(void)torture_segment(&seg);
	shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	TORTURE_CHECK(shared != MAP_FAILED, "mmap");
	for (uint32_t m = 0; m < METERS; m++)
		shared->config[m] = shm_meter_configure(&seg, m, limits[m], false, true, 0);
	for (uint32_t p = 0; p < PROCESSES; p++)
		TORTURE_CHECK(shm_slot_assign(&seg, 1, p) == (int)p, "slot");
}

/* The word says it, for who took the last unit may sleep before it counts it here. */
static bool given_out(uint32_t window)
{
	struct shm_meter_info info;

	return shm_meter_read(&seg, REQUESTS, &info) && info.epoch == window && info.value >= LIMIT;
}

/* Until everything is given out and as much again was refused: then the window turns. */
static void one_window(uint32_t window)
{
	int64_t until = bf_mono_ms() + WAIT_MS;

	while (shared->refused[window] < LIMIT || !given_out(window)) {
		TORTURE_CHECK(bf_mono_ms() < until, "window %u: %llu of %d admitted, %llu refused",
			      window, (unsigned long long)shared->admitted[window], LIMIT,
			      (unsigned long long)shared->refused[window]);
		(void)sched_yield();
	}
}

/* Thirty windows of fifty one process sleeps: longer than a word may be ahead of its clock. */
static void put_to_sleep(const pid_t *processes, uint32_t window)
{
	pid_t sleeper = processes[window / 50 % PROCESSES];

	if (window % 50 == 10)
		(void)kill(sleeper, SIGSTOP);
	if (window % 50 == 40)
		(void)kill(sleeper, SIGCONT);
}

static void wake_all(const pid_t *processes)
{
	for (uint32_t p = 0; p < PROCESSES; p++)
		(void)kill(processes[p], SIGCONT);
}

int main(int argc, char **argv)
{
	uint32_t windows = argc > 1 ? (uint32_t)atoi(argv[1]) : 100;
	struct shm_meter_info info;
	uint64_t refused = 0;
	pid_t processes[PROCESSES];
	int status = 0;

	TORTURE_CHECK(windows < WINDOWS_MAX, "at most %u windows", WINDOWS_MAX - 1);
	set_up();
	for (uint32_t p = 0; p < PROCESSES; p++) {
		processes[p] = fork();
		if (processes[p] == 0)
			work(p);
	}
	for (uint32_t window = 0; window < windows; window++) {
		put_to_sleep(processes, window);
		one_window(window);
		shared->now = window + 1 < windows ? window + 1 : UINT32_MAX;
	}
	wake_all(processes);
	while (wait(&status) > 0)
		TORTURE_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "ended with %d",
			      status);
	for (uint32_t window = 0; window < windows; window++) {
		TORTURE_CHECK(shared->admitted[window] == LIMIT, "window %u: %llu admitted", window,
			      (unsigned long long)shared->admitted[window]);
		refused += shared->refused[window];
	}
	TORTURE_CHECK(shm_meter_read(&seg, RUNNING, &info) && info.value == 0, "%lld still run",
		      (long long)info.value);
	printf("%u processes, %u windows: exactly %d admitted in each; %llu refused (%llu by a "
	       "look), busy %llu\n",
	       PROCESSES, windows, LIMIT, (unsigned long long)refused,
	       (unsigned long long)shared->looks, (unsigned long long)shared->busy);
	printf("1 passed, 0 failed\n");
	return 0;
}

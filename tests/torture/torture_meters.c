/*
 * Meters under random SIGKILL: workers that reserve, extend and settle over shared meters, sweepers
 * that die too, windows that turn, limits that change. Whenever all are dead and swept, each meter
 * must be worth exactly what the books and the entries say. `torture-meters SECONDS`.
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
#include "shm/inflight.h"
#include "shm/layout.h"
#include "shm/meter.h"
#include "shm/slot.h"
#include "torture.h"

#define WORKERS 4u
#define ENTRIES 8u
#define METERS  5u
#define EPOCHS  8192u
#define LIMIT   60

/* The books: what each identity settled, by meter and window. Only its holder writes its part. */
struct redo {
	_Atomic uint32_t valid;
	uint32_t entry, n;
	struct {
		uint32_t meter, epoch;
		int64_t total;
	} cell[SHM_METERS_PER_REQUEST];
};

struct book {
	struct redo redo;
	int64_t settled[METERS][EPOCHS];
	uint64_t admitted, refused, stale, busy, extended;
};

struct shared {
	_Atomic uint32_t now_epoch;
	_Atomic uint32_t config[METERS];
	_Atomic uint64_t points;
	struct book books[WORKERS];
};

static struct shared *shared;
static struct shm_segment seg;
static uint64_t noise = 1; /* random numbers of this process's delays */
static uint64_t die_after; /* kill points until this process dies; 0: never */

void shm_killpoint(const char *name)
{
	(void)name;
	if (die_after && --die_after == 0)
		(void)raise(SIGKILL);
	if (torture_below(&noise, 64) == 0)
		(void)sched_yield();
	if (torture_below(&noise, 4096) == 0) {
		const struct timespec t = {0, 20000};
		(void)nanosleep(&t, NULL);
	}
}

static struct shm_inflight_entry *entry_of(uint32_t p, uint32_t i)
{
	return &seg.map->stores[p].inflight[i];
}

/* ---- books: absolute totals first, then the flag, then the cells: may be begun again */

static void apply_redo(uint32_t p)
{
	struct book *b = &shared->books[p];

	if (!b->redo.valid)
		return;
	for (uint32_t k = 0; k < b->redo.n; k++)
		b->settled[b->redo.cell[k].meter][b->redo.cell[k].epoch] = b->redo.cell[k].total;
	entry_of(p, b->redo.entry)->meter_state = SHM_METER_NONE;
	b->redo.valid = 0;
}

static void book(uint32_t p, uint32_t i)
{
	struct book *b = &shared->books[p];
	const struct shm_inflight_entry *e = entry_of(p, i);

	b->redo.entry = i;
	b->redo.n = e->meter_count;
	for (uint32_t k = 0; k < e->meter_count; k++) {
		const struct shm_meter_entry *x = &e->meters[k];
		b->redo.cell[k].meter = x->meter;
		b->redo.cell[k].epoch = x->epoch;
		b->redo.cell[k].total = b->settled[x->meter][x->epoch] + x->amount + x->delta;
	}
	b->redo.valid = 1;
	apply_redo(p);
}

/* ---- a worker */

static unsigned make_wants(struct shm_meter_want *wants, uint64_t *random)
{
	unsigned n = 0;

	for (uint32_t m = 0; m < METERS && n < 4; m++) {
		if (torture_below(random, 2) == 0)
			continue;
		wants[n++] = (struct shm_meter_want){
		    .meter = m,
		    .config = shared->config[m],
		    .epoch = shared->now_epoch,
		    .amount = (int64_t)torture_below(random, 6),
		};
	}
	return n;
}

static void try_admit(struct shm_meter_writer *w, uint32_t i, uint64_t *random)
{
	struct shm_meter_want wants[METERS];
	struct book *b = &shared->books[w->p];
	unsigned n = make_wants(wants, random), which = 0;

	switch (shm_meter_admit(w, (int)i, wants, n, &which)) {
	case SHM_METER_OK:
		b->admitted++;
		break;
	case SHM_METER_REFUSED:
		b->refused++;
		break;
	case SHM_METER_STALE:
		b->stale++;
		break;
	case SHM_METER_BUSY:
		b->busy++;
		break;
	}
}

static void settle(struct shm_meter_writer *w, uint32_t i, uint64_t *random)
{
	const struct shm_inflight_entry *e = entry_of(w->p, i);
	int64_t actual[SHM_METERS_PER_REQUEST];

	for (uint32_t k = 0; k < e->meter_count; k++)
		actual[k] = (int64_t)torture_below(random, (uint64_t)e->meters[k].amount + 1);
	shm_meter_closing(w, (int)i, actual);
	shm_meter_close(w, (int)i);
}

static void extend(struct shm_meter_writer *w, uint32_t i, uint64_t *random)
{
	int64_t more[SHM_METERS_PER_REQUEST];
	unsigned which = 0;

	for (uint32_t k = 0; k < entry_of(w->p, i)->meter_count; k++)
		more[k] = (int64_t)torture_below(random, 3);
	if (shm_meter_extend(w, (int)i, more, &which) == SHM_METER_OK)
		shared->books[w->p].extended++;
}

static void work_once(struct shm_meter_writer *w, uint64_t *random)
{
	uint32_t i = (uint32_t)torture_below(random, ENTRIES);

	switch ((enum shm_meter_state)entry_of(w->p, i)->meter_state) {
	case SHM_METER_NONE:
		try_admit(w, i, random);
		break;
	case SHM_METER_HELD:
		if (torture_below(random, 4) == 0)
			extend(w, i, random);
		else
			settle(w, i, random);
		break;
	case SHM_METER_SETTLED:
		book(w->p, i);
		break;
	case SHM_METER_CLOSING:
		TORTURE_CHECK(false, "an entry was left closing");
	}
}

static void worker(uint32_t p, uint64_t seed)
{
	struct shm_meter_writer w;

	noise = seed | 1;
	shm_meter_enter(&w, &seg, p);
	apply_redo(p);
	for (;;)
		work_once(&w, &seed);
}

/* ---- the oracle */

static int64_t expected(uint32_t m, uint32_t epoch)
{
	int64_t sum = 0;

	for (uint32_t p = 0; p < WORKERS; p++) {
		sum += shared->books[p].settled[m][epoch];
		for (uint32_t i = 0; i < ENTRIES; i++) {
			const struct shm_inflight_entry *e = entry_of(p, i);
			bool held = e->meter_state == SHM_METER_HELD;
			for (uint32_t k = 0; e->meter_state != SHM_METER_NONE && k < e->meter_count;
			     k++)
				if (e->meters[k].meter == m && e->meters[k].epoch == epoch)
					sum +=
					    e->meters[k].amount + (held ? 0 : e->meters[k].delta);
		}
	}
	return sum;
}

static uint64_t check_all(void)
{
	for (uint32_t m = 0; m < METERS; m++) {
		struct shm_meter_info info;
		TORTURE_CHECK(shm_meter_read(&seg, m, &info), "a meter moves and nobody lives");
		TORTURE_CHECK(info.value == expected(m, info.epoch),
			      "meter %u is worth %lld in window %u, the books say %lld", m,
			      (long long)info.value, info.epoch,
			      (long long)expected(m, info.epoch));
		TORTURE_CHECK(info.value >= 0 && info.value <= LIMIT, "meter %u: %lld", m,
			      (long long)info.value);
	}
	return METERS;
}

/* ---- the supervisor */

static uint64_t kills, sweeper_kills, checks;

static pid_t start(uint32_t p, bool sweep, uint64_t seed)
{
	pid_t pid = fork();

	TORTURE_CHECK(pid >= 0, "fork");
	if (pid > 0)
		return pid;
	if (!sweep) {
		worker(p, seed);
	} else {
		struct shm_meter_writer w;
		noise = seed | 1;
		if (torture_below(&seed, 3) == 0)
			die_after = 1 + torture_below(&seed, 12);
		shm_meter_enter(&w, &seg, p);
		apply_redo(p);
	}
	_exit(0);
}

static bool reap(pid_t pid)
{
	int status = 0;

	TORTURE_CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
	TORTURE_CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0,
		      "a process ended with %d", status);
	return WIFSIGNALED(status);
}

static void sweep(uint32_t p, uint64_t *random)
{
	while (reap(start(p, true, torture_random(random))))
		sweeper_kills++;
}

static void turn_and_change(uint64_t *random)
{
	if (torture_below(random, 30) == 0 && shared->now_epoch < EPOCHS - 2)
		shared->now_epoch++;
	if (torture_below(random, 3) == 0) {
		uint32_t m = (uint32_t)torture_below(random, METERS);
		/* What other nodes used, and what this one was granted: words of one writer. */
		shm_meter_set_remote(&seg, m, shared->now_epoch,
				     (int64_t)torture_below(random, 20));
		shm_meter_set_allowance(&seg, m, shared->now_epoch,
					(int64_t)torture_below(random, LIMIT));
	}
	if (torture_below(random, 20) == 0) {
		uint32_t m = (uint32_t)torture_below(random, METERS);
		int64_t limit = LIMIT - (int64_t)torture_below(random, 40);
		shared->config[m] =
		    shm_meter_configure(&seg, m, limit, torture_below(random, 2), false, 0);
	}
}

static void round_of_kills(uint64_t *random, pid_t pids[WORKERS])
{
	for (unsigned n = 0; n < 12; n++) {
		const struct timespec t = {0, (long)torture_below(random, 2000000)};
		uint32_t p = (uint32_t)torture_below(random, WORKERS);
		(void)nanosleep(&t, NULL);
		turn_and_change(random);
		(void)kill(pids[p], SIGKILL);
		(void)reap(pids[p]);
		kills++;
		sweep(p, random);
		pids[p] = start(p, false, torture_random(random));
	}
	for (uint32_t p = 0; p < WORKERS; p++) {
		(void)kill(pids[p], SIGKILL);
		(void)reap(pids[p]);
		kills++;
	}
	for (uint32_t p = 0; p < WORKERS; p++)
		sweep(p, random);
	checks += check_all();
}

static void set_up(void)
{
	struct shm_usage_record r;

	(void)torture_segment(&seg);
	shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	TORTURE_CHECK(shared != MAP_FAILED, "mmap");
	for (uint32_t p = 0; p < WORKERS; p++) {
		TORTURE_CHECK(shm_slot_assign(&seg, 1, p) == (int)p, "slot");
		for (uint32_t i = 0; i < ENTRIES; i++) {
			torture_record(i, &r);
			TORTURE_CHECK(shm_inflight_begin(&seg, p, &r) == (int)i, "entry");
		}
	}
	for (uint32_t m = 0; m < METERS; m++)
		shared->config[m] = shm_meter_configure(&seg, m, LIMIT, false, true, 0);
}

int main(int argc, char **argv)
{
	int64_t until_ms = bf_mono_ms() + 1000 * (argc > 1 ? atoi(argv[1]) : 5);
	uint64_t random = argc > 2 ? (uint64_t)atoll(argv[2]) : 20261121;
	uint64_t admitted = 0, refused = 0, stale = 0, busy = 0, extended = 0;
	pid_t pids[WORKERS];

	set_up();
	while (bf_mono_ms() < until_ms) {
		for (uint32_t p = 0; p < WORKERS; p++)
			pids[p] = start(p, false, torture_random(&random));
		round_of_kills(&random, pids);
	}
	for (uint32_t p = 0; p < WORKERS; p++) {
		admitted += shared->books[p].admitted;
		refused += shared->books[p].refused;
		stale += shared->books[p].stale;
		busy += shared->books[p].busy;
		extended += shared->books[p].extended;
	}
	TORTURE_CHECK(admitted > 0 && refused > 0 && stale > 0 && extended > 0, "too quiet a run");
	printf("%llu kills of workers, %llu of sweepers; admitted %llu, refused %llu, stale %llu, "
	       "busy "
	       "%llu, extended %llu; %llu exact checks, none wrong\n",
	       (unsigned long long)kills, (unsigned long long)sweeper_kills,
	       (unsigned long long)admitted, (unsigned long long)refused, (unsigned long long)stale,
	       (unsigned long long)busy, (unsigned long long)extended, (unsigned long long)checks);
	return 0;
}

/*
 * Workers and writerd as processes on one segment, killed by SIGKILL: by themselves at the n-th
 * kill point they pass, or by the parent at a random instant. The parent is the supervisor; it
 * reaps, declares dead, and starts successors at once; now and then its own work is done by a child
 * that is killed in the middle. Every epoch ends with a drain and the oracle. Argument: seconds.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "ledger.h"
#include "roles.h"
#include "shm/doorbell.h"
#include "shm/metrics.h"
#include "shm/slot.h"
#include "torture.h"

#define WORKERS 2

static uint64_t fuse; /* kill points left to live; 0: for ever */
static uint64_t rng;

static struct shm_segment seg;
static struct ledger *ledger;
static int bell;

static struct {
	uint64_t kills_self, kills_parent, writer_kills, helper_kills, epochs, repeated, stopped;
} tally;

void shm_killpoint(const char *name)
{
	(void)name;
	if (fuse > 0 && --fuse == 0)
		(void)raise(SIGKILL);
}

/* Fuses from "at once" to "long after": all scales are equally likely. */
static uint64_t random_fuse(void)
{
	if (torture_below(&rng, 3) == 0)
		return 0;
	return 1 + torture_below(&rng, UINT64_C(1) << (1 + torture_below(&rng, 15)));
}

static void worker_main(uint32_t p)
{
	struct worker w = {.seg = &seg, .ledger = ledger, .p = p, .random = rng | 1};

	if (shm_slot_enter(&seg, p, (uint32_t)getpid(), 1, 1) < 0)
		_exit(3);
	for (;;) {
		uint64_t dice = torture_below(&w.random, 100);
		/* Phases of long bursts fill the small ring; the writer may be dead meanwhile. */
		bool begun = dice < 50 && worker_begin(&w);

		if (!begun && w.held == 0)
			(void)usleep(200); /* refused: the overflow or the ledger is full */
		if (dice >= 50 && dice < 75 && w.held > 0)
			worker_progress(&w, (unsigned)torture_below(&w.random, w.held));
		if (dice >= 75 && w.held > 0) {
			worker_finish(&w, (unsigned)torture_below(&w.random, w.held), dice & 1);
			shm_doorbell_ring(&seg, bell);
		}
		shm_slot_beat(&seg, p, (int64_t)dice);
		if (torture_below(&w.random, 4000) == 0)
			(void)usleep((unsigned)torture_below(&w.random, 2000));
	}
}

static void writer_main(void)
{
	struct pollfd ready = {.fd = bell, .events = POLLIN};
	uint64_t random = rng | 1, rings;

	for (;;) {
		if (writer_turn(&seg, ledger, 1 + torture_below(&random, 700)))
			continue;
		shm_doorbell_sleeping(&seg, true);
		if (!writer_turn(&seg, ledger, 700) && poll(&ready, 1, 20) == 1)
			(void)!read(bell, &rings, sizeof(rings));
		shm_doorbell_sleeping(&seg, false);
		if (torture_below(&random, 20) == 0)
			(void)usleep((unsigned)torture_below(&random, 8000));
	}
}

static pid_t start(void (*fn)(uint32_t), uint32_t p)
{
	pid_t pid;

	(void)torture_random(&rng);
	pid = fork();
	TORTURE_CHECK(pid >= 0, "fork");
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG,
			    SIGKILL); /* a failed check of the parent leaves nobody behind */
		fuse = random_fuse();
		fn(p);
		_exit(0);
	}
	return pid;
}

static void start_writer(uint32_t p)
{
	(void)p;
	writer_main();
}

/* A supervisor that may die in the middle of handing out a slot. */
static void assign_and_die(uint32_t p)
{
	int got = shm_slot_assign(&seg, 1, p);

	if (got >= 0)
		shm_slot_dead(&seg, (uint32_t)got);
}

struct cast {
	pid_t worker[WORKERS];
	uint32_t slot[WORKERS];
	pid_t writer;
};

static void start_worker(struct cast *c, int i)
{
	int p = shm_slot_assign(&seg, 1, (uint32_t)i);

	if (p < 0)
		return; /* all are dead and not swept yet: tried again */
	c->slot[i] = (uint32_t)p;
	c->worker[i] = start(worker_main, (uint32_t)p);
	shm_slot_set_pid(&seg, (uint32_t)p, (uint32_t)c->worker[i]);
}

static void fill_cast(struct cast *c)
{
	for (int i = 0; i < WORKERS; i++) {
		if (c->worker[i] == 0)
			start_worker(c, i);
	}
	if (c->writer == 0)
		c->writer = start(start_writer, 0);
}

static void reap_one(struct cast *c, pid_t pid, int status)
{
	TORTURE_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		      "a process ended by itself: %d", status);
	if (pid == c->writer) {
		c->writer = 0;
		tally.writer_kills++;
	}
	for (int i = 0; i < WORKERS; i++) {
		if (pid != c->worker[i])
			continue;
		c->worker[i] = 0;
		shm_slot_dead(&seg, c->slot[i]);
	}
}

static void reap(struct cast *c, bool by_us)
{
	int status = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		reap_one(c, pid, status);
		if (!by_us)
			tally.kills_self++;
	}
}

static void kill_one(struct cast *c)
{
	uint64_t who = torture_below(&rng, WORKERS + 1);
	pid_t pid = who < WORKERS ? c->worker[who] : c->writer;
	int status = 0;

	if (pid == 0)
		return;
	if (torture_below(&rng, 8) ==
	    0) { /* stopped first: as dead as it will ever look, and still not declared so */
		(void)kill(pid, SIGSTOP);
		(void)usleep((unsigned)torture_below(&rng, 3000));
		tally.stopped++;
	}
	(void)kill(pid, SIGKILL);
	TORTURE_CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
	reap_one(c, pid, status);
	tally.kills_parent++;
}

/* A supervisor killed while it hands out a slot: its successor finds the slot and declares it dead.
 */
static void supervisor_dies(const struct cast *c)
{
	uint64_t save = rng;
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		fuse = 1 + torture_below(&save, 6);
		assign_and_die(9);
		_exit(0);
	}
	TORTURE_CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
	tally.helper_kills += WIFSIGNALED(status);
	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		struct shm_slot_info i;

		shm_slot_info(&seg, p, &i);
		if (i.state == SHM_SLOT_ASSIGNED && i.index == 9 &&
		    (c->worker[0] == 0 || c->slot[0] != p))
			shm_slot_dead(&seg, p);
	}
}

static void check_counters(int64_t *last)
{
	int64_t sum = shm_metric_sum(&seg, SHM_M_HTTP_REQUESTS);

	TORTURE_CHECK(sum >= *last, "a counter stepped back");
	*last = sum;
}

static void end_epoch(struct cast *c, struct ledger_sums *sums)
{
	struct bf_err err = {.code = 0};
	int status = 0;
	int64_t counted;

	for (int i = 0; i < WORKERS; i++) {
		if (c->worker[i] == 0)
			continue;
		(void)kill(c->worker[i], SIGKILL);
		TORTURE_CHECK(waitpid(c->worker[i], &status, 0) == c->worker[i], "waitpid");
		reap_one(c, c->worker[i], status);
	}
	if (c->writer) {
		(void)kill(c->writer, SIGKILL);
		TORTURE_CHECK(waitpid(c->writer, &status, 0) == c->writer, "waitpid");
		c->writer = 0;
	}
	TORTURE_CHECK(shm_segment_valid(&seg, &err) == 0, "%s", err.text);
	writer_finish_all(&seg, ledger);
	ledger_check(ledger, sums);
	counted = shm_metric_sum(&seg, SHM_M_HTTP_REQUESTS);
	TORTURE_CHECK(counted >= (int64_t)ledger->counted_after &&
			  counted <= (int64_t)ledger->counted_before,
		      "%lld counted", (long long)counted);
	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++) {
		struct shm_slot_info i;

		shm_slot_info(&seg, p, &i);
		TORTURE_CHECK(i.state == SHM_SLOT_FREE, "slot %u is %s", p,
			      shm_slot_state_name(i.state));
	}
	tally.repeated = ledger->repeated_rows;
	tally.epochs++;
	ledger_clear(ledger);
}

int main(int argc, char **argv)
{
	int64_t end_ms = bf_mono_ms() + 1000 * (argc > 1 ? atoi(argv[1]) : 6);
	struct ledger_sums sums = {.begun = 0};
	struct cast c = {.writer = 0};
	int64_t counted = 0;

	rng = (uint64_t)bf_mono_ns() | 1;
	printf("seed %llu\n", (unsigned long long)rng);
	(void)fflush(stdout);
	(void)torture_segment(&seg);
	ledger = ledger_new();
	bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	while (bf_mono_ms() < end_ms) {
		for (int step = 0; step < 60 && ledger->next < LEDGER_FACTS; step++) {
			fill_cast(&c);
			(void)usleep((unsigned)torture_below(&rng, 3000));
			reap(&c, false);
			if (torture_below(&rng, 2) == 0)
				kill_one(&c);
			if (torture_below(&rng, 10) == 0)
				supervisor_dies(&c);
			check_counters(&counted);
		}
		end_epoch(&c, &sums);
	}
	printf("%llu epochs; kills: %llu at a point, %llu from outside (%llu stopped before), of "
	       "these %llu of the writer; "
	       "%llu supervisors\n",
	       (unsigned long long)tally.epochs, (unsigned long long)tally.kills_self,
	       (unsigned long long)tally.kills_parent, (unsigned long long)tally.stopped,
	       (unsigned long long)tally.writer_kills, (unsigned long long)tally.helper_kills);
	printf("%llu requests begun, %llu finished; rows: %llu finished, %llu crashed, %llu "
	       "repeated and refused; %llu bodies\n",
	       (unsigned long long)sums.begun, (unsigned long long)sums.finished,
	       (unsigned long long)sums.rows_finished, (unsigned long long)sums.rows_crashed,
	       (unsigned long long)tally.repeated, (unsigned long long)sums.bodies);
	TORTURE_CHECK(sums.rows_crashed > 0 && sums.rows_finished > 0, "nothing was tried");
	printf("1 passed, 0 failed\n");
	return 0;
}

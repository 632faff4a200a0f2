/*
 * What a request's meters cost, in ns: finding a meter among 10,000, a look at 4, admission over 4
 * and its settlement; alone, and as
 * many processes as cores, or twice as many, on meters of their own and on the same ones without a
 * pause between, which is the worst there is. Prints the middle of several rounds. Used by ./dev
 * bench.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "shm/inflight.h"
#include "shm/meter.h"
#include "shm/slot.h"

#define METERS    4u
#define PROCESSES 8u
#define ROUNDS    7
#define REQUESTS  200000
#define ENTRIES   8

struct run {
	_Atomic unsigned ready;
	_Atomic bool go;
	_Atomic int64_t admit_ns[PROCESSES], close_ns[PROCESSES];
	_Atomic uint64_t busy;
};

static struct shm_segment seg;
static struct run *run;

static void pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set); /* without it the figures are only noisier */
}

/* ENTRIES requests are admitted, then settled: two looks at the clock for many operations. */
static void burst(struct shm_meter_writer *w, const struct shm_meter_want *wants, unsigned p)
{
	static const int64_t nothing[METERS];
	bool held[ENTRIES];
	unsigned which;
	int64_t start = bf_mono_ns(), middle;

	for (int i = 0; i < ENTRIES; i++) {
		held[i] = shm_meter_admit(w, i, wants, METERS, &which) == SHM_METER_OK;
		run->busy += !held[i];
	}
	middle = bf_mono_ns();
	for (int i = 0; i < ENTRIES; i++) {
		if (!held[i])
			continue;
		shm_meter_closing(w, i, nothing);
		shm_meter_close(w, i);
	}
	run->admit_ns[p] += middle - start;
	run->close_ns[p] += bf_mono_ns() - middle;
}

static void work(unsigned p, bool shared)
{
	struct shm_meter_want wants[METERS];
	struct shm_meter_writer w;

	pin(p % 2);
	shm_meter_enter(&w, &seg, p);
	for (unsigned k = 0; k < METERS; k++) {
		uint32_t m = shared ? k : p * METERS + k;
		wants[k] = (struct shm_meter_want){
		    .meter = m, .config = shm_meter_config(&seg, m), .epoch = 9, .amount = 5};
	}
	run->ready++;
	while (!run->go)
		(void)sched_yield();
	for (int n = 0; n < REQUESTS; n += ENTRIES)
		burst(&w, wants, p);
	_exit(0);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Mean of all processes: ns for an admission, and for a settlement. */
static void one_round(unsigned processes, bool shared, double *ret_admit, double *ret_close)
{
	memset(run, 0, sizeof(*run));
	for (unsigned p = 0; p < processes; p++) {
		if (fork() == 0)
			work(p, shared);
	}
	while (run->ready < processes)
		(void)sched_yield();
	run->go = true;
	while (wait(NULL) > 0)
		;
	*ret_admit = *ret_close = 0;
	for (unsigned p = 0; p < processes; p++) {
		*ret_admit += (double)run->admit_ns[p] / REQUESTS / processes;
		*ret_close += (double)run->close_ns[p] / REQUESTS / processes;
	}
}

static void measure(const char *name, unsigned processes, bool shared)
{
	double admit[ROUNDS], settle[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		one_round(processes, shared, &admit[i], &settle[i]);
	qsort(admit, ROUNDS, sizeof(admit[0]), compare);
	qsort(settle, ROUNDS, sizeof(settle[0]), compare);
	printf("4 meters, %s: admission %.1f ns, settlement %.1f ns\n", name, admit[ROUNDS / 2],
	       settle[ROUNDS / 2]);
	(void)fflush(stdout);
}

#define PLACED 10000u
#define ASKED  2000000

/* Places as identities scatter them; each is asked for in turn, so lines come from the last cache.
 */
static void measure_find(void)
{
	uint64_t identity = 1;
	int64_t start;
	uint32_t m, config, sum = 0;
	bool fresh;

	for (uint32_t i = 0; i < PLACED; i++) {
		identity = identity * UINT64_C(6364136223846793005) + 1442695040888963407u;
		if (shm_meter_place(&seg, identity, &m, &fresh) < 0)
			abort();
		shm_meter_load(&seg, m, 9, 0);
		(void)shm_meter_configure(&seg, m, 1000, false, false, 0);
		shm_meter_open(&seg, m, identity, SHM_METER_TOKENS);
	}
	start = bf_mono_ns();
	for (uint32_t i = 0; i < ASKED; i++)
		sum += shm_meter_resolve(&seg, identity, &config);
	printf("find: %.1f ns in cache", (double)(bf_mono_ns() - start) / ASKED);
	start = bf_mono_ns();
	for (uint32_t i = 0; i < ASKED; i++) {
		if (i % PLACED == 0)
			identity = 1;
		identity = identity * UINT64_C(6364136223846793005) + 1442695040888963407u;
		sum += shm_meter_resolve(&seg, identity, &config);
	}
	printf(", %.1f ns one of 10,000 after the other (%u)\n",
	       (double)(bf_mono_ns() - start) / ASKED, sum & 1);
}

static void measure_look(void)
{
	struct shm_meter_want wants[METERS];
	int64_t room[METERS], start;
	unsigned which, ok = 0;

	for (unsigned k = 0; k < METERS; k++)
		wants[k] = (struct shm_meter_want){
		    .meter = k, .config = shm_meter_config(&seg, k), .epoch = 9, .amount = 5};
	start = bf_mono_ns();
	for (uint32_t i = 0; i < ASKED; i++)
		ok += shm_meter_look(&seg, wants, METERS, &which, room) == SHM_METER_OK;
	printf("4 meters, a look: %.1f ns\n", (double)(bf_mono_ns() - start) / ok);
}

static void set_up(void)
{
	static const uint8_t boot[16] = "bench";
	int fd = memfd_create("segment", MFD_CLOEXEC);
	struct bf_err err = {.code = 0};
	struct shm_usage_record r;

	memset(&r, 7, sizeof(r));
	if (shm_segment_create(fd, boot, &err) < 0 ||
	    shm_segment_attach(fd, false, boot, &seg, &err) < 0) {
		(void)fprintf(stderr, "bench-meter: %s\n", err.text);
		exit(1);
	}
	for (unsigned p = 0; p < PROCESSES; p++) {
		if (shm_slot_assign(&seg, 1, p) != (int)p)
			abort();
		for (int i = 0; i < ENTRIES; i++) {
			if (shm_inflight_begin(&seg, p, &r) != i)
				abort();
		}
	}
	for (uint32_t m = 0; m < PROCESSES * METERS; m++)
		(void)shm_meter_configure(&seg, m, SHM_METER_LIMIT_MAX, false, true, 9);
}

int main(void)
{
	run = mmap(NULL, sizeof(*run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run == MAP_FAILED)
		abort();
	set_up();
	measure_look();
	measure("one process", 1, false);
	measure("2 processes on 2 cores, their own meters", 2, false);
	measure("2 processes on 2 cores, the same meters", 2, true);
	measure("4 processes on 2 cores, the same meters", 4, true);
	measure_find();
	return 0;
}

/*
 * What a request costs in the segment, in ns: usage record (push and release), in-flight entry
 * (begin and finish), metric, doorbell, 16-byte swap; alone, spilling, and with a consumer on the
 * other core. Prints one line per case, the best of several rounds (the others were disturbed).
 * Used by ./dev bench.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "common/base/clock.h"
#include "shm/cas128.h"
#include "shm/doorbell.h"
#include "shm/inflight.h"
#include "shm/metrics.h"
#include "shm/slot.h"
#include "shm/usage.h"

#define ROUNDS 15
#define BURST  900 /* fits the small ring */
#define BURSTS 40  /* timed bursts per round */

struct bench {
	struct shm_segment seg;
	uint32_t p;
	int event_fd;
	struct shm_usage_record record;
	struct shm_u128 word;
	_Atomic bool stop;
};

/* One operation, n times. */
typedef void bench_fn(struct bench *b, unsigned n);

static void push(struct bench *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		(void)shm_usage_push(&b->seg, b->p, &b->record);
}

static void begin_finish(struct bench *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int entry = shm_inflight_begin(&b->seg, b->p, &b->record);

		if (entry < 0)
			abort();
		shm_inflight_finish(&b->seg, b->p, entry, &b->record);
	}
}

static void whole_request(struct bench *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int entry = shm_inflight_begin(&b->seg, b->p, &b->record);

		if (entry < 0)
			abort();
		shm_metric_add(&b->seg, b->p, SHM_M_HTTP_REQUESTS, 1);
		shm_inflight_progress(&b->seg, b->p, entry, i, i, 0);
		shm_inflight_finish(&b->seg, b->p, entry, &b->record);
		shm_doorbell_ring(&b->seg, b->event_fd);
	}
}

static void metric(struct bench *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		shm_metric_add(&b->seg, b->p, SHM_M_HTTP_REQUESTS, 1);
}

static void doorbell(struct bench *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		shm_doorbell_ring(&b->seg, b->event_fd);
}

static void swap128(struct bench *b, unsigned n)
{
	struct shm_pair v = shm_load128(&b->word);

	for (unsigned i = 0; i < n; i++)
		(void)shm_cas128(&b->word, &v, (struct shm_pair){v.lo + 1, v.hi + 1});
}

static void drain(struct bench *b)
{
	const struct shm_usage_record *records[64];
	size_t n;

	while ((n = shm_usage_peek(&b->seg, b->p, records, 64)) > 0)
		shm_usage_release(&b->seg, b->p, n);
}

static void release_only(struct bench *b, unsigned n)
{
	const struct shm_usage_record *records[64];

	for (unsigned done = 0; done < n;) {
		size_t got = shm_usage_peek(&b->seg, b->p, records, 64);

		shm_usage_release(&b->seg, b->p, got);
		done += (unsigned)got;
	}
}

static void pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set); /* without it the figures are only noisier */
}

static void *consumer(void *arg)
{
	struct bench *b = arg;

	pin(1);
	while (!b->stop) {
		drain(b);
		(void)sched_yield();
	}
	return NULL;
}

/* Bursts of fn with the ring emptied between them, untimed; by us, or by the consumer on the other
 * core. */
static double measure(struct bench *b, bench_fn *before, bench_fn *fn, unsigned burst, bool alone)
{
	double best = 1e18;

	for (int round = 0; round < ROUNDS; round++) {
		int64_t spent = 0;

		for (int i = 0; i < BURSTS; i++) {
			int64_t start;

			if (before)
				before(b, burst);
			start = bf_mono_ns();
			fn(b, burst);
			spent += bf_mono_ns() - start;
			if (alone)
				drain(b);
			while (shm_usage_waiting(&b->seg, b->p) > 0)
				(void)sched_yield();
		}
		if ((double)spent / (BURSTS * burst) < best)
			best = (double)spent / (BURSTS * burst);
	}
	return best;
}

static void setup(struct bench *b)
{
	static const uint8_t boot[16] = "bench";
	int fd = memfd_create("segment", MFD_CLOEXEC);
	struct bf_err err = {.code = 0};

	if (shm_segment_create(fd, boot, &err) < 0 ||
	    shm_segment_attach(fd, false, boot, &b->seg, &err) < 0) {
		(void)fprintf(stderr, "bench-shm: %s\n", err.text);
		exit(1);
	}
	b->p = (uint32_t)shm_slot_assign(&b->seg, 1, 0);
	if (shm_slot_enter(&b->seg, b->p, 1, 1, 1) < 0)
		abort();
	b->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	memset(&b->record, 7, sizeof(b->record));
}

int main(void)
{
	static struct bench b;
	pthread_t other;

	pin(0);
	setup(&b);
	begin_finish(&b, 1); /* takes the ring's memory */
	drain(&b);
	printf("usage: push, one core %.1f ns\n", measure(&b, NULL, push, BURST, true));
	printf("usage: release, one core %.1f ns\n", measure(&b, push, release_only, BURST, true));
	printf("usage: push into the overflow %.1f ns\n",
	       measure(&b, NULL, push, 20 * BURST, true));
	printf("inflight: begin + finish, one core %.1f ns\n",
	       measure(&b, NULL, begin_finish, BURST, true));
	printf("request: begin, metric, progress, finish, doorbell, one core %.1f ns\n",
	       measure(&b, NULL, whole_request, BURST, true));
	printf("metric: add %.2f ns\n", measure(&b, NULL, metric, 100000, true));
	printf("doorbell: consumer awake %.2f ns\n", measure(&b, NULL, doorbell, 100000, true));
	printf("cas128: swap, one core %.1f ns\n", measure(&b, NULL, swap128, 100000, true));
	if (pthread_create(&other, NULL, consumer, &b) != 0)
		abort();
	printf("usage: push, consumer on the other core %.1f ns\n",
	       measure(&b, NULL, push, BURST, false));
	printf("request: the whole, consumer on the other core %.1f ns\n",
	       measure(&b, NULL, whole_request, BURST, false));
	b.stop = true;
	(void)pthread_join(other, NULL);
	shm_segment_detach(&b.seg);
	return 0;
}

/*
 * Meters, directory and clock of windows with threads in one process, for ThreadSanitizer: workers
 * that look, reserve, extend and settle; a writer that takes their records, opens, retires and
 * collects; a supervisor whose clock turns the windows. In the end each meter is worth what the
 * records of its window charged. `torture-meter-threads SECONDS`.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/inflight.h"
#include "shm/layout.h"
#include "shm/meter.h"
#include "shm/slot.h"
#include "shm/wall.h"
#include "torture.h"

#define WORKERS   4u
#define LIMITS    5u
#define HELD      6u
#define WINDOW_MS 60000 /* of the clock of the test, which runs fast */
#define WINDOWS   100000u
#define BATCH     64u

/* The last one comes and goes. */
static const uint64_t identities[LIMITS] = {70, UINT64_C(1) << 40 | 70, UINT64_C(2) << 40 | 70, 500,
					    UINT64_C(3) << 40 | 70};
static const int64_t maxima[LIMITS] = {50, 1000, 200, 30, 300};

static struct shm_segment seg;
static _Atomic bool stopping;
static _Atomic int64_t boot_ns = 1;
static _Atomic uint64_t admitted, refused, extended, gone;
static int64_t (*settled)[WINDOWS]; /* the writer's */

static _Thread_local uint64_t thread_random = 88172645463325252u;

void shm_killpoint(const char *name)
{
	(void)name;
	if (torture_below(&thread_random, 200) == 0)
		(void)sched_yield();
}

static uint64_t below(uint64_t n)
{
	return torture_below(&thread_random, n);
}

static uint32_t epoch_now(void)
{
	struct shm_wall wall = shm_wall_read(&seg);

	return (uint32_t)(shm_wall_ms(&wall, boot_ns, WINDOW_MS) / WINDOW_MS);
}

/* ---- workers */

struct side {
	uint32_t p;
	struct shm_meter_writer w;
	int entries[HELD];
	unsigned held;
};

static void try_admit(struct side *s)
{
	struct shm_meter_want wants[LIMITS];
	struct shm_usage_record r;
	uint32_t epoch = epoch_now();
	unsigned n = 0, which = 0;
	int entry;

	for (uint32_t i = 0; i < LIMITS; i++) {
		struct shm_meter_want *want = &wants[n];

		want->meter = shm_meter_resolve(&seg, identities[i], &want->config);
		if (want->meter == SHM_METER_NOWHERE || below(3) == 0)
			continue;
		want->epoch = epoch;
		want->amount = (int64_t)below(6);
		n++;
	}
	if (below(2) && shm_meter_look(&seg, wants, n, &which, NULL) != SHM_METER_OK)
		return;
	memset(&r, 0, sizeof(r));
	entry = shm_inflight_begin(&seg, s->p, &r);
	if (entry < 0)
		return;
	if (shm_meter_admit(&s->w, entry, wants, n, &which) == SHM_METER_OK) {
		admitted++;
		s->entries[s->held++] = entry;
		return;
	}
	refused++;
	shm_inflight_cancel(&seg, s->p, entry);
}

static void extend(struct side *s, int entry)
{
	int64_t more[SHM_METERS_PER_REQUEST];
	unsigned which = 0;

	for (uint32_t k = 0; k < SHM_METERS_PER_REQUEST; k++)
		more[k] = (int64_t)below(3);
	if (shm_meter_extend(&s->w, entry, more, NULL, &which) == SHM_METER_OK)
		extended++;
}

/* A meter's charge stands in the record's text, because each has a number of its own here. */
static void settle(struct side *s, unsigned i)
{
	int entry = s->entries[i];
	const struct shm_inflight_entry *e = &seg.map->stores[s->p].inflight[entry];
	int64_t actual[SHM_METERS_PER_REQUEST];
	struct shm_usage_record r;

	memset(&r, 0, sizeof(r));
	r.meter_count = e->meter_count;
	for (uint32_t k = 0; k < r.meter_count; k++) {
		actual[k] = (int64_t)below((uint64_t)e->meters[k].amount + 1);
		r.meters[k] = e->meters[k].meter;
		r.epochs[k] = e->meters[k].epoch;
		r.attempt_trail[k] = (char)actual[k];
	}
	shm_meter_closing(&s->w, entry, actual);
	shm_inflight_push(&seg, s->p, entry, &r);
	shm_meter_close(&s->w, entry);
	shm_inflight_end(&seg, s->p, entry);
	s->entries[i] = s->entries[--s->held];
}

static void *work(void *arg)
{
	struct side *s = arg;

	thread_random += s->p * 7919 + 1;
	shm_meter_enter(&s->w, &seg, s->p);
	while (!stopping || s->held > 0) {
		if (!stopping && s->held < HELD && below(2) == 0)
			try_admit(s);
		else if (s->held > 0 && below(4) == 0)
			extend(s, s->entries[below(s->held)]);
		else if (s->held > 0)
			settle(s, (unsigned)below(s->held));
	}
	return NULL;
}

/* ---- the writer and the supervisor */

static int limit_of(uint32_t m)
{
	uint64_t identity = shm_meter_identity(&seg, m);

	for (int i = 0; i < (int)LIMITS; i++) {
		if (identities[i] == identity)
			return i;
	}
	TORTURE_CHECK(false, "meter %u is nobody's, and a record names it", m);
	return -1;
}

static void take_rows(void)
{
	const struct shm_usage_record *records[BATCH];

	for (uint32_t p = 0; p < WORKERS; p++) {
		size_t n = shm_usage_peek(&seg, p, records, BATCH);

		for (size_t j = 0; j < n; j++) {
			const struct shm_usage_record *r = records[j];
			for (uint32_t k = 0; k < r->meter_count; k++)
				settled[limit_of(r->meters[k])][r->epochs[k]] +=
				    r->attempt_trail[k];
		}
		shm_usage_release(&seg, p, n);
	}
}

static void open_limit(uint32_t i, int64_t max)
{
	uint32_t m, epoch = epoch_now();
	bool fresh;

	TORTURE_CHECK(shm_meter_place(&seg, identities[i], &m, &fresh) == 0, "no place");
	if (fresh)
		shm_meter_load(&seg, m, epoch, settled[i][epoch]);
	if (!shm_meter_configured(&seg, m, max, false))
		(void)shm_meter_configure(&seg, m, max, false, false, 0);
	shm_meter_open(&seg, m, identities[i], SHM_METER_TOKENS);
}

static void *write_rows(void *arg)
{
	(void)arg;
	thread_random += 5;
	while (!stopping) {
		uint32_t i = (uint32_t)below(LIMITS), m = shm_meter_find(&seg, identities[i]);

		take_rows();
		if (below(8) == 0)
			open_limit(i, maxima[i] - (int64_t)below(10));
		if (m != SHM_METER_NOWHERE && below(4) == 0)
			shm_meter_set_settled(&seg, m, epoch_now(), settled[i][epoch_now()]);
		if (i == LIMITS - 1 && m != SHM_METER_NOWHERE && below(4) == 0) {
			shm_meter_retire(&seg, m);
			gone++;
		}
		if (below(16) == 0)
			(void)shm_meter_collect(&seg);
		if (m != SHM_METER_NOWHERE)
			(void)shm_meter_janitor(&seg, m, epoch_now());
	}
	return NULL;
}

/* The wall clock runs, jumps a little, and steps back. */
static void *keep_time(void *arg)
{
	int64_t wall = INT64_C(10) * WINDOW_MS * 1000000;

	(void)arg;
	thread_random += 11;
	while (!stopping) {
		int64_t passed = (int64_t)below(1000) * 1000000;

		boot_ns += passed;
		wall += passed;
		if (below(50) == 0)
			wall += ((int64_t)below(40000) - 20000) * 1000000;
		(void)shm_wall_update(&seg, wall, boot_ns);
		TORTURE_CHECK(epoch_now() < WINDOWS - 2, "out of windows");
		(void)usleep(100);
	}
	return NULL;
}

static void start(pthread_t *t, void *(*fn)(void *), void *arg)
{
	TORTURE_CHECK(pthread_create(t, NULL, fn, arg) == 0, "pthread_create");
}

static void check_all(void)
{
	uint32_t looked = 0;

	for (uint32_t m = 0; (m = shm_meter_next(&seg, m)) != SHM_METER_NOWHERE; m++) {
		int i = limit_of(m);
		struct shm_meter_info info;

		TORTURE_CHECK(shm_meter_read(&seg, m, &info), "it moves and nobody is there");
		TORTURE_CHECK(info.value == settled[i][info.epoch] && info.value <= maxima[i],
			      "limit %d is worth %lld in window %u, its records say %lld", i,
			      (long long)info.value, info.epoch, (long long)settled[i][info.epoch]);
		looked++;
	}
	TORTURE_CHECK(looked >= LIMITS - 1, "only %u meters", looked);
}

int main(int argc, char **argv)
{
	static struct side sides[WORKERS];
	pthread_t workers[WORKERS], writer, clock;
	int seconds = argc > 1 ? atoi(argv[1]) : 4;

	(void)torture_segment(&seg);
	settled = calloc(LIMITS, sizeof(*settled));
	TORTURE_CHECK(settled, "calloc");
	(void)shm_wall_update(&seg, INT64_C(10) * WINDOW_MS * 1000000, boot_ns);
	for (uint32_t i = 0; i < LIMITS; i++)
		open_limit(i, maxima[i]);
	for (uint32_t p = 0; p < WORKERS; p++) {
		sides[p].p = p;
		TORTURE_CHECK(shm_slot_assign(&seg, 1, p) == (int)p &&
				  shm_slot_enter(&seg, p, 1, 1, 1) == 0,
			      "slot");
		start(&workers[p], work, &sides[p]);
	}
	start(&writer, write_rows, NULL);
	start(&clock, keep_time, NULL);
	for (int i = 0; i < seconds * 10; i++)
		(void)usleep(100000);
	stopping = true;
	for (uint32_t p = 0; p < WORKERS; p++)
		(void)pthread_join(workers[p], NULL);
	(void)pthread_join(writer, NULL);
	(void)pthread_join(clock, NULL);
	for (uint32_t p = 0; p < WORKERS; p++) {
		while (shm_usage_waiting(&seg, p) > 0)
			take_rows();
	}
	check_all();
	TORTURE_CHECK(admitted > 0 && refused > 0 && extended > 0 && gone > 0, "too quiet a run");
	printf("admitted %llu, refused %llu, extended %llu, retired %llu times, %u windows; every "
	       "meter is worth its records\n1 passed, 0 failed\n",
	       (unsigned long long)admitted, (unsigned long long)refused,
	       (unsigned long long)extended, (unsigned long long)gone, epoch_now());
	shm_segment_detach(&seg);
	free(settled);
	return 0;
}

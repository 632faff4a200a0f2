/*
 * Threads of one process on one segment, so that ThreadSanitizer sees every access: per slot a
 * producer that begins and finishes requests with bodies and a consumer that takes them, over all
 * of them a doorbell pair and a read-only observer. The kill points of the torture build yield at
 * random. Argument: seconds.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "shm/content.h"
#include "shm/doorbell.h"
#include "shm/dump.h"
#include "shm/health.h"
#include "shm/inflight.h"
#include "shm/keyhealth.h"
#include "shm/metrics.h"
#include "shm/slot.h"
#include "torture.h"

#define SLOTS        2 /* with rings and a consumer of their own */
#define BELL_SLOTS   2 /* whose one consumer sleeps */
#define HELD_MAX     48
#define FULL         (SHM_USAGE_OVERFLOW_RECORDS - HELD_MAX - 300)
#define BELL_WAIT_MS 20000 /* a lost wake-up, not a slow machine */

struct side {
	struct shm_segment *seg;
	uint32_t p;
	int bell;
	_Atomic uint64_t finished; /* by the producer */
	_Atomic uint64_t taken;    /* by the consumer */
	_Atomic uint64_t bodies;
	uint64_t spilled;
};

static _Atomic bool stopping, producers_gone;
static _Thread_local uint64_t thread_random = 88172645463325252u;

void shm_killpoint(const char *name)
{
	(void)name;
	if (torture_below(&thread_random, 400) == 0)
		(void)sched_yield();
}

static uint64_t below(uint64_t n)
{
	return torture_below(&thread_random, n);
}

/* The number that orders the records of a slot is given at the end of a request, its place in the
 * queue. */
static void finish_one(struct side *s, int entry, uint64_t begun)
{
	static _Thread_local uint8_t body[TORTURE_BODY_MAX];
	struct shm_usage_record r;
	uint64_t n = s->finished;

	torture_record(n, &r);
	r.prompt_tokens = begun;
	if (below(4) == 0) {
		size_t len = torture_body(n, body);

		if (shm_content_push(s->seg, s->p, r.id, SHM_CONTENT_REQUEST, body, len) == 0)
			r.flags |= SHM_USAGE_HAS_CONTENT;
	}
	shm_inflight_finish(s->seg, s->p, entry, &r);
	shm_metric_add(s->seg, s->p, SHM_M_HTTP_REQUESTS, 1);
	s->finished = n + 1;
	if (s->bell >= 0)
		shm_doorbell_ring(s->seg, s->bell);
}

/* All producers on the same few keys, with clocks that run apart and far enough that places are
 * taken over. A key is cool for as long as somebody said, or not at all. */
static void use_keys(struct side *s)
{
	static _Thread_local int64_t now;
	struct shm_key_ref key = shm_key_find(s->seg, 1 + below(100), now);
	const struct shm_key_report report = {.outcome = (enum shm_key_outcome)below(4),
					      .http_status = 200,
					      .cool_ms = (int64_t)below(50)};
	struct shm_key_info info;

	shm_key_report(s->seg, &key, &report, now);
	int64_t until = shm_key_cooling_until(s->seg, &key, now);
	TORTURE_CHECK(until == 0 || (until > now && until <= now + SHM_KEY_COOL_MAX + 60000),
		      "cools until %lld at %lld", (long long)until, (long long)now);
	(void)shm_key_info(s->seg, &key, now, &info);
	now += (int64_t)below(below(50) ? 100 : 2 * SHM_KEY_IDLE_MS);
}

static void *produce(void *arg)
{
	struct side *s = arg;
	int held[HELD_MAX];
	unsigned count = 0;
	uint64_t begun = 0;

	thread_random += s->p * 7919 + 1;
	while (!stopping || count > 0) {
		struct shm_usage_record r;

		/* Bursts longer than the small ring, then quiet, so that spilling starts and ends.
		 */
		if (!stopping && count < HELD_MAX && below(2) == 0) {
			torture_record(begun, &r);
			held[count] = shm_inflight_begin(s->seg, s->p, &r);
			if (held[count] >= 0) {
				shm_inflight_progress(s->seg, s->p, held[count], begun, 1, 0);
				if (below(8) == 0)
					shm_inflight_rekey(s->seg, s->p, held[count], &r);
				begun++;
				count++;
			}
		} else if (count > 0) {
			unsigned i = (unsigned)below(count);

			finish_one(s, held[i], begun);
			held[i] = held[--count];
		}
		use_keys(s);
		if (below(8192) == 0 && !stopping)
			(void)usleep(1000);
	}
	return NULL;
}

static uint64_t walk_content(struct side *s)
{
	struct shm_content c = {.end = 0};
	uint64_t end = 0, bodies = 0;

	while (shm_content_next(s->seg, s->p, end, &c) == 1) {
		uint64_t n;

		memcpy(&n, c.id, sizeof(n));
		TORTURE_CHECK(torture_body_is(n, c.bytes, c.len), "body %llu",
			      (unsigned long long)n);
		end = c.end;
		bodies++;
	}
	shm_content_release(s->seg, s->p, end);
	s->bodies += bodies;
	return bodies;
}

/* One look; whether anything was there. */
static bool consume_some(struct side *s)
{
	const struct shm_usage_record *records[512];
	size_t n = shm_usage_peek(s->seg, s->p, records, 1 + below(512));
	uint64_t taken = s->taken;

	if (shm_usage_overflow_waiting(s->seg, s->p) > 0)
		s->spilled++;
	for (size_t i = 0; i < n; i++)
		TORTURE_CHECK(torture_number(records[i]) == taken + i,
			      "slot %u: record %llu where %llu was due", s->p,
			      (unsigned long long)torture_number(records[i]),
			      (unsigned long long)(taken + i));
	shm_usage_release(s->seg, s->p, n);
	s->taken = taken + n;
	return walk_content(s) > 0 || n > 0;
}

/* Lets records pile up until they spill, now and then until nothing fits, however slow this machine
 * is. */
static void look_away(struct side *s)
{
	uint64_t want = s->taken > 0 && below(6) == 0 ? FULL : 1 + below(2000);

	while (!stopping && shm_usage_overflow_waiting(s->seg, s->p) < want)
		(void)usleep(200);
}

static void *consume(void *arg)
{
	struct side *s = arg;

	thread_random += s->p * 104729 + 2;
	look_away(s);
	for (;;) {
		bool last = producers_gone;

		if (!consume_some(s) && last)
			return NULL;
		if (below(1000) == 0)
			look_away(s);
	}
}

/* The sleeper: announces its sleep, looks once more, then waits for the bell with a limit far
 * beyond any delay. */
static void *consume_asleep(void *arg)
{
	struct side *sides = arg;
	struct pollfd bell = {.fd = sides[0].bell, .events = POLLIN};
	uint64_t rings;

	thread_random += 31337;
	for (;;) {
		bool last = producers_gone, more = false;

		for (int i = 0; i < BELL_SLOTS; i++)
			more |= consume_some(&sides[i]);
		if (more)
			continue;
		if (last)
			return NULL;
		shm_doorbell_sleeping(sides[0].seg, true);
		for (int i = 0; i < BELL_SLOTS; i++)
			more |= shm_usage_waiting(sides[i].seg, sides[i].p) > 0;
		if (!more && !producers_gone) {
			TORTURE_CHECK(poll(&bell, 1, BELL_WAIT_MS) == 1, "asleep and nobody rang");
			TORTURE_CHECK(read(bell.fd, &rings, sizeof(rings)) ==
					  (ssize_t)sizeof(rings),
				      "eventfd");
		}
		if (below(4) > 0) /* a consumer that forgets is no worse off */
			shm_doorbell_sleeping(sides[0].seg, false);
	}
}

/* Sends a record now and then and waits until it was taken: the consumer sleeps before nearly each.
 */
static void *produce_bell(void *arg)
{
	struct side *s = arg;

	thread_random += s->p * 15485863 + 3;
	while (!stopping) {
		for (uint64_t n = 1 + below(3); n > 0; n--) {
			struct shm_usage_record r;

			torture_record(s->finished, &r);
			if (shm_usage_push(s->seg, s->p, &r) < 0)
				continue;
			s->finished++;
			shm_doorbell_ring(s->seg, s->bell);
		}
		for (int64_t until = bf_mono_ms() + BELL_WAIT_MS; s->taken < s->finished;) {
			TORTURE_CHECK(bf_mono_ms() < until, "slot %u: a record was slept over",
				      s->p);
			(void)sched_yield();
		}
	}
	return NULL;
}

/* Bodies alone, so that nothing but the content ring's own words orders the two threads. */
static void *produce_bodies(void *arg)
{
	static uint8_t body[TORTURE_BODY_MAX];
	struct side *s = arg;

	thread_random += 433;
	while (!stopping) {
		struct shm_usage_record r;
		size_t len = torture_body(s->finished, body);

		torture_record(s->finished, &r);
		if (shm_content_push(s->seg, s->p, r.id, SHM_CONTENT_RESPONSE, body, len) == 0)
			s->finished++;
	}
	return NULL;
}

static void *consume_bodies(void *arg)
{
	struct side *s = arg;

	thread_random += 439;
	for (;;) {
		bool last = producers_gone;

		if (walk_content(s) == 0 && last)
			return NULL;
		if (below(100) == 0)
			(void)usleep(2000);
	}
}

static void *observe(void *arg)
{
	const struct shm_segment *seg = arg;
	int64_t last = 0;
	struct bf_buf text;

	bf_buf_init(&text, 1 << 20);
	while (!producers_gone) {
		struct bf_err err = {.code = 0};
		int64_t sum = shm_metric_sum(seg, SHM_M_HTTP_REQUESTS);

		TORTURE_CHECK(sum >= last, "a counter stepped back from %lld to %lld",
			      (long long)last, (long long)sum);
		last = sum;
		TORTURE_CHECK(shm_segment_valid(seg, &err) == 0, "%s", err.text);
		(void)shm_health_all(seg);
		TORTURE_CHECK(shm_dump_json(seg, &text) == 0 && shm_dump_text(seg, &text) == 0,
			      "dump");
		bf_buf_clear(&text);
		for (uint32_t p = 0; p < SLOTS; p++) {
			TORTURE_CHECK(shm_inflight_count(seg, p) <= HELD_MAX,
				      "more held than begun");
			TORTURE_CHECK(shm_usage_room(seg, p) <=
					  SHM_USAGE_RING_RECORDS + SHM_USAGE_OVERFLOW_RECORDS,
				      "room");
		}
		(void)usleep(500);
	}
	bf_buf_done(&text);
	return NULL;
}

static void start(pthread_t *t, void *(*fn)(void *), void *arg)
{
	TORTURE_CHECK(pthread_create(t, NULL, fn, arg) == 0, "pthread_create");
}

static void open_side(struct shm_segment *seg, struct side *s, int bell)
{
	int p = shm_slot_assign(seg, 1, 0);

	TORTURE_CHECK(p >= 0 && shm_slot_enter(seg, (uint32_t)p, 1, 1, 1) == 0, "slot");
	s->seg = seg;
	s->p = (uint32_t)p;
	s->bell = bell;
}

static void report(const struct side *s, const char *kind)
{
	TORTURE_CHECK(s->taken == s->finished && s->finished > 0,
		      "slot %u: %llu finished, %llu taken", s->p, (unsigned long long)s->finished,
		      (unsigned long long)s->taken);
	TORTURE_CHECK(shm_inflight_count(s->seg, s->p) == 0, "something is still held");
	TORTURE_CHECK(shm_usage_waiting(s->seg, s->p) == 0, "something still waits");
	printf("slot %u (%s): %llu records in order, %llu bodies, %llu looks with overflow\n", s->p,
	       kind, (unsigned long long)s->finished, (unsigned long long)s->bodies,
	       (unsigned long long)s->spilled);
}

int main(int argc, char **argv)
{
	static struct side sides[SLOTS + BELL_SLOTS + 1];
	struct side *bodies = &sides[SLOTS + BELL_SLOTS];
	struct shm_segment seg, ro;
	pthread_t producers[SLOTS + BELL_SLOTS + 1], consumers[SLOTS + 2], observer;
	int seconds = argc > 1 ? atoi(argv[1]) : 4;
	int fd = torture_segment(&seg), bell = eventfd(0, EFD_CLOEXEC);

	TORTURE_CHECK(shm_segment_attach(fd, true, NULL, &ro, NULL) == 0, "read-only attach");
	for (int i = 0; i <= SLOTS + BELL_SLOTS; i++)
		open_side(&seg, &sides[i], i < SLOTS ? -1 : bell);
	for (int i = 0; i < SLOTS; i++)
		start(&consumers[i], consume, &sides[i]);
	start(&consumers[SLOTS], consume_asleep, &sides[SLOTS]);
	start(&consumers[SLOTS + 1], consume_bodies, bodies);
	start(&producers[SLOTS + BELL_SLOTS], produce_bodies, bodies);
	start(&observer, observe, &ro);
	for (int i = 0; i < SLOTS + BELL_SLOTS; i++)
		start(&producers[i], i < SLOTS ? produce : produce_bell, &sides[i]);
	for (int i = 0; i < seconds * 10; i++)
		(void)usleep(100000);
	stopping = true;
	for (int i = 0; i <= SLOTS + BELL_SLOTS; i++)
		(void)pthread_join(producers[i], NULL);
	producers_gone = true;
	TORTURE_CHECK(write(bell, &(uint64_t){1}, 8) == 8, "eventfd");
	for (int i = 0; i <= SLOTS + 1; i++)
		(void)pthread_join(consumers[i], NULL);
	(void)pthread_join(observer, NULL);
	for (int i = 0; i < SLOTS + BELL_SLOTS; i++)
		report(&sides[i], i < SLOTS ? "busy" : "doorbell");
	TORTURE_CHECK(bodies->bodies == bodies->finished, "%llu bodies went in, %llu came out",
		      (unsigned long long)bodies->finished, (unsigned long long)bodies->bodies);
	printf("slot %u (bodies): %llu, %llu dropped\n", bodies->p,
	       (unsigned long long)bodies->bodies,
	       (unsigned long long)shm_content_dropped(&seg, bodies->p));
	TORTURE_CHECK(sides[0].spilled + sides[1].spilled > 0, "the overflow was never used");
	shm_segment_detach(&ro);
	shm_segment_detach(&seg);
	printf("1 passed, 0 failed\n");
	return 0;
}

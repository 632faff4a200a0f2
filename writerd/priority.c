/*
 * Rows can wait, requests can not: where a core is shared, writing must not hold up a worker whose
 * request is there. priority_lower() is called by writerd and by the reader at their start,
 * priority_yield() in the middle of their work. Must never take so little that rows fall behind: it
 * gives up the right to interrupt, some of its share, and its turn now and then.
 */
#include "writerd/priority.h"

#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/macros.h"
#include "common/log/log.h"

#define PRIORITY_NICE  5 /* beyond what all of us have: a third of a worker's share */
#define PRIORITY_LEAST 19
/* The least that Linux 6.12 and later give; older ones do not look at it. What a yield forfeits is
 * a whole slice: with the usual 3 ms, rows would fall behind on a core without rest. */
#define PRIORITY_SLICE_NS 100000

/* struct sched_attr of sched_setattr(2), as it was first published: glibc 2.36 has none, and the
 * kernel's header collides with <sched.h>. */
struct attributes {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns;
	uint64_t deadline_ns;
	uint64_t period_ns;
};

static bool (*in_a_hurry)(void *ctx);
static void *in_a_hurry_ctx;

void priority_lower(void)
{
	int given = getpriority(PRIO_PROCESS, 0);
	const struct attributes lowered = {
	    .size = sizeof(lowered),
	    .policy = SCHED_BATCH,
	    .nice = BF_MIN(given + PRIORITY_NICE, PRIORITY_LEAST),
	    .runtime_ns = PRIORITY_SLICE_NS,
	};

	if (syscall(SYS_sched_setattr, 0, &lowered, 0) < 0)
		bf_log(BF_LOG_INFO, "priority", "lowered=no");
}

/* Waking does not do it: a worker that used its share of the core a moment ago waits for the next
 * tick, up to 4 ms, before the kernel compares the two again. */
void priority_yield(void)
{
	if (!in_a_hurry || !in_a_hurry(in_a_hurry_ctx))
		(void)sched_yield();
}

void priority_ask(bool (*hurry)(void *ctx), void *ctx)
{
	in_a_hurry = hurry;
	in_a_hurry_ctx = ctx;
}

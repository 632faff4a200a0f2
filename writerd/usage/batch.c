/*
 * The policy of writing. Asked by turn.c before each transaction and told its end; must do no I/O
 * and read no clock.
 */
#include "writerd/usage/batch.h"

#include "common/base/macros.h"

/*
 * 512 rows fit twice into a worker's ring, which therefore stays in cache at full load: at 75,000
 * requests/s and a look every 5 ms about 375 are found. 50 ms bounds what an idle node waits for
 * its row; one fsync in 50 ms is no load.
 */
const struct batch_limits batch_default_limits = {
    .rows = 512,
    .bytes = 1 << 20,
    .wait_ms = 50,
    .look_ms = 5,
    .retry_ms = 100,
    .retry_cap_ms = 5000,
};

static const char *const state_names[BATCH_STATE_COUNT] = {
    [BATCH_IDLE] = "idle",
    [BATCH_GATHERING] = "gathering",
    [BATCH_FAILING] = "failing",
};

const char *batch_state_name(enum batch_state state)
{
	return state_names[state];
}

void batch_init(struct batch *b, const struct batch_limits *limits)
{
	*b = (struct batch){.limits = *limits, .state = BATCH_IDLE};
}

static struct batch_step look_gathering(struct batch *b, const struct batch_waiting *waiting,
					int64_t now_ms)
{
	int64_t deadline = b->since_ms + b->limits.wait_ms;

	if (waiting->urgent || waiting->rows >= b->limits.rows ||
	    waiting->bytes >= b->limits.bytes || now_ms >= deadline)
		return (struct batch_step){BATCH_COMMIT, now_ms};
	return (struct batch_step){BATCH_LOOK, BF_MIN(now_ms + b->limits.look_ms, deadline)};
}

struct batch_step batch_look(struct batch *b, const struct batch_waiting *waiting, int64_t now_ms)
{
	bool nothing = waiting->rows == 0 && !waiting->urgent;

	/* A store that failed is tried even when nothing waits: its health must not stay red, or
	 * green, by chance. */
	if (b->state == BATCH_FAILING) {
		if (now_ms >= b->retry_at_ms)
			return (struct batch_step){BATCH_MEND, now_ms};
		return (struct batch_step){BATCH_LOOK, b->retry_at_ms};
	}
	if (nothing) {
		b->state = BATCH_IDLE;
		return (struct batch_step){BATCH_SLEEP, now_ms};
	}
	if (b->state == BATCH_IDLE) {
		b->state = BATCH_GATHERING;
		b->since_ms = now_ms;
	}
	return look_gathering(b, waiting, now_ms);
}

static int64_t retry_pause_ms(const struct batch *b)
{
	int64_t pause = b->limits.retry_ms;

	for (uint32_t i = 1; i < b->failures && pause < b->limits.retry_cap_ms; i++)
		pause *= 2;
	return BF_MIN(pause, b->limits.retry_cap_ms);
}

struct batch_verdict batch_done(struct batch *b, int code, int64_t now_ms)
{
	struct batch_verdict verdict = {.failures = b->failures};

	if (code < 0) {
		verdict.broke = b->failures == 0;
		if (b->failures < UINT32_MAX)
			b->failures++;
		b->state = BATCH_FAILING;
		b->retry_at_ms = now_ms + retry_pause_ms(b);
		verdict.failures = b->failures;
		return verdict;
	}
	verdict.healed = b->failures > 0;
	b->failures = 0;
	b->state = BATCH_IDLE;
	return verdict;
}

/*
 * When to write: pure, (state, event, now) -> what to do next. Rows wait in the segment, where they
 * are safe from a crash of any process; waiting a little lets many share one fsync.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct batch_limits {
	uint64_t rows;    /* commit as soon as so many wait */
	uint64_t bytes;   /* or so many bytes of bodies */
	int64_t wait_ms;  /* or the first has waited so long */
	int64_t look_ms;  /* pause between two looks while gathering */
	int64_t retry_ms; /* first pause after a failure; doubles */
	int64_t retry_cap_ms;
};

extern const struct batch_limits batch_default_limits;

enum batch_state {
	BATCH_IDLE,      /* nothing waits */
	BATCH_GATHERING, /* something waits, not yet enough */
	BATCH_FAILING,   /* the store refused; rows stay where they are until the next try */
	BATCH_STATE_COUNT,
};

enum batch_action {
	BATCH_SLEEP,  /* until the doorbell */
	BATCH_LOOK,   /* look again at at_ms; the doorbell is not needed until then */
	BATCH_COMMIT, /* now, then tell batch_done */
	BATCH_MEND,   /* as BATCH_COMMIT, after the store was mended */
};

struct batch {
	struct batch_limits limits;
	enum batch_state state;
	int64_t since_ms; /* GATHERING: when the oldest was seen */
	int64_t retry_at_ms;
	uint32_t failures; /* in a row */
};

struct batch_waiting {
	uint64_t rows, bytes;
	bool urgent; /* a dead worker's slot waits, or a ring is half full */
};

struct batch_step {
	enum batch_action action;
	int64_t at_ms;
};

struct batch_verdict {
	bool broke;        /* this failure is the first: say it loudly, once */
	bool healed;       /* the first success after failures */
	uint32_t failures; /* healed: how many there were */
};

void batch_init(struct batch *b, const struct batch_limits *limits);
struct batch_step batch_look(struct batch *b, const struct batch_waiting *waiting, int64_t now_ms);
/* Of a commit: code 0 or what the store said. */
struct batch_verdict batch_done(struct batch *b, int code, int64_t now_ms);
const char *batch_state_name(enum batch_state state);

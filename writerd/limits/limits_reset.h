/*
 * Usage that is forgiven: what the rows of the present windows charged to the limits of one entity
 * counts no more, what runs stays reserved, and rows that are written later count. Sums of rows
 * stay as they are in the store; beside them stands how much of them was forgiven.
 */
#pragma once

#include "writerd/limits/limits.h"

struct limits_forgiven {
	struct bf_limit limit; /* its texts live as long as the limits do */
	uint32_t place;
	int64_t window;
	int64_t amount; /* 0: nothing was used */
	struct store_total total;
};

struct limits_reset {
	uint32_t type;
	struct bf_slice id;
	struct bf_slice limit_id; /* of a budget or rate limit; empty: all of the entity's */
	struct bf_arena *arena;
	struct bf_array forgiven; /* of struct limits_forgiven, in the arena: afterwards */
	struct bf_err err;        /* LIMITS_RESET_FAILED: why */
};

enum limits_reset_verdict {
	LIMITS_RESET_DONE,      /* and durable */
	LIMITS_RESET_UNKNOWN,   /* it has no limit of this id */
	LIMITS_RESET_NO_STORE,  /* nothing would remember it */
	LIMITS_RESET_NOT_READY, /* a limit has no meter yet, or its total is not whole */
	LIMITS_RESET_FAILED,    /* the store */
};

/* All of them, or none. Limits of requests that run at once have no usage: they are passed over. */
enum limits_reset_verdict limits_reset(struct limits *l, struct limits_reset *reset);

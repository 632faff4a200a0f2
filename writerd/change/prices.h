/*
 * The price sheet that the reader fetched, from its message to what is in force. One at a time; who
 * sent it is answered when it is in force, or why it is not.
 */
#pragma once

#include "common/base/arena.h"
#include "common/ipc/messages.h"
#include "common/proc/child.h"
#include "common/snapshot/prices.h"
#include "writerd/change/registry.h"

#define PRICES_NEVER_MS 60000 /* without any sheet since the start: something is wrong */

enum prices_state {
	PRICES_IDLE,
	PRICES_WAIT, /* until nothing else is under way */
	PRICES_FLY,  /* stored; to be in force */
};

struct prices {
	struct bf_child *child;
	struct registry *r;
	enum prices_state state;
	struct bf_frame asked; /* of the message; without its body */
	struct bf_arena arena; /* of what it says */
	struct bf_msg_price_sheet sheet;
	int fd; /* of the entries; -1: only that nothing changed */
	int64_t began_ms;
	uint64_t taken, refused;
};

void prices_init(struct prices *p, struct bf_child *child, struct registry *r);
void prices_done(struct prices *p);

void prices_take(struct prices *p, const struct bf_frame *f, const struct bf_msg_price_sheet *m);
void prices_fresh(struct prices *p, const struct bf_frame *f, const struct bf_msg_price_fresh *m);
/* A flip is over. */
void prices_published(struct prices *p, int code, const char *why);
/* Once a second: gauges and health. */
void prices_second(struct prices *p);
void prices_status(const struct prices *p, struct bf_array *items, struct bf_arena *arena);

/* While a registry loads: what was fetched goes when nothing is to be fetched any more. */
int prices_settle(struct registry *r, struct bf_err *err);

/* May it be told that prices are old? checked_ms 0: no sheet ever came. Wall clock but up_ms. */
bool prices_are_stale(int64_t now_ms, int64_t checked_ms, int64_t interval_ms, int64_t up_ms);

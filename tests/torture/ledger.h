/*
 * The oracle: what really happened to each request, told by the worker around each call, and which
 * rows the store has. Lies in memory shared by all processes of a run but outside the segment, so
 * it knows what a killed process did last.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/usage.h"

#define LEDGER_FACTS 400000u

enum ledger_stage {
	LEDGER_NOTHING,
	LEDGER_BEGINNING, /* begin was called: it may be held */
	LEDGER_BEGUN,     /* begin returned */
	LEDGER_FINISHING,
	LEDGER_FINISHED, /* finish returned */
};

enum ledger_row {
	LEDGER_NO_ROW,
	LEDGER_ROW_FINISHED,
	LEDGER_ROW_CRASHED,
};

struct ledger_fact {
	_Atomic uint8_t stage;
	_Atomic uint8_t row;
	_Atomic uint8_t body_pushed; /* the push returned 0 */
	_Atomic uint8_t body_seen;
	_Atomic uint32_t tokens_announced; /* before progress was called */
	_Atomic uint32_t tokens_confirmed; /* after it returned */
};

struct ledger {
	_Atomic uint64_t next; /* request numbers; gaps are harmless */
	_Atomic uint64_t repeated_rows;
	_Atomic uint64_t counted_before, counted_after; /* around shm_metric_add */
	struct ledger_fact facts[LEDGER_FACTS];
};

struct ledger *ledger_new(void);
void ledger_clear(struct ledger *l);

/* INSERT ... ON CONFLICT(id) DO NOTHING, with all checks that can be made at once. */
void ledger_insert(struct ledger *l, const struct shm_usage_record *r);

struct ledger_sums {
	uint64_t begun, finished, rows_finished, rows_crashed, bodies;
};

/* Everything was drained and swept: exactly one row per begun request, no finished one missing. */
void ledger_check(struct ledger *l, struct ledger_sums *add_to);

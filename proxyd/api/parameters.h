/* Query strings of the management API, by the tables of its operations: pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/slice.h"

enum api_kind {
	API_TEXT,
	API_NUMBER,
	API_FLAG, /* true or false */
};

/* name NULL ends a table. */
struct api_parameter {
	const char *name;
	const char *doc;
	enum api_kind kind;
	uint64_t min, max; /* of a number; of the length of a text */
	uint64_t dflt;     /* of a number */
	bool required;
};

#define API_PARAMETERS_MAX 32u

/* What was given, one for each of the table's. */
struct api_values {
	const struct api_parameter *table;
	struct {
		bool given;
		uint64_t number;
		struct bf_slice text; /* in the arena */
	} items[API_PARAMETERS_MAX];
};

/*
 * Refuses what the table does not have or lacks, what is given twice, and what is out of bounds:
 * err "name: what, and how to mend it", *ret_name is the parameter (in query, as it came). 0,
 * BF_E_*, -ENOMEM.
 */
int api_parameters_read(const struct api_parameter *table, struct bf_slice query,
			struct bf_arena *arena, struct api_values *ret_values,
			struct bf_slice *ret_name, struct bf_err *err);

/* Of a parameter that the table may lack: empty, or 0. */
struct bf_slice api_text(const struct api_values *values, const char *name);
uint64_t api_number(const struct api_values *values, const char *name);

/* Collecting what is wrong with a file. Used only within common/schema. */
#pragma once

#include "common/base/macros.h"
#include "common/schema/load.h"

#define BF_DIAGS_MAX          100
#define BF_DIAGS_MAX_WARNINGS 50 /* so that warnings never push errors out */

enum bf_diag_kind {
	BF_DIAG_ERROR,
	BF_DIAG_WARNING,
};

struct bf_pos {
	uint32_t line, col; /* 0: the file as a whole */
};

void bf_diags_init(struct bf_diags *d, struct bf_slice file, struct bf_arena *arena);

/* Counts always; keeps the text while there is room. */
void bf_diag(struct bf_diags *d, enum bf_diag_kind kind, struct bf_pos pos, const char *fmt, ...)
    BF_PRINTF(4, 5);

/* Sorts by position and adds the line that says how many are not shown. Call once, at the end. */
void bf_diags_finish(struct bf_diags *d);

/*
 * Refusals of the management API: Bifrost's error body, with a member `detail` beside it that is a
 * problem document of RFC 9457. One shape for whichever process refuses.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/slice.h"

/* What is wrong with one member of a request. */
struct bf_problem_part {
	struct bf_slice pointer; /* RFC 6901: "/budgets/0/max_limit"; "" is the whole body */
	struct bf_slice message; /* what is wrong and how to mend it */
};

struct bf_problem {
	int http_status;
	const char *type;         /* a snake_case name: "version_conflict" */
	struct bf_slice message;  /* one line for a person */
	struct bf_slice param;    /* the member or parameter that it is about; empty: none */
	struct bf_slice instance; /* whom it happened to: "virtual_key/ops"; empty: nobody */
	const struct bf_problem_part *parts;
	size_t part_count;
	uint64_t version; /* of the entity as it is; 0: of no concern */
};

/* What a status is called: "Conflict"; "Error" for one that nobody here uses. */
const char *bf_problem_title(int http_status);

/* Appends the body. 0 or an error of bf_buf. */
int bf_problem_write(const struct bf_problem *p, struct bf_buf *out) BF_MUST_CHECK;

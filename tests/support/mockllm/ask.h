/* What a request asks for: the members of its body that the mock looks at. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/slice.h"

enum ask_kind {
	ASK_CHAT,
	ASK_COMPLETION,
	ASK_EMBEDDING,
	ASK_RESPONSES,
	ASK_MODELS, /* GET: what there is */
	ASK_KIND_COUNT,
};

/* Slices are raw JSON without quotes; they refer to the body. */
struct ask {
	enum ask_kind kind;
	struct bf_slice model, user, last_text;
	uint32_t hash; /* of user */
	bool stream, include_usage;
};

/* The kind that a method and the end of a path name; false: none. */
bool ask_kind(struct bf_slice method, struct bf_slice path, enum ask_kind *ret_kind);

/* 0, or a negative code and a line that says what is wrong with the body, which models need not. */
int ask_read(struct ask *a, enum ask_kind kind, struct bf_slice body, struct bf_arena *arena,
	     struct bf_err *err);

/* GET models, models/{id}. */
#pragma once

#include "proxyd/exchange.h"

/* The list: query provider, page_size, page_token. */
void models_answer(struct exchange *x);
/* GET /api/models: {models: [{name, provider}], total}, of those that match. */
struct models_filter {
	struct bf_slice provider; /* empty: of all */
	struct bf_slice piece;    /* of the name, in either case */
	uint64_t from, size;      /* size 0: as many as there are */
};
void models_list(struct exchange *x, const struct models_filter *filter);
/* One of them: x->rest is its id, percent-encoded. */
void models_answer_one(struct exchange *x);

/* GET models, models/{id}, and what the management API shows of models. */
#pragma once

#include "proxyd/exchange.h"

/* The list: query provider, page_size, page_token. */
void models_answer(struct exchange *x);
/* One of them: x->rest is its id, percent-encoded. */
void models_answer_one(struct exchange *x);

/* ---- of the management API: x is in state GATE, the parameters were read */

/* Of a page: each is looked for among all overrides, 5 ms with as many as there may be. */
#define MODELS_DETAILS_MAX 100u

struct models_filter {
	struct bf_slice provider; /* empty: of all */
	struct bf_slice piece;    /* of the name, in either case */
	struct bf_slice keys; /* ids or names, by commas: that one of them may ask; empty: any */
	bool unserved;        /* also what lists have and no key serves; keys is nothing then */
	uint64_t from, size;  /* size 0: as many as there are */
};

/* {models: [{name, provider, ..}], total} of the models that keys of providers name: as they are,
 * or with what price sheets tell of them. */
void models_list(struct exchange *x, const struct models_filter *filter);
void models_details(struct exchange *x, const struct models_filter *filter);
/* All that a price sheet tells of a model. */
void models_parameters(struct exchange *x, struct bf_slice model);
/* {models: [names], total}: the base models that price sheets name, each once; keys do not count.
 */
void models_base(struct exchange *x, const struct models_filter *filter);

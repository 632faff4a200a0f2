/* GET models, models/{id}. */
#pragma once

#include "proxyd/exchange.h"

/* The list: query provider, page_size, page_token. */
void models_answer(struct exchange *x);
/* GET /api/models: {models: [{name, provider}], total}. */
void models_list(struct exchange *x);
/* One of them: x->rest is its id, percent-encoded. */
void models_answer_one(struct exchange *x);

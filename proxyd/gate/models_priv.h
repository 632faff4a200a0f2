/* What the files of models.h have in common. */
#pragma once

#include "common/codec/json_writer.h"
#include "common/govern/price_book.h"
#include "proxyd/exchange.h"
#include "proxyd/worker.h"

/* A list that grows beyond this is cut: it names its next page, or its total tells. */
#define MODELS_TEXT_ENOUGH (WORKER_TEXT_MAX - 64u * 1024)

/* Answers with what was written into the worker's text, or that there is no memory. */
void models_send(struct exchange *x, struct bf_json_writer *w);

/* Is the piece in it, in any case of letters? An empty one is. */
bool models_hold(struct bf_slice name, struct bf_slice piece);

/* The prices in force, valid during this step; without sheets where there are none. False: nothing
 * is in force yet, and x was refused. */
bool models_book(struct exchange *x, struct bf_price_book *ret_book) BF_MUST_CHECK;

/* The entry of a sheet that tells most of a model: as a chat, else as an embedding; NULL. *query is
 * completed with the mode that it is for. */
const struct bf_conf_sheet_price *models_entry(const struct bf_price_book *book,
					       struct bf_price_query *query);

/* "input_cost_per_token": 1.5e-07 dollars as 0.00000015; nothing when it is not given. */
void models_write_price(struct bf_json_writer *w, const char *name, int64_t pusd);
/* The lengths that are known. */
void models_write_lengths(struct bf_json_writer *w, const struct bf_conf_model_facts *facts);

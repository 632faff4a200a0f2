/* Where the body changes on its way upstream, taken off the tape while there is one. */
#pragma once

#include "common/codec/json_tape.h"
#include "proxyd/exchange.h"

/* x->model_edit: this string. */
void infer_edit_model(struct exchange *x, const struct bf_json_tape *t, uint32_t value);

/* x->fallbacks_edit: this member of the root, named by its value, with the one comma that goes with
 * it. */
void infer_edit_cut_fallbacks(struct exchange *x, const struct bf_json_tape *t, uint32_t value);

/*
 * x->usage_edit: stream_options.include_usage becomes true, wherever it is missing. options: the
 * value of stream_options, an object or null, or BF_JSON_NONE.
 */
void infer_edit_usage(struct exchange *x, const struct bf_json_tape *t, uint32_t options);

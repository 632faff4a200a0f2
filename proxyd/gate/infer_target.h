/* Whom a request is for: `model`, then `fallbacks`. */
#pragma once

#include "proxyd/gate/infer.h"

/*
 * Fills x->targets with what `model` says and its fallbacks (those that name a configured provider
 * and a model), x->provider and x->model with the first, model_edit and fallbacks_edit. Names lie
 * in the body or in x's arena, never on the tape. 0, or -1 with e.
 */
int infer_targets(struct exchange *x, const struct bf_json_tape *t, const struct provider_set *set,
		  struct infer_error *e);

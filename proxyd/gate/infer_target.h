/* Whom a request is for: `model`, then `fallbacks`. */
#pragma once

#include "proxyd/gate/infer.h"
#include "proxyd/gate/infer_members.h"

struct infer_choice {
	uint32_t count;
	struct exchange_target targets[EXCHANGE_TARGETS_MAX];
};

/*
 * Whom a model's name means: a configured provider in front of it, the weights of x's virtual key,
 * the route's own provider, the first that lists the model. Further targets are tried after the
 * first unless the request has fallbacks. Names lie in name and in the configuration. 0, or -1 with
 * e.
 */
int infer_choose(struct exchange *x, struct bf_slice name, const struct provider_set *set,
		 struct infer_choice *ret_choice, struct infer_error *e);

/*
 * Fills x->targets with what `model` says and its fallbacks (those that name a configured provider
 * and a model), x->provider and x->model with the first, model_edit and fallbacks_edit. Names lie
 * in the body or in x's arena, never on the tape. 0, or -1 with e.
 */
int infer_targets(struct exchange *x, const struct infer_body *b, const struct provider_set *set,
		  struct infer_error *e);

/* What is asked of the model: messages, prompt or input. */
#pragma once

#include "proxyd/gate/infer.h"

/* Checks the member that x->route's object must have. 0, or -1 with e. */
int infer_content(const struct exchange *x, const struct bf_json_tape *t, struct infer_error *e);

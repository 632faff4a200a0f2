/* What is asked of the model: messages, prompt or input. */
#pragma once

#include "proxyd/gate/infer.h"
#include "proxyd/gate/infer_members.h"

/* Checks the member that x->route's object must have. 0, or -1 with e. */
int infer_content(const struct exchange *x, const struct infer_body *b, struct infer_error *e);

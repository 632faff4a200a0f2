/* What is asked of the model: messages, prompt or input. */
#pragma once

#include "proxyd/gate/infer.h"

/* The member that x->route's object must have; fills x->content_token. 0, or -1 with e. */
int infer_content(struct exchange *x, struct infer_error *e);

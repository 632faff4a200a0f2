/* How much a body asks for. For infer.c only. */
#pragma once

#include "proxyd/gate/infer.h"

/* Fills what x->spend says about prompts and lengths. The body is on the tape and has passed
 * infer_content(). */
void infer_length(struct exchange *x, const struct bf_json_tape *t);
/* The service tier that is asked for: what it costs there. */
void infer_tier(struct exchange *x, const struct bf_json_tape *t);

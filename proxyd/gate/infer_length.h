/* How much a body asks for. For infer.c only. */
#pragma once

#include "proxyd/gate/infer.h"
#include "proxyd/gate/infer_members.h"

/* Fills what x->spend says about prompts and lengths. The body is on the tape and has passed
 * infer_content(). 0, or -1 with e: a length or number of answers that providers may read as they
 * like. */
int infer_length(struct exchange *x, const struct infer_body *b, struct infer_error *e);
/* The service tier that is asked for: what it costs there. 0, or -1 with e: no memory. */
int infer_tier(struct exchange *x, const struct infer_body *b, struct infer_error *e);

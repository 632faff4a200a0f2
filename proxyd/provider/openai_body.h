/* A request as it goes upstream: the client's bytes with a few places replaced. Pure. */
#pragma once

#include <sys/uio.h>

#include "proxyd/exchange.h"

#define OPENAI_PIECES_MAX 7u /* three places at most are replaced */

/*
 * Fills pieces with x->body in which model_edit is x->model, fallbacks_edit is done, and, when
 * ask_usage is set, usage_edit. They refer to the body and the arena. Returns how many, or
 * -ENOMEM.
 */
int openai_body_splice(struct exchange *x, bool ask_usage, struct iovec pieces[OPENAI_PIECES_MAX]);

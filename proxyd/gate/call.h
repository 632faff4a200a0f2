/*
 * The attempts of one admitted exchange: which key of which provider is called, and what is tried
 * next when it fails (proxyd/gate/retry.h decides). Between the relay, which hears how an attempt
 * ended, and the providers.
 */
#pragma once

#include "proxyd/exchange.h"

/*
 * Chooses whom the first attempt is with, so that the row names it from its first moment on: before
 * record_open. False: no memory.
 */
bool call_prepare(struct exchange *x) BF_MUST_CHECK;
/* The first attempt, GATE -> CALLING. The exchange may be over when this returns. */
void call_start(struct exchange *x);

/*
 * The attempts of one admitted exchange: which key of which provider is called, and what is tried
 * next when it fails (proxyd/gate/retry.h decides). Between the relay, which hears how an attempt
 * ended, and the providers.
 */
#pragma once

#include "proxyd/exchange.h"

/* The first attempt, GATE -> CALLING. The exchange may be over when this returns. */
void call_start(struct exchange *x);

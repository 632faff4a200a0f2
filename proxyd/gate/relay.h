/* Between a provider and the client: what a call reports, recorded, and turned into an answer. */
#pragma once

#include "proxyd/exchange.h"

struct provider;

/* Starts the call of an admitted exchange, GATE -> CALLING. It may be over when this returns. */
void relay_start(struct exchange *x, struct provider *p);

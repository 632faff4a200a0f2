/* Between a provider and the client: what a call reports, recorded, and turned into an answer. */
#pragma once

#include "proxyd/exchange.h"

/* From now on the exchange hears a provider, GATE -> CALLING. */
void relay_attach(struct exchange *x);

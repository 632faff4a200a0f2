/* Between a provider and the client: what a call reports, recorded, and turned into an answer. */
#pragma once

#include "proxyd/exchange.h"

/* From now on the exchange hears a provider, GATE -> CALLING. */
void relay_attach(struct exchange *x);
/* It ends without another attempt; the row is closed unless x->admitted. The client is told. */
void relay_end(struct exchange *x, const struct exchange_outcome *outcome);

/* Admission: from here on a request has a row, whatever happens. */
#pragma once

#include <stdbool.h>

#include "proxyd/exchange.h"

#define ADMIT_RETRY_AFTER_S 1u

/*
 * Gives the exchange its id, what its virtual key's limits let it have, an entry of the in-flight
 * table and room in the usage ring; where limits refuse the primary, for the first fallback that
 * they admit. True: call_start() follows. False: it was refused, or waits for busy meters and goes
 * on by itself: it must not be touched again.
 */
bool admit(struct exchange *x);

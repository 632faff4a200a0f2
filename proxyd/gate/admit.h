/* Admission: from here on a request has a row, whatever happens. */
#pragma once

#include <stdbool.h>

#include "proxyd/exchange.h"

#define ADMIT_RETRY_AFTER_S 1u

/*
 * Gives the exchange its id, an entry of the in-flight table and room in the usage ring. On false
 * the exchange was refused with 503 and Retry-After and must not be touched again.
 */
bool admit(struct exchange *x);

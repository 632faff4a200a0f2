/*
 * What is for this machine only, the management API while there is no login: it shows prompts.
 * Pure: an exchange in, a verdict out.
 *
 * A peer on this machine is not enough. It may be a browser that shows a stranger's page (then it
 * says Origin or Sec-Fetch-Site, or a Host that is the stranger's, whose name was pointed here), or
 * a reverse proxy that speaks for the whole world (then it says so in a forwarding header, or
 * passes a public Host on).
 */
#pragma once

#include "common/base/err.h"
#include "proxyd/exchange.h"

/* May this client have an answer of such a path? 0, or BF_E_DENIED with err: what speaks against
 * it, and what to do. */
int local_check(const struct exchange *x, struct bf_err *err);

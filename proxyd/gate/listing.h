/*
 * Asking a provider for the names of its models, for the management API: a call like those of
 * requests, by the same client and within the same limits, but nobody's: no row, no meters.
 */
#pragma once

#include "proxyd/exchange.h"
#include "proxyd/gate/listing_read.h"

#define LISTING_MAX_BYTES (4u << 20) /* of a provider's answer; one that is longer is refused */

struct listing {
	int http_status;  /* 0: all is well; else what the client is to be told */
	const char *type; /* a short snake_case name */
	const char *text; /* one line for a person, with nothing of the provider's own words */
	struct listing_names names; /* they live until x is freed, or its answer is cleared */
};

/* The exchange is in state GATE or CALLING; the callee answers it, or asks somebody else. listing
 * lives during the call. */
typedef void (*listing_done)(struct exchange *x, const struct listing *listing);

/* By the key with this id, whatever models it names; empty: by the first that serves any model and
 * is up. x, in state GATE, is parked until done is called, which may be from within; or until
 * x->cancel is: then the call is stopped, and a worker that leaves still tells done. */
void listing_ask(struct exchange *x, struct bf_slice provider, struct bf_slice key_id,
		 listing_done done);

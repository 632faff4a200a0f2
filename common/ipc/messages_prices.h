/* Messages about the price sheet that is fetched: the structs of their rows in messages_prices.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/schema/field.h"

struct bf_msg_price_sync {
	bool accept_smaller; /* also a sheet that has lost more than half of its models */
};

struct bf_msg_price_sheet {
	struct bf_slice url;  /* where it was fetched */
	struct bf_slice etag; /* what the server calls this state of it; empty: nothing */
	struct bf_slice date; /* of its prices, as it says; empty: it does not */
	uint64_t models;      /* in the memfd */
	uint64_t skipped;     /* entries of models that are not paid for by tokens of text */
	uint64_t size;        /* bytes of the memfd */
	bool accept_smaller;
};

struct bf_msg_price_fresh {
	struct bf_slice url; /* whose sheet is still the one that is stored */
};

extern const struct bf_table bf_msg_price_sync_table, bf_msg_price_sheet_table,
    bf_msg_price_fresh_table;

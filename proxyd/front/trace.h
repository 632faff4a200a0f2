/*
 * W3C Trace Context: who called us, and what we tell those we call. Pure: headers and random bytes
 * in, text out.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxyd/exchange.h"

#define TRACE_TEXT_LEN    55u  /* 00-<32 hex>-<16 hex>-<2 hex> */
#define TRACE_RANDOM_LEN  24u  /* a trace id and a span id */
#define TRACE_STATE_MAX   512u /* what the standard asks to pass on at least */
#define TRACE_STATE_ITEMS 32u

struct trace {
	char parent[TRACE_TEXT_LEN + 1];
	/* Only beside a valid traceparent of the client's; else state_len is 0. */
	size_t state_len;
	char state[TRACE_STATE_MAX];
};

/*
 * Goes on with the client's trace, under a span id of our own from random, or begins one. A
 * traceparent that is malformed or doubled counts as none; one of a later version is read as far as
 * version 00 reaches. tracestate: whole members in their order as far as there is room; none at all
 * when one of them cannot be right.
 */
void trace_take(const struct exchange_header *headers, uint32_t count,
		const uint8_t random[TRACE_RANDOM_LEN], struct trace *ret_trace);

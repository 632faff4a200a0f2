/* The single entry from the front: which request goes where. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proxyd/exchange.h"
#include "proxyd/gate/error.h"

struct route {
	enum exchange_method method; /* GET also serves HEAD */
	/* One that ends with "/" matches what follows; {name} matches a segment. x->rest is what
	 * follows the slash, or the text from the first such segment on. */
	struct bf_slice path;
	enum error_dialect dialect;
	enum shm_usage_object object; /* 0: not a request to a provider */
	bool wants_body;              /* otherwise a body is read over and thrown away */
	/* Runs in state GATE; answers now, or hands the exchange on and it is answered later. */
	void (*handle)(struct exchange *x);
};

extern const struct route gate_routes[];
extern const size_t gate_route_count;

/* Does a path match a route's? */
bool route_matches(struct bf_slice pattern, struct bf_slice path);
/* The text, as it came, of the segment {name} of x->route; empty: it has none of this name. */
struct bf_slice route_segment(const struct exchange *x, const char *name);

/* The header section is complete: finds the route (x->route may stay NULL). Answers nothing yet. */
void gate_head(struct exchange *x);
bool gate_wants_body(const struct exchange *x);
/* The most that is read of it, whatever is configured: who asks is known behind it. */
uint64_t gate_body_max(const struct exchange *x);
/* A request that can only be refused, whatever its body says: no need to ask for the body. */
bool gate_will_refuse(const struct exchange *x);
/* Of the management API: pages of other origins are never told anything about it. */
bool gate_is_api(struct bf_slice path);
/* The body is complete. READING -> GATE; the exchange may be over when this returns. */
void gate_enter(struct exchange *x);
enum error_dialect gate_dialect(const struct exchange *x);

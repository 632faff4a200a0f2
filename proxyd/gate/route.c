/*
 * The table of routes. Called by the front twice per request: when the header section is complete
 * and when the body is. Must never read the client's socket or know a provider.
 */
#include "proxyd/gate/route.h"

#include <string.h>

#include "proxyd/gate/chat.h"
#include "proxyd/gate/health.h"
#include "proxyd/gate/metrics.h"
#include "proxyd/gate/models.h"

const struct route gate_routes[] = {
    {EXCHANGE_GET, "/health", ERROR_UNIFIED, 0, false, health_answer},
    {EXCHANGE_GET, "/live", ERROR_UNIFIED, 0, false, health_answer_live},
    {EXCHANGE_GET, "/ready", ERROR_UNIFIED, 0, false, health_answer_ready},
    {EXCHANGE_GET, "/metrics", ERROR_UNIFIED, 0, false, metrics_answer},
    {EXCHANGE_POST, "/v1/chat/completions", ERROR_UNIFIED, SHM_OBJECT_CHAT, true, chat_enter},
    {EXCHANGE_POST, "/openai/v1/chat/completions", ERROR_OPENAI, SHM_OBJECT_CHAT, true, chat_enter},
    {EXCHANGE_POST, "/openai/chat/completions", ERROR_OPENAI, SHM_OBJECT_CHAT, true, chat_enter},
    {EXCHANGE_GET, "/v1/models", ERROR_UNIFIED, 0, false, models_answer},
};
const size_t gate_route_count = BF_ARRAY_LEN(gate_routes);

static enum exchange_method route_method(enum exchange_method m)
{
	return m == EXCHANGE_HEAD ? EXCHANGE_GET : m;
}

/* The methods a path knows, for the Allow header; NULL when the path is unknown. */
static const char *route_allow(struct bf_slice path)
{
	for (size_t i = 0; i < gate_route_count; i++) {
		if (bf_slice_is(path, gate_routes[i].path))
			return gate_routes[i].method == EXCHANGE_POST ? "POST, OPTIONS"
								      : "GET, HEAD, OPTIONS";
	}
	return bf_slice_is(path, "*") ? "GET, HEAD, POST, OPTIONS" : NULL;
}

void gate_head(struct exchange *x)
{
	x->route = NULL;
	for (size_t i = 0; i < gate_route_count; i++) {
		if (gate_routes[i].method == route_method(x->method) &&
		    bf_slice_is(x->path, gate_routes[i].path))
			x->route = &gate_routes[i];
	}
}

bool gate_wants_body(const struct exchange *x)
{
	return x->route && x->route->wants_body;
}

bool gate_will_refuse(const struct exchange *x)
{
	return !x->route;
}

enum error_dialect gate_dialect(const struct exchange *x)
{
	if (x->route)
		return x->route->dialect;
	return bf_slice_starts(x->path, BF_SLICE_LIT("/openai/")) ? ERROR_OPENAI : ERROR_UNIFIED;
}

static void gate_no_route(struct exchange *x)
{
	const char *allow = route_allow(x->path);

	if (!allow) {
		gate_refuse(x, 404, "not_found",
			    "no such path; see /v1/chat/completions, /v1/models, /health");
		return;
	}
	x->allow = allow;
	if (x->method == EXCHANGE_OPTIONS) {
		exchange_set_state(x, EXCHANGE_DONE);
		x->out->answer(x, 204, (struct bf_slice){NULL, 0}, (struct bf_slice){NULL, 0});
		return;
	}
	gate_refuse(x, 405, "method_not_allowed",
		    "this path does not know this method; see the Allow header");
}

void gate_enter(struct exchange *x)
{
	exchange_set_state(x, EXCHANGE_GATE);
	if (x->route)
		x->route->handle(x);
	else
		gate_no_route(x);
}

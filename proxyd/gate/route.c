/*
 * The table of routes. Called by the front twice per request: when the header section is complete
 * and when the body is. Must never read the client's socket or know a provider.
 */
#include "proxyd/gate/route.h"

#include <string.h>

#include "proxyd/gate/explain.h"
#include "proxyd/gate/health.h"
#include "proxyd/gate/infer.h"
#include "proxyd/gate/local.h"
#include "proxyd/gate/logs.h"
#include "proxyd/gate/metrics.h"
#include "proxyd/gate/models.h"

#define ROUTE(method, path, ...)                                            \
	{                                                                   \
		EXCHANGE_##method, {"" path, sizeof(path) - 1}, __VA_ARGS__ \
	}
#define ROUTE_GET(path, dialect, handle) ROUTE(GET, path, ERROR_##dialect, 0, false, handle)
#define ROUTE_POST(path, dialect, object) \
	ROUTE(POST, path, ERROR_##dialect, SHM_OBJECT_##object, true, infer_enter)

/* Looked through from the top: what is asked most stands first. */
const struct route gate_routes[] = {
    ROUTE_POST("/v1/chat/completions", UNIFIED, CHAT),
    ROUTE_POST("/openai/v1/chat/completions", OPENAI, CHAT),
    ROUTE_POST("/openai/chat/completions", OPENAI, CHAT),
    ROUTE_POST("/v1/responses", UNIFIED, RESPONSES),
    ROUTE_POST("/openai/v1/responses", OPENAI, RESPONSES),
    ROUTE_POST("/openai/responses", OPENAI, RESPONSES),
    ROUTE_POST("/v1/embeddings", UNIFIED, EMBEDDING),
    ROUTE_POST("/openai/v1/embeddings", OPENAI, EMBEDDING),
    ROUTE_POST("/openai/embeddings", OPENAI, EMBEDDING),
    ROUTE_POST("/v1/completions", UNIFIED, COMPLETION),
    ROUTE_POST("/openai/v1/completions", OPENAI, COMPLETION),
    ROUTE_POST("/openai/completions", OPENAI, COMPLETION),
    ROUTE_GET("/health", UNIFIED, health_answer),
    ROUTE_GET("/api/logs", UNIFIED, logs_list),
    ROUTE_GET("/api/logs/", UNIFIED, logs_show),
    ROUTE_GET("/api/governance/explain", UNIFIED, explain_answer),
    ROUTE_GET("/live", UNIFIED, health_answer_live),
    ROUTE_GET("/ready", UNIFIED, health_answer_ready),
    ROUTE_GET("/metrics", UNIFIED, metrics_answer),
    ROUTE_GET("/v1/models", UNIFIED, models_answer),
    ROUTE_GET("/v1/models/", UNIFIED, models_answer_one),
    ROUTE_GET("/openai/v1/models", OPENAI, models_answer),
    ROUTE_GET("/openai/v1/models/", OPENAI, models_answer_one),
    ROUTE_GET("/openai/models", OPENAI, models_answer),
    ROUTE_GET("/openai/models/", OPENAI, models_answer_one),
};
const size_t gate_route_count = BF_ARRAY_LEN(gate_routes);

static enum exchange_method route_method(enum exchange_method m)
{
	return m == EXCHANGE_HEAD ? EXCHANGE_GET : m;
}

/* Lengths decide nearly always; a row that ends with a slash takes whatever follows it. */
static bool route_matches(const struct route *r, struct bf_slice path)
{
	if (r->path.ptr[r->path.len - 1] == '/')
		return path.len > r->path.len && bf_slice_starts(path, r->path);
	return bf_slice_eq(path, r->path);
}

static const struct route *route_find(struct bf_slice path, enum exchange_method method)
{
	for (size_t i = 0; i < gate_route_count; i++) {
		if (gate_routes[i].method == method && route_matches(&gate_routes[i], path))
			return &gate_routes[i];
	}
	return NULL;
}

/* The methods a path knows, for the Allow header; NULL when the path is unknown. */
static const char *route_allow(struct bf_slice path)
{
	if (route_find(path, EXCHANGE_POST))
		return "POST, OPTIONS";
	if (route_find(path, EXCHANGE_GET))
		return "GET, HEAD, OPTIONS";
	return bf_slice_is(path, "*") ? "GET, HEAD, POST, OPTIONS" : NULL;
}

void gate_head(struct exchange *x)
{
	x->route = route_find(x->path, route_method(x->method));
	x->object = x->route ? x->route->object : 0;
	if (x->route)
		x->rest = (struct bf_slice){x->path.ptr + x->route->path.len,
					    x->path.len - x->route->path.len};
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

bool gate_is_local(const struct exchange *x)
{
	return local_is_path(x->path);
}

static bool gate_admits_local(struct exchange *x)
{
	struct bf_err err;

	if (local_check(x, &err) == 0)
		return true;
	gate_refuse(x, 403, "loopback_only", "%s", err.text);
	return false;
}

void gate_enter(struct exchange *x)
{
	exchange_set_state(x, EXCHANGE_GATE);
	if (gate_is_local(x) && !gate_admits_local(x))
		return;
	if (x->route)
		x->route->handle(x);
	else
		gate_no_route(x);
}

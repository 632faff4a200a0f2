/*
 * The table of routes. Called by the front twice per request: when the header section is complete
 * and when the body is. Must never read the client's socket or know a provider.
 */
#include "proxyd/gate/route.h"

#include <stdio.h>
#include <string.h>

#include "common/ipc/messages_entity.h"
#include "proxyd/api/api.h"
#include "proxyd/gate/health.h"
#include "proxyd/gate/infer.h"
#include "proxyd/gate/metrics.h"
#include "proxyd/gate/models.h"

#define ROUTE(method, path, ...)                                            \
	{                                                                   \
		EXCHANGE_##method, {"" path, sizeof(path) - 1}, __VA_ARGS__ \
	}
#define ROUTE_GET(path, dialect, handle) ROUTE(GET, path, ERROR_##dialect, 0, false, handle)
#define ROUTE_POST(path, dialect, object) \
	ROUTE(POST, path, ERROR_##dialect, SHM_OBJECT_##object, true, infer_enter)

/* Looked through from the top: what is asked most stands first. Those below /api/ are in
 * proxyd/api/operations.c. */
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

/* What follows the first len bytes. */
static struct bf_slice behind(struct bf_slice s, size_t len)
{
	return (struct bf_slice){s.ptr + len, s.len - len};
}

static size_t length_to(struct bf_slice s, char ch)
{
	const char *at = s.len ? memchr(s.ptr, ch, s.len) : NULL;

	return at ? (size_t)(at - s.ptr) : s.len;
}

/* Takes what stands before the next {name} of pattern, then that and the segment it matches. */
static bool take_segment(struct bf_slice *pattern, struct bf_slice *path, struct bf_slice *ret_name,
			 struct bf_slice *ret_text)
{
	size_t fixed = length_to(*pattern, '{'), name = length_to(*pattern, '}');
	struct bf_slice head = {pattern->ptr, fixed};

	if (!bf_slice_starts(*path, head))
		return false;
	*path = behind(*path, fixed);
	*ret_text = (struct bf_slice){path->ptr, length_to(*path, '/')};
	*ret_name = (struct bf_slice){pattern->ptr + fixed + 1, name - fixed - 1};
	*path = behind(*path, ret_text->len);
	*pattern = behind(*pattern, name + 1);
	return ret_text->len > 0;
}

/* Lengths decide nearly always. */
bool route_matches(struct bf_slice pattern, struct bf_slice path)
{
	struct bf_slice name, text;

	if (pattern.ptr[pattern.len - 1] == '/')
		return path.len > pattern.len && bf_slice_starts(path, pattern);
	while (length_to(pattern, '{') < pattern.len) {
		if (!take_segment(&pattern, &path, &name, &text))
			return false;
	}
	return bf_slice_eq(path, pattern);
}

struct bf_slice route_segment(const struct exchange *x, const char *wanted)
{
	struct bf_slice pattern = x->route->path, path = x->path, name, text;

	while (length_to(pattern, '{') < pattern.len &&
	       take_segment(&pattern, &path, &name, &text)) {
		if (bf_slice_is(name, wanted))
			return text;
	}
	return (struct bf_slice){NULL, 0};
}

static const struct route *route_find(struct bf_slice path, enum exchange_method method)
{
	if (gate_is_api(path))
		return api_route(path, method);
	for (size_t i = 0; i < gate_route_count; i++) {
		const struct route *r = &gate_routes[i];

		/* None of these has segments. */
		if (r->method == method &&
		    (r->path.ptr[r->path.len - 1] == '/' ? route_matches(r->path, path)
							 : bf_slice_eq(r->path, path)))
			return r;
	}
	return NULL;
}

static const struct {
	enum exchange_method method;
	const char *names;
} route_methods[] = {
    {EXCHANGE_GET, "GET, HEAD, "}, {EXCHANGE_POST, "POST, "},     {EXCHANGE_PUT, "PUT, "},
    {EXCHANGE_PATCH, "PATCH, "},   {EXCHANGE_DELETE, "DELETE, "},
};

#define ROUTE_ALLOW_MAX 64u

/* The methods a path knows, for the Allow header; false: the path is unknown. */
static bool route_allow(struct bf_slice path, char out[ROUTE_ALLOW_MAX])
{
	bool any = bf_slice_is(path, "*"), star = any;
	size_t n = 0;

	for (size_t i = 0; i < BF_ARRAY_LEN(route_methods); i++) {
		if (!star && !route_find(path, route_methods[i].method))
			continue;
		n += (size_t)snprintf(out + n, ROUTE_ALLOW_MAX - n, "%s", route_methods[i].names);
		any = true;
	}
	(void)snprintf(out + n, ROUTE_ALLOW_MAX - n, "OPTIONS");
	return any;
}

void gate_head(struct exchange *x)
{
	const struct route *r = route_find(x->path, route_method(x->method));

	x->route = r;
	x->object = r ? r->object : 0;
	if (r)
		x->rest = behind(x->path, length_to(r->path, '{'));
}

bool gate_wants_body(const struct exchange *x)
{
	return x->route && x->route->wants_body;
}

uint64_t gate_body_max(const struct exchange *x)
{
	bool is_kept = gate_wants_body(x) && gate_is_api(x->path);

	return is_kept ? BF_ENTITY_CHANGE_BODY_MAX : UINT64_MAX;
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
	char allow[ROUTE_ALLOW_MAX];

	if (!route_allow(x->path, allow)) {
		gate_refuse(x, 404, "not_found",
			    "no such path; see /v1/chat/completions, /v1/models, /health");
		return;
	}
	x->allow = bf_arena_dup(&x->arena, bf_slice_from(allow)).ptr;
	if (x->method == EXCHANGE_OPTIONS) {
		exchange_set_state(x, EXCHANGE_DONE);
		x->out->answer(x, 204, (struct bf_slice){NULL, 0}, (struct bf_slice){NULL, 0});
		return;
	}
	gate_refuse(x, 405, "method_not_allowed",
		    "this path does not know this method; see the Allow header");
}

bool gate_is_api(struct bf_slice path)
{
	return bf_slice_starts(path, BF_SLICE_LIT("/api/")) || bf_slice_is(path, "/api");
}

void gate_enter(struct exchange *x)
{
	exchange_set_state(x, EXCHANGE_GATE);
	if (gate_is_api(x->path) ? !api_admits(x) : !api_admits_other(x))
		return;
	if (x->route)
		x->route->handle(x);
	else
		gate_no_route(x);
}

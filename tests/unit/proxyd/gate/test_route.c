/* Routes: which request is answered by whom, and what the others are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxyd/gate/route.h"
#include "shm/metrics.h"
#include "tests/unit/proxyd/harness.h"

static char answer[65536];

static void expect_start(struct harness *h, const char *request, const char *start)
{
	int fd = harness_client(h);

	(void)harness_ask(h, fd, request, answer, sizeof(answer));
	if (strncmp(answer, start, strlen(start)) != 0)
		fail_msg("to %s\nexpected %s\ngot %s", request, start, answer);
	(void)close(fd);
	harness_turns(h, 4);
}

static void every_route_answers(void **state)
{
	static const char *const paths[] = {"/health", "/live", "/ready", "/metrics", "/v1/models"};
	struct harness h;
	char request[128];

	(void)state;
	harness_open(&h, NULL);
	for (size_t i = 0; i < 5; i++) {
		(void)snprintf(request, sizeof(request), "GET %s?a=b HTTP/1.1\r\nHost: a\r\n\r\n",
			       paths[i]);
		expect_start(&h, request, "HTTP/1.1 200 OK\r\n");
	}
	harness_close(&h);
}

static void unknown_paths_and_methods(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	expect_start(&h, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 Not Found\r\n");
	assert_non_null(strstr(answer, "\"is_bifrost_error\":true,\"status_code\":404"));
	expect_start(&h, "GET /health/ HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 ");
	expect_start(&h, "GET /openai/x HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 ");
	assert_non_null(strstr(answer, "{\"error\":{\"message\":"));
	expect_start(&h, "DELETE /health HTTP/1.1\r\nHost: a\r\n\r\n",
		     "HTTP/1.1 405 Method Not Allowed\r\n");
	assert_non_null(strstr(answer, "\r\nAllow: GET, HEAD, OPTIONS\r\n"));
	expect_start(&h, "GET /v1/chat/completions HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 405 ");
	assert_non_null(strstr(answer, "\r\nAllow: POST, OPTIONS\r\n"));
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_HTTP_ERRORS_4XX), 5);
	assert_int_equal(shm_metric_of(&h.seg, h.slot, SHM_M_HTTP_REQUESTS), 5);
	harness_close(&h);
}

static void options_and_head(void **state)
{
	static const char *const asks[] = {
	    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
	    "OPTIONS /health HTTP/1.1\r\nHost: a\r\n\r\n",
	    "HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n",
	};
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	for (size_t i = 0; i < 3; i++) {
		int fd = harness_client(&h);
		harness_send(&h, fd, asks[i], strlen(asks[i]));
		(void)harness_read(&h, fd, answer, sizeof(answer), "\r\n\r\n", NULL);
		assert_memory_equal(
		    answer, i < 2 ? "HTTP/1.1 204 No Content\r\n" : "HTTP/1.1 200 OK\r\n", 17);
		assert_true((strstr(answer, "Allow: ") != NULL) == (i < 2));
		assert_true((strstr(answer, "Content-Length: ") != NULL) == (i == 2));
		/* No body follows; the connection stays good for the next request. */
		(void)harness_ask(&h, fd, "GET /live HTTP/1.1\r\nHost: a\r\n\r\n", answer,
				  sizeof(answer));
		assert_memory_equal(answer, "HTTP/1.1 200 OK\r\n", 17);
		(void)close(fd);
		harness_turns(&h, 4);
	}
	harness_close(&h);
}

static void bodies_nobody_wants_are_read_over(void **state)
{
	struct harness h;
	int fd;

	(void)state;
	harness_open(&h, NULL);
	fd = harness_client(&h);
	(void)harness_ask(&h, fd,
			  "POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
			  answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 404", 12);
	(void)harness_ask(&h, fd, "GET /live HTTP/1.1\r\nHost: a\r\n\r\n", answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 200", 12);
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

struct bad {
	const char *body;
	const char *text;
};

static const struct bad bads[] = {
    {"{\"model\":", "the request body is not valid JSON: 1:"},
    {"{\"model\":\"mock/m\",\"model\":\"mock/n\"}", "the request body is not valid JSON: 1:"},
    {"{\"user\":\"\\udc00\"}", "the request body is not valid JSON: 1:"},
    {"{\"user\":\"\xff\"}", "the request body is not valid JSON: 1:"},
    {"{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
     "too complex: 1:"},
    {"{}", "model is required"},
    {"{\"model\":\"nobody/m\"}", "\\\"nobody\\\" is not a configured provider"},
};

/* What cannot be read is refused in the dialect of its route, and the connection stays good. */
static void bad_bodies_on_every_route(void **state)
{
	struct harness h;
	char request[512];

	(void)state;
	harness_open(&h, NULL);
	int fd = harness_client(&h);
	for (size_t r = 0; r < gate_route_count; r++) {
		const struct route *route = &gate_routes[r];
		for (size_t i = 0; route->object && i < BF_ARRAY_LEN(bads); i++) {
			(void)snprintf(request, sizeof(request),
				       "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n"
				       "\r\n%s",
				       route->path.ptr, strlen(bads[i].body), bads[i].body);
			(void)harness_ask(&h, fd, request, answer, sizeof(answer));
			assert_memory_equal(answer, "HTTP/1.1 400 Bad Request\r\n", 26);
			if (!strstr(answer, bads[i].text))
				fail_msg("%s: %s", request, answer);
			assert_non_null(strstr(
			    answer, route->dialect == ERROR_OPENAI
					? "{\"error\":{\"message\":\""
					: "{\"type\":\"invalid_request\",\"is_bifrost_error\":true,"
					  "\"status_code\":400,"));
		}
	}
	(void)close(fd);
	harness_turns(&h, 4);
	harness_close(&h);
}

static bool has_route(enum exchange_method method, const char *path, unsigned object)
{
	struct exchange x = {.method = method, .path = bf_slice_from(path)};

	gate_head(&x);
	return x.route && x.route->object == object;
}

static void the_same_routes_under_every_prefix(void **state)
{
	static const char *const prefixes[] = {"/v1", "/openai/v1", "/openai"};
	static const struct {
		const char *path;
		unsigned object;
	} posts[] = {
	    {"/chat/completions", SHM_OBJECT_CHAT},
	    {"/completions", SHM_OBJECT_COMPLETION},
	    {"/embeddings", SHM_OBJECT_EMBEDDING},
	    {"/responses", SHM_OBJECT_RESPONSES},
	};
	char path[128];

	(void)state;
	for (size_t p = 0; p < 3; p++) {
		for (size_t i = 0; i < 4; i++) {
			(void)snprintf(path, sizeof(path), "%s%s", prefixes[p], posts[i].path);
			assert_true(has_route(EXCHANGE_POST, path, posts[i].object));
			assert_false(has_route(EXCHANGE_GET, path, posts[i].object));
		}
		(void)snprintf(path, sizeof(path), "%s/models", prefixes[p]);
		assert_true(has_route(EXCHANGE_GET, path, 0));
		assert_true(has_route(EXCHANGE_HEAD, path, 0));
		assert_false(has_route(EXCHANGE_POST, path, 0));
	}
}

static void which_paths_are_the_api(void **state)
{
	(void)state;
	assert_true(gate_is_api(BF_SLICE_LIT("/api/logs")));
	assert_true(gate_is_api(BF_SLICE_LIT("/api/")));
	assert_true(gate_is_api(BF_SLICE_LIT("/api")));
	assert_false(gate_is_api(BF_SLICE_LIT("/apis")));
	assert_false(gate_is_api(BF_SLICE_LIT("/v1/models")));
	assert_false(gate_is_api(BF_SLICE_LIT("")));
}

static bool matches(const char *pattern, const char *path)
{
	return route_matches(bf_slice_from(pattern), bf_slice_from(path));
}

static void segments_match_what_stands_between_slashes(void **state)
{
	static const struct route route = {.path =
					       BF_SLICE_INIT("/api/k/{id}/budgets/{budget_id}/x")};
	struct exchange x = {.route = &route, .path = BF_SLICE_LIT("/api/k/a%2Fb/budgets/7/x")};

	(void)state;
	assert_true(matches("/a/{id}", "/a/b"));
	assert_true(matches("/a/{id}/c", "/a/b/c"));
	assert_true(matches("/a/{id}/{n}", "/a/b/c"));
	assert_false(matches("/a/{id}", "/a/"));
	assert_false(matches("/a/{id}", "/a"));
	assert_false(matches("/a/{id}", "/a/b/"));
	assert_false(matches("/a/{id}", "/a/b/c"));
	assert_false(matches("/a/{id}/c", "/a/b"));
	assert_false(matches("/a/{id}/c", "/a//c"));
	assert_false(matches("/a/{id}/c", "/a/b/cd"));
	assert_true(bf_slice_is(route_segment(&x, "id"), "a%2Fb"));
	assert_true(bf_slice_is(route_segment(&x, "budget_id"), "7"));
	assert_int_equal(route_segment(&x, "name").len, 0);
}

/* Every method of every operation of the API finds it, and a path's Allow names them all. */
static void methods_of_the_api(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	expect_start(&h, "OPTIONS /api/governance/teams/a HTTP/1.1\r\nHost: localhost\r\n\r\n",
		     "HTTP/1.1 204 ");
	assert_non_null(strstr(answer, "\r\nAllow: GET, HEAD, PUT, DELETE, OPTIONS\r\n"));
	expect_start(&h, "PATCH /api/governance/teams HTTP/1.1\r\nHost: localhost\r\n\r\n",
		     "HTTP/1.1 405 ");
	assert_non_null(strstr(answer, "\r\nAllow: GET, HEAD, POST, OPTIONS\r\n"));
	expect_start(&h, "PUT /api/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 404 ");
	harness_close(&h);
}

static void a_slash_at_the_end_takes_the_rest(void **state)
{
	struct exchange x = {.method = EXCHANGE_GET, .path = BF_SLICE_LIT("/v1/models/a/b%20c/")};

	(void)state;
	gate_head(&x);
	assert_non_null(x.route);
	assert_true(bf_slice_is(x.rest, "a/b%20c/"));
	x.path = BF_SLICE_LIT("/v1/models/");
	gate_head(&x);
	assert_null(x.route);
	x.path = BF_SLICE_LIT("/v1/modelsx");
	gate_head(&x);
	assert_null(x.route);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_route_answers),
	    cmocka_unit_test(unknown_paths_and_methods),
	    cmocka_unit_test(options_and_head),
	    cmocka_unit_test(bodies_nobody_wants_are_read_over),
	    cmocka_unit_test(bad_bodies_on_every_route),
	    cmocka_unit_test(the_same_routes_under_every_prefix),
	    cmocka_unit_test(a_slash_at_the_end_takes_the_rest),
	    cmocka_unit_test(which_paths_are_the_api),
	    cmocka_unit_test(segments_match_what_stands_between_slashes),
	    cmocka_unit_test(methods_of_the_api),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

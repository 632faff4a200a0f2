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

static void two_models(struct bf_config *config)
{
	static struct bf_slice models[] = {{"m1", 2}, {"*", 1}, {"m2", 2}, {"m1", 2}};
	static struct bf_conf_provider_key keys[2];

	keys[0] = (struct bf_conf_provider_key){.models = {models, 4}, .enabled = true};
	keys[1] = (struct bf_conf_provider_key){.models = {models, 3}, .enabled = true};
	harness_mock(config)->keys = (struct bf_array){keys, 2};
}

/* memmem: strstr under ASan measures the whole text each time. */
static size_t count(const char *text, const char *part)
{
	size_t n = 0, len = strlen(text), step = strlen(part);
	const char *end = text + len;

	for (const char *p = text; (p = memmem(p, (size_t)(end - p), part, step)) != NULL;
	     p += step)
		n++;
	return n;
}

static void models_are_listed_once(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, two_models);
	expect_start(&h, "GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n");
	assert_non_null(strstr(
	    answer, "{\"object\":\"list\",\"data\":[{\"id\":\"mock/echo\",\"object\":\"model\","
		    "\"owned_by\":\"mock\"}"));
	assert_int_equal(count(answer, "\"mock/m1\""), 1);
	assert_int_equal(count(answer, "\"mock/m2\""), 1);
	assert_int_equal(count(answer, "*"), 0);
	expect_start(&h, "GET /v1/models?x=y&provider=other HTTP/1.1\r\nHost: a\r\n\r\n",
		     "HTTP/1.1 200 OK\r\n");
	assert_non_null(strstr(answer, "{\"object\":\"list\",\"data\":[]}"));
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_route_answers),
	    cmocka_unit_test(unknown_paths_and_methods),
	    cmocka_unit_test(options_and_head),
	    cmocka_unit_test(bodies_nobody_wants_are_read_over),
	    cmocka_unit_test(models_are_listed_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

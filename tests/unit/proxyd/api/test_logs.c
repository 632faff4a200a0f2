/* What is asked about the logs beside their rows, as far as a worker answers it itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/proxyd/harness.h"

static void expect(struct harness *h, const char *path, const char *start, const char *part)
{
	static char answer[4096];
	char request[256];
	int fd = harness_client(h);

	(void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
		       path);
	(void)harness_ask(h, fd, request, answer, sizeof(answer));
	if (strncmp(answer, start, strlen(start)) != 0 || !strstr(answer, part))
		fail_msg("%s: %s", path, answer);
	(void)close(fd);
	harness_turns(h, 4);
}

static void bodies_that_had_no_room(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	expect(&h, "/api/logs/dropped", "HTTP/1.1 200 ", "\r\n\r\n{\"dropped_requests\":0}");
	worker_count(&h.w, SHM_M_CONTENT_DROPPED);
	worker_count(&h.w, SHM_M_CONTENT_DROPPED);
	expect(&h, "/api/logs/dropped", "HTTP/1.1 200 ", "{\"dropped_requests\":2}");
	expect(&h, "/api/logs/dropped?x=1", "HTTP/1.1 400 ", "no such parameter");
	harness_close(&h);
}

/* Good ones are for the reader, which is not there. */
static void dimensions(void **state)
{
	static const char *const good[] = {"", "?dimensions=models",
					   "?dimensions=models,teams,models", "?limit=1000"};
	static const char *const bad[] = {
	    "?dimensions=",        "?dimensions=model",         "?dimensions=models,",
	    "?dimensions=,models", "?dimensions=models,,teams", "?limit=0"};
	struct harness h;
	char path[128];

	(void)state;
	harness_open(&h, NULL);
	for (size_t i = 0; i < BF_ARRAY_LEN(good); i++) {
		(void)snprintf(path, sizeof(path), "/api/logs/filterdata%s", good[i]);
		expect(&h, path, "HTTP/1.1 503 ", "logs_unavailable");
	}
	for (size_t i = 0; i < BF_ARRAY_LEN(bad); i++) {
		(void)snprintf(path, sizeof(path), "/api/logs/filterdata%s", bad[i]);
		expect(&h, path, "HTTP/1.1 400 ", "\"param\":\"");
	}
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bodies_that_had_no_room),
	    cmocka_unit_test(dimensions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

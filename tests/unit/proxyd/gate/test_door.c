/* One door: no route reaches a provider but through admission, whatever is added to the table. */
#include "proxyd/gate/explain.h"
#include "proxyd/gate/health.h"
#include "proxyd/gate/infer.h"
#include "proxyd/gate/logs.h"
#include "proxyd/gate/metrics.h"
#include "proxyd/gate/models.h"
#include "proxyd/gate/route.h"
#include "tests/unit/proxyd/gate/governed.h"

static struct shm_usage_record rows[8];

/* What these tell they know by themselves. Whoever adds one here has looked whom it asks. */
static void (*const local_handlers[])(struct exchange *x) = {
    explain_answer, health_answer,  health_answer_live, health_answer_ready, logs_list,
    logs_show,      metrics_answer, models_answer,      models_answer_one,
};

static bool is_local(const struct route *route)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(local_handlers); i++) {
		if (route->handle == local_handlers[i])
			return true;
	}
	return false;
}

static const char *const bodies[] = {
    "{\"model\":\"mock/m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
    "\"prompt\":\"x\",\"input\":\"x\"}",
    "{\"model\":\"mock/m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
    "\"prompt\":\"x\",\"input\":\"x\",\"fallbacks\":[\"second/m\",\"third/m2\"]}",
    "{\"model\":\"mock/m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
    "\"prompt\":\"x\",\"input\":\"x\",\"stream\":true}",
};

static void send_to(const struct route *route, const char *body)
{
	static const char *const names[] = {
	    [EXCHANGE_GET] = "GET", [EXCHANGE_HEAD] = "HEAD", [EXCHANGE_POST] = "POST"};
	bool below = route->path.ptr[route->path.len - 1] == '/';
	char request[2048];
	int fd = harness_client(&h);

	assert_true(route->method < BF_ARRAY_LEN(names) && names[route->method]);
	script = STEPS(200, 200, 200);
	asked[0] = '\0';
	(void)snprintf(request, sizeof(request),
		       "%s %.*s%s HTTP/1.1\r\nHost: localhost\r\n" KEY_A
		       "Content-Length: %zu\r\n\r\n%s",
		       names[route->method], BF_SLICE_FMT(route->path), below ? "mock/m" : "",
		       strlen(body), body);
	harness_send(&h, fd, request, strlen(request));
	(void)harness_read(&h, fd, answer, sizeof(answer), NULL, NULL);
	(void)close(fd);
	harness_turns(&h, 4);
}

/* Takes what a limit has: once. */
static void exhaust(void)
{
	int fd = ask(STEPS(200), KEY_A, false, ",\"max_tokens\":1");

	has(" 200 ");
	(void)close(fd);
	harness_turns(&h, 4);
	assert_int_equal(harness_rows(&h, rows, 8), 1);
}

/* Every body to every route that has a handler which asks providers, and to all others too. */
static void try_all(const char *status, const char *type)
{
	unsigned doors = 0;

	for (size_t r = 0; r < gate_route_count; r++) {
		const struct route *route = &gate_routes[r];

		for (size_t b = 0; b < BF_ARRAY_LEN(bodies); b++) {
			if (route->object == SHM_OBJECT_EMBEDDING && strstr(bodies[b], "stream"))
				continue;
			send_to(route, bodies[b]);
			if (asked[0])
				fail_msg("%.*s reached %s", BF_SLICE_FMT(route->path), asked);
			if (is_local(route))
				continue;
			doors++;
			if (!strstr(answer, status) || !strstr(answer, type))
				fail_msg("%.*s: %s", BF_SLICE_FMT(route->path), answer);
		}
	}
	assert_true(doors >= 36 - 3);
	assert_int_equal(harness_rows(&h, rows, 8), 0);
}

static void an_exhausted_key_opens_no_route(void **state)
{
	static const struct {
		struct limits_of of;
		const char *status, *type;
	} cases[] = {
	    {{.requests = 1}, " 429 ", "\"request_limited\""},
	    {{.tokens = 5}, " 429 ", "\"token_limited\""},
	    {{.budget_nusd = 4}, " 402 ", "\"budget_exceeded\""},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		house(0, 1);
		govern_house(&cases[i].of);
		place_meters();
		if (cases[i].of.requests)
			exhaust();
		try_all(cases[i].status, cases[i].type);
		assert_int_equal(leave_governed(harness_client(&h), rows, 8), 0);
	}
}

static void no_other_key_does_either(void **state)
{
	static const struct limits_of none = {0};

	(void)state;
	house(0, 1);
	govern_house(&none);
	place_meters();
	virtual_keys[0].allow_all_providers = false;
	in_force_publish(&h.w);
	try_all(" 403 ", "\"provider_blocked\"");
	virtual_keys[0].is_active = false;
	in_force_publish(&h.w);
	try_all(" 403 ", "\"virtual_key_blocked\"");
	virtual_keys[0].is_active = true;
	virtual_keys[0].expires_at_ms = 1;
	in_force_publish(&h.w);
	try_all(" 403 ", "\"virtual_key_blocked\"");
	assert_int_equal(leave_governed(harness_client(&h), rows, 8), 0);
}

/* A handler is the door, with an object that rows can tell, or it is known to ask nobody. */
static void every_route_is_one_or_the_other(void **state)
{
	(void)state;
	for (size_t r = 0; r < gate_route_count; r++) {
		const struct route *route = &gate_routes[r];
		bool door = route->handle == infer_enter;

		if (door == is_local(route) || door != (route->object != 0) ||
		    (door && !route->wants_body))
			fail_msg("%.*s", BF_SLICE_FMT(route->path));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_route_is_one_or_the_other),
	    cmocka_unit_test(an_exhausted_key_opens_no_route),
	    cmocka_unit_test(no_other_key_does_either),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

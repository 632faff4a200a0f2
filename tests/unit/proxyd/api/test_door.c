/* Who may ask: with and without a login, from here and from afar, with every kind of credential. */
#include "tests/unit/proxyd/api/door_bed.h"

/* ---- before anything is known */

static void nothing_is_in_force_yet(void **state)
{
	(void)state;
	bf_snapshot_release(&holder);
	finish(send_from(NULL, GET_VERSION " HTTP/1.1\r\nHost: localhost\r\n\r\n"), "503");
	says("governance_not_loaded");
	says("Retry-After: 1");
	posts("/v1/chat/completions", NOBODY, "{}", "503");
	says("governance_not_loaded");
	asks("GET /health", NOBODY, "200");
}

/* The password was changed, and this worker has not heard of it. */
static void what_is_newer_may_have_another_login(void **state)
{
	struct bf_snapshot_builder *b;

	(void)state;
	with_auth(2, "password1", false);
	asks(GET_VERSION, ADMIN, "200");
	shm_set_generation(&a.h.seg, ++generation);
	asks(GET_VERSION, ADMIN, "503");
	says("governance_not_loaded");
	asks("GET /metrics", NOBODY, "503");
	asks("GET /v1/models", ADMIN, "503");
	b = begin(true);
	add_auth(b, 3, "password2", true, false);
	take(b, generation);
	asks(GET_VERSION, ADMIN, "401");
	asks("GET /metrics", NOBODY, "401");
}

/* ---- without a login */

static void this_machine_alone(void **state)
{
	(void)state;
	finish(send_from(NULL, GET_VERSION " HTTP/1.1\r\nHost: localhost\r\n\r\n"), "200");
	says("\"1.2.3\"");
	says("Cache-Control: no-store");
	asks(GET_VERSION, NOBODY, "403");
	says("loopback_only");
	says("set governance.auth_config");
	/* Credentials are none: there is nothing to compare them with. */
	asks(GET_VERSION, ADMIN, "403");
	posts("/api/session/login", NOBODY, "{\"username\":\"admin\",\"password\":\"password1\"}",
	      "403");
	finish(send_from(NULL, "POST /api/session/login HTTP/1.1\r\nHost: localhost\r\n\r\n"),
	       "403");
	says("auth_disabled");
	finish(
	    send_from(NULL, "GET /api/session/is-auth-enabled HTTP/1.1\r\nHost: localhost\r\n\r\n"),
	    "200");
	says("{\"is_auth_enabled\":false,\"has_valid_token\":false,\"auth_type\":\"none\"");
	assert_string_equal(api_reach(&a.h.w), "this machine only");
	asks("GET /v1/models", NOBODY, "200");
}

static void the_holder_of_a_key_from_anywhere(void **state)
{
	(void)state;
	asks("GET /api/governance/virtual-keys/quota", NOBODY, "401");
	says("virtual_key_required");
	asks("GET /api/governance/virtual-keys/quota", "x-bf-vk: sk-bf-none\r\n", "401");
	says("virtual_key_not_found");
	with_auth(2, "password1", false);
	asks("GET /api/governance/virtual-keys/quota", "x-bf-vk: sk-bf-none\r\n", "401");
	says("virtual_key_not_found");
}

/* ---- with a login */

static void who_is_let_in(void **state)
{
	(void)state;
	with_auth(2, "password1", true);
	asks(GET_VERSION, ADMIN, "200");
	asks(GET_VERSION, "Authorization: Bearer ops\r\n", "200");
	asks(GET_VERSION, "Authorization: Bearer young\r\n", "200");
	asks("HEAD /api/version", "Authorization: Bearer ops\r\n", "200");
	asks("GET /api/nothing", "Authorization: Bearer ops\r\n", "404");
	asks("GET /v1/models", NOBODY, "200");
	assert_string_equal(api_reach(&a.h.w), "after a login");
	assert_int_equal(shm_metric_sum(&a.h.seg, SHM_M_LOGIN_FAILURES), 0);
}

static void who_is_not(void **state)
{
	static const char *const headers[] = {
	    NOBODY,
	    WRONG,
	    "Authorization: Basic cm9vdDpwYXNzd29yZDE=\r\n",
	    "Authorization: Basic !\r\n",
	    "Authorization: Digest x\r\n",
	    "Authorization: Bearer idle\r\n",
	    "Authorization: Bearer old\r\n",
	    "Authorization: Bearer nobody\r\n",
	    "Authorization: Bearer \r\n",
	    "Authorization: Bearer bfs_x\r\n",
	    "Cookie: token=ops\r\n",
	    "Cookie: token=bfs_x\r\n",
	};

	(void)state;
	with_auth(2, "password1", true);
	for (size_t i = 0; i < BF_ARRAY_LEN(headers); i++) {
		asks(GET_VERSION, headers[i], "401");
		says("WWW-Authenticate: Bearer realm=\"bifrost\", Basic realm=\"bifrost\"");
		says("authentication_required");
		assert_null(strstr(answer, "1.2.3"));
	}
	/* Not even which paths there are, and not this machine's programs either. */
	asks("GET /api/nothing", NOBODY, "401");
	asks("OPTIONS /api/version", NOBODY, "401");
	finish(send_from(NULL, GET_VERSION " HTTP/1.1\r\nHost: localhost\r\n\r\n"), "401");
	assert_int_equal(shm_metric_sum(&a.h.seg, SHM_M_LOGIN_FAILURES), 8);
}

static void what_is_open(void **state)
{
	(void)state;
	with_auth(2, "password1", false);
	asks("GET /api/session/is-auth-enabled", NOBODY, "200");
	says("{\"is_auth_enabled\":true,\"has_valid_token\":false,\"auth_type\":\"password\","
	     "\"inference_auth_enforced\":true}");
	asks("GET /api/session/is-auth-enabled", "Authorization: Bearer ops\r\n", "200");
	says("\"has_valid_token\":true");
	asks("GET /health", NOBODY, "200");
	asks("GET /live", NOBODY, "200");
}

/* They name customers, teams and keys: with a login they are for those who log in, although models
 * may need none. */
static void numbers_are_for_those_who_log_in(void **state)
{
	(void)state;
	asks("GET /metrics", NOBODY, "200");
	with_auth(2, "password1", true);
	asks("GET /metrics", NOBODY, "401");
	says("WWW-Authenticate: ");
	assert_null(strstr(answer, "bifrost_build_info"));
	asks("HEAD /metrics", NOBODY, "401");
	asks("GET /metrics?a=1", NOBODY, "401");
	asks("GET /metrics", WRONG, "401");
	asks("GET /metrics", ADMIN, "200");
	asks("GET /metrics", "Authorization: Bearer ops\r\n", "200");
	says("bifrost_build_info");
	/* Before anything is in force they name nobody, and tell that it is so. */
	bf_snapshot_release(&holder);
	a.h.w.api->state = AUTH_UNKNOWN;
	a.h.w.api->generation = 0;
	asks("GET /metrics", NOBODY, "200");
}

/* Nobody knows then who may ask: not even this machine is believed. */
static void a_login_that_cannot_be_read(void **state)
{
	struct bf_entity broken = {.type = BF_ENTITY_AUTH_CONFIG,
				   .version = 2,
				   .id = BF_SLICE_LIT(BF_AUTH_CONFIG_ID),
				   .body = BF_SLICE_LIT("\xc1")};
	struct bf_snapshot_builder *b = begin(true);

	(void)state;
	assert_int_equal(bf_snapshot_builder_add(b, &broken, NULL), 0);
	take(b, ++generation);
	finish(send_from(NULL, GET_VERSION " HTTP/1.1\r\nHost: localhost\r\n\r\n"), "503");
	says("governance_not_loaded");
	posts("/v1/chat/completions", NOBODY, "{}", "503");
	asks("GET /metrics", NOBODY, "503");
	asks("GET /health", NOBODY, "200");
	with_auth(3, "password1", true);
	asks(GET_VERSION, ADMIN, "200");
}

/* What is told there must not stay in a browser, nor in whatever stands between. */
static void nobody_keeps_a_copy(void **state)
{
	static const char *const lines[] = {
	    GET_VERSION,
	    "GET /api/models",
	    "GET /api/nothing",
	    "GET /api/logs?limit=0",
	    "GET /api/logs/%20",
	    "PATCH /api/version",
	    "GET /api/governance/explain",
	};
	char request[256];
	int fd;

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(lines); i++) {
		(void)snprintf(request, sizeof(request), "%s HTTP/1.1\r\nHost: localhost\r\n\r\n",
			       lines[i]);
		fd = send_from(NULL, request);
		(void)harness_read(&a.h, fd, answer, sizeof(answer), NULL, NULL);
		says("Cache-Control: no-store\r\n");
		(void)close(fd);
		harness_turns(&a.h, 8);
	}
	with_auth(2, "password1", true);
	asks(GET_VERSION, NOBODY, "401");
	says("Cache-Control: no-store\r\n");
}

static void tries_are_counted(void **state)
{
	(void)state;
	with_auth(2, "password1", true);
	for (unsigned i = 0; i < THROTTLE_PER_ADDRESS; i++)
		asks(GET_VERSION, WRONG, "401");
	/* Right or wrong: it is not looked at. */
	asks(GET_VERSION, ADMIN, "429");
	says("Retry-After: 1");
	posts("/api/session/login", NOBODY, "{\"username\":\"admin\",\"password\":\"password1\"}",
	      "429");
	assert_int_equal(shm_metric_sum(&a.h.seg, SHM_M_LOGINS_THROTTLED), 2);
	asks(GET_VERSION, "Authorization: Bearer ops\r\n", "200");
	finish(send_from("192.0.2.8:1", GET_VERSION " HTTP/1.1\r\n" HOST ADMIN "\r\n"), "200");
}

static void a_new_password(void **state)
{
	(void)state;
	with_auth(2, "password1", true);
	asks(GET_VERSION, ADMIN, "200");
	with_auth(3, "password2", true);
	asks(GET_VERSION, ADMIN, "401");
	asks(GET_VERSION, WRONG, "200");
}

/* ---- models */

static void models_need_a_login_too(void **state)
{
	(void)state;
	with_auth(2, "password1", false);
	asks("GET /v1/models", NOBODY, "401");
	says("WWW-Authenticate: ");
	says("a virtual key goes into x-bf-vk");
	asks("GET /openai/v1/models", "Authorization: Bearer sk-bf-key\r\n", "401");
	says("{\"error\":{\"message\":");
	asks("GET /v1/models", ADMIN, "200");
	asks("GET /v1/models", "Authorization: Bearer ops\r\n", "200");
	posts("/v1/chat/completions", NOBODY, "{}", "401");
	posts("/v1/chat/completions", ADMIN, "{}", "400");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(nothing_is_in_force_yet),
	    TEST(what_is_newer_may_have_another_login),
	    TEST(this_machine_alone),
	    TEST(the_holder_of_a_key_from_anywhere),
	    TEST(who_is_let_in),
	    TEST(who_is_not),
	    TEST(what_is_open),
	    TEST(numbers_are_for_those_who_log_in),
	    TEST(a_login_that_cannot_be_read),
	    TEST(nobody_keeps_a_copy),
	    TEST(tries_are_counted),
	    TEST(a_new_password),
	    TEST(models_need_a_login_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

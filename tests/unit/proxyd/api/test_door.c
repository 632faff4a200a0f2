/* Who may ask: with and without a login, from here and from afar, with every kind of credential;
 * sessions from their beginning to their end. */
#include "tests/unit/proxyd/asker.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/crypt/seal.h"
#include "common/net/addr.h"
#include "common/snapshot/builder.h"
#include "common/snapshot/holder.h"
#include "proxyd/api/api.h"
#include "proxyd/api/auth.h"

#define HOST   "Host: bifrost.example\r\n"
#define ADMIN  "Authorization: Basic YWRtaW46cGFzc3dvcmQx\r\n" /* admin:password1 */
#define WRONG  "Authorization: Basic YWRtaW46cGFzc3dvcmQy\r\n"
#define NOBODY ""

static struct asker a;
static struct bf_snapshot_holder holder;
static char answer[1 << 20];
static uint64_t generation;

static const uint8_t pepper[BF_SNAPSHOT_PEPPER_LEN] = {5};

static void add(struct bf_snapshot_builder *b, uint32_t type, const void *object, uint64_t version,
		const char *value)
{
	struct bf_entity e;
	struct bf_buf body;

	bf_buf_init(&body, 1 << 16);
	assert_int_equal(bf_entity_encode(type, object, &body, &e), 0);
	e.version = version;
	if (value)
		bf_hmac(pepper, bf_slice_from(value), e.secret);
	assert_int_equal(bf_snapshot_builder_add(b, &e, NULL), 0);
	bf_buf_done(&body);
}

static struct bf_snapshot_builder *begin(bool is_overlay)
{
	struct bf_snapshot_builder *b;

	assert_int_equal(bf_snapshot_builder_open(&b, is_overlay, 1, pepper, NULL), 0);
	return b;
}

static void take(struct bf_snapshot_builder *b, uint64_t number)
{
	int fd = bf_snapshot_builder_finish(b, NULL);

	assert_true(fd >= 0);
	assert_int_equal(bf_snapshot_take(&holder, fd, number, NULL), 0);
	(void)close(fd);
	bf_snapshot_builder_close(b);
	if (number)
		shm_set_generation(&a.h.seg, number);
}

static void add_auth(struct bf_snapshot_builder *b, uint64_t version, const char *password,
		     bool is_enabled, bool not_on_inference)
{
	const struct bf_conf_auth_config auth = {.id = BF_SLICE_LIT(BF_AUTH_CONFIG_ID),
						 .is_enabled = is_enabled,
						 .admin_username = BF_SLICE_LIT("admin"),
						 .admin_password = bf_slice_from(password),
						 .disable_auth_on_inference = not_on_inference};

	add(b, BF_ENTITY_AUTH_CONFIG, &auth, version, NULL);
}

static void add_api_key(struct bf_snapshot_builder *b, const char *name, bool is_active,
			int64_t expires_at_ms)
{
	const struct bf_conf_api_key key = {.id = bf_slice_from(name),
					    .name = bf_slice_from(name),
					    .is_active = is_active,
					    .expires_at_ms = expires_at_ms};

	add(b, BF_ENTITY_API_KEY, &key, 1, name);
}

/* In force from now on. */
static void with_auth(uint64_t version, const char *password, bool not_on_inference)
{
	struct bf_snapshot_builder *b = begin(true);

	add_auth(b, version, password, true, not_on_inference);
	take(b, ++generation);
}

static int setup(void **state)
{
	struct bf_snapshot_builder *b;

	(void)state;
	memset(&holder, 0, sizeof(holder));
	generation = 1;
	asker_open(&a);
	assert_int_equal(api_open(&a.h.w, NULL), 0);
	a.h.w.snapshots = &holder;
	b = begin(false);
	add_auth(b, 1, "password1", false, false);
	add_api_key(b, "ops", true, 0);
	add_api_key(b, "idle", false, 0);
	add_api_key(b, "old", true, bf_wall_ms() - 1);
	add_api_key(b, "young", true, bf_wall_ms() + 3600000);
	take(b, 0);
	take(begin(true), generation);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_snapshot_release(&holder);
	api_close(&a.h.w);
	asker_close(&a);
	return 0;
}

/* ---- clients */

static int send_from(const char *peer, const char *request)
{
	struct bf_addr addr;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	assert_true(!peer || bf_addr_parse(bf_slice_from(peer), &addr, NULL) == 0);
	assert_int_equal(front_take(&a.h.f, pair[1], peer ? &addr : NULL), 0);
	harness_send(&a.h, pair[0], request, strlen(request));
	harness_turns(&a.h, 5);
	return pair[0];
}

static void finish(int fd, const char *status)
{
	char start[32];

	(void)harness_read(&a.h, fd, answer, sizeof(answer), NULL, NULL);
	(void)snprintf(start, sizeof(start), "HTTP/1.1 %s ", status);
	if (strncmp(answer, start, strlen(start)) != 0)
		fail_msg("not %s: %s", status, answer);
	(void)close(fd);
	harness_turns(&a.h, 8);
}

/* A request without a body from afar. */
static void asks(const char *line, const char *headers, const char *status)
{
	char request[2048];

	(void)snprintf(request, sizeof(request), "%s HTTP/1.1\r\n" HOST "%s\r\n", line, headers);
	finish(send_from("192.0.2.7:4000", request), status);
}

static void posts(const char *path, const char *headers, const char *body, const char *status)
{
	char request[2048];

	(void)snprintf(request, sizeof(request),
		       "POST %s HTTP/1.1\r\n" HOST "%sContent-Length: %zu\r\n\r\n%s", path, headers,
		       strlen(body), body);
	finish(send_from("192.0.2.7:4000", request), status);
}

static void says(const char *part)
{
	if (!strstr(answer, part))
		fail_msg("%s is not in %s", part, answer);
}

#define GET_VERSION "GET /api/version"

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

/* ---- pages */

static void pages_of_other_sites(void **state)
{
	char cookie[256];
	char *at;

	(void)state;
	with_auth(2, "password1", true);
	posts("/api/session/login", NOBODY, "{\"username\":\"admin\",\"password\":\"password1\"}",
	      "200");
	at = strstr(answer, "Set-Cookie: token=");
	assert_non_null(at);
	(void)snprintf(cookie, sizeof(cookie), "Cookie: token=%.*s\r\n", (int)strcspn(at + 18, ";"),
		       at + 18);
	asks(GET_VERSION, cookie, "200");
	(void)strcat(cookie, "Origin: https://evil.example\r\n");
	asks(GET_VERSION, cookie, "200");
	assert_null(strstr(answer, "Access-Control-Allow-Origin"));
	asks("DELETE /api/governance/teams/x", cookie, "403");
	says("cross_site");
	asks("DELETE /api/governance/teams/x", ADMIN "Sec-Fetch-Site: cross-site\r\n", "403");
	posts("/api/session/login", "Origin: https://evil.example\r\n",
	      "{\"username\":\"admin\",\"password\":\"password1\"}", "403");
}

/* ---- sessions */

static void log_in(const char *headers, char cookie[256])
{
	char *at;

	posts("/api/session/login", headers, "{\"username\":\"admin\",\"password\":\"password1\"}",
	      "200");
	says("{\"message\":\"Login successful\"}");
	says("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax");
	at = strstr(answer, "Set-Cookie: token=");
	assert_non_null(at);
	(void)snprintf(cookie, 256, "Cookie: token=%.*s\r\n", (int)strcspn(at + 18, ";"), at + 18);
}

/* What writerd is asked to do when a session ends: its id. */
static void end_session(const char *headers, char id[64])
{
	static struct bf_msg_entity_change change;
	char request[2048];
	struct bf_arena arena;
	struct bf_frame f;
	int fd;

	(void)snprintf(request, sizeof(request),
		       "POST /api/session/logout HTTP/1.1\r\n" HOST "%sContent-Length: 0\r\n\r\n",
		       headers);
	fd = send_from("192.0.2.7:4000", request);
	assert_int_equal(asker_get(&a, &f), 0);
	assert_int_equal(f.type, BF_MSG_ENTITY_CHANGE);
	bf_arena_init(&arena, 1 << 20);
	assert_int_equal(bf_msg_decode(f.type, f.body, &change, &arena, NULL), 0);
	assert_int_equal(change.type, BF_ENTITY_SESSION_END);
	assert_int_equal(change.action, BF_ENTITY_CREATE);
	assert_true(bf_slice_is(change.actor, "session admin"));
	assert_true(bf_slice_starts(change.body, BF_SLICE_LIT("{\"id\":\"")));
	(void)snprintf(id, 64, "%.*s", BF_SLICE_FMT(change.id));
	bf_arena_done(&arena);
	asker_answer_change(&a, f.request, 201, "{}");
	finish(fd, "200");
	says("Set-Cookie: token=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
}

static void a_session(void **state)
{
	struct bf_conf_session_end ended = {.expires_at_ms = 1};
	struct bf_snapshot_builder *b;
	char one[256], two[256], id[64];

	(void)state;
	with_auth(2, "password1", true);
	log_in(NOBODY, one);
	assert_null(strstr(answer, "Secure"));
	log_in("X-Forwarded-Proto: https\r\n", two);
	says("; Secure\r\n");
	asks(GET_VERSION, one, "200");
	end_session(one, id);
	assert_int_equal(strlen(id), SESSION_ID_TEXT);
	/* In force: this one has ended, the other has not. */
	b = begin(true);
	add_auth(b, 2, "password1", true, true);
	ended.id = bf_slice_from(id);
	add(b, BF_ENTITY_SESSION_END, &ended, 1, NULL);
	take(b, ++generation);
	asks(GET_VERSION, one, "401");
	asks(GET_VERSION, two, "200");
	/* Another version of the login ends them all. */
	with_auth(3, "password1", true);
	asks(GET_VERSION, two, "401");
}

static void a_login_that_fails(void **state)
{
	(void)state;
	with_auth(2, "password1", true);
	posts("/api/session/login", NOBODY, "{\"username\":\"admin\",\"password\":\"no\"}", "401");
	says("invalid_credentials");
	assert_null(strstr(answer, "Set-Cookie"));
	posts("/api/session/login", NOBODY, "{\"username\":\"admin\"}", "400");
	posts("/api/session/login", NOBODY, "{\"username\":1,\"password\":2}", "400");
	posts("/api/session/login", NOBODY, "[]", "400");
	posts("/api/session/login", NOBODY, "", "400");
	posts("/api/session/login?a=1", NOBODY, "{}", "400");
	/* No session: nothing to end, and a browser's cookie that is none goes. */
	asks("POST /api/session/logout", ADMIN, "200");
	says("There was no session");
	asks("POST /api/session/logout", "Cookie: token=bfs_x\r\n", "200");
	says("Set-Cookie: token=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
	asks("POST /api/session/logout", "Origin: https://evil.example\r\n", "403");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

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
	    TEST(pages_of_other_sites),
	    TEST(a_session),
	    TEST(a_login_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Sessions from their beginning to their end, and pages of other sites that would like to use one.
 */
#include "tests/unit/proxyd/api/door_bed.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(pages_of_other_sites),
	    TEST(a_session),
	    TEST(a_login_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

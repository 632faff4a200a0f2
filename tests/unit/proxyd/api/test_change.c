/* What becomes of requests for changes and questions: what writerd and the reader are asked, what
 * is refused before, how their answers reach the client. */
#include "tests/unit/proxyd/asker.h"

#include <stdio.h>

#include "common/ipc/deadlines.h"
#include "common/snapshot/entity.h"

static struct asker a;
static char answer[1 << 17];
static struct bf_arena arena;
static struct bf_msg_entity_change change;
static struct bf_msg_entity_query query;
static uint32_t request_id;
static uint16_t request_type;

static int setup(void **state)
{
	(void)state;
	asker_open(&a);
	bf_arena_init(&arena, 1 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_arena_done(&arena);
	asker_close(&a);
	return 0;
}

static int sends(const char *line, const char *headers, const char *body)
{
	static char request[1 << 17];
	int fd = harness_client(&a.h);

	(void)snprintf(request, sizeof(request),
		       "%s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n%s", line,
		       headers, strlen(body), body);
	harness_send(&a.h, fd, request, strlen(request));
	harness_turns(&a.h, 5);
	return fd;
}

static void finish(int fd, const char *status, const char *part)
{
	char start[32];

	(void)harness_read(&a.h, fd, answer, sizeof(answer), NULL, NULL);
	(void)snprintf(start, sizeof(start), "HTTP/1.1 %s ", status);
	if (strncmp(answer, start, strlen(start)) != 0 || !strstr(answer, part))
		fail_msg("not %s with %s: %s", status, part, answer);
	(void)close(fd);
	harness_turns(&a.h, 8);
}

/* The question that arrives; what is asked lies in change or query. */
static void arrives(void)
{
	struct bf_frame f;

	assert_int_equal(asker_get(&a, &f), 0);
	assert_int_equal(bf_msg_permitted(&f, NULL), 0);
	request_id = f.request;
	request_type = f.type;
	if (f.type == BF_MSG_ENTITY_CHANGE)
		assert_int_equal(bf_msg_decode(f.type, f.body, &change, &arena, NULL), 0);
	else
		assert_int_equal(bf_msg_decode(f.type, f.body, &query, &arena, NULL), 0);
}

static void refused_sync(const char *line, const char *body, const char *status)
{
	struct bf_frame f;
	int fd = sends(line, "", body);

	finish(fd, status, "error");
	assert_int_equal(asker_get(&a, &f), BF_E_TIMEOUT);
}

/* The price sheet: the reader is asked, with what the parameter says. */
static void prices_are_asked_for(void **state)
{
	static const struct {
		const char *line;
		bool accept_smaller;
	} cases[] = {
	    {"POST /api/pricing/force-sync", false},
	    {"POST /api/pricing/force-sync?accept_smaller=false", false},
	    {"POST /api/pricing/force-sync?accept_smaller=true", true},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		int fd = sends(cases[i].line, "", i ? "" : "{}");
		struct bf_msg_price_sync sync;
		struct bf_frame f;

		assert_int_equal(asker_get(&a, &f), 0);
		assert_int_equal(f.type, BF_MSG_PRICE_SYNC);
		assert_int_equal(bf_msg_permitted(&f, NULL), 0);
		assert_int_equal(bf_msg_decode(f.type, f.body, &sync, &arena, NULL), 0);
		assert_int_equal(sync.accept_smaller, cases[i].accept_smaller);
		asker_answer_change(&a, f.request, 202, "{\"message\":1}");
		finish(fd, "202", "{\"message\":1}");
	}
	refused_sync("POST /api/pricing/force-sync?smaller=true", "", "400");
	refused_sync("POST /api/pricing/force-sync?accept_smaller=2", "", "400");
	refused_sync("POST /api/pricing/force-sync", "{\"accept_smaller\":true}", "400");
	refused_sync("GET /api/pricing/force-sync", "", "405");
}

static void changes(const char *line, const char *headers, const char *body)
{
	int fd = sends(line, headers, body);

	arrives();
	assert_int_equal(request_type, BF_MSG_ENTITY_CHANGE);
	assert_true(bf_slice_is(change.actor, "local"));
	asker_answer_change(&a, request_id, 200, "{\"done\":1}");
	finish(fd, "200", "{\"done\":1}");
	assert_non_null(strstr(answer, "ETag: \"7\"\r\n"));
}

static void refused(const char *line, const char *headers, const char *body, const char *status,
		    const char *part)
{
	struct bf_frame f;
	int fd = sends(line, headers, body);

	finish(fd, status, part);
	assert_int_equal(asker_get(&a, &f), BF_E_TIMEOUT);
}

#define KEYS "/api/governance/virtual-keys"

static void what_is_asked_for(void **state)
{
	static const struct {
		const char *line, *body;
		int action;
		unsigned type;
		const char *id;
	} cases[] = {
	    {"POST " KEYS, "{\"name\":\"a\"}", BF_ENTITY_CREATE, BF_ENTITY_VIRTUAL_KEY, ""},
	    {"PUT " KEYS "/k%2F1", "{}", BF_ENTITY_UPDATE, BF_ENTITY_VIRTUAL_KEY, "k/1"},
	    {"DELETE " KEYS "/k1", "", BF_ENTITY_DELETE, BF_ENTITY_VIRTUAL_KEY, "k1"},
	    {"DELETE " KEYS "/k1", "{}", BF_ENTITY_DELETE, BF_ENTITY_VIRTUAL_KEY, "k1"},
	    {"POST " KEYS "/k1/rotate", "", BF_ENTITY_ROTATE, BF_ENTITY_VIRTUAL_KEY, "k1"},
	    {"PUT /api/governance/providers/openai", "{}", BF_ENTITY_UPDATE,
	     BF_ENTITY_PROVIDER_LIMITS, "openai"},
	    {"POST /api/api-keys", "{\"name\":\"a\"}", BF_ENTITY_CREATE, BF_ENTITY_API_KEY, ""},
	    {"POST /api/providers/openai/keys/batch", "{\"key_ids\":[\"a\"],\"enabled\":true}",
	     BF_ENTITY_UPDATE, BF_ENTITY_PROVIDER, "openai"},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		changes(cases[i].line, "", cases[i].body);
		assert_int_equal(change.action, cases[i].action);
		assert_int_equal(change.type, cases[i].type);
		assert_true(bf_slice_is(change.id, cases[i].id));
		assert_int_equal(change.expected_version, 0);
		assert_int_equal(change.is_sub, strstr(cases[i].line, "/keys/") != NULL);
		assert_int_equal(change.sub_id.len, 0);
		/* An end has no body, whatever was sent. */
		assert_true(bf_slice_is(change.body, *cases[i].body == '{' &&
							     strncmp(cases[i].line, "DEL", 3) != 0
							 ? cases[i].body
							 : ""));
	}
}

/* Usage and budgets: a limit of the owner is named by the path, or by a parameter. */
static void parts_that_are_named(void **state)
{
	(void)state;
	changes("POST " KEYS "/k/reset-usage", "", "");
	assert_int_equal(change.action, BF_ENTITY_RESET_USAGE);
	assert_true(bf_slice_is(change.id, "k") && change.sub_id.len == 0 && !change.is_sub);
	changes("POST " KEYS "/k/reset-usage?limit_id=r%2F1&expected_version=4", "", "{}");
	assert_true(bf_slice_is(change.sub_id, "r/1") && change.body.len == 0);
	assert_int_equal(change.expected_version, 4);
	changes("POST /api/governance/providers/openai/reset-usage", "", "");
	assert_int_equal(change.type, BF_ENTITY_PROVIDER_LIMITS);
	changes("PUT " KEYS "/k/budgets/b%2F1/override", "", "{\"amount\":1}");
	assert_int_equal(change.action, BF_ENTITY_BUDGET_OVERRIDE);
	assert_true(bf_slice_is(change.id, "k") && bf_slice_is(change.sub_id, "b/1"));
	assert_true(bf_slice_is(change.body, "{\"amount\":1}") && !change.is_sub);
	changes("DELETE /api/governance/teams/t/budgets/b/override", "", "");
	assert_int_equal(change.action, BF_ENTITY_BUDGET_OVERRIDE);
	assert_int_equal(change.type, BF_ENTITY_TEAM);
	assert_true(bf_slice_is(change.sub_id, "b") && change.body.len == 0);
	refused("POST " KEYS "/k/reset-usage", "", "{\"a\":1}", "400", "nothing else");
	refused("PUT " KEYS "/k/budgets/b/override", "", "", "400", "is empty");
	refused("GET " KEYS "/k/budgets/b/override", "", "", "405", "");
}

/* The version is this worker's to read, wherever it stands. */
static void expected_versions(void **state)
{
	static const struct {
		const char *line, *headers, *body, *left;
	} cases[] = {
	    {"PUT " KEYS "/k?expected_version=3", "", "{\"a\":1}", "{\"a\":1}"},
	    {"PUT " KEYS "/k", "If-Match: \"3\"\r\n", "{}", "{}"},
	    {"PUT " KEYS "/k", "If-Match: W/\"3\"\r\n", "{}", "{}"},
	    {"PUT " KEYS "/k", "If-Match: 3\r\n", "{}", "{}"},
	    {"PUT " KEYS "/k", "", "{\"expected_version\":3}", "{}"},
	    {"PUT " KEYS "/k", "", "{\"expected_version\":3,\"a\":1}", "{\"a\":1}"},
	    {"PUT " KEYS "/k", "", "{\"a\":1, \"expected_version\" : 3 }", "{\"a\":1 }"},
	    {"PUT " KEYS "/k", "", "{\"a\":[1] ,\"expected_version\":3,\"b\":{}}",
	     "{\"a\":[1] ,\"b\":{}}"},
	    {"PUT " KEYS "/k?expected_version=3", "If-Match: \"3\"\r\n", "{\"expected_version\":3}",
	     "{}"},
	    {"DELETE " KEYS "/k", "", "{\"expected_version\":3}", ""},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		changes(cases[i].line, cases[i].headers, cases[i].body);
		assert_int_equal(change.expected_version, 3);
		if (!bf_slice_is(change.body, cases[i].left))
			fail_msg("%s: %.*s", cases[i].body, BF_SLICE_FMT(change.body));
	}
	changes("PUT " KEYS "/k", "If-Match: *\r\n", "{}");
	assert_int_equal(change.expected_version, 0);
}

static void what_is_refused_before(void **state)
{
	static char large[BF_ENTITY_CHANGE_BODY_MAX + 64];
	static const struct {
		const char *line, *headers, *body, *status, *part;
	} cases[] = {
	    {"POST " KEYS, "", "", "400", "is empty"},
	    {"POST " KEYS, "", "[]", "400", "must be a JSON object"},
	    {"POST " KEYS, "", "{", "400", "is not valid JSON"},
	    {"POST " KEYS, "", "{\"a\":1,\"a\":2}", "400", "is not valid JSON"},
	    {"POST " KEYS, "Content-Encoding: gzip\r\n", "{}", "415", "plain JSON"},
	    {"POST " KEYS "?x=1", "", "{}", "400", "no such parameter"},
	    {"DELETE " KEYS "/k", "", "{\"a\":1}", "400", "nothing else"},
	    {"DELETE " KEYS "/k", "", "{\"a\":1,\"expected_version\":1}", "400", "nothing else"},
	    {"PUT " KEYS "/k?expected_version=0", "", "{}", "400",
	     "\"param\":\"expected_version\""},
	    {"PUT " KEYS "/k?expected_version=2", "If-Match: \"3\"\r\n", "{}", "400", "3 and 2"},
	    {"PUT " KEYS "/k", "If-Match: \"a\"\r\n", "{}", "400", "If-Match"},
	    {"PUT " KEYS "/k", "If-Match: \"1\", \"2\"\r\n", "{}", "400", "If-Match"},
	    {"PUT " KEYS "/k", "", "{\"expected_version\":\"3\"}", "400", "expected_version"},
	    {"PUT " KEYS "/k", "", "{\"expected_version\":-3}", "400", "expected_version"},
	    {"PUT " KEYS "/%ff", "", "{}", "404", "percent-encoded"},
	    {"PUT " KEYS "/%00", "", "{}", "404", "percent-encoded"},
	    {"PUT " KEYS "/k/", "", "{}", "404", "no such path"},
	    {"PATCH " KEYS "/k", "", "{}", "405", "Allow: GET, HEAD, PUT, DELETE, OPTIONS"},
	    {"PUT " KEYS, "", "{}", "405", "Allow: GET, HEAD, POST, OPTIONS"},
	    {"GET /api/governance/teams?limit=0", "", "", "400", "\"param\":\"limit\""},
	    {"GET " KEYS "?limit=1001", "", "", "400", "at most 1000"},
	    {"GET " KEYS "/k?limit=1", "", "", "400", "no such parameter"},
	    {"GET /api/version?a", "", "", "400", "no such parameter"},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++)
		refused(cases[i].line, cases[i].headers, cases[i].body, cases[i].status,
			cases[i].part);
	(void)snprintf(large, sizeof(large), "{\"a\":\"%0*d\"}", BF_ENTITY_CHANGE_BODY_MAX, 1);
	refused("POST " KEYS, "", large, "413", "60000 bytes");
	(void)snprintf(large, sizeof(large), "PUT " KEYS "/%0*d", BF_ENTITY_ID_MAX + 1, 1);
	refused(large, "", "{}", "404", "at most 128");
}

static void a_body_of_the_largest_size(void **state)
{
	static char body[BF_ENTITY_CHANGE_BODY_MAX + 1];

	(void)state;
	(void)snprintf(body, sizeof(body), "{\"a\":\"%0*d\"}", BF_ENTITY_CHANGE_BODY_MAX - 8, 1);
	changes("POST " KEYS, "", body);
	assert_int_equal(change.body.len, BF_ENTITY_CHANGE_BODY_MAX);
}

static void questions(void **state)
{
	int fd;

	(void)state;
	fd = sends("GET " KEYS "?search=a%20b&limit=7&offset=2&team_id=t&customer_id=c&provider=p"
		   "&from_memory=true",
		   "", "");
	arrives();
	assert_int_equal(request_type, BF_MSG_ENTITY_QUERY);
	assert_int_equal(query.type, BF_ENTITY_VIRTUAL_KEY);
	assert_int_equal(query.limit, 7);
	assert_int_equal(query.offset, 2);
	assert_true(bf_slice_is(query.search, "a b"));
	assert_true(bf_slice_is(query.team_id, "t"));
	assert_true(bf_slice_is(query.customer_id, "c"));
	assert_true(bf_slice_is(query.provider, "p"));
	asker_answer_change(&a, request_id, 404, "{\"no\":1}");
	finish(fd, "404", "{\"no\":1}");
	fd = sends("GET /api/governance/budgets?virtual_key_id=k", "", "");
	arrives();
	assert_int_equal(query.type, 0);
	assert_true(query.is_sub);
	assert_true(bf_slice_is(query.virtual_key_id, "k"));
	assert_int_equal(query.limit, 50);
	asker_answer_change(&a, request_id, 200, "{}");
	finish(fd, "200", "{}");
	/* Whoever knows of no pages sees all of them. */
	fd = sends("GET /api/providers", "", "");
	arrives();
	assert_int_equal(query.limit, BF_ENTITY_PAGE_MAX);
	asker_answer_change(&a, request_id, 200, "{}");
	finish(fd, "200", "{}");
	assert_int_equal(asker_metric(&a, SHM_M_ENTITY_QUERIES), 3);
}

static void answers_that_are_none(void **state)
{
	static const struct {
		int code;
		const char *status;
	} cases[] = {{BF_E_CLOSED, "503"}, {BF_E_FULL, "503"},    {BF_E_UNKNOWN, "404"},
		     {BF_E_LIMIT, "400"},  {BF_E_TIMEOUT, "504"}, {-5, "503"}};
	int fd;

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		fd = sends("GET " KEYS, "", "");
		arrives();
		asker_fail(&a, request_id, cases[i].code, "because of this");
		finish(fd, cases[i].status, "because of this");
	}
	fd = sends("POST " KEYS, "", "{}");
	arrives();
	asker_answer_change(&a, request_id, 99, "{}");
	finish(fd, "503", "has no status");
	assert_int_equal(asker_metric(&a, SHM_M_ENTITY_ERRORS), 6);
}

/* Several keys: one change after the other; what was done is told, whatever becomes of the rest. */
static void several_at_once(void **state)
{
	static const char *const ids[] = {"k1", "k/2", "k3"};
	int fd = sends("POST " KEYS "/rotate", "", "{\"ids\":[\"k1\",\"k\\/2\",\"k3\"]}");
	struct bf_frame f;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		arrives();
		assert_int_equal(change.action, BF_ENTITY_ROTATE);
		assert_true(bf_slice_is(change.id, ids[i]));
		assert_int_equal(asker_get(&a, &f), BF_E_TIMEOUT);
		if (i == 1)
			asker_answer_change(&a, request_id, 404,
					    "{\"error\":{\"type\":\"not_found\"}}");
		else
			asker_answer_change(&a, request_id, 200,
					    i ? "{\"virtual_key\":{\"value\":\"c\"}}"
					      : "{\"virtual_key\":{\"value\":\"a\"}}");
	}
	finish(fd, "200",
	       "{\"virtual_keys\":[{\"value\":\"a\"},{\"value\":\"c\"}],\"count\":2,"
	       "\"errors\":[{\"id\":\"k/2\",\"error\":{\"type\":\"not_found\"}}],"
	       "\"message\":\"Some virtual keys were not rotated; see errors\"}");
	assert_int_equal(a.table.waiting, 0);
}

static void several_at_once_when_nobody_answers(void **state)
{
	int fd = sends("POST " KEYS "/rotate", "", "{\"ids\":[\"a\",\"b\",\"c\"]}");

	(void)state;
	arrives();
	asker_answer_change(&a, request_id, 200, "{\"virtual_key\":{\"value\":\"a\"}}");
	arrives();
	asker_fail(&a, request_id, BF_E_CLOSED, "it died");
	finish(fd, "200", "{\"virtual_keys\":[{\"value\":\"a\"}],\"count\":1,");
	assert_non_null(strstr(answer, "{\"id\":\"b\",\"error\":{\"type\":\"api_unavailable\""));
	assert_non_null(strstr(answer, "{\"id\":\"c\",\"error\":{\"type\":\"api_unavailable\""));
	fd = sends("POST " KEYS "/rotate", "", "{\"ids\":[\"a\",\"b\"]}");
	arrives();
	asker_fail(&a, request_id, BF_E_CLOSED, "it died");
	finish(fd, "503", "it died");
	/* Nothing was done: that is no success. */
	fd = sends("POST " KEYS "/rotate", "", "{\"ids\":[\"a\"]}");
	arrives();
	asker_answer_change(&a, request_id, 404, "{\"error\":{\"message\":\"no such key\"}}");
	finish(fd, "404", "no such key");
	/* Of what kind the failure is the first one says. */
	fd = sends("POST " KEYS "/rotate", "", "{\"ids\":[\"a\",\"b\"]}");
	arrives();
	asker_answer_change(&a, request_id, 503, "{\"error\":{\"message\":\"no store\"}}");
	arrives();
	asker_answer_change(&a, request_id, 404, "{\"error\":{\"message\":\"no such key\"}}");
	finish(fd, "503", "no store");
	assert_non_null(strstr(answer, "Retry-After: 1"));
	assert_non_null(strstr(answer, "\"not_rotated\""));
	/* A client that leaves in the middle. */
	fd = sends("POST " KEYS "/rotate", "", "{\"ids\":[\"a\",\"b\"]}");
	arrives();
	asker_answer_change(&a, request_id, 200, "{\"virtual_key\":{}}");
	(void)close(fd);
	harness_turns(&a.h, 8);
	assert_int_equal(a.table.waiting, 0);
}

static void lists_that_are_none(void **state)
{
	static const char *const bodies[] = {
	    "{}",
	    "{\"ids\":[]}",
	    "{\"ids\":\"a\"}",
	    "{\"ids\":[1]}",
	    "{\"ids\":[\"\"]}",
	    "{\"ids\":[\"a\",{}]}",
	    "{\"ids\":[\"a\"],\"x\":1}",
	    "{\"ids\":[\"a\\u0000b\"]}",
	    "{\"ids\":[\"a\",\"b\",\"\\u0061\"]}",
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(bodies); i++)
		refused("POST " KEYS "/rotate", "", bodies[i], "400", "1 to 100 ids");
}

/* A change that nobody answers may be done: that is said. */
static void a_silent_writerd(void **state)
{
	int fd;

	(void)state;
	harness_clock(true);
	fd = sends("POST " KEYS, "", "{}");
	arrives();
	harness_tick(BF_CHANGE_LIMIT_MS);
	ev_feed_event(a.h.loop, &a.table.timer, EV_TIMER);
	finish(fd, "504", "the change may be done all the same");
	harness_clock(false);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(prices_are_asked_for),
	    TEST(what_is_asked_for),
	    TEST(parts_that_are_named),
	    TEST(expected_versions),
	    TEST(what_is_refused_before),
	    TEST(a_body_of_the_largest_size),
	    TEST(questions),
	    TEST(answers_that_are_none),
	    TEST(several_at_once),
	    TEST(several_at_once_when_nobody_answers),
	    TEST(lists_that_are_none),
	    TEST(a_silent_writerd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

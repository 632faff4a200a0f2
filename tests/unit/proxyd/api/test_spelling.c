/* Bodies as Bifrost's clients send them, and what writerd gets of them. */
#include "tests/unit/proxyd/asker.h"

#include <stdio.h>

#include "common/schema/config_auth.h"
#include "common/snapshot/entity.h"

#define KEYS   "/api/governance/virtual-keys"
#define PRICES "/api/governance/pricing-overrides"

static struct asker a;
static char answer[1 << 16];
static struct bf_arena arena;
static struct bf_msg_entity_change change;

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

static int sends(const char *line, const char *body)
{
	char request[1024];
	int fd = harness_client(&a.h);

	(void)snprintf(request, sizeof(request),
		       "%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s", line,
		       strlen(body), body);
	harness_send(&a.h, fd, request, strlen(request));
	harness_turns(&a.h, 5);
	return fd;
}

static void finish(int fd, const char *status, const char *part)
{
	(void)harness_read(&a.h, fd, answer, sizeof(answer), NULL, NULL);
	if (strncmp(answer + 9, status, 3) != 0 || !strstr(answer, part))
		fail_msg("not %s with %s: %s", status, part, answer);
	(void)close(fd);
	harness_turns(&a.h, 8);
}

/* sent: what writerd gets of the body. */
static void changes(const char *line, const char *body, const char *sent)
{
	struct bf_frame f;
	int fd = sends(line, body);

	assert_int_equal(asker_get(&a, &f), 0);
	assert_int_equal(f.type, BF_MSG_ENTITY_CHANGE);
	assert_int_equal(bf_msg_decode(f.type, f.body, &change, &arena, NULL), 0);
	if (!bf_slice_is(change.body, sent))
		fail_msg("%s: %.*s", body, BF_SLICE_FMT(change.body));
	asker_answer_change(&a, f.request, 200, "{}");
	finish(fd, "200", "{}");
}

static void refused(const char *line, const char *body, const char *part)
{
	struct bf_frame f;
	int fd = sends(line, body);

	finish(fd, "400", part);
	assert_int_equal(asker_get(&a, &f), BF_E_TIMEOUT);
}

static void as_bifrosts_clients_write(void **state)
{
	static const struct {
		const char *line, *body, *sent;
	} cases[] = {
	    {"PUT " KEYS "/k", "{\"team_id\":\"t\"}", "{\"customer_id\":null,\"team_id\":\"t\"}"},
	    {"PUT " KEYS "/k", "{\"expected_version\":3,\"customer_id\":\"c\"}",
	     "{\"team_id\":null,\"customer_id\":\"c\"}"},
	    {"PUT " KEYS "/k", "{\"team_id\":\"t\",\"customer_id\":null}", NULL},
	    {"PUT " KEYS "/k", "{\"team_id\":\"t\",\"customer_id\":\"c\"}", NULL},
	    {"PUT " KEYS "/k", "{\"team_id\":\"\"}", NULL},
	    {"PUT " KEYS "/k", "{\"team_id\":null,\"expires_at\":null}", NULL},
	    {"PUT " KEYS "/k", "{\"expires_at\":\"\",\"expected_version\":3}",
	     "{\"expires_at\":null}"},
	    {"PUT " KEYS "/k", "{ \"customer_id\" : \"c\", \"expires_at\": \"\"}",
	     "{\"team_id\":null, \"customer_id\" : \"c\", \"expires_at\": null}"},
	    {"POST " KEYS, "{\"name\":\"a\",\"team_id\":\"t\",\"expires_at\":\"\"}", NULL},
	    {"PUT " KEYS "/k", "{\"patch\":{}}", NULL},
	    {"POST " PRICES, "{\"name\":\"o\",\"patch\":{\"patch\":1}}",
	     "{\"name\":\"o\",\"pricing_patch\":{\"patch\":1}}"},
	    {"PUT " PRICES "/o", "{\"patch\":{},\"expected_version\":3}", "{\"pricing_patch\":{}}"},
	    {"PUT " PRICES "/o", "{\"patch\":{},\"pricing_patch\":{}}", NULL},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++)
		changes(cases[i].line, cases[i].body,
			cases[i].sent ? cases[i].sent : cases[i].body);
}

/* One path changes two entities; each by itself, as each is whole or not at all. */
static void the_configuration(void **state)
{
	static const char *const line = "PUT /api/config";

	(void)state;
	changes(line, "{\"client_config\":{\"a\":1}}", "{\"a\":1}");
	assert_int_equal(change.type, BF_ENTITY_CLIENT_CONFIG);
	assert_int_equal(change.id.len, 0);
	changes(line, "{\"auth_config\":{\"is_enabled\":true},\"expected_version\":4}",
		"{\"is_enabled\":true}");
	assert_int_equal(change.type, BF_ENTITY_AUTH_CONFIG);
	assert_true(bf_slice_is(change.id, BF_AUTH_CONFIG_ID));
	assert_int_equal(change.expected_version, 4);
	refused(line, "{\"client_config\":{},\"auth_config\":{}}", "client_config, or auth_config");
	refused(line, "{\"auth_config\":{},\"framework_config\":{}}", "and nothing else");
	refused(line, "{\"auth_config\":null}", "and nothing else");
	refused(line, "{}", "and nothing else");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(as_bifrosts_clients_write, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_configuration, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Pages that are asked for: what the reader is asked, and what is refused before. */
#include "tests/unit/proxyd/asker.h"

#include <stdio.h>

#include "common/snapshot/entity.h"

#define KEYS "/api/governance/virtual-keys"

static struct asker a;
static char answer[1 << 16];
static struct bf_arena arena;
static struct bf_msg_entity_query query;

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

static int sends(const char *path)
{
	char request[512];
	int fd = harness_client(&a.h);

	(void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
		       path);
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

/* query is what the reader is asked. */
static void asks_for_page(const char *path)
{
	struct bf_frame f;
	int fd = sends(path);

	assert_int_equal(asker_get(&a, &f), 0);
	assert_int_equal(f.type, BF_MSG_ENTITY_QUERY);
	assert_int_equal(bf_msg_permitted(&f, NULL), 0);
	assert_int_equal(bf_msg_decode(f.type, f.body, &query, &arena, NULL), 0);
	asker_answer_change(&a, f.request, 200, "{}");
	finish(fd, "200", "{}");
}

static void refused(const char *path, const char *part)
{
	struct bf_frame f;
	int fd = sends(path);

	finish(fd, "400", part);
	assert_int_equal(asker_get(&a, &f), BF_E_TIMEOUT);
}

/* As Bifrost's lists of virtual keys are asked for. */
static void sorted_and_exported(void **state)
{
	static const struct {
		const char *given;
		int32_t by;
		bool descending;
	} cases[] = {
	    {"", BF_ORDER_NONE, false},
	    {"?sort_by=name", BF_ORDER_NAME, false},
	    {"?sort_by=created_at&order=asc", BF_ORDER_CREATED_AT, false},
	    {"?order=DESC&sort_by=status", BF_ORDER_STATUS, true},
	    {"?sort_by=budget_spent&order=desc", BF_ORDER_BUDGET_SPENT, true},
	    {"?order=desc", BF_ORDER_CREATED_AT, true},
	};
	char line[128];

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		(void)snprintf(line, sizeof(line), KEYS "%s", cases[i].given);
		asks_for_page(line);
		assert_int_equal(query.sort_by, cases[i].by);
		assert_int_equal(query.descending, cases[i].descending);
		assert_int_equal(query.limit, 50);
	}
	asks_for_page(KEYS "?limit=0");
	assert_int_equal(query.limit, 50);
	asks_for_page(KEYS "?limit=1000&export=false");
	assert_int_equal(query.limit, 1000);
	asks_for_page(KEYS "?export=true&offset=3");
	assert_int_equal(query.limit, BF_ENTITY_EXPORT_MAX);
	assert_int_equal(query.offset, 3);
	asks_for_page(KEYS "?limit=10000&export=true");
	assert_int_equal(query.limit, 10000);
	asks_for_page(
	    "/api/governance/pricing-overrides?provider_key_id=pk&scope_kind=provider_key");
	assert_true(bf_slice_is(query.provider_key_id, "pk"));
	refused(KEYS "?limit=1001", "export=true");
	refused(KEYS "?limit=10001&export=true", "limit");
	refused(KEYS "?sort_by=none", "must be name, created_at");
	refused(KEYS "?sort_by=name&order=up", "asc or desc");
	refused("/api/governance/teams?sort_by=name", "no such parameter");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(sorted_and_exported, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

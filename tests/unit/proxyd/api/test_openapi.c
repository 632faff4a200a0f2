/* The documents: valid JSON, every operation in them, every reference leads somewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/codec/json_tape.h"
#include "proxyd/api/api.h"
#include "proxyd/api/openapi.h"
#include "proxyd/api/operations.h"
#include "proxyd/gate/logs_query.h"

static struct bf_buf out;
static struct bf_arena arena;
static struct bf_json_tape tape;

static int setup(void **state)
{
	struct bf_err err = {0};

	(void)state;
	bf_buf_init(&out, 16 << 20);
	bf_arena_init(&arena, 64 << 20);
	assert_int_equal(openapi_write(&out, "1.2.3"), 0);
	if (bf_json_parse(&tape, bf_buf_slice(&out), &arena, &bf_json_default_limits, &err) < 0)
		fail_msg("%s", err.text);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bf_arena_done(&arena);
	bf_buf_done(&out);
	return 0;
}

static uint32_t member(uint32_t of, const char *name)
{
	uint32_t i = bf_json_member(&tape, of, name);

	if (i == BF_JSON_NONE)
		fail_msg("no %s", name);
	return i;
}

static void every_operation_is_in_it(void **state)
{
	uint32_t paths = member(0, "paths");
	char method[8];

	(void)state;
	for (size_t i = 0; i < api_operation_count; i++) {
		const struct api_operation *op = &api_operations[i];
		const char *name = api_method_name(op->route.method);
		uint32_t path = bf_json_find(&tape, paths, op->route.path), id;
		struct bf_slice text;
		size_t n = 0;

		assert_true(path != BF_JSON_NONE);
		for (; name[n]; n++)
			method[n] = (char)(name[n] | 0x20);
		method[n] = '\0';
		id = member(member(path, method), "operationId");
		assert_int_equal(bf_json_string(&tape, id, &arena, &text), 0);
		assert_true(bf_slice_is(text, op->id));
	}
}

static void every_reference_leads_somewhere(void **state)
{
	uint32_t components = member(0, "components"), at = 0;
	struct bf_slice text;
	char part[64], name[64];

	(void)state;
	for (uint32_t i = 1; i < tape.count; i++) {
		if (tape.tokens[i].type != BF_JSON_STRING ||
		    bf_json_string(&tape, i, &arena, &text) < 0 ||
		    !bf_slice_starts(text, BF_SLICE_LIT("#/components/")))
			continue;
		assert_int_equal(sscanf(text.ptr, "#/components/%63[^/]/%63[a-z_]", part, name), 2);
		(void)member(member(components, part), name);
		at++;
	}
	assert_true(at > 100);
}

static void operations_are_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < api_operation_count; i++) {
		const struct api_operation *op = &api_operations[i];
		unsigned parameters = 0;

		for (size_t k = 0; k < i; k++) {
			const struct api_operation *other = &api_operations[k];

			assert_string_not_equal(op->id, other->id);
			assert_false(op->route.method == other->route.method &&
				     bf_slice_eq(op->route.path, other->route.path));
		}
		assert_true(gate_is_api(op->route.path));
		assert_non_null(op->route.handle);
		assert_non_null(op->summary);
		assert_true(op->http_status == 200 || op->http_status == 201);
		assert_true(op->type == 0 || bf_entity_def(op->type));
		assert_true(op->answer != API_ANSWER_PAGE || op->plural || op->type);
		assert_true((op->body == API_NO_BODY) == (op->route.method == EXCHANGE_GET));
		for (const struct api_parameter *p = op->parameters; p && p->name; p++)
			parameters++;
		assert_true(parameters <= API_PARAMETERS_MAX);
		/* Each is found by its own path, with segments filled in. */
		assert_ptr_equal(api_operation_of(&(struct exchange){
				     .route = api_route(op->route.path, op->route.method)}),
				 op);
	}
}

/* What is said of the logs is what their own reader takes. */
static void parameters_of_logs(void **state)
{
	const struct api_operation *op = api_operations;
	struct bf_msg_logs_query q;
	struct bf_err err;
	char query[128];

	(void)state;
	while (strcmp(op->id, "list_logs") != 0)
		op++;
	for (const struct api_parameter *p = op->parameters; p->name; p++) {
		(void)snprintf(query, sizeof(query), "%s=%%00", p->name);
		assert_true(logs_query_parse(bf_slice_from(query), 0, &arena, &q, &err) < 0);
		if (strstr(err.text, "no such parameter"))
			fail_msg("%s", err.text);
	}
}

static void for_people(void **state)
{
	struct bf_buf text;
	char heading[256];

	(void)state;
	bf_buf_init(&text, 4 << 20);
	assert_int_equal(openapi_describe(&text), 0);
	assert_int_equal(bf_buf_append(&text, "", 1), 0);
	for (size_t i = 0; i < api_operation_count; i++) {
		(void)snprintf(heading, sizeof(heading), "### %s %.*s\n",
			       api_method_name(api_operations[i].route.method),
			       BF_SLICE_FMT(api_operations[i].route.path));
		assert_non_null(strstr(bf_buf_slice(&text).ptr, heading));
	}
	bf_buf_done(&text);
}

static void no_room_is_told(void **state)
{
	struct bf_buf small;

	(void)state;
	for (size_t room = 0; room < 4000; room += 37) {
		bf_buf_init(&small, room);
		assert_int_equal(openapi_write(&small, "1"), BF_E_LIMIT);
		bf_buf_clear(&small);
		assert_int_equal(openapi_describe(&small), BF_E_LIMIT);
		bf_buf_done(&small);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(every_operation_is_in_it),
	    TEST(every_reference_leads_somewhere),
	    TEST(operations_are_whole),
	    TEST(parameters_of_logs),
	    TEST(for_people),
	    TEST(no_room_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What becomes of a request to ask a provider for its models: what goes out, what writerd gets of
 * the answer, and what the client is told of it. */
#include "tests/unit/proxyd/refresh_bed.h"

static void what_is_asked_and_stored(void **state)
{
	(void)state;
	sends("POST " REFRESH, "Authorization: Bearer of-the-gateway\r\n", "");
	is_asked();
	assert_int_equal(strncmp(request, "GET /v1/models HTTP/1.1\r\n", 25), 0);
	assert_non_null(strstr(request, "\r\nAuthorization: Bearer " SECRET "\r\n"));
	assert_null(strstr(request, "of-the-gateway"));
	nobody_is_asked();
	answers("200 OK", "{\"data\":[{\"id\":\"b\"},{\"id\":\"a\\\"\"},{\"id\":\"b\"}]}");
	is_changed("served", "{\"models\":[\"b\",\"a\\\"\"]}");
	assert_int_equal(change.expected_version, 0);
	stored("Models refreshed: 2");
	assert_int_equal(asker_metric(&a, SHM_M_MODEL_LISTS), 1);
	assert_int_equal(asker_metric(&a, SHM_M_MODEL_LIST_FAILURES), 0);
	assert_int_equal(asker_metric(&a, SHM_M_UPSTREAM_ATTEMPTS), 0);
	/* It is nobody's request to a model. */
	assert_int_equal(harness_rows(&a.h, NULL, 0), 0);
}

static void what_no_request_could_name(void **state)
{
	(void)state;
	sends("POST " REFRESH, "", "{}");
	is_asked();
	answers("200 OK", "{\"data\":[{\"id\":\"a\"},{\"id\":\"\"},{}]}");
	is_changed("served", "{\"models\":[\"a\"]}");
	stored("Models refreshed: 1; left out, as no request could name them: 2");
	/* A provider that has none says so. */
	sends("POST " REFRESH, "", "");
	is_asked();
	answers("200 OK", "{\"object\":\"list\",\"data\":[]}");
	is_changed("served", "{\"models\":[]}");
	stored("Models refreshed: 0");
}

static void the_mock_has_models_too(void **state)
{
	struct provider *p = a.h.w.providers->items[0];
	struct bf_conf_provider *conf = a.h.config.providers.items;

	(void)state;
	sends("POST /api/providers/mock/refresh-models", "", "");
	is_changed("mock", "{\"models\":[\"echo\"]}");
	stored("Models refreshed: 1");
	keys[0].models = (struct bf_array){some_models, 2};
	conf->keys = (struct bf_array){keys, 1};
	provider_keys_without_health(&p->keys, conf);
	sends("POST /api/providers/mock/refresh-models", "", "");
	is_changed("mock", "{\"models\":[\"echo\",\"m1\"]}");
	stored("Models refreshed: 2");
}

static void versions(void **state)
{
	static const char *const lines[][3] = {
	    {"POST " REFRESH "?expected_version=5", "", ""},
	    {"POST " REFRESH, "If-Match: \"5\"\r\n", ""},
	    {"POST " REFRESH, "", "{\"expected_version\":5}"},
	};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(lines); i++) {
		sends(lines[i][0], lines[i][1], lines[i][2]);
		is_asked();
		answers("200 OK", "{\"data\":[{\"id\":\"a\"}]}");
		is_changed("served", "{\"models\":[\"a\"]}");
		assert_int_equal(change.expected_version, 5);
		asker_answer_change(&a, request_id, 409, "{\"error\":{\"type\":\"conflict\"}}");
		finish("409", "conflict");
	}
}

#define BY_KEY(id) "/api/providers/served/keys/" id "/refresh-models"

/* The key that is named is asked with, also one that serves only the models it names. */
static void by_one_key(void **state)
{
	(void)state;
	sends("POST " BY_KEY("only") "?expected_version=5", "", "");
	is_asked();
	assert_non_null(strstr(request, "\r\nAuthorization: Bearer only\r\n"));
	answers("200 OK", "{\"data\":[{\"id\":\"a\"}]}");
	is_changed("served", "{\"models\":[\"a\"]}");
	assert_int_equal(change.expected_version, 5);
	stored("Models refreshed: 1");
	refused("POST " BY_KEY("off"), "", "409", "not enabled");
	refused("POST " BY_KEY("nobody"), "", "404", "has a key with this id");
	refused("POST /api/providers/mock/keys/only/refresh-models", "", "404", "with this id");
	refused("POST " BY_KEY("only"), "{\"models\":[]}", "400", "nothing else");
	refused("GET " BY_KEY("only"), "", "405", "");
}

static void what_is_refused_before(void **state)
{
	(void)state;
	refused("POST /api/providers/other/refresh-models", "", "404",
		"there is no provider \\\"other\\\"");
	refused("POST /api/providers/%ff/refresh-models", "", "404", "UTF-8");
	refused("POST " REFRESH "?force=1", "", "400", "force");
	refused("POST " REFRESH, "{\"models\":[]}", "400", "nothing else");
	refused("POST " REFRESH, "{\"expected_version\":1,\"a\":2}", "400", "nothing else");
	refused("POST " REFRESH, "[]", "400", "JSON object");
	refused("POST " REFRESH "?expected_version=1", "{\"expected_version\":2}", "400",
		"both expected");
	refused("GET " REFRESH, "", "405", "");
}

static void more_than_can_be_stored(void **state)
{
	char *text = many_names(4097, 5);

	(void)state;
	sends("POST " REFRESH, "", "");
	is_asked();
	answers("200 OK", text);
	finish("502", "at most 4096");
	free(text);
	/* One message holds 60,000 bytes: {"models":[]} and 42 of each name with its comma. */
	for (unsigned count = 1428; count <= 1429; count++) {
		text = many_names(count, 39);
		sends("POST " REFRESH, "", "");
		is_asked();
		answers("200 OK", text);
		free(text);
		if (count == 1428) {
			is_changed("served", NULL);
			assert_in_range(change.body.len, 59900, BF_ENTITY_CHANGE_BODY_MAX);
			stored("Models refreshed: 1428");
		} else {
			finish("502", "1429 models take more than 60000 bytes");
			assert_non_null(strstr(answer, "answer_too_large"));
		}
	}
	assert_int_equal(asker_metric(&a, SHM_M_MODEL_LIST_FAILURES), 2);
}

static void a_client_that_leaves_before_it_is_stored(void **state)
{
	struct bf_frame f;

	(void)state;
	sends("POST " REFRESH, "", "");
	is_asked();
	answers("200 OK", "{\"data\":[{\"id\":\"a\"}]}");
	is_changed("served", "{\"models\":[\"a\"]}");
	(void)close(client);
	harness_turns(&a.h, 8);
	assert_int_equal(a.table.waiting, 0);
	assert_int_equal(asker_get(&a, &f), 0);
	assert_true(f.flags & BF_FRAME_CANCEL);
}

static void what_writerd_says(void **state)
{
	static const struct {
		int code;
		const char *status;
	} cases[] = {{BF_E_CLOSED, "503"}, {BF_E_FULL, "503"}, {BF_E_TIMEOUT, "504"}};

	(void)state;
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		sends("POST " REFRESH, "", "");
		is_asked();
		answers("200 OK", "{\"data\":[{\"id\":\"a\"}]}");
		is_changed("served", NULL);
		asker_fail(&a, request_id, cases[i].code, "because of this");
		finish(cases[i].status, "because of this");
	}
	/* The provider went meanwhile. */
	sends("POST " REFRESH, "", "");
	is_asked();
	answers("200 OK", "{\"data\":[{\"id\":\"a\"}]}");
	is_changed("served", NULL);
	asker_answer_change(&a, request_id, 400, "{\"error\":{\"message\":\"no provider\"}}");
	finish("400", "no provider");
	/* Whatever it says of a change that is done is passed on. */
	sends("POST " REFRESH, "", "");
	is_asked();
	answers("200 OK", "{\"data\":[{\"id\":\"a\"}]}");
	is_changed("served", NULL);
	asker_answer_change(&a, request_id, 201, "{\"other\":1}");
	finish("200", "{\"other\":1}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_is_asked_and_stored, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_no_request_could_name, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_mock_has_models_too, setup, teardown),
	    cmocka_unit_test_setup_teardown(versions, setup, teardown),
	    cmocka_unit_test_setup_teardown(by_one_key, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_refused_before, setup, teardown),
	    cmocka_unit_test_setup_teardown(more_than_can_be_stored, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_client_that_leaves_before_it_is_stored, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(what_writerd_says, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Explanations: keys, targets, limits and verdicts, with nothing spent, counted or sent. */
#include "proxyd/gate/explain.h"
#include "tests/unit/proxyd/gate/governed.h"

static struct shm_usage_record rows[8];

static void explain(const char *query)
{
	char request[1024];
	int fd = harness_client(&h);

	(void)snprintf(request, sizeof(request),
		       "GET /api/governance/explain%s HTTP/1.1\r\nHost: localhost\r\n\r\n", query);
	(void)harness_ask(&h, fd, request, answer, sizeof(answer));
	(void)close(fd);
	harness_turns(&h, 4);
}

/* Of a request: 1 prompt token, 1 for the answer, unless said otherwise. */
static void what_is_left_is_told(void **state)
{
	(void)state;
	governed(5, 1000, 2, 100);
	explain("?virtual_key_id=vk-a&model=mock%2Fm");
	has(" 200 OK");
	has("{\"allowed\":true,\"http_status\":200,\"type\":null,\"message\":null,\"request\":{"
	    "\"model\":\"mock/"
	    "m\",\"object\":\"chat.completion\",\"prompt_tokens\":1,\"max_tokens\":1},\"virtual_"
	    "key\":{\"id\":"
	    "\"vk-a\",\"name\":\"team a\",\"is_active\":true,\"expires_at_ms\":null,\"allowed\":"
	    "true,");
	has("\"targets\":[{\"provider\":\"mock\",\"model\":\"m\",\"allowed\":true,");
	has("\"provider_keys\":[\"k1\"],\"price_known\":true,\"reserves\":{\"tokens\":2,\"cost_"
	    "nusd\":3},");
	has("{\"owner_kind\":\"virtual_key\",\"owner_id\":\"vk-a\",\"owner_name\":\"team a\","
	    "\"limit_id\":\"rl\",\"quantity\":\"requests\",\"window\":\"1h\",\"ready\":true,"
	    "\"max\":5,\"used\":0,\"held\":0,\"left\":5,\"wants\":1,\"admits\":true,\"window_end_"
	    "ms\":1");
	has("\"quantity\":\"tokens\",\"window\":\"1h\",\"ready\":true,\"max\":1000,\"used\":0,"
	    "\"held\":0,\"left\":1000,\"wants\":2,");
	has("\"quantity\":\"concurrent_requests\",\"window\":\"\",\"ready\":true,\"max\":2,");
	has("\"wants\":1,\"admits\":true},");
	has("\"quantity\":\"cost\",\"window\":\"1h\",\"ready\":true,\"max\":100,\"used\":0,"
	    "\"held\":0,\"left\":100,\"wants\":3,");
	assert_null(strstr(answer, "sk-bf"));
	assert_null(strstr(answer, "secret"));
	/* One runs: what it reserved is held. */
	int fd = ask(STEPS(HOLD), KEY_A, true, ",\"max_tokens\":10");
	explain("?virtual_key_name=team+a&model=mock/m&prompt_tokens=7&max_tokens=30");
	has("\"prompt_tokens\":7,\"max_tokens\":30}");
	has("\"reserves\":{\"tokens\":37,\"cost_nusd\":67}");
	has("\"max\":5,\"used\":0,\"held\":1,\"left\":4,\"wants\":1,");
	has("\"max\":2,\"used\":0,\"held\":1,\"left\":1,");
	has("{\"allowed\":false,\"http_status\":402,\"type\":\"budget_exceeded\"");
	assert_string_equal(asked, "mock/k1 ");
	end(held, EXCHANGE_FAULT_NETWORK, 502, "upstream_unreachable");
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

/* A price for one kind of requests is none for another. */
static void what_is_asked_for_has_its_own_price(void **state)
{
	static struct bf_slice types[] = {BF_SLICE_INIT("embedding")};

	(void)state;
	governed(0, 1000, 0, 100);
	prices[0].request_types = (struct bf_array){types, 1};
	in_force_publish(&h.w);
	explain("?virtual_key_id=vk-a&model=mock/m");
	has("\"http_status\":403,\"type\":\"model_unpriced\"");
	explain("?virtual_key_id=vk-a&model=mock/m&object=response");
	has("\"http_status\":403,\"type\":\"model_unpriced\"");
	explain("?virtual_key_id=vk-a&model=mock/m&object=embedding&prompt_tokens=50");
	has("{\"allowed\":true,\"http_status\":200,");
	has("\"object\":\"embedding\",\"prompt_tokens\":50,\"max_tokens\":0}");
	has("\"reserves\":{\"tokens\":50,\"cost_nusd\":50}");
	explain("?model=mock/m&object=chat");
	has(" 400 ");
	has("object must be chat.completion, text.completion, embedding or response");
	assert_int_equal(leave_governed(harness_client(&h), rows, 8), 0);
	prices[0].request_types = (struct bf_array){NULL, 0};
}

static void nothing_is_spent_or_counted(void **state)
{
	static const enum shm_metric counters[] = {
	    SHM_M_LIMIT_REQUESTS,  SHM_M_LIMIT_TOKENS,         SHM_M_LIMIT_COST,
	    SHM_M_LIMIT_UNPRICED,  SHM_M_PROVIDER_BLOCKED,     SHM_M_MODEL_BLOCKED,
	    SHM_M_LIMIT_ADMITTED,  SHM_M_PROVIDER_KEY_BLOCKED, SHM_M_KEYS_BLOCKED,
	    SHM_M_LIMIT_NOT_READY, SHM_M_UPSTREAM_ATTEMPTS,    SHM_M_KEYS_UNKNOWN,
	};

	(void)state;
	governed(1, 100, 1, 100);
	for (unsigned i = 0; i < 3; i++) {
		explain("?virtual_key_id=vk-a&model=mock/m");
		has("{\"allowed\":true,");
		explain("?virtual_key_id=vk-a&model=mock/m&max_tokens=1000");
		has("\"type\":\"token_limited\"");
		explain("?virtual_key_id=vk-a&model=mock/unpriced");
		has("\"type\":\"model_unpriced\"");
		has("\"price_known\":false");
		explain("?virtual_key_id=vk-b&model=mock/m");
		has("\"type\":\"virtual_key_blocked\"");
		explain("?virtual_key_id=vk-x&model=mock/m");
		has(" 404 ");
	}
	for (size_t i = 0; i < BF_ARRAY_LEN(counters); i++)
		assert_int_equal(metric(counters[i]), 0);
	assert_int_equal(counted(BF_QUANTITY_REQUESTS), 0);
	assert_int_equal(counted(BF_QUANTITY_TOKENS), 0);
	assert_int_equal(counted(BF_QUANTITY_NUSD), 0);
	assert_int_equal(counted(BF_QUANTITY_CONCURRENT), 0);
	assert_string_equal(asked, "");
	assert_int_equal(leave_governed(harness_client(&h), rows, 8), 0);
}

/* What it says of a used up key is what the request is told. */
static void the_refusal_is_the_requests_own(void **state)
{
	static const char text[] =
	    "virtual key \\\"team a\\\": request limit exceeded: 1/1 requests per 1h";

	(void)state;
	governed(1, 0, 0, 0);
	(void)ask(STEPS(200), KEY_A, false, "");
	explain("?virtual_key_id=vk-a&model=mock/m");
	has("{\"allowed\":false,\"http_status\":429,\"type\":\"request_limited\"");
	has(text);
	has("\"left\":0,\"wants\":1,\"admits\":false");
	int fd = ask(STEPS(200), KEY_A, false, "");
	has(" 429 ");
	has(text);
	assert_int_equal(leave_governed(fd, rows, 8), 1);
}

static struct bf_slice any_name[] = {{"*", 1}};
static struct bf_conf_provider_config configs[3];

static struct bf_conf_provider_config at(const char *provider, int64_t weight_micro)
{
	return (struct bf_conf_provider_config){.provider = bf_slice_from(provider),
						.weight_micro = weight_micro,
						.allowed_models = {any_name, 1},
						.key_ids = {any_name, 1}};
}

static void targets_of_a_bare_name(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	configs[0] = at("mock", 0);
	configs[1] = at("second", 100);
	virtual_keys[0].allow_all_providers = false;
	virtual_keys[0].provider_configs = (struct bf_array){configs, 2};
	in_force_publish(&h.w);
	explain("?virtual_key_id=vk-a&model=m");
	has("\"targets\":[{\"provider\":\"second\",\"model\":\"m\",\"allowed\":true,");
	has("]},{\"provider\":\"mock\",\"model\":\"m\",\"allowed\":true,");
	/* One target that is not allowed does not refuse the request. */
	configs[1].key_ids.count = 0;
	in_force_publish(&h.w);
	explain("?virtual_key_id=vk-a&model=second/m");
	has("{\"allowed\":false,\"http_status\":403,\"type\":\"provider_key_blocked\"");
	has("\"provider_keys\":[],");
	explain("?virtual_key_id=vk-a&model=third/m");
	has("{\"allowed\":false,\"http_status\":403,\"type\":\"provider_blocked\"");
	has("none of its provider_configs is for it");
	configs[0].allowed_models.count = 0;
	in_force_publish(&h.w);
	explain("?virtual_key_id=vk-a&model=mock/m");
	has("\"type\":\"model_blocked\"");
	/* The limits are told all the same. */
	has("\"quantity\":\"requests\"");
	/* Nobody may serve it: that is told, and not counted. */
	configs[1].allowed_models.count = 0;
	in_force_publish(&h.w);
	explain("?virtual_key_id=vk-a&model=nowhere");
	has(" 200 OK");
	has("{\"allowed\":false,\"http_status\":403,\"type\":\"model_blocked\"");
	has("none of its provider_configs admits it");
	has("\"targets\":[]");
	assert_int_equal(metric(SHM_M_MODEL_BLOCKED), 0);
	assert_int_equal(leave_governed(harness_client(&h), rows, 8), 0);
}

static void keys_that_are_not_in_force(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	explain("?virtual_key_id=vk-b&model=mock/m");
	has("{\"allowed\":false,\"http_status\":403,\"type\":\"virtual_key_blocked\",\"message\":"
	    "\"virtual key \\\"team b\\\" is inactive");
	virtual_keys[0].expires_at_ms = 1767225600000;
	in_force_publish(&h.w);
	explain("?virtual_key_id=vk-a&model=mock/m");
	has("expired at 2026-01-01T00:00:00Z");
	has("\"expires_at_ms\":1767225600000,");
	virtual_keys[0].delete_after_expire = true;
	in_force_publish(&h.w);
	explain("?virtual_key_id=vk-a&model=mock/m");
	has("{\"allowed\":false,\"http_status\":401,\"type\":\"virtual_key_not_found\"");
	has("expired at 2026-01-01T00:00:00Z");
	/* Of such a key nobody looks at the model. */
	explain("?virtual_key_id=vk-a&model=nobody/m");
	has("{\"allowed\":false,\"http_status\":401,\"type\":\"virtual_key_not_found\"");
	has("\"targets\":[]");
	virtual_keys[0].delete_after_expire = false;
	/* Without a key. */
	explain("?model=mock/m");
	has("{\"allowed\":true,");
	has("\"virtual_key\":null,");
	has("\"limits\":[]");
	h.config.client.enforce_auth_on_inference = true;
	explain("?model=mock/m");
	has("{\"allowed\":false,\"http_status\":401,\"type\":\"virtual_key_required\"");
	assert_int_equal(leave_governed(harness_client(&h), rows, 8), 0);
}

static void what_a_provider_does_not_serve(void **state)
{
	(void)state;
	governed(5, 0, 0, 0);
	virtual_keys[0].allow_all_providers = true;
	virtual_keys[0].provider_configs.count = 0;
	in_force_publish(&h.w);
	explain("?virtual_key_id=vk-a&model=third/m&object=embedding");
	has("{\"allowed\":false,\"http_status\":400,\"type\":\"operation_not_supported\"");
	has("provider \\\"third\\\" does not serve embeddings");
	explain("?virtual_key_id=vk-a&model=second/m&object=embedding");
	has("{\"allowed\":true,");
	explain("?virtual_key_id=vk-a&model=third/m");
	has("{\"allowed\":true,");
	assert_int_equal(leave_governed(harness_client(&h), rows, 8), 0);
}

static void limits_without_meters(void **state)
{
	const struct limits_of of = {.requests = 1};

	(void)state;
	house(0, 1);
	govern_house(&of);
	explain("?virtual_key_id=vk-a&model=mock/m");
	has("{\"allowed\":false,\"http_status\":503,\"type\":\"limits_not_ready\"");
	has("\"window\":\"1h\",\"ready\":false}");
	assert_int_equal(leave_governed(harness_client(&h), rows, 8), 0);
}

static void questions_that_are_none(void **state)
{
	static const char *const cases[][3] = {
	    {"", " 400 ", "model is required"},
	    {"?model=", " 400 ", "model is required"},
	    {"?model=nobody/m", " 400 ", "is not a configured provider"},
	    {"?model=mock/m&virtual_key=vk-a", " 400 ", "virtual_key is no parameter"},
	    {"?model=mock/m&x", " 400 ", "x is no parameter"},
	    {"?model=mock/m&virtual_key_id=vk-a&virtual_key_name=team+a", " 400 ", "name the key"},
	    {"?model=mock/m&virtual_key_id=%zz", " 400 ", "percent-encoded"},
	    {"?model=%ff", " 400 ", "percent-encoded"},
	    {"?model=mock/m&max_tokens=-1", " 400 ", "max_tokens must be 0 to"},
	    {"?model=mock/m&max_tokens=1000000001", " 400 ", "max_tokens must be 0 to"},
	    {"?model=mock/m&prompt_tokens=", " 400 ", "prompt_tokens must be 0 to"},
	    {"?model=mock/m&virtual_key_id=", " 404 ", "no virtual key"},
	    {"?model=mock/m&virtual_key_id=vk", " 404 ", "no virtual key"},
	    {"?model=mock/m&&", " 200 ", "{\"allowed\":true,"},
	};
	(void)state;
	governed(5, 0, 0, 0);
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		explain(cases[i][0]);
		has(cases[i][1]);
		has(cases[i][2]);
	}
	assert_int_equal(leave_governed(harness_client(&h), rows, 8), 0);
}

static void without_governance(void **state)
{
	(void)state;
	house(0, 1);
	explain("?model=mock/m&max_tokens=10");
	has("{\"allowed\":true,");
	has("\"price_known\":false,\"reserves\":{\"tokens\":11,\"cost_nusd\":0},\"limits\":[]");
	explain("?model=mock/m&virtual_key_id=vk-a");
	has(" 404 ");
	assert_int_equal(leave(harness_client(&h), rows, 8), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_left_is_told),
	    cmocka_unit_test(what_is_asked_for_has_its_own_price),
	    cmocka_unit_test(nothing_is_spent_or_counted),
	    cmocka_unit_test(the_refusal_is_the_requests_own),
	    cmocka_unit_test(targets_of_a_bare_name),
	    cmocka_unit_test(keys_that_are_not_in_force),
	    cmocka_unit_test(what_a_provider_does_not_serve),
	    cmocka_unit_test(limits_without_meters),
	    cmocka_unit_test(questions_that_are_none),
	    cmocka_unit_test(without_governance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Lists of models: pages, filters, one model, and how long the largest list takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/proxyd/gate/in_force.h"
#include "tests/unit/proxyd/harness.h"

static char answer[2u << 20];

static void expect(struct harness *h, const char *path, const char *start, const char *body)
{
	char request[2048];
	int fd = harness_client(h);

	(void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
		       path);
	(void)harness_ask(h, fd, request, answer, sizeof(answer));
	const char *end = strstr(answer, "\r\n\r\n");
	if (strncmp(answer, start, strlen(start)) != 0 || !end || (body && !strstr(end, body)))
		fail_msg("%s: %s\nexpected %s", path, answer, body ? body : start);
	(void)close(fd);
	harness_turns(h, 4);
}

/* memmem: strstr under ASan measures the whole text each time. */
static size_t count(const char *text, const char *part)
{
	size_t n = 0, len = strlen(text), step = strlen(part);
	const char *end = text + len;

	for (const char *p = text; (p = memmem(p, (size_t)(end - p), part, step)) != NULL;
	     p += step)
		n++;
	return n;
}

#define OK        "HTTP/1.1 200 OK\r\n"
#define ENTRY(id) "{\"id\":\"" id "\",\"object\":\"model\",\"created\":0,\"owned_by\":\"mock\"}"

static void two_keys(struct bf_config *config)
{
	static struct bf_slice models[] = {{"m1", 2}, {"*", 1}, {"a/b c", 5}, {"m1", 2}};
	static struct bf_slice others[] = {{"m1", 2}, {"secret", 6}, {"m3", 2}};
	static struct bf_slice denied[] = {{"secret", 6}};
	static struct bf_slice star[] = {{"*", 1}};
	static struct bf_slice hidden[] = {{"hidden", 6}};
	static struct bf_conf_provider_key keys[4];

	keys[0] = (struct bf_conf_provider_key){.models = {models, 4}, .enabled = true};
	keys[1] = (struct bf_conf_provider_key){.name = BF_SLICE_LIT("second"),
						.models = {others, 3},
						.blacklisted_models = {denied, 1},
						.enabled = true};
	keys[2] = (struct bf_conf_provider_key){.models = {hidden, 1}};
	keys[3] = (struct bf_conf_provider_key){
	    .models = {hidden, 1}, .blacklisted_models = {star, 1}, .enabled = true};
	harness_mock(config)->keys = (struct bf_array){keys, 4};
}

static void each_model_is_listed_once(void **state)
{
	static const char *const paths[] = {"/v1/models", "/openai/v1/models", "/openai/models",
					    "/v1/models?x=%zz&provider=mock"};
	struct harness h;

	(void)state;
	harness_open(&h, two_keys);
	for (size_t i = 0; i < 4; i++)
		expect(&h, paths[i], OK,
		       "{\"object\":\"list\",\"data\":[" ENTRY("mock/m1") "," ENTRY(
			   "mock/a/b c") "," ENTRY("mock/m3") "," ENTRY("mock/echo") "]}");
	expect(&h, "/v1/models?x=y&provider=other", OK, "{\"object\":\"list\",\"data\":[]}");
	harness_close(&h);
}

static void pages(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, two_keys);
	expect(&h, "/v1/models?page_size=3", OK, ENTRY("mock/m3") "],\"next_page_token\":\"3\"}");
	expect(&h, "/v1/models?page_size=3&page_token=3", OK,
	       "{\"object\":\"list\",\"data\":[" ENTRY("mock/echo") "]}");
	expect(
	    &h, "/v1/models?provider=m%6Fck&page_size=1&page_token=1", OK,
	    "{\"object\":\"list\",\"data\":[" ENTRY("mock/a/b c") "],\"next_page_token\":\"2\"}");
	expect(&h, "/v1/models?page_size=4", OK, ENTRY("mock/echo") "]}");
	expect(&h, "/v1/models?page_token=99", OK, "{\"object\":\"list\",\"data\":[]}");
	expect(&h, "/v1/models?page_size=0", "HTTP/1.1 400 ", "page_size must be 1 to 1000");
	expect(&h, "/v1/models?page_size=1001", "HTTP/1.1 400 ", "page_size must be 1 to 1000");
	expect(&h, "/v1/models?page_size=", "HTTP/1.1 400 ", "page_size must be 1 to 1000");
	expect(&h, "/v1/models?page_token=-1", "HTTP/1.1 400 ", "page_token is not one");
	expect(&h, "/v1/models?provider=%f", "HTTP/1.1 400 ", "not percent-encoded");
	expect(&h, "/v1/models?provider=%ff", "HTTP/1.1 400 ", "not percent-encoded");
	expect(&h, "/v1/models?provider=a%00", "HTTP/1.1 400 ", "not percent-encoded");
	harness_close(&h);
}

static void one_model(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, two_keys);
	expect(&h, "/v1/models/mock/m1", OK, ENTRY("mock/m1"));
	expect(&h, "/openai/v1/models/mock%2Fa%2fb%20c", OK, ENTRY("mock/a/b c"));
	expect(&h, "/openai/models/m3", OK, ENTRY("mock/m3"));
	expect(&h, "/v1/models/mock/echo", OK, ENTRY("mock/echo"));
	expect(&h, "/v1/models/echo", "HTTP/1.1 404 ",
	       "\"is_bifrost_error\":true,\"status_code\":404,\"error\":{\"type\":"
	       "\"model_not_found\",\"message\":\"The model 'echo' does not exist\"}");
	expect(&h, "/openai/v1/models/mock/none", "HTTP/1.1 404 ",
	       "{\"error\":{\"message\":\"The model 'mock/none' does not exist\",\"type\":"
	       "\"invalid_request_error\",\"param\":null,\"code\":\"model_not_found\"}}");
	expect(&h, "/v1/models/a+b", "HTTP/1.1 404 ", "'a+b'");
	expect(&h, "/v1/models/%0", "HTTP/1.1 400 ", "not percent-encoded");
	expect(&h, "/v1/models/", "HTTP/1.1 404 ", NULL);
	harness_close(&h);
}

/* A key sees what it may ask, and pages are of that. */
static void what_a_key_may_not_ask_is_not_shown(void **state)
{
	static struct bf_slice any[] = {{"*", 1}}, denied[] = {{"M1", 2}},
			       second[] = {{"second", 6}};
	static struct bf_conf_provider_config config = {.provider = BF_SLICE_INIT("mock"),
							.allowed_models = {any, 1},
							.blacklisted_models = {denied, 1},
							.key_ids = {any, 1}};
	static struct bf_conf_virtual_key key = {.own.id = BF_SLICE_INIT("vk"),
						 .own.name = BF_SLICE_INIT("vk"),
						 .value = BF_SLICE_INIT("sk-bf-a"),
						 .is_active = true,
						 .provider_configs = {&config, 1}};
	struct harness h;

	(void)state;
	harness_open(&h, two_keys);
	h.config.governance.virtual_keys = (struct bf_array){&key, 1};
	in_force_open(&h.w);
	expect(&h, "/v1/models HTTP/1.1\r\nx-bf-vk: sk-bf-a\r\nX: ", OK,
	       "\"data\":[" ENTRY("mock/a/b c") "," ENTRY("mock/m3") "," ENTRY("mock/echo") "]}");
	expect(&h, "/v1/models?page_size=2 HTTP/1.1\r\nx-bf-vk: sk-bf-a\r\nX: ", OK,
	       ENTRY("mock/m3") "],\"next_page_token\":\"2\"}");
	expect(&h, "/v1/models/mock/m1 HTTP/1.1\r\nx-bf-vk: sk-bf-a\r\nX: ", "HTTP/1.1 404 ",
	       "model_not_found");
	expect(&h, "/v1/models/mock/m1", OK, ENTRY("mock/m1"));
	/* What only other keys of the provider serve. */
	config.key_ids = (struct bf_array){second, 1};
	in_force_publish(&h.w);
	expect(&h, "/v1/models HTTP/1.1\r\nx-bf-vk: sk-bf-a\r\nX: ", OK,
	       "\"data\":[" ENTRY("mock/m3") "]}");
	config.key_ids.count = 0;
	in_force_publish(&h.w);
	expect(&h, "/v1/models HTTP/1.1\r\nx-bf-vk: sk-bf-a\r\nX: ", OK, "\"data\":[]}");
	config.key_ids = (struct bf_array){any, 1};
	config.provider = BF_SLICE_LIT("other");
	in_force_publish(&h.w);
	expect(&h, "/v1/models HTTP/1.1\r\nx-bf-vk: sk-bf-a\r\nX: ", OK, "\"data\":[]}");
	in_force_close(&h.w);
	harness_close(&h);
}

#define MANY_KEYS   256u
#define MANY_MODELS 1024u
#define MANY_OWN    24u
#define MANY_NAMES  (MANY_MODELS + MANY_KEYS * MANY_OWN)

/* Every key names the same thousand models and some of its own. */
static void many_models(struct bf_config *config)
{
	static struct bf_slice models[MANY_KEYS][MANY_MODELS];
	static struct bf_conf_provider_key keys[MANY_KEYS];
	static char names[MANY_NAMES][120];

	for (unsigned i = 0; i < MANY_NAMES; i++)
		(void)snprintf(names[i], sizeof(names[i]), "%0100u", i);
	for (unsigned k = 0; k < MANY_KEYS; k++) {
		for (unsigned m = 0; m < MANY_MODELS; m++)
			models[k][m] =
			    bf_slice_from(names[m < MANY_OWN ? MANY_MODELS + k * MANY_OWN + m : m]);
		keys[k] = (struct bf_conf_provider_key){.models = {models[k], MANY_MODELS},
							.enabled = true};
	}
	harness_mock(config)->keys = (struct bf_array){keys, MANY_KEYS};
}

/* A list that is larger than an answer made here may be names its next page, unasked. */
static void long_lists_are_cut_at_the_bound(void **state)
{
	size_t seen = 0;
	unsigned turns = 0;
	char path[128] = "/v1/models";
	struct harness h;

	(void)state;
	harness_open(&h, many_models);
	for (;;) {
		const char *next;
		expect(&h, path, OK, NULL);
		seen += count(answer, "\"id\":");
		next = strstr(answer, "\"next_page_token\":\"");
		if (!next)
			break;
		(void)snprintf(path, sizeof(path), "/v1/models?page_size=1000&page_token=%lu",
			       strtoul(next + 19, NULL, 10));
		assert_true(++turns < 16);
	}
	assert_int_equal(seen, MANY_NAMES - MANY_OWN + 1);
	assert_true(turns >= 1);
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_model_is_listed_once),
	    cmocka_unit_test(pages),
	    cmocka_unit_test(one_model),
	    cmocka_unit_test(what_a_key_may_not_ask_is_not_shown),
	    cmocka_unit_test(long_lists_are_cut_at_the_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Header sections of requests: what is ours, what a client may add, what it never may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "proxyd/provider/openai_head.h"
#include "tests/unit/proxyd/harness.h"

static struct bf_slice allowed[] = {{"x-team", 6}, {"authorization", 13}, {"x-api-key", 9}};
static struct bf_slice denied[] = {{"x-team", 6}};
static struct bf_conf_pair extra[] = {
    {{"X-Org", 5}, {"blue", 4}},
    {{"User-Agent", 10}, {"mine/1", 6}},
    {{"Host", 4}, {"elsewhere", 9}},
    {{"Content-Length", 14}, {"1", 1}},
    {{"X-Bad", 5}, {"a\r\nX-Evil: b", 12}},
    {{"Authorization", 13}, {"Basic abc", 9}},
};

/* What is added for these headers of a client. */
static const char *rest_of(const struct exchange_header *headers, uint32_t count,
			   const struct bf_conf_header_filter *filter,
			   const struct bf_conf_provider_key *key,
			   const struct bf_conf_provider *conf)
{
	static char text[20000];
	struct harness h;
	struct iovec part;

	harness_open(&h, NULL);
	if (filter)
		h.config.client.header_filter_config = *filter;
	struct exchange *x = exchange_new(&h.w);
	assert_non_null(x);
	x->headers = headers;
	x->header_count = count;
	x->key = key;
	int r = openai_head_rest(x, conf, openai_head_extra(conf, "authorization"), 42, &part);
	(void)snprintf(text, sizeof(text), "%.*s", r == 0 ? (int)part.iov_len : 8,
		       r == 0 ? (const char *)part.iov_base : "refused");
	exchange_free(x);
	harness_close(&h);
	return text;
}

#define H(name, value)                                  \
	{                                               \
		BF_SLICE_LIT(name), BF_SLICE_LIT(value) \
	}
#define BEGIN "Accept: application/json\r\n"
#define END   "Content-Length: 42\r\n\r\n"

static void prefixed_headers_go_on(void **state BF_UNUSED)
{
	const struct exchange_header headers[] = {
	    H("Host", "a"),     H("X-BF-EH-X-Trace", "1"), H("x-bf-eh-anthropic-beta", ""),
	    H("X-Team", "red"), H("x-bf-eh-", "none"),
	};
	const struct bf_conf_provider conf = {.keys = {NULL, 0}};

	assert_string_equal(rest_of(headers, BF_ARRAY_LEN(headers), NULL, NULL, &conf),
			    BEGIN "X-Trace: 1\r\nanthropic-beta: \r\n" END);
}

static void some_never_go_on(void **state BF_UNUSED)
{
	static const char *const names[] = {
	    "host",
	    "Connection",
	    "content-length",
	    "Content-Type",
	    "accept",
	    "Accept-Encoding",
	    "cookie",
	    "transfer-encoding",
	    "te",
	    "Trailer",
	    "upgrade",
	    "expect",
	    "keep-alive",
	    "proxy-authorization",
	    "traceparent",
	    "tracestate",
	    "x-api-key",
	    "x-goog-api-key",
	    "api-key",
	    "x-bf-api-key",
	    "X-BF-api-key-id",
	    "x-bf-vk",
	    "x-bf-eh-x",
	    "user-agent",
	    "content-encoding",
	    "proxy-connection",
	};
	const struct bf_conf_provider conf = {.keys = {NULL, 0}};

	for (size_t i = 0; i < BF_ARRAY_LEN(names); i++) {
		char name[64];
		(void)snprintf(name, sizeof(name), "x-bf-eh-%s", names[i]);
		const struct exchange_header header = {bf_slice_from(name), BF_SLICE_LIT("v")};
		const char *text = rest_of(&header, 1, NULL, NULL, &conf);
		if (strcmp(text, BEGIN END) != 0)
			fail_msg("%s: %s", name, text);
	}
}

static void lists(void **state BF_UNUSED)
{
	const struct exchange_header headers[] = {
	    H("X-Team", "red"),
	    H("X-Other", "1"),
	    H("x-bf-eh-x-other", "2"),
	    H("Authorization", "Bearer sk-bf-secret"),
	    H("X-Api-Key", "sk-bf-secret"),
	};
	const struct bf_conf_provider conf = {.keys = {NULL, 0}};
	struct bf_conf_header_filter filter = {.allowlist = {allowed, 3}};

	/* Listed ones go on without the prefix too; others do not go on with it. A client's own
	 * credentials never do. */
	assert_string_equal(rest_of(headers, BF_ARRAY_LEN(headers), &filter, NULL, &conf),
			    BEGIN "X-Team: red\r\n" END);
	filter.denylist = (struct bf_array){denied, 1};
	assert_string_equal(rest_of(headers, BF_ARRAY_LEN(headers), &filter, NULL, &conf),
			    BEGIN END);
	filter.allowlist = (struct bf_array){NULL, 0};
	assert_string_equal(rest_of(headers, BF_ARRAY_LEN(headers), &filter, NULL, &conf),
			    BEGIN "x-other: 2\r\n" END);
}

/* RFC 9110, 7.6.1: what Connection lists is for the next hop, which is this gateway. */
static void what_connection_lists_stays_here(void **state BF_UNUSED)
{
	struct bf_slice both[] = {BF_SLICE_LIT("x-plain"), BF_SLICE_LIT("x-other")};
	struct bf_conf_header_filter filter = {.allowlist = {both, 2}};
	struct exchange_header headers[] = {
	    H("X-Plain", "1"),        H("x-bf-eh-x-plain", "2"), H("x-other", "3"),
	    H("x-bf-eh-x-more", "4"), H("Connection", ""),
	};
	const struct bf_conf_provider conf = {.keys = {NULL, 0}};
	static const char *const lists[][2] = {
	    {"x-plain", BEGIN "x-other: 3\r\n" END},
	    {"close, X-PLAIN\t,x-OTHER", BEGIN END},
	    {",, x-bf-eh-x-plain ,", BEGIN "X-Plain: 1\r\nx-other: 3\r\n" END},
	    {"x-plain-not", BEGIN "X-Plain: 1\r\nx-plain: 2\r\nx-other: 3\r\n" END},
	};

	for (size_t i = 0; i < BF_ARRAY_LEN(lists); i++) {
		headers[4].value = bf_slice_from(lists[i][0]);
		assert_string_equal(rest_of(headers, 5, &filter, NULL, &conf), lists[i][1]);
	}
	headers[4].value = BF_SLICE_LIT("X-More");
	filter.allowlist.count = 0;
	assert_string_equal(rest_of(headers, 5, &filter, NULL, &conf), BEGIN "x-plain: 2\r\n" END);
}

static void who_signs(void **state BF_UNUSED)
{
	const struct exchange_header own = H("x-bf-eh-authorization", "Bearer theirs");
	const struct bf_conf_provider_key key = {.value = BF_SLICE_LIT("sk-1")};
	const struct bf_conf_provider_key empty = {.value = {NULL, 0}};
	const struct bf_conf_provider plain = {.keys = {NULL, 0}};
	struct bf_conf_provider conf = {.keys = {NULL, 0}};

	assert_string_equal(rest_of(&own, 1, NULL, &key, &plain),
			    BEGIN "Authorization: Bearer sk-1\r\n" END);
	assert_string_equal(rest_of(NULL, 0, NULL, &empty, &plain), BEGIN END);
	assert_string_equal(rest_of(&own, 1, NULL, NULL, &plain),
			    BEGIN "authorization: Bearer theirs\r\n" END);
	conf.network_config.extra_headers = (struct bf_array){extra, BF_ARRAY_LEN(extra)};
	assert_string_equal(rest_of(NULL, 0, NULL, &key, &conf),
			    BEGIN "Authorization: Bearer sk-1\r\n" END);
	assert_string_equal(rest_of(&own, 1, NULL, NULL, &conf),
			    BEGIN "Authorization: Basic abc\r\n" END);
}

static void extra_headers(void **state BF_UNUSED)
{
	struct bf_conf_provider conf = {.keys = {NULL, 0}};
	const struct exchange_header same = H("x-bf-eh-x-org", "red");
	struct upstream_target target;
	struct bf_buf out;

	assert_int_equal(
	    upstream_target_parse(BF_SLICE_LIT("http://host.test:81"), "/v1", &target, NULL), 0);
	bf_buf_init(&out, 4096);
	assert_int_equal(openai_head_template(&out, &conf, &target, SHM_OBJECT_EMBEDDING, "1.2"),
			 0);
	assert_true(bf_slice_is(bf_buf_slice(&out),
				"POST /v1/embeddings HTTP/1.1\r\nHost: host.test:81\r\n"
				"Content-Type: application/json\r\nAccept-Encoding: identity\r\n"
				"User-Agent: bifrost/1.2\r\n"));
	conf.network_config.extra_headers = (struct bf_array){extra, BF_ARRAY_LEN(extra)};
	bf_buf_clear(&out);
	assert_int_equal(openai_head_template(&out, &conf, &target, SHM_OBJECT_CHAT, "1.2"), 0);
	assert_true(bf_slice_is(bf_buf_slice(&out),
				"POST /v1/chat/completions HTTP/1.1\r\nHost: host.test:81\r\n"
				"Content-Type: application/json\r\nAccept-Encoding: identity\r\n"
				"X-Org: blue\r\nUser-Agent: mine/1\r\n"));
	/* The configuration wins over a client. */
	assert_null(strstr(rest_of(&same, 1, NULL, NULL, &conf), "red"));
	bf_buf_done(&out);
}

static void a_bound(void **state BF_UNUSED)
{
	static char value[OPENAI_HEAD_MAX];
	const struct bf_conf_provider conf = {.keys = {NULL, 0}};
	struct exchange_header header = {BF_SLICE_LIT("x-bf-eh-x-large"), {value, 0}};
	size_t around = strlen(BEGIN "x-large: \r\n" END);

	memset(value, 'v', sizeof(value));
	header.value.len = OPENAI_HEAD_MAX - around;
	assert_int_equal(strlen(rest_of(&header, 1, NULL, NULL, &conf)), OPENAI_HEAD_MAX);
	header.value.len++;
	assert_string_equal(rest_of(&header, 1, NULL, NULL, &conf), "refused");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(prefixed_headers_go_on),
	    cmocka_unit_test(some_never_go_on),
	    cmocka_unit_test(lists),
	    cmocka_unit_test(what_connection_lists_stays_here),
	    cmocka_unit_test(who_signs),
	    cmocka_unit_test(extra_headers),
	    cmocka_unit_test(a_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

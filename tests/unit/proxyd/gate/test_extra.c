/* extra_fields: where they land, what they say, and that nothing else of an answer changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/codec/json_tape.h"
#include "proxyd/gate/extra.h"
#include "proxyd/gate/route.h"
#include "tests/unit/proxyd/harness.h"

static const struct route chat = {.object = SHM_OBJECT_CHAT, .dialect = ERROR_UNIFIED};
static const struct route responses = {.object = SHM_OBJECT_RESPONSES, .dialect = ERROR_UNIFIED};
static const struct route openai = {.object = SHM_OBJECT_CHAT, .dialect = ERROR_OPENAI};
static const struct route logs = {.dialect = ERROR_UNIFIED};

static const struct bf_conf_provider_key key = {.name = {"k\"1", 3}};

static struct exchange *new_exchange(struct harness *h, const struct route *route)
{
	struct exchange *x = exchange_new(&h->w);

	assert_non_null(x);
	x->route = route;
	x->provider = BF_SLICE_LIT("mock");
	x->model = BF_SLICE_LIT("m\\\n");
	x->started_mono_ns = 0;
	harness_clock(true);
	return x;
}

static void free_exchange(struct exchange *x)
{
	harness_clock(false);
	exchange_free(x);
}

#define NAMES(model) "\"provider\":\"mock\",\"model\":\"" model "\""

static void what_they_say(void **state)
{
	struct exchange_target targets[2] = {{BF_SLICE_LIT("first"), BF_SLICE_LIT("one")},
					     {BF_SLICE_LIT("mock"), BF_SLICE_LIT("m\\\n")}};
	struct bf_buf out;
	struct harness h;

	(void)state;
	bf_buf_init(&out, 4096);
	harness_open(&h, NULL);
	struct exchange *x = new_exchange(&h, &chat);
	x->row_mono_ns = bf_mono_ns();
	harness_tick(1234);
	assert_int_equal(extra_member(x, NULL, &out), 0);
	assert_true(bf_slice_is(
	    bf_buf_slice(&out),
	    "\"extra_fields\":{\"request_type\":\"chat_completion\",\"provider\":\"mock\","
	    "\"original_model_requested\":\"m\\u005c\\u000a\",\"resolved_model_used\":"
	    "\"m\\u005c\\u000a\",\"latency\":1234,\"routing_info\":{" NAMES(
		"m\\u005c\\u000a") ","
				   "\"is_fallback\":false,\"primary_provider\":\"mock\",\"primary_"
				   "model\":"
				   "\"m\\u005c\\u000a\"}}"));
	bf_buf_clear(&out);
	x->route = &responses;
	x->wants_stream = true;
	x->stream_events = 42;
	x->targets = targets;
	x->target_count = 2;
	x->target = 1;
	x->key = &key;
	x->row_mono_ns = bf_mono_ns() + 5000000;
	assert_int_equal(extra_member(x, "provider_timeout", &out), 0);
	assert_true(bf_slice_is(
	    bf_buf_slice(&out),
	    "\"extra_fields\":{\"error_type\":\"provider_timeout\",\"request_type\":"
	    "\"responses_stream\",\"provider\":\"mock\",\"original_model_requested\":\"one\","
	    "\"resolved_model_used\":\"m\\u005c\\u000a\",\"latency\":0,\"chunk_index\":42,"
	    "\"routing_info\":{" NAMES("m\\u005c\\u000a") ",\"key\":\"k\\u00221\",\"is_fallback\":"
							  "true,\"primary_provider\":\"first\","
							  "\"primary_model\":\"one\"}}"));
	bf_buf_clear(&out);
	x->provider.len = 0;
	x->route = NULL;
	assert_int_equal(extra_member(x, NULL, &out), 0);
	assert_true(bf_slice_is(bf_buf_slice(&out), "\"extra_fields\":{}"));
	free_exchange(x);
	harness_close(&h);
	bf_buf_done(&out);
}

/* Any byte at any place of a name of any length comes back as it was. */
static void names_with_anything_in_them(void **state)
{
	static const char some[] = {'"', '\\', '\n', '\t', 1, 31, ' ', '!', 'a', 0x7f};
	struct bf_json_tape tape;
	struct bf_slice got;
	struct harness h;
	char name[20];

	(void)state;
	harness_open(&h, NULL);
	for (size_t len = 1; len < sizeof(name); len++) {
		for (size_t i = 0; i < len * sizeof(some); i++) {
			struct exchange *x = new_exchange(&h, &chat);
			struct bf_buf *out = &h.w.text;

			memset(name, 'n', len);
			name[i / sizeof(some)] = some[i % sizeof(some)];
			x->model = (struct bf_slice){name, len};
			bf_buf_clear(out);
			assert_int_equal(bf_buf_append(out, "{", 1), 0);
			assert_int_equal(extra_member(x, NULL, out), 0);
			assert_int_equal(bf_buf_append(out, "}", 1), 0);
			assert_int_equal(bf_json_parse(&tape, bf_buf_slice(out), &x->arena,
						       &bf_json_default_limits, NULL),
					 0);
			uint32_t fields = bf_json_member(&tape, 0, "extra_fields");
			assert_int_equal(
			    bf_json_string(&tape,
					   bf_json_member(&tape, fields, "resolved_model_used"),
					   &x->arena, &got),
			    0);
			assert_true(bf_slice_eq(got, x->model));
			free_exchange(x);
		}
	}
	harness_close(&h);
}

static void who_gets_them(void **state)
{
	struct exchange x = {0};

	(void)state;
	assert_false(extra_wanted(&x));
	x.route = &chat;
	assert_true(extra_wanted(&x));
	x.route = &openai;
	assert_false(extra_wanted(&x));
	x.route = &logs;
	assert_false(extra_wanted(&x));
}

/* Before and after; after NULL: it stays as it was. */
static const char *const splices[][2] = {
    {"{\"a\":1}", "{\"a\":1,\"extra_fields\":{"},
    {" \n{\"a\":{}} \r\n\t", " \n{\"a\":{},\"extra_fields\":{"},
    {"{\"a\":\"}\" }", "{\"a\":\"}\" ,\"extra_fields\":{"},
    {"{}", "{\"extra_fields\":{"},
    {"{ \n }", "{ \n \"extra_fields\":{"},
    {"", NULL},
    {"[]", NULL},
    {"[{}]", NULL},
    {"{", NULL},
    {"}", NULL},
    {"  ", NULL},
    {"\"{}\"", NULL},
    {"{} x", NULL},
};

static void append(struct harness *h, const char *before, const char *after)
{
	struct exchange *x = new_exchange(h, &chat);
	size_t len = strlen(before);

	assert_int_equal(bf_buf_append(&x->answer, before, len), 0);
	assert_true(worker_answer_take(&h->w, len));
	x->answer_charged = len;
	assert_int_equal(extra_append(x), 0);
	struct bf_slice got = bf_buf_slice(&x->answer);
	if (!after) {
		assert_true(bf_slice_is(got, before));
		free_exchange(x);
		return;
	}
	if (!bf_slice_starts(got, bf_slice_from(after)))
		fail_msg("%s: %.*s", before, BF_SLICE_FMT(got));
	assert_int_equal(got.ptr[got.len - 1], '}');
	assert_true(x->answer_charged >= got.len);
	struct bf_json_tape tape;
	struct bf_err err;
	assert_int_equal(bf_json_parse(&tape, got, &x->arena, &bf_json_default_limits, &err), 0);
	assert_int_not_equal(bf_json_member(&tape, 0, "extra_fields"), BF_JSON_NONE);
	free_exchange(x);
}

static void answers(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	for (size_t i = 0; i < BF_ARRAY_LEN(splices); i++)
		append(&h, splices[i][0], splices[i][1]);
	harness_close(&h);
}

static void no_memory(struct bf_config *config)
{
	config->server.body_memory_bytes = 16;
}

/* A full budget costs the answer its extra_fields, nothing else. */
static void a_full_budget_leaves_the_answer(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, no_memory);
	struct exchange *x = new_exchange(&h, &chat);
	assert_int_equal(bf_buf_append(&x->answer, "{\"a\":1}", 7), 0);
	assert_true(worker_answer_take(&h.w, 7));
	x->answer_charged = 7;
	assert_int_equal(extra_append(x), BF_E_FULL);
	assert_true(bf_slice_is(bf_buf_slice(&x->answer), "{\"a\":1}"));
	assert_int_equal(x->answer_charged, 7);
	free_exchange(x);
	harness_close(&h);
}

static void events(void **state)
{
	static const char text[] = "event: x\ndata: {\"a\":1}\n\n";
	struct bf_slice event = {text, sizeof(text) - 1}, json = {text + 15, 7};
	struct bf_buf out, tight;
	struct harness h;

	(void)state;
	bf_buf_init(&out, 4096);
	bf_buf_init(&tight, 64);
	harness_open(&h, NULL);
	struct exchange *x = new_exchange(&h, &chat);
	assert_int_equal(bf_buf_append(&out, "before", 6), 0);
	assert_true(extra_event(x, event, json, &out));
	struct bf_slice got = bf_buf_slice(&out);
	assert_true(bf_slice_starts(
	    got, BF_SLICE_LIT("beforeevent: x\ndata: {\"a\":1,\"extra_fields\":{")));
	assert_memory_equal(got.ptr + got.len - 5, "}}}\n\n", 5);
	/* Data that was joined from several lines lies elsewhere; other data is no object. */
	assert_false(extra_event(x, event, BF_SLICE_LIT("{\"a\":1}"), &out));
	assert_false(extra_event(x, event, (struct bf_slice){NULL, 0}, &out));
	assert_false(extra_event(x, event, (struct bf_slice){text + 15, 6}, &out));
	assert_false(extra_event(x, event, (struct bf_slice){text + 15, 100}, &out));
	assert_false(extra_event(x, event, json, &tight));
	assert_int_equal(bf_buf_len(&tight), 0);
	assert_int_equal(bf_buf_len(&out), got.len);
	free_exchange(x);
	harness_close(&h);
	bf_buf_done(&out);
	bf_buf_done(&tight);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_they_say),
	    cmocka_unit_test(names_with_anything_in_them),
	    cmocka_unit_test(who_gets_them),
	    cmocka_unit_test(answers),
	    cmocka_unit_test(a_full_budget_leaves_the_answer),
	    cmocka_unit_test(events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

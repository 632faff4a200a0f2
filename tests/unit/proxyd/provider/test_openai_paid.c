/* What answers say about their cost, in the words of several providers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "proxyd/provider/openai_said.h"

#define CHAT SHM_OBJECT_CHAT

static const struct {
	enum shm_usage_object object;
	bool whole;
	const char *json;
	uint64_t cached, written, hour, searches;
	int64_t nusd;
	const char *tier;
} cases[] = {
    {CHAT, true, "{\"choices\":[],\"usage\":{\"prompt_tokens\":9}}", 0, 0, 0, 0, 0, ""},
    {CHAT, true,
     "{\"choices\":[],\"service_tier\":\"priority\",\"usage\":{\"prompt_tokens\":9,"
     "\"cost\":0.00014,\"prompt_tokens_details\":{\"cached_tokens\":4,\"cache_write_tokens\":3}}}",
     4, 3, 0, 0, 140000, "priority"},
    {CHAT, true,
     "{\"choices\":[],\"service_tier\":null,\"usage\":{\"prompt_tokens\":9,\"cost\":{"
     "\"total_cost\":0.006},\"num_search_queries\":2}}",
     0, 0, 0, 2, 6000000, ""},
    {CHAT, true,
     "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"cache_creation_input_tokens\":5,"
     "\"cache_creation\":{\"ephemeral_1h_input_tokens\":2},\"server_tool_use\":{"
     "\"web_search_requests\":7}}}",
     0, 5, 2, 7, 0, ""},
    {CHAT, true, "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"prompt_cache_hit_tokens\":6}}",
     6, 0, 0, 0, 0, ""},
    {SHM_OBJECT_RESPONSES, true,
     "{\"object\":\"response\",\"output\":[],\"service_tier\":\"flex\",\"usage\":{"
     "\"input_tokens\":9,\"output_tokens\":1,\"input_tokens_details\":{"
     "\"cache_creation_tokens\":8}}}",
     0, 8, 0, 0, 0, "flex"},
    {SHM_OBJECT_RESPONSES, false,
     "{\"type\":\"response.completed\",\"response\":{\"service_tier\":\"default\",\"usage\":{"
     "\"input_tokens\":9,\"output_tokens\":1,\"cost\":1e-9}}}",
     0, 0, 0, 0, 1, "default"},
    {CHAT, false, "{\"choices\":[],\"service_tier\":\"priority\",\"usage\":{\"prompt_tokens\":9}}",
     0, 0, 0, 0, 0, "priority"},
    /* Whose own key the upstream was asked with pays there, and here only for being passed on. */
    {CHAT, true,
     "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"cost\":0.0005,\"is_byok\":true,"
     "\"cost_details\":{\"upstream_inference_cost\":0.01}}}",
     0, 0, 0, 0, 10500000, ""},
    {CHAT, true,
     "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"cost\":0,\"is_byok\":true,"
     "\"cost_details\":{\"upstream_inference_cost\":0.01}}}",
     0, 0, 0, 0, 10000000, ""},
    {CHAT, true,
     "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"cost\":0.01,\"is_byok\":false,"
     "\"cost_details\":{\"upstream_inference_cost\":0.01}}}",
     0, 0, 0, 0, 10000000, ""},
    {CHAT, true,
     "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"cost\":0.01,\"is_byok\":true,"
     "\"cost_details\":{\"upstream_inference_cost\":null}}}",
     0, 0, 0, 0, 10000000, ""},
    /* What cannot be true. */
    {CHAT, true,
     "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"cost\":0.01,\"is_byok\":true,"
     "\"cost_details\":7}}",
     0, 0, 0, 0, 10000000, ""},
    {CHAT, true,
     "{\"choices\":[],\"service_tier\":7,\"usage\":{\"prompt_tokens\":9,\"cost\":-1,"
     "\"num_search_queries\":-2,\"cache_creation_input_tokens\":99999999999,"
     "\"cache_creation\":3,\"prompt_tokens_details\":[]}}",
     0, 0, 0, 0, 0, ""},
    {CHAT, true, "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"cost\":\"1\"}}", 0, 0, 0, 0, 0,
     ""},
    {CHAT, true, "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"cost\":1e30}}", 0, 0, 0, 0, 0,
     ""},
    {CHAT, true, "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"cost\":1000001}}", 0, 0, 0, 0, 0,
     ""},
    {CHAT, true, "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"cost\":1e-30}}", 0, 0, 0, 0, 1,
     ""},
    {CHAT, true, "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"cost\":{}}}", 0, 0, 0, 0, 0, ""},
};

static void what_answers_say(void **state)
{
	struct bf_arena arena;
	struct openai_said s;

	(void)state;
	bf_arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < BF_ARRAY_LEN(cases); i++) {
		assert_true(openai_said_read(cases[i].object, bf_slice_from(cases[i].json),
					     cases[i].whole, &arena, &s));
		if (s.cached_tokens != cases[i].cached || s.paid.cached_write != cases[i].written ||
		    s.paid.cached_write_1hr != cases[i].hour ||
		    s.paid.searches != cases[i].searches || s.paid.reported_nusd != cases[i].nusd ||
		    !bf_slice_is(s.service_tier, cases[i].tier))
			fail_msg("%s", cases[i].json);
	}
	bf_arena_done(&arena);
}

static struct bf_price_usage paid_of(enum shm_usage_object object, const char *json)
{
	struct bf_arena arena;
	struct openai_said s;

	bf_arena_init(&arena, 1 << 20);
	assert_true(openai_said_read(object, bf_slice_from(json), true, &arena, &s));
	bf_arena_done(&arena);
	return s.paid;
}

static void sound_and_thoughts(void **state)
{
	struct bf_price_usage p = paid_of(
	    CHAT, "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"prompt_tokens_details\":{"
		  "\"cached_tokens\":1,\"audio_tokens\":4},\"completion_tokens_details\":{"
		  "\"reasoning_tokens\":5,\"audio_tokens\":6}}}");

	(void)state;
	assert_int_equal(p.audio_prompt, 4);
	assert_int_equal(p.audio_completion, 6);
	assert_int_equal(p.reasoning, 5);
	p = paid_of(SHM_OBJECT_RESPONSES,
		    "{\"object\":\"response\",\"output\":[],\"usage\":{\"input_tokens\":9,"
		    "\"input_tokens_details\":{\"audio_tokens\":-1},"
		    "\"output_tokens_details\":{\"reasoning_tokens\":7}}}");
	assert_int_equal(p.audio_prompt, 0);
	assert_int_equal(p.audio_completion, 0);
	assert_int_equal(p.reasoning, 7);
	p = paid_of(CHAT, "{\"choices\":[],\"usage\":{\"prompt_tokens\":9,"
			  "\"prompt_tokens_details\":null,\"completion_tokens_details\":[3]}}");
	assert_int_equal(p.audio_prompt + p.audio_completion + p.reasoning, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_answers_say),
	    cmocka_unit_test(sound_and_thoughts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

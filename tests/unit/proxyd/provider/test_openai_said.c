/* What plain answers and events of streams say beside their content; who serves what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "proxyd/provider/openai_said.h"
#include "proxyd/provider/openai_table.h"

#define CHAT SHM_OBJECT_CHAT
#define RESP SHM_OBJECT_RESPONSES

static void plain_answers(void **state BF_UNUSED)
{
	static const struct {
		enum shm_usage_object object;
		const char *json;
		bool usage, known; /* known: both numbers */
		uint64_t prompt, completion, cached;
		const char *stop;
	} list[] = {
	    {CHAT,
	     "{\"choices\":[{\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,"
	     "\"completion_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":1}}}",
	     true, true, 1, 2, 1, "stop"},
	    {CHAT, "{\"choices\":[{\"finish_reason\":null},{\"finish_reason\":\"length\"}]}", false,
	     false, 0, 0, 0, "length"},
	    {SHM_OBJECT_COMPLETION,
	     "{\"choices\":[{\"text\":\"a\",\"finish_reason\":\"stop\"}],\"usage\":{"
	     "\"prompt_tokens\":5,\"completion_tokens\":0}}",
	     true, true, 5, 0, 0, "stop"},
	    {SHM_OBJECT_EMBEDDING, "{\"data\":[],\"usage\":{\"prompt_tokens\":5}}", true, true, 5,
	     0, 0, ""},
	    {RESP,
	     "{\"status\":\"completed\",\"usage\":{\"input_tokens\":7,\"output_tokens\":3,"
	     "\"input_tokens_details\":{\"cached_tokens\":4}}}",
	     true, true, 7, 3, 4, "completed"},
	    {RESP,
	     "{\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":"
	     "\"max_output_tokens\"},\"usage\":null}",
	     false, false, 0, 0, 0, "max_output_tokens"},
	    {RESP, "{\"status\":\"failed\",\"incomplete_details\":null}", false, false, 0, 0, 0,
	     "failed"},
	    /* Wrong numbers are no numbers. */
	    {CHAT, "{\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1.5}}", true, false, 0,
	     0, 0, ""},
	    {CHAT, "{\"usage\":{\"prompt_tokens\":\"7\",\"completion_tokens\":null}}", true, false,
	     0, 0, 0, ""},
	    {CHAT,
	     "{\"usage\":{\"prompt_tokens\":99999999999999999999999,\"completion_tokens\":"
	     "1000000001}}",
	     true, false, 0, 0, 0, ""},
	    {CHAT,
	     "{\"usage\":{\"prompt_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":9}}}",
	     true, false, 3, 0, 3, ""},
	    {CHAT, "{\"usage\":[],\"choices\":{\"finish_reason\":\"stop\"}}", false, false, 0, 0, 0,
	     ""},
	    {CHAT, "{\"choices\":[7,null,{\"finish_reason\":7}]}", false, false, 0, 0, 0, ""},
	};
	struct bf_arena arena;
	struct openai_said s;

	bf_arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		assert_true(openai_said_read(list[i].object, bf_slice_from(list[i].json), true,
					     &arena, &s));
		if (s.usage != list[i].usage ||
		    (s.prompt_known && s.completion_known) != list[i].known)
			fail_msg("%s", list[i].json);
		assert_int_equal(s.prompt_tokens, list[i].prompt);
		assert_int_equal(s.completion_tokens, list[i].completion);
		assert_int_equal(s.cached_tokens, list[i].cached);
		assert_true(bf_slice_is(s.stop_reason, list[i].stop));
	}
	assert_true(openai_said_read(CHAT, BF_SLICE_LIT("{\"usage\":{\"total_tokens\":12}}"), true,
				     &arena, &s));
	assert_int_equal(s.total_tokens, 12);
	assert_true(openai_said_read(CHAT, BF_SLICE_LIT("{\"usage\":{\"total_tokens\":-12}}"), true,
				     &arena, &s));
	assert_int_equal(s.total_tokens, 0);
	assert_false(openai_said_read(CHAT, BF_SLICE_LIT("[]"), true, &arena, &s));
	assert_false(openai_said_read(CHAT, BF_SLICE_LIT("{\"usage\":"), true, &arena, &s));
	bf_arena_done(&arena);
}

/* Is it an answer at all; what may be counted of one without numbers. */
static void answers_and_others(void **state BF_UNUSED)
{
	static const struct {
		enum shm_usage_object object;
		const char *json;
		const char *problem; /* what it says; NULL: none */
		int error_status;
		bool broken;
		uint64_t text_bytes;
	} list[] = {
	    {CHAT, "", "empty", 0, true, 0},
	    {CHAT, "{\"id\":", "complete", 0, true, 0},
	    {CHAT, " \n", "complete", 0, true, 0},
	    {CHAT, "<html>", "complete", 0, true, 0},
	    {CHAT, "{\"choices\":[]}}", "complete", 0, true, 0},
	    {CHAT, "[1,2]", "object", 0, false, 0},
	    {CHAT, "null", "object", 0, false, 0},
	    {CHAT, "{}", "choices", 0, false, 0},
	    {CHAT, "{\"choices\":null}", "choices", 0, false, 0},
	    {CHAT, "{\"choices\":{}}", "choices", 0, false, 0},
	    {CHAT, "{\"data\":[],\"error\":null}", "choices", 0, false, 0},
	    {CHAT, "{\"choices\":[]}", NULL, 0, false, 0},
	    {CHAT, "{\"choices\":[],\"error\":{\"code\":429}}", NULL, 0, false, 0},
	    {CHAT, "{\"error\":{\"code\":429,\"message\":\"m\"}}", "choices", 429, false, 0},
	    {CHAT, "{\"id\":\"x\",\"error\":\"m\"}", "choices", 502, false, 0},
	    {CHAT, "{\"error\":{\"code\":200}}", "choices", 502, false, 0},
	    {CHAT, "{\"object\":\"error\",\"code\":400}", "choices", 400, false, 0},
	    {SHM_OBJECT_COMPLETION, "{}", "choices", 0, false, 0},
	    {SHM_OBJECT_COMPLETION, "{\"choices\":[{\"text\":\"12345\"}]}", NULL, 0, false, 5},
	    {SHM_OBJECT_EMBEDDING, "{\"choices\":[]}", "data", 0, false, 0},
	    {SHM_OBJECT_EMBEDDING, "{\"data\":[{\"text\":\"12345\"}]}", NULL, 0, false, 0},
	    {RESP, "{\"data\":[],\"object\":\"list\"}", "output", 0, false, 0},
	    {RESP, "{\"object\":\"response\"}", NULL, 0, false, 0},
	    {RESP, "{\"output\":[],\"status\":\"failed\",\"error\":{}}", NULL, 0, false, 0},
	    {RESP, "{\"error\":{\"code\":\"rate_limit_exceeded\"}}", "output", 429, false, 0},
	    {RESP,
	     "{\"id\":\"much else\",\"output\":[{\"content\":[{\"text\":\"abc\"},7,{\"text\":"
	     "\"d\",\"type\":\"x\"}]},{\"arguments\":\"{\\\"\\\":1}\"},null]}",
	     NULL, 0, false, 10},
	    {CHAT,
	     "{\"id\":\"much else\",\"choices\":[{\"message\":{\"content\":\"a\\u00e4\\n\"}},{"
	     "\"message\":{\"content\":[{\"text\":\"xy\"}]}},{\"message\":{\"content\":null,"
	     "\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}},5]}",
	     NULL, 0, false, 8},
	    {CHAT,
	     "{\"choices\":[{\"message\":{\"content\":\"abc\"}}],\"usage\":{"
	     "\"completion_tokens\":1}}",
	     NULL, 0, false, 0},
	};
	struct bf_arena arena;
	struct openai_said s;

	bf_arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		(void)openai_said_read(list[i].object, bf_slice_from(list[i].json), true, &arena,
				       &s);
		if (!s.problem != !list[i].problem ||
		    (s.problem && !strstr(s.problem, list[i].problem)) ||
		    (s.verdict == OPENAI_ERROR) != (list[i].error_status != 0) ||
		    s.error_status != list[i].error_status || s.broken != list[i].broken ||
		    s.text_bytes != list[i].text_bytes)
			fail_msg("%s: %s, %d, %d, %lu", list[i].json, s.problem, s.error_status,
				 s.broken, (unsigned long)s.text_bytes);
	}
	bf_arena_done(&arena);
}

/* What is too large to be read is not said to be wrong. */
static void an_answer_that_is_not_read(void **state BF_UNUSED)
{
	static char json[200];
	struct bf_arena arena;
	struct openai_said s;

	memset(json, '[', 100);
	memset(json + 100, ']', 100);
	bf_arena_init(&arena, 1 << 20);
	assert_false(
	    openai_said_read(CHAT, (struct bf_slice){json, sizeof(json)}, true, &arena, &s));
	assert_null(s.problem);
	assert_false(s.broken);
	bf_arena_done(&arena);
}

static void events_of_streams(void **state BF_UNUSED)
{
	static const struct {
		enum shm_usage_object object;
		const char *json;
		bool maybe, maybe_first;
		enum openai_verdict verdict;
		int status;
		bool alone;
		const char *stop;
	} list[] = {
	    {CHAT, "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}", true, true,
	     OPENAI_GOES_ON, 0, false, "stop"},
	    {CHAT, "{\"choices\":[{\"finish_reason\" : null}],\"usage\":null}", false, false,
	     OPENAI_GOES_ON, 0, false, ""},
	    {CHAT, "{\"choices\":[],\"usage\" : {\"prompt_tokens\":1}}", true, true, OPENAI_GOES_ON,
	     0, true, ""},
	    {CHAT, "{\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\": {\"}}]}", false, false,
	     OPENAI_GOES_ON, 0, false, ""},
	    {CHAT, " { \"error\":{\"message\":\"m\",\"code\":429}}", true, true, OPENAI_ERROR, 429,
	     true, ""},
	    {CHAT, "{\"error\":{\"code\":\"503\"}}", true, true, OPENAI_ERROR, 503, true, ""},
	    {CHAT, "{\"error\":{\"type\":\"rate_limit_exceeded\",\"code\":null}}", true, true,
	     OPENAI_ERROR, 429, true, ""},
	    {CHAT, "{\"error\":\"text\",\"status\":500}", true, true, OPENAI_ERROR, 500, true, ""},
	    {CHAT, "{\"error\":{\"code\":-7}}", true, true, OPENAI_ERROR, 502, true, ""},
	    {CHAT, "{\"object\":\"error\",\"code\":400}", false, true, OPENAI_ERROR, 400, true, ""},
	    {CHAT, "{\"choices\":[{\"finish_reason\":\"error\"}],\"error\":{\"code\":502}}", true,
	     true, OPENAI_ERROR, 502, false, "error"},
	    {CHAT, "{\"choices\":[{}],\"error\":null}", false, true, OPENAI_GOES_ON, 0, false, ""},
	    {RESP, "{\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}",
	     true, true, OPENAI_COMPLETED, 0, false, "completed"},
	    {RESP,
	     "{\"sequence_number\":1,\"type\":\"response.incomplete\",\"response\":{\"status\":"
	     "\"incomplete\",\"incomplete_details\":{\"reason\":\"content_filter\"}}}",
	     true, true, OPENAI_COMPLETED, 0, false, "content_filter"},
	    {RESP,
	     "{\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{"
	     "\"message\":\"m\"}}}",
	     true, true, OPENAI_FAILED, 0, false, "failed"},
	    {RESP,
	     "{\"type\":\"response.output_text.delta\",\"delta\":\"\\\"response.completed\\\"\"}",
	     false, false, OPENAI_GOES_ON, 0, false, ""},
	    {RESP, "{\"type\":\"error\",\"code\":\"429\",\"message\":\"m\"}", true, true,
	     OPENAI_ERROR, 429, false, ""},
	};
	struct bf_arena arena;

	bf_arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		struct openai_said s;
		struct bf_slice json = bf_slice_from(list[i].json);
		if (openai_said_maybe(list[i].object, json, false) != list[i].maybe ||
		    openai_said_maybe(list[i].object, json, true) != list[i].maybe_first)
			fail_msg("maybe: %s", list[i].json);
		assert_true(openai_said_read(list[i].object, json, false, &arena, &s));
		if (s.verdict != list[i].verdict || s.error_status != list[i].status ||
		    s.alone != list[i].alone || !bf_slice_is(s.stop_reason, list[i].stop))
			fail_msg("%s: %d %d %d %.*s", list[i].json, s.verdict, s.error_status,
				 s.alone, BF_SLICE_FMT(s.stop_reason));
	}
	bf_arena_done(&arena);
}

/* Of its own size: not a byte behind it is read, wherever it is cut. */
static uint64_t tokens_of(enum shm_usage_object object, const char *json)
{
	size_t len = strlen(json);
	uint64_t tokens = 0;

	for (size_t cut = 0; cut <= len; cut++) {
		char *begin = malloc(cut + 1);
		assert_non_null(begin);
		memcpy(begin + 1, json, cut);
		tokens = openai_said_tokens(object, (struct bf_slice){begin + 1, cut});
		free(begin);
	}
	return tokens;
}

#define B16 "0123456789abcdef"
#define B32 B16 B16

struct piece {
	enum shm_usage_object object;
	const char *json;
	uint64_t tokens;
};

static void check_pieces(const struct piece *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t tokens = tokens_of(list[i].object, list[i].json);
		if (tokens != list[i].tokens)
			fail_msg("%s: %lu", list[i].json, (unsigned long)tokens);
	}
}

static void pieces_of_chats(void **state BF_UNUSED)
{
	static const struct piece list[] = {
	    {CHAT, "{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}", 1},
	    {CHAT,
	     "{\"choices\":[{\"delta\" : { \"role\" : \"assistant\" , \"content\" : \"a\" }}]}", 1},
	    {CHAT, "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}", 0},
	    {CHAT,
	     "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}}]"
	     "}",
	     0},
	    {CHAT, "{\"choices\":[{\"delta\":{\"content\":null,\"reasoning_content\":\"\\\"\"}}]}",
	     1},
	    {CHAT, "{\"choices\":[{\"delta\":{\"tool_calls\":[{}]}}]}", 1},
	    {CHAT, "{\"choices\":[{\"delta\":{\"tool_calls\":[]}}]}", 0},
	    {CHAT, "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}", 0},
	    {CHAT, "{\"choices\":[{\"delta\":{}},{\"delta\":{\"content\":\"a\"}}]}", 1},
	    {CHAT, "{\"choices\":[],\"usage\":{}}", 0},
	    {CHAT, "{\"choices\":[{\"delta\":null}]}", 0},
	    {CHAT, "{\"delta\":{\"content\":\"", 0},
	    {CHAT, "{\"delta\":{\"content\":\"a\\\\\\\"}}", 0},
	    {CHAT, "{\"delta\":{\"role", 0},
	    {CHAT, "{\"delta\":{\"a\\", 0},
	    {CHAT, "{\"delta\":", 0},
	    {CHAT, "{\"delta\"", 0},
	};

	check_pieces(list, BF_ARRAY_LEN(list));
}

/* A short piece is one token; of a long one the bytes say it; each choice has its own. */
static void pieces_have_their_length(void **state BF_UNUSED)
{
	static const struct piece list[] = {
	    {CHAT, "{\"choices\":[{\"delta\":{\"content\":\"" B16 "\"}}]}", 1},
	    {CHAT, "{\"choices\":[{\"delta\":{\"content\":\"" B16 "x\"}}]}", 5},
	    {CHAT, "{\"choices\":[{\"delta\":{\"content\":\"" B32 B32 "\"}}]}", 16},
	    {CHAT, "{\"choices\":[{\"delta\":{\"content\":\"\\\\\\\"" B32 "\\\\\"}}]}", 10},
	    {CHAT,
	     "{\"choices\":[{\"delta\":{\"content\":\"a\"}},{\"index\":1,\"delta\":{\"content\":\""
	     "\\\"delta\\\":{\"}},{\"delta\":{\"content\":\"" B32 "\"}},{\"delta\":{\"content\":\"b"
	     "\"}}]}",
	     11},
	    {CHAT, "{\"choices\":[{\"delta\":{\"refusal\":\"" B32 "\",\"content\":null}}]}", 8},
	    {CHAT, "{\"choices\":[{\"delta\":{\"reasoning_content\":\"" B32 "\"}}]}", 8},
	    /* The same text a second time; names; what nobody knows. */
	    {CHAT,
	     "{\"choices\":[{\"delta\":{\"reasoning\":\"" B32
	     "\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"" B32 "\"}]}}]}",
	     8},
	    {CHAT, "{\"choices\":[{\"delta\":{\"channel\":\"analysis\",\"content\":\"" B16 "\"}}]}",
	     1},
	    {CHAT, "{\"choices\":[{\"delta\":{\"unknown\":\"" B32 "\"}}]}", 1},
	    /* A tool's name and id are short or made by the server; its arguments are not. */
	    {CHAT,
	     "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"" B32
	     "\",\"function\":{\"name\":\"" B32 "\",\"arguments\":\"\"}}]}}]}",
	     1},
	    {CHAT,
	     "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":"
	     "\"" B32 "\"}},{\"index\":1,\"function\":{\"arguments\":\"" B32 "\"}}]}}]}",
	     16},
	    {CHAT,
	     "{\"choices\":[{\"delta\":{\"content\":[{\"type\":\"text\",\"text\":\"" B32
	     "\"},{\"type\":\"thinking\",\"thinking\":[{\"text\":\"" B16 "\"}]}]}}]}",
	     12},
	    {SHM_OBJECT_COMPLETION, "{\"choices\":[{\"text\":\"a\"}]}", 1},
	    {SHM_OBJECT_COMPLETION, "{\"choices\":[{\"text\":\"\"}]}", 0},
	    {SHM_OBJECT_COMPLETION, "{\"choices\":[{\"text\":\"", 0},
	    {SHM_OBJECT_COMPLETION, "{\"choices\":[{\"text\":null},{\"x\":\"text\"}]}", 0},
	    {SHM_OBJECT_COMPLETION,
	     "{\"choices\":[{\"text\":\"a\"},{\"text\":\"" B32 "\"},{\"text\" : \"b\"}]}", 10},
	};

	check_pieces(list, BF_ARRAY_LEN(list));
}

static void pieces_of_responses(void **state BF_UNUSED)
{
	static const struct piece list[] = {
	    {RESP, "{\"type\":\"response.output_text.delta\"}", 1},
	    {RESP, "{\"type\": \"response.function_call_arguments.delta\",\"a\":1}", 1},
	    {RESP, "{\"type\":\"response.output_text.delta\",\"delta\":\"a\"}", 1},
	    {RESP, "{\"type\":\"response.output_text.delta\",\"delta\" : \"" B32 B16 "\"}", 12},
	    {RESP, "{\"delta\":\"" B32 "\",\"type\":\"response.output_text.delta\"}", 8},
	    {RESP, "{\"delta\":\"" B32 "\",\"type\":\"response.output_text.done\"}", 0},
	    {RESP, "{\"type\":\"response.created\",\"x\":\".delta\"}", 0},
	    {RESP, "{\"type\":\"response.delta", 0},
	    {RESP, "{\"type\":", 0},
	    {RESP, "", 0},
	};

	check_pieces(list, BF_ARRAY_LEN(list));
}

static void operations(void **state BF_UNUSED)
{
	const struct openai_family *f = openai_family_of(BF_SLICE_LIT("perplexity"));

	assert_true(openai_family_serves(f, CHAT));
	assert_false(openai_family_serves(f, SHM_OBJECT_EMBEDDING));
	assert_false(openai_family_serves(f, 0));
	assert_false(openai_family_serves(f, OPENAI_OBJECTS));
	assert_false(
	    openai_family_serves(openai_family_of(BF_SLICE_LIT("cerebras")), SHM_OBJECT_EMBEDDING));
	f = openai_family_of(BF_SLICE_LIT("of-my-own"));
	assert_null(f->base_url);
	for (unsigned o = SHM_OBJECT_CHAT; o < OPENAI_OBJECTS; o++) {
		assert_true(openai_family_serves(f, o));
		assert_non_null(openai_object_path(o));
		assert_string_not_equal(openai_object_name(o), "this operation");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain_answers),
	    cmocka_unit_test(answers_and_others),
	    cmocka_unit_test(an_answer_that_is_not_read),
	    cmocka_unit_test(events_of_streams),
	    cmocka_unit_test(pieces_of_chats),
	    cmocka_unit_test(pieces_have_their_length),
	    cmocka_unit_test(pieces_of_responses),
	    cmocka_unit_test(operations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Bodies: what they ask for as each object, and the exact text of each refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/govern/plan.h"
#include "proxyd/gate/infer.h"
#include "proxyd/gate/route.h"
#include "tests/unit/proxyd/harness.h"

#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static const struct route unified[] = {
    [SHM_OBJECT_CHAT] = {.object = SHM_OBJECT_CHAT, .dialect = ERROR_UNIFIED},
    [SHM_OBJECT_COMPLETION] = {.object = SHM_OBJECT_COMPLETION, .dialect = ERROR_UNIFIED},
    [SHM_OBJECT_EMBEDDING] = {.object = SHM_OBJECT_EMBEDDING, .dialect = ERROR_UNIFIED},
    [SHM_OBJECT_RESPONSES] = {.object = SHM_OBJECT_RESPONSES, .dialect = ERROR_UNIFIED},
};

static int read_body(struct harness *h, struct exchange **ret_x, unsigned object, const char *body,
		     struct infer_error *e)
{
	struct exchange *x = exchange_new(&h->w);

	assert_non_null(x);
	*ret_x = x;
	memset(e, 0, sizeof(*e));
	x->route = &unified[object];
	x->body = bf_slice_from(body);
	return infer_read(x, h->w.providers, e);
}

struct refusal {
	unsigned object;
	const char *body;
	const char *text; /* the message begins with it */
};

#define CHAT       SHM_OBJECT_CHAT
#define COMPLETION SHM_OBJECT_COMPLETION
#define EMBEDDING  SHM_OBJECT_EMBEDDING
#define RESPONSES  SHM_OBJECT_RESPONSES

static const struct refusal refusals[] = {
    {CHAT, "", "the request body is empty; send a JSON object"},
    {CHAT, "{", "the request body is not valid JSON: 1:"},
    {CHAT, "{\"model\":\"mock/m\",}", "the request body is not valid JSON: 1:"},
    {CHAT, "{\"model\":\"mock/m\",\"model\":\"mock/n\"}", "the request body is not valid JSON: "},
    {CHAT, "[]", "the request body must be a JSON object"},
    {CHAT, "null", "the request body must be a JSON object"},
    {CHAT, "{}", "model is required (format: provider/model)"},
    {CHAT, "{\"model\":null," MESSAGES "}", "model is required (format: provider/model)"},
    {CHAT, "{\"model\":\"\"," MESSAGES "}", "model is required (format: provider/model)"},
    {CHAT, "{\"model\":7," MESSAGES "}", "model must be a string (format: provider/model)"},
    {CHAT, "{\"model\":[\"mock/m\"]," MESSAGES "}",
     "model must be a string (format: provider/model)"},
    {CHAT, "{\"model\":\"gpt\"," MESSAGES "}",
     "provider is required in model field (format: provider/model)"},
    {CHAT, "{\"model\":\"meta-llama/x\"," MESSAGES "}",
     "provider is required in model field (format: provider/model); \"meta-llama\" is not a "
     "configured provider"},
    {CHAT, "{\"model\":\"/m\"," MESSAGES "}",
     "provider is required in model field (format: provider/model)"},
    {CHAT, "{\"model\":\"mock/\"," MESSAGES "}",
     "the model is missing behind the provider (format: provider/model)"},
    {CHAT, "{\"model\":\"mock/m\"}", "messages is required: an array with at least one message"},
    {CHAT, "{\"model\":\"mock/m\",\"messages\":{}}",
     "messages is required: an array with at least one message"},
    {CHAT, "{\"model\":\"mock/m\",\"messages\":[]}",
     "messages is required: an array with at least one message"},
    {CHAT, "{\"model\":\"mock/m\",\"messages\":[{\"role\":\"user\"},1]}",
     "messages[1] must be an object"},
    {CHAT, "{\"model\":\"mock/m\",\"messages\":[{}]}", "messages[0].role is required"},
    {CHAT, "{\"model\":\"mock/m\",\"messages\":[{\"role\":1}]}", "messages[0].role is required"},
    {CHAT, "{\"model\":\"mock/m\",\"stream\":1," MESSAGES "}", "stream must be true or false"},
    {CHAT, "{\"model\":\"mock/m\",\"stream_options\":1," MESSAGES "}",
     "stream_options must be an object"},
    {CHAT, "{\"model\":\"mock/m\",\"stream_options\":{\"include_usage\":\"y\"}," MESSAGES "}",
     "include_usage must be true or false"},
    {CHAT, "{\"model\":\"mock/\\u0000\"," MESSAGES "}", "model must not hold control characters"},
    {CHAT, "{\"model\":\"mock/m\",\"messages\":[{\"role\":\"\\ud800\"}]}",
     "the request body is not valid JSON: 1:"},
    {CHAT, "{\"model\":\"mock/m\",\"user\":\"\xc3\x28\"," MESSAGES "}",
     "the request body is not valid JSON: 1:"},
    {CHAT, "{\"model\":\"mock/m\",\"tools\":[{]}," MESSAGES "}",
     "the request body is not valid JSON: 1:"},
    {CHAT, "{\"model\":\"mock/m\",\"tools\":[],\"tools\":[]," MESSAGES "}",
     "the request body is not valid JSON: 1:"},
    {CHAT, "{\"tools\":[{\"model\":\"mock/m\"}]," MESSAGES "}", "model is required"},
    {COMPLETION, "{\"model\":\"mock/m\"}", "prompt is required: a string or an array"},
    {COMPLETION, "{\"model\":\"mock/m\",\"prompt\":null}",
     "prompt is required: a string or an array"},
    {COMPLETION, "{\"model\":\"mock/m\",\"prompt\":{}}",
     "prompt is required: a string or an array"},
    {COMPLETION, "{\"model\":\"mock/m\",\"prompt\":\"a\",\"stream_options\":[]}",
     "stream_options must be an object"},
    {EMBEDDING, "{\"model\":\"mock/m\"}",
     "input is required: a string, an array of strings, or arrays of tokens"},
    {EMBEDDING, "{\"model\":\"mock/m\",\"input\":7}",
     "input is required: a string, an array of strings, or arrays of tokens"},
    {EMBEDDING, "{\"model\":\"mock/m\",\"input\":\"\"}", "input must not be empty"},
    {EMBEDDING, "{\"model\":\"mock/m\",\"input\":[]}", "input must not be empty"},
    {EMBEDDING, "{\"model\":\"mock/m\",\"input\":[\"a\",1]}",
     "input[1] must be a string or an array of tokens"},
    {EMBEDDING, "{\"model\":\"mock/m\",\"input\":[[1],[]]}",
     "input[1] must be a string or an array of tokens"},
    {EMBEDDING, "{\"model\":\"mock/m\",\"input\":[[1],[\"a\"]]}",
     "input[1] must be a string or an array of tokens"},
    {EMBEDDING, "{\"model\":\"mock/m\",\"input\":\"a\",\"stream\":true}",
     "stream is not possible for embeddings"},
    {RESPONSES, "{\"model\":\"mock/m\"}", "input is required: a string or an array"},
    {RESPONSES, "{\"model\":\"mock/m\",\"input\":1,\"prompt\":{\"id\":\"p\"}}",
     "input is required: a string or an array"},
    {RESPONSES, "{\"model\":\"mock/m\",\"prompt\":null}",
     "input is required: a string or an array"},
    {RESPONSES, "{\"model\":\"mock/m\",\"input\":\"a\",\"stream\":\"yes\"}",
     "stream must be true or false"},
};

/* Only where it would escape a limit. */
static void refuses_what_cannot_be_counted(void **state)
{
	static const char body[] = "{\"model\":\"mock/m\",\"input\":\"a\",\"background\":";
	static const struct {
		enum bf_quantity quantity; /* 0: no key */
		const char *background;
		const char *text; /* NULL: passes */
	} list[] = {
	    {0, "true", NULL},
	    {BF_QUANTITY_REQUESTS, "true", NULL},
	    {BF_QUANTITY_CONCURRENT, "7", NULL},
	    {BF_QUANTITY_TOKENS, "true", "background is not possible with a virtual key that has"},
	    {BF_QUANTITY_NUSD, "true", "background is not possible with a virtual key that has"},
	    {BF_QUANTITY_NUSD, "7", "background must be true or false"},
	    {BF_QUANTITY_NUSD, "false", NULL},
	    {BF_QUANTITY_NUSD, "null", NULL},
	};
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		const struct bf_limit limits[] = {{.quantity = BF_QUANTITY_REQUESTS},
						  {.quantity = list[i].quantity}};
		const struct bf_limit *const items[] = {&limits[0], &limits[1]};
		const struct bf_plan_key key = {.always = {items, 2, false}};
		struct exchange *x = exchange_new(&h.w);
		struct infer_error e = {0};
		char text[128];

		assert_non_null(x);
		x->route = &unified[SHM_OBJECT_RESPONSES];
		x->virtual_key = list[i].quantity ? &key : NULL;
		(void)snprintf(text, sizeof(text), "%s%s}", body, list[i].background);
		x->body = bf_slice_from(text);
		int r = infer_read(x, h.w.providers, &e);
		if (r != (list[i].text ? -1 : 0) ||
		    (list[i].text &&
		     !bf_slice_starts(bf_slice_from(e.text), bf_slice_from(list[i].text))))
			fail_msg("%s of %d: %s", list[i].background, (int)list[i].quantity, e.text);
		exchange_free(x);
	}
	harness_close(&h);
}

static void refuses_with_exact_texts(void **state)
{
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct exchange *x;
		struct infer_error e;
		assert_int_equal(read_body(&h, &x, refusals[i].object, refusals[i].body, &e), -1);
		if (e.http_status != 400 ||
		    strncmp(e.text, refusals[i].text, strlen(refusals[i].text)) != 0)
			fail_msg("%s: %d %s", refusals[i].body, e.http_status, e.text);
		exchange_free(x);
	}
	harness_close(&h);
}

/* No prefix of a good body is good, and none makes the reader look beyond it. */
static void refuses_every_cut(void **state)
{
	static const char good[] = "{\"model\":\"mock/m\",\"stream\":true," MESSAGES "}";
	struct harness h;

	(void)state;
	harness_open(&h, NULL);
	for (size_t cut = 0; cut < sizeof(good) - 1; cut++) {
		struct exchange *x = exchange_new(&h.w);
		struct infer_error e = {0};
		char *bytes = malloc(cut ? cut : 1);
		assert_non_null(x);
		assert_non_null(bytes);
		memcpy(bytes, good, cut);
		x->route = &unified[CHAT];
		x->body = (struct bf_slice){bytes, cut};
		assert_int_equal(infer_read(x, h.w.providers, &e), -1);
		assert_int_equal(e.http_status, 400);
		exchange_free(x);
		free(bytes);
	}
	harness_close(&h);
}

#define OPTION "\"stream_options\":{\"include_usage\":true}"

struct good {
	unsigned object;
	const char *body;
	const char *option; /* that a provider's body gets more; NULL: none */
	bool stream, usage;
};

static const struct good goods[] = {
    {CHAT,
     "{\"model\":\"mock/m\",\"messages\":[{\"role\":\"a\"}],\"stream\":true,\"stream_options\":"
     "{\"include_usage\":true}}",
     NULL, true, true},
    {CHAT,
     "{\"model\":\"mock/m\",\"stream\":null,\"stream_options\":null,\"messages\":[{\"role\":"
     "\"a\"}]}",
     NULL, false, false},
    {CHAT, "{\"model\":\"mock/m\",\"stream\":true,\"messages\":[{\"role\":\"a\"}]}", OPTION ",",
     true, false},
    {CHAT,
     "{\"model\":\"mock/m\",\"stream\":true,\"stream_options\":{\"include_usage\":false},"
     "\"messages\":[{\"role\":\"a\"}]}",
     "true", true, false},
    {COMPLETION,
     "{\"model\":\"mock/m\",\"prompt\":\"\",\"stream\":true,\"stream_options\":"
     "{\"include_usage\":true}}",
     NULL, true, true},
    {COMPLETION, "{\"model\":\"mock/m\",\"prompt\":[],\"stream\":true,\"stream_options\":null}",
     "{\"include_usage\":true}", true, false},
    {COMPLETION, "{\"model\":\"mock/m\",\"prompt\":[[1,2],[3]]}", NULL, false, false},
    {EMBEDDING, "{\"model\":\"mock/m\",\"input\":\"a\",\"stream\":false}", NULL, false, false},
    {EMBEDDING, "{\"model\":\"mock/m\",\"input\":[\"a\",\"\"],\"stream_options\":7}", NULL, false,
     false},
    {EMBEDDING, "{\"model\":\"mock/m\",\"input\":[1,2,3]}", NULL, false, false},
    {EMBEDDING, "{\"model\":\"mock/m\",\"input\":[[1],\"a\",[2,3]]}", NULL, false, false},
    /* Its stream_options are others. */
    {RESPONSES,
     "{\"model\":\"mock/m\",\"input\":\"a\",\"stream\":true,\"stream_options\":"
     "{\"include_usage\":true}}",
     NULL, true, false},
    {RESPONSES, "{\"model\":\"mock/m\",\"input\":\"a\",\"stream\":true,\"stream_options\":7}", NULL,
     true, false},
    {RESPONSES, "{\"model\":\"mock/m\",\"input\":[]}", NULL, false, false},
    {RESPONSES, "{\"model\":\"mock/m\",\"prompt\":{\"id\":\"p\"}}", NULL, false, false},
    {RESPONSES, "{\"model\":\"mock/m\",\"previous_response_id\":\"r\"}", NULL, false, false},
};

static bool is_part(const struct exchange *x, const struct exchange_edit *e, const char *part)
{
	return bf_slice_is((struct bf_slice){x->body.ptr + e->from, e->to - e->from}, part);
}

static void reads_good_bodies(void **state)
{
	struct harness h;
	struct exchange *x;
	struct infer_error e;

	(void)state;
	harness_open(&h, NULL);
	for (size_t i = 0; i < BF_ARRAY_LEN(goods); i++) {
		if (read_body(&h, &x, goods[i].object, goods[i].body, &e) < 0)
			fail_msg("%s: %s", goods[i].body, e.text);
		assert_int_equal(x->wants_stream, goods[i].stream);
		assert_int_equal(x->wants_usage_chunk, goods[i].usage);
		assert_true(is_part(x, &x->model_edit, "\"mock/m\""));
		assert_int_equal(x->fallbacks_edit.to, 0);
		assert_int_equal(x->usage_edit.to != 0, goods[i].option != NULL);
		if (goods[i].option && !bf_slice_is(x->usage_edit.text, goods[i].option))
			fail_msg("%s: %.*s", goods[i].body, BF_SLICE_FMT(x->usage_edit.text));
		exchange_free(x);
	}
	harness_close(&h);
}

/* Whether it is good or not, the tape goes with its reading: neither the request nor the worker
 * holds it while a provider works. */
static void keeps_no_tape(void **state)
{
	static char body[400000];
	static const char *const ends[] = {"]}", "]"};
	struct harness h;
	struct exchange *x;
	struct infer_error e;

	(void)state;
	harness_open(&h, NULL);
	for (size_t i = 0; i < BF_ARRAY_LEN(ends); i++) {
		int n =
		    snprintf(body, sizeof(body), "{\"model\":\"mock\\/m\"," MESSAGES ",\"x\":[");
		for (; n + 4 < (int)sizeof(body); n += 2)
			memcpy(body + n, "1,", 2);
		(void)snprintf(body + n, sizeof(body) - (size_t)n, "1%s", ends[i]);
		assert_int_equal(read_body(&h, &x, CHAT, body, &e), i == 0 ? 0 : -1);
		assert_true(x->arena.used_bytes < 512);
		assert_int_equal(h.w.tape_arena.used_bytes, 0);
		exchange_free(x);
	}
	harness_close(&h);
}

static void refuses_encoded_bodies_and_long_models(void **state)
{
	static char body[1024];
	struct harness h;
	struct exchange *x;
	struct infer_error e;

	(void)state;
	harness_open(&h, NULL);
	x = exchange_new(&h.w);
	assert_non_null(x);
	x->route = &unified[CHAT];
	x->body = BF_SLICE_LIT("{}");
	x->body_encoded = true;
	assert_int_equal(infer_read(x, h.w.providers, &e), -1);
	assert_int_equal(e.http_status, 415);
	exchange_free(x);
	(void)snprintf(body, sizeof(body), "{\"model\":\"mock/%0300d\"," MESSAGES "}", 7);
	assert_int_equal(read_body(&h, &x, CHAT, body, &e), -1);
	assert_string_equal(e.text, "model is longer than 256 bytes");
	exchange_free(x);
	harness_close(&h);
}

/* 65 levels are one too many, wherever they stand. */
static void refuses_depth_bombs(void **state)
{
	static char body[400000];
	struct harness h;
	struct exchange *x;
	struct infer_error e;

	(void)state;
	harness_open(&h, NULL);
	int n = snprintf(body, sizeof(body), "{\"model\":\"mock/m\"," MESSAGES ",\"x\":");
	memset(body + n, '[', sizeof(body) - (size_t)n - 1);
	assert_int_equal(read_body(&h, &x, CHAT, body, &e), -1);
	assert_int_equal(e.http_status, 400);
	assert_memory_equal(e.text, "the request body is too complex: ", 33);
	exchange_free(x);
	harness_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(refuses_with_exact_texts),
	    cmocka_unit_test(refuses_what_cannot_be_counted),
	    cmocka_unit_test(refuses_every_cut),
	    cmocka_unit_test(reads_good_bodies),
	    cmocka_unit_test(keeps_no_tape),
	    cmocka_unit_test(refuses_encoded_bodies_and_long_models),
	    cmocka_unit_test(refuses_depth_bombs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

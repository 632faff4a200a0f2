/*
 * How fast the JSON tape reads bodies: ns per body and MB/s for 1, 10 and 50 KB, of four kinds of
 * text and of tools. Prints one line per case, the best of several rounds (the others were
 * disturbed). Used by ./dev bench.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/codec/json_tape.h"
#include "common/codec/json_writer.h"

#define ROUNDS   15
#define ROUND_NS INT64_C(20000000)

static const struct kind {
	const char *name;
	const char *text; /* repeated to make the content of a message */
} kinds[] = {
    {"plain", "The gateway checks the key, reserves from the budget and relays the answer; nothing "
	      "else is done. "},
    {"escapes",
     "The \"gateway\" checks the key,\nreserves from the budget\tand relays the answer.\n\n"},
    {"cyrillic", "Шлюз проверяет ключ, резервирует бюджет и передаёт ответ дальше. "},
    {"chinese", "网关检查密钥，预留预算，然后转发回答。"},
};

/* A message of about 800 bytes after the other until the body has the size. */
static void write_chat(struct bf_buf *out, const struct kind *kind, size_t size)
{
	struct bf_json_writer w;

	bf_jw_init(&w, out);
	bf_jw_object(&w);
	bf_jw_key(&w, "model");
	bf_jw_cstr(&w, "openai/gpt-4o-mini");
	bf_jw_key(&w, "max_tokens");
	bf_jw_i64(&w, 512);
	bf_jw_key(&w, "stream");
	bf_jw_bool(&w, false);
	bf_jw_key(&w, "messages");
	bf_jw_array(&w);
	for (unsigned i = 0; bf_buf_len(out) + 40 < size; i++) {
		char content[1024];
		size_t unit = strlen(kind->text), len = 0;
		size_t want = BF_MIN((size_t)800, size - bf_buf_len(out));
		for (; len + unit <= want; len += unit)
			memcpy(content + len, kind->text, unit);
		bf_jw_object(&w);
		bf_jw_key(&w, "role");
		bf_jw_cstr(&w, i % 2 ? "assistant" : "user");
		bf_jw_key(&w, "content");
		bf_jw_string(&w, (struct bf_slice){content, len});
		bf_jw_end_object(&w);
	}
	bf_jw_end_array(&w);
	bf_jw_end_object(&w);
	if (bf_jw_finish(&w) < 0)
		abort();
}

/* A body of tool definitions: many short tokens, hardly any text. */
static void write_tools(struct bf_buf *out, size_t size)
{
	static const char tool[] =
	    "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":true,\"parameters\":"
	    "{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"number\",\"minimum\":0.5},"
	    "\"y\":{\"type\":\"integer\"}},\"required\":[\"x\",\"y\"]}}}";
	struct bf_json_writer w;

	bf_jw_init(&w, out);
	bf_jw_object(&w);
	bf_jw_key(&w, "tools");
	bf_jw_array(&w);
	while (bf_buf_len(out) + sizeof(tool) < size)
		bf_jw_raw(&w, (struct bf_slice){tool, sizeof(tool) - 1});
	bf_jw_end_array(&w);
	bf_jw_end_object(&w);
	if (bf_jw_finish(&w) < 0)
		abort();
}

static double round_ns(struct bf_slice text, const struct bf_json_limits *limits,
		       struct bf_arena *arena, uint32_t *ret_tokens)
{
	int64_t start = bf_mono_ns(), took;
	uint64_t bodies = 0;

	do {
		for (int i = 0; i < 16; i++, bodies++) {
			struct bf_json_tape tape;
			bf_arena_reset(arena);
			if (bf_json_parse(&tape, text, arena, limits, NULL) < 0)
				abort();
			*ret_tokens = tape.count;
		}
		took = bf_mono_ns() - start;
	} while (took < ROUND_NS);
	return (double)took / (double)bodies;
}

static void measure(const char *name, struct bf_slice text, const struct bf_json_limits *limits)
{
	struct bf_arena arena;
	double best = 0;
	uint32_t tokens = 0;

	bf_arena_init_nodump(&arena, 64u << 20); /* as requests have it */
	for (int i = 0; i < ROUNDS; i++) {
		double ns = round_ns(text, limits, &arena, &tokens);
		best = i == 0 ? ns : BF_MIN(best, ns);
	}
	(void)printf("%-9s %6zu bytes %6" PRIu32 " values  %9.0f ns  %7.0f MB/s\n", name, text.len,
		     tokens, best, (double)text.len * 1000.0 / best);
	bf_arena_done(&arena);
}

/* A body of a kind; behind the kinds of text come tools, read in full and skimmed. */
static void measure_kind(size_t k, size_t size)
{
	static const struct bf_slice names[] = {BF_SLICE_INIT("tools"), {NULL, 0}};
	struct bf_json_limits limits = bf_json_default_limits;
	const char *name = k == BF_ARRAY_LEN(kinds) ? "tools" : "skimmed";
	struct bf_buf body;

	bf_buf_init(&body, 1u << 20);
	if (k < BF_ARRAY_LEN(kinds)) {
		write_chat(&body, &kinds[k], size);
		name = kinds[k].name;
	} else {
		write_tools(&body, size);
		limits.skimmed = k == BF_ARRAY_LEN(kinds) ? NULL : names;
	}
	measure(name, bf_buf_slice(&body), &limits);
	bf_buf_done(&body);
}

int main(void)
{
	static const size_t sizes[] = {1024, 10240, 51200};

	for (size_t k = 0; k < BF_ARRAY_LEN(kinds) + 2; k++)
		for (size_t s = 0; s < BF_ARRAY_LEN(sizes); s++)
			measure_kind(k, sizes[s]);
	return 0;
}

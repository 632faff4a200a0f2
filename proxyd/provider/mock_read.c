/*
 * Reads a request for the mock provider, which alone needs more of it than the gate took off its
 * tape: the body is parsed once more. Called by mock.c when a call begins. Must never leave
 * anything in the worker's tape_arena.
 */
#include "proxyd/provider/mock_read.h"

#include "proxyd/provider/mock_text.h"
#include "proxyd/worker.h"

static const char *const content_member[] = {
    [SHM_OBJECT_CHAT] = "messages",
    [SHM_OBJECT_COMPLETION] = "prompt",
    [SHM_OBJECT_EMBEDDING] = "input",
    [SHM_OBJECT_RESPONSES] = "input",
};

/* One text of a list: its words are tokens; of anything else, its elements. */
static struct bf_slice read_text(struct exchange *x, const struct bf_json_tape *t, uint32_t i,
				 struct mock_asked *asked)
{
	struct bf_slice text = {NULL, 0};

	if (t->tokens[i].type == BF_JSON_OBJECT)
		text = mock_message_text(t, i, &x->arena);
	else if (t->tokens[i].type == BF_JSON_STRING)
		(void)bf_json_string(t, i, &x->arena, &text);
	else
		asked->prompt_tokens += BF_MAX(t->tokens[i].count, 1u);
	asked->prompt_tokens += mock_count_words(text);
	return text;
}

/* A text or a list. */
static void read_content(struct exchange *x, const struct bf_json_tape *t, uint32_t content,
			 struct mock_asked *asked)
{
	if (content == BF_JSON_NONE)
		return;
	if (t->tokens[content].type != BF_JSON_ARRAY) {
		asked->echo = read_text(x, t, content, asked);
		return;
	}
	for (uint32_t m = bf_json_first(content); m < t->tokens[content].next;
	     m = t->tokens[m].next) {
		uint32_t role = bf_json_member(t, m, "role");
		struct bf_slice text = read_text(x, t, m, asked);
		if (text.len &&
		    (role == BF_JSON_NONE || bf_slice_is(bf_json_raw(t, role), "\"user\"")))
			asked->echo = text;
	}
}

/* What vectors are wanted of: a text, a list of texts, a list of tokens, or a list of such lists.
 * The JSON itself will do, as it decides nothing but numbers. */
static bool read_inputs(struct exchange *x, const struct bf_json_tape *t, uint32_t input,
			struct mock_asked *asked)
{
	uint32_t first = bf_json_first(input);
	bool single = input == BF_JSON_NONE || t->tokens[input].type != BF_JSON_ARRAY ||
		      t->tokens[input].count == 0 || t->tokens[first].type == BF_JSON_NUMBER;
	size_t max = single ? 1 : t->tokens[input].count;

	asked->inputs = bf_arena_alloc(&x->arena, max * sizeof(asked->inputs[0]));
	if (!asked->inputs)
		return false;
	if (single) {
		asked->input_count = 1;
		asked->inputs[0] = input == BF_JSON_NONE ? x->body : bf_json_raw(t, input);
		return true;
	}
	for (uint32_t i = first; i < t->tokens[input].next; i = t->tokens[i].next)
		asked->inputs[asked->input_count++] = bf_json_raw(t, i);
	return true;
}

static void read_vector_form(const struct bf_json_tape *t, struct mock_asked *asked)
{
	uint32_t format = bf_json_member(t, 0, "encoding_format");
	uint32_t dimensions = bf_json_member(t, 0, "dimensions");
	int64_t count = 0;

	if (dimensions != BF_JSON_NONE && bf_json_i64(t, dimensions, &count) < 0)
		count = 0;
	asked->dimensions = count > 0 ? (uint64_t)count : 0;
	asked->base64 = format != BF_JSON_NONE && bf_slice_is(bf_json_raw(t, format), "\"base64\"");
}

static bool read_tape(struct exchange *x, const struct bf_json_tape *t, struct mock_asked *asked)
{
	uint32_t content = bf_json_member(t, 0, content_member[x->object]);

	if (x->object == SHM_OBJECT_EMBEDDING) {
		if (!read_inputs(x, t, content, asked))
			return false;
		read_vector_form(t, asked);
	}
	read_content(x, t, content, asked);
	return true;
}

bool mock_read(struct exchange *x, struct mock_asked *ret_asked)
{
	struct bf_arena *arena = &x->worker->tape_arena;
	struct bf_json_tape tape;
	bool read;

	*ret_asked = (struct mock_asked){0};
	/* The gate has parsed it before: only memory can lack. */
	read = bf_json_parse(&tape, x->body, arena, &bf_json_default_limits, NULL) == 0 &&
	       read_tape(x, &tape, ret_asked);
	bf_arena_reset(arena);
	return read;
}

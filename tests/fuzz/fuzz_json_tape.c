/*
 * Any bytes as JSON. What is accepted is written again from the tape and read a second time: both
 * tapes must say the same, and writing the second one must give the same bytes as the first
 * writing. A reader that skims members accepts what the strict one does, and sees the same root.
 */
#include <stdint.h>
#include <stdlib.h>

#include "common/codec/json_tape.h"
#include "common/codec/json_writer.h"

#define ARENA_CAP (64u << 20)
#define OUT_MAX   (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void write_scalar(const struct bf_json_tape *t, uint32_t i, bool is_key,
			 struct bf_arena *arena, struct bf_json_writer *w)
{
	struct bf_slice text;
	int64_t number;
	bool flag;

	if (t->tokens[i].type != BF_JSON_STRING) {
		bf_jw_raw(w, bf_json_raw(t, i));
		require(bf_json_string(t, i, arena, &text) == BF_E_TYPE);
		(void)bf_json_i64(t, i, &number);
		(void)bf_json_bool(t, i, &flag);
		return;
	}
	require(bf_json_string(t, i, arena, &text) == 0);
	require(text.len <= t->tokens[i].len);
	if (is_key)
		bf_jw_key_slice(w, text);
	else
		bf_jw_string(w, text);
}

/* Walks the tape once, front to back; open containers stand on a stack until their last token is
 * passed. */
static void rewrite(const struct bf_json_tape *t, struct bf_arena *arena, struct bf_buf *out)
{
	struct bf_json_writer w;
	uint32_t open[BF_JSON_WRITER_DEPTH], depth = 0;
	bool key_next[BF_JSON_WRITER_DEPTH + 1] = {false};

	bf_jw_init(&w, out);
	for (uint32_t i = 0; i < t->count; i++) {
		const struct bf_json_token *token = &t->tokens[i];
		bool is_key = key_next[depth];
		bool in_object = depth && t->tokens[open[depth - 1]].type == BF_JSON_OBJECT;
		key_next[depth] = in_object && !is_key;
		if (token->type == BF_JSON_OBJECT || token->type == BF_JSON_ARRAY) {
			(token->type == BF_JSON_OBJECT ? bf_jw_object : bf_jw_array)(&w);
			open[depth++] = i;
			key_next[depth] = token->type == BF_JSON_OBJECT;
		} else {
			write_scalar(t, i, is_key, arena, &w);
		}
		while (depth && t->tokens[open[depth - 1]].next == i + 1) {
			depth--;
			(t->tokens[open[depth]].type == BF_JSON_OBJECT ? bf_jw_end_object
								       : bf_jw_end_array)(&w);
		}
	}
	require(bf_jw_finish(&w) == 0);
}

static void require_same_shape(const struct bf_json_tape *a, const struct bf_json_tape *b)
{
	require(a->count == b->count);
	for (uint32_t i = 0; i < a->count; i++) {
		require(a->tokens[i].type == b->tokens[i].type);
		require(a->tokens[i].next == b->tokens[i].next);
		require(a->tokens[i].count == b->tokens[i].count);
	}
}

static bool is_container(const struct bf_json_token *token)
{
	return token->type == BF_JSON_ARRAY || token->type == BF_JSON_OBJECT;
}

/* Both saw the same values in the same places, but for what stands in skimmed ones. */
static void require_same_but(const struct bf_json_tape *t, const struct bf_json_tape *skim)
{
	uint32_t i = 0, k = 0;

	for (; i < t->count && k < skim->count; k++) {
		const struct bf_json_token *a = &t->tokens[i], *b = &skim->tokens[k];
		require(a->start == b->start && a->len == b->len && a->type == b->type);
		bool skimmed = is_container(b) && b->count == 0;
		require(skimmed || a->count == b->count);
		i = skimmed ? a->next : i + 1;
	}
	require(i == t->count && k == skim->count);
}

/* t: what the strict reader saw; NULL: it refused the text. */
static void check_skim(struct bf_slice text, const struct bf_json_tape *t, struct bf_arena *arena)
{
	static const struct bf_slice names[] = {
	    BF_SLICE_INIT("messages"), BF_SLICE_INIT("tools"), BF_SLICE_INIT("a"), {NULL, 0}};
	struct bf_json_limits limits = bf_json_default_limits;
	struct bf_json_tape skim;

	limits.skimmed = names;
	int r = bf_json_parse(&skim, text, arena, &limits, NULL);
	require(r == 0 || !t);
	if (r == 0 && t)
		require_same_but(t, &skim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bf_arena arena;
	struct bf_buf first, second;
	struct bf_json_tape t, again;
	struct bf_err err = {0};

	bf_arena_init(&arena, ARENA_CAP);
	bf_buf_init(&first, OUT_MAX);
	bf_buf_init(&second, OUT_MAX);
	int r = bf_json_parse(&t, (struct bf_slice){(const char *)data, size}, &arena,
			      &bf_json_default_limits, &err);
	require(r == err.code && (r == 0) == (err.text[0] == '\0'));
	check_skim((struct bf_slice){(const char *)data, size}, r == 0 ? &t : NULL, &arena);
	if (r == 0) {
		rewrite(&t, &arena, &first);
		require(bf_json_parse(&again, bf_buf_slice(&first), &arena, &bf_json_default_limits,
				      &err) == 0);
		require_same_shape(&t, &again);
		rewrite(&again, &arena, &second);
		require(bf_slice_eq(bf_buf_slice(&first), bf_buf_slice(&second)));
		(void)bf_json_member(&t, 0, "model");
	}
	bf_buf_done(&first);
	bf_buf_done(&second);
	bf_arena_done(&arena);
	return 0;
}

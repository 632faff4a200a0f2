/* Words and message texts. Called by mock.c alone. Must never trust that a member has the type it
 * should have. */
#include "proxyd/provider/mock_text.h"

#include <stdbool.h>

static bool mock_is_space(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r';
}

uint64_t mock_count_words(struct bf_slice s)
{
	uint64_t n = 0;
	bool in_word = false;

	for (size_t i = 0; i < s.len; i++) {
		bool space = mock_is_space(s.ptr[i]);
		n += !space && !in_word;
		in_word = !space;
	}
	return n;
}

struct bf_slice mock_next_word(struct bf_slice *left)
{
	size_t i = 0;

	while (i < left->len && mock_is_space(left->ptr[i]))
		i++;
	while (i < left->len && !mock_is_space(left->ptr[i]))
		i++;
	while (i < left->len && mock_is_space(left->ptr[i]))
		i++;
	struct bf_slice word = {left->ptr, i};
	if (i)
		*left = (struct bf_slice){left->ptr + i, left->len - i};
	return word;
}

static struct bf_slice mock_join_parts(const struct bf_json_tape *t, uint32_t list,
				       struct bf_arena *arena)
{
	char *joined = bf_arena_alloc(arena, t->tokens[list].len);
	size_t len = 0;

	if (!joined)
		return (struct bf_slice){NULL, 0};
	for (uint32_t i = bf_json_first(list); i < t->tokens[list].next; i = t->tokens[i].next) {
		uint32_t part = bf_json_member(t, i, "text");
		struct bf_slice piece;
		if (part == BF_JSON_NONE || bf_json_string(t, part, arena, &piece) < 0 ||
		    piece.len == 0)
			continue;
		/* Unescaped text is never longer than its JSON form, so all parts fit into the
		 * list's length. */
		memcpy(joined + len, piece.ptr, piece.len);
		len += piece.len;
	}
	return (struct bf_slice){joined, len};
}

struct bf_slice mock_message_text(const struct bf_json_tape *t, uint32_t message,
				  struct bf_arena *arena)
{
	uint32_t content = bf_json_member(t, message, "content");
	struct bf_slice text = {NULL, 0};

	if (content == BF_JSON_NONE)
		return text;
	if (t->tokens[content].type == BF_JSON_STRING)
		(void)bf_json_string(t, content, arena, &text);
	else if (t->tokens[content].type == BF_JSON_ARRAY)
		text = mock_join_parts(t, content, arena);
	return text;
}

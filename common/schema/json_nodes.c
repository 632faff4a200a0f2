/*
 * JSON text to nodes, over the tape of common/codec. Called by load.c before YAML gets a try:
 * YAML 1.1 does not read all of JSON (a tab before the first brace, surrogate pairs in \u escapes,
 * a colon on the next line).
 */
#include <errno.h>

#include "common/codec/json_tape.h"
#include "common/schema/node.h"

/* Tokens come in file order, so one walk over the bytes finds all positions. */
struct cursor {
	struct bf_slice bytes;
	size_t offset;
	struct bf_pos pos;
};

static struct bf_pos advance(struct cursor *c, size_t offset)
{
	for (; c->offset < offset && c->offset < c->bytes.len; c->offset++) {
		unsigned char byte = (unsigned char)c->bytes.ptr[c->offset];

		if (byte == '\n')
			c->pos = (struct bf_pos){c->pos.line + 1, 1};
		else if ((byte & 0xc0) != 0x80)
			c->pos.col++;
	}
	return c->pos;
}

static void add_token(struct bf_tree *tree, const struct bf_json_tape *tape, uint32_t i,
		      struct bf_pos pos)
{
	struct bf_slice text = {NULL, 0};

	switch ((enum bf_json_type)tape->tokens[i].type) {
	case BF_JSON_ARRAY:
		bf_tree_open(tree, BF_NODE_LIST, pos);
		break;
	case BF_JSON_OBJECT:
		bf_tree_open(tree, BF_NODE_MAP, pos);
		break;
	case BF_JSON_STRING:
		if (bf_json_string(tape, i, tree->arena, &text) < 0)
			bf_tree_fail(tree, pos,
				     "the file does not fit into memory: make it smaller");
		/* Everything behind the loader may rely on terminated text. */
		text = bf_arena_dup(tree->arena, text);
		if (!text.ptr)
			bf_tree_fail(tree, pos,
				     "the file does not fit into memory: make it smaller");
		bf_tree_scalar(tree, text, BF_TEXT_QUOTED, pos);
		break;
	case BF_JSON_NULL:
	case BF_JSON_FALSE:
	case BF_JSON_TRUE:
	case BF_JSON_NUMBER:
		text = bf_arena_dup(tree->arena, bf_json_raw(tape, i));
		if (!text.ptr)
			bf_tree_fail(tree, pos,
				     "the file does not fit into memory: make it smaller");
		bf_tree_scalar(tree, text, BF_TEXT_PLAIN, pos);
		break;
	}
}

static bool is_container(const struct bf_json_tape *tape, uint32_t i)
{
	return tape->tokens[i].type == BF_JSON_ARRAY || tape->tokens[i].type == BF_JSON_OBJECT;
}

static void walk(struct bf_tree *tree, const struct bf_json_tape *tape, struct bf_slice bytes)
{
	struct cursor cursor = {.bytes = bytes, .pos = {1, 1}};
	uint32_t ends[BF_NODE_MAX_DEPTH];
	uint32_t depth = 0;

	for (uint32_t i = 0; i < tape->count && !tree->failed; i++) {
		while (depth > 0 && ends[depth - 1] == i) {
			bf_tree_close(tree);
			depth--;
		}
		size_t start = tape->tokens[i].start;
		/* The token of a string begins behind its quote. */
		if (tape->tokens[i].type == BF_JSON_STRING && start > 0)
			start--;
		add_token(tree, tape, i, advance(&cursor, start));
		if (is_container(tape, i) && depth < BF_NODE_MAX_DEPTH)
			ends[depth++] = tape->tokens[i].next;
	}
	for (; depth > 0; depth--)
		bf_tree_close(tree);
}

int bf_json_read(struct bf_slice bytes, struct bf_tree *tree, struct bf_err *err)
{
	/* One level more than allowed, so that the tree refuses the depth with its own words. */
	static const struct bf_json_limits limits = {.max_depth = BF_NODE_MAX_DEPTH + 1,
						     .max_tokens = BF_NODE_MAX_COUNT};
	struct bf_json_tape tape;
	int r = bf_json_parse(&tape, bytes, tree->arena, &limits, err);

	if (r < 0)
		return r;
	walk(tree, &tape, bytes);
	return 0;
}

/*
 * A YAML or JSON file as a tree of nodes that know where they stood. Built by yaml.c and
 * json_nodes.c through the calls below, which refuse what no reader may let through: nesting, node
 * count, keys that are no scalar, duplicate keys. Used only within common/schema.
 */
#pragma once

#include <stdbool.h>

#include "common/schema/diag.h"
#include "common/schema/value.h"

#define BF_NODE_MAX_DEPTH 32
#define BF_NODE_MAX_COUNT 1000000u

enum bf_node_type {
	BF_NODE_BAD, /* already reported: whoever meets it says nothing */
	BF_NODE_SCALAR,
	BF_NODE_LIST,
	BF_NODE_MAP,
};

struct bf_node {
	uint8_t type;   /* enum bf_node_type */
	uint8_t style;  /* enum bf_text_style, of a scalar */
	uint32_t count; /* children */
	struct bf_pos pos;
	struct bf_pos key_pos; /* member of a map */
	struct bf_slice key;
	struct bf_slice text; /* scalar */
	struct bf_node *first, *next;
};

struct bf_tree_frame {
	struct bf_node *node;
	struct bf_node *last; /* newest child */
	struct bf_slice key;  /* of the member whose value comes next */
	struct bf_pos key_pos;
	bool have_key;
	bool key_is_bad;
};

struct bf_tree {
	struct bf_arena *arena;
	struct bf_diags *diags;
	struct bf_node *root; /* NULL for an empty file */
	uint32_t node_count;
	uint32_t depth;
	bool failed; /* reading further makes no sense */
	struct bf_tree_frame stack[BF_NODE_MAX_DEPTH];
};

void bf_tree_init(struct bf_tree *t, struct bf_arena *arena, struct bf_diags *diags);

/* The next scalar, container start and container end, in file order. No-ops once the tree has
 * failed. */
void bf_tree_scalar(struct bf_tree *t, struct bf_slice text, enum bf_text_style style,
		    struct bf_pos pos);
void bf_tree_open(struct bf_tree *t, enum bf_node_type type, struct bf_pos pos);
void bf_tree_close(struct bf_tree *t);

/* A value that was reported already. */
void bf_tree_bad(struct bf_tree *t, struct bf_pos pos);

/* Reports and stops the reading. */
void bf_tree_fail(struct bf_tree *t, struct bf_pos pos, const char *text);

/* Member of a map, or NULL. */
const struct bf_node *bf_node_member(const struct bf_node *map, const char *key);

/* Element or member by index, or NULL; parent may be NULL. */
const struct bf_node *bf_node_child(const struct bf_node *parent, uint32_t index);

/* {0, 0} for NULL. */
struct bf_pos bf_node_pos(const struct bf_node *node);

/* null, ~ or nothing at all: as if the key were not there. */
bool bf_node_is_null(const struct bf_node *node);

/* "a string", "a list" ... */
const char *bf_node_kind(const struct bf_node *node);

/* The readers: bytes are valid UTF-8. They report into tree->diags. */
void bf_yaml_read(struct bf_slice bytes, struct bf_tree *tree);

/* 0, or an error of bf_json_parse with err and nothing reported. */
int bf_json_read(struct bf_slice bytes, struct bf_tree *tree, struct bf_err *err);

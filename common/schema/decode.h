/* Nodes to structs by table. Used only within common/schema and its tests. */
#pragma once

#include "common/schema/load.h"
#include "common/schema/node.h"
#include "common/schema/unbuilt.h"

enum bf_path_kind {
	BF_PATH_KEY,   /* a key of a table */
	BF_PATH_NAME,  /* a name the user chose: "*" in patterns */
	BF_PATH_INDEX, /* an element of a list: left out of patterns */
};

/* Where the decoder stands; lives on its stack. */
struct bf_path {
	const struct bf_path *up; /* NULL at the top */
	struct bf_slice name;
	uint32_t index;
	uint8_t kind; /* enum bf_path_kind */
};

#define BF_PATH_TEXT_MAX 256

/* "providers.openai.keys[0].weight"; cut when too long. Returns out. */
const char *bf_path_text(const struct bf_path *path, char out[BF_PATH_TEXT_MAX]);
/* "providers.*.keys.weight". Returns out. */
const char *bf_path_pattern(const struct bf_path *path, char out[BF_PATH_TEXT_MAX]);

/* A key of unbuilt.c that the file asks for. */
struct bf_unbuilt_use {
	struct bf_unbuilt_use *next;
	const struct bf_unbuilt *row;
	const char *dotted; /* as in bf_path_text */
	struct bf_pos pos;
};

struct bf_decoder {
	struct bf_arena *arena;
	struct bf_diags *diags;
	const struct bf_config_env *env; /* NULL: references are refused */
	const char *prefix; /* of names in unbuilt.c, when it is a part of a file; may be NULL */
	struct bf_slice folder; /* of the file: relative file.PATH references start there */
	struct bf_unbuilt_use *uses, **uses_tail;
};

void bf_decoder_init(struct bf_decoder *d, struct bf_arena *arena, struct bf_diags *diags,
		     const struct bf_config_env *env, struct bf_slice folder);

/* Fills object with defaults, then with node (NULL: nothing). Everything wrong goes to diags. */
void bf_decode_object(struct bf_decoder *d, const struct bf_table *table,
		      const struct bf_node *node, void *object);

/* The members of node alone, of an object that is whole already: the others stay as they are. */
void bf_decode_members(struct bf_decoder *d, const struct bf_table *table,
		       const struct bf_node *node, void *object);

/*
 * env.NAME, file.PATH, and a bare path where the field takes one. 0 with the text and style to go
 * on with (the node's own when it is no reference), or an error that was reported.
 */
int bf_resolve(struct bf_decoder *d, const struct bf_field *f, const struct bf_node *node,
	       const struct bf_path *path, struct bf_slice *ret_text,
	       enum bf_text_style *ret_style);

/* Reports a key that the table does not have, or notes that it is one of unbuilt.c. */
void bf_decode_unknown(struct bf_decoder *d, const struct bf_table *table,
		       const struct bf_node *node, const struct bf_path *path);

/* Tells what becomes of the unbuilt keys; fills names with those that are passed over. */
void bf_unbuilt_settle(struct bf_decoder *d, const struct bf_node *root,
		       const struct bf_array *accepted, struct bf_array *names);

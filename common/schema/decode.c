/*
 * Nodes to structs, by walking a table. Called by load.c. Goes on after every error, so that one
 * run tells all of them; the caller applies nothing when there was one.
 */
#include "common/schema/decode.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/schema/nearest.h"

void bf_decoder_init(struct bf_decoder *d, struct bf_arena *arena, struct bf_diags *diags,
		     const struct bf_config_env *env, struct bf_slice folder)
{
	*d = (struct bf_decoder){.arena = arena, .diags = diags, .env = env, .folder = folder};
	d->uses_tail = &d->uses;
}

static void decode_fields(struct bf_decoder *d, const struct bf_table *table,
			  const struct bf_node *node, void *object, const struct bf_path *path,
			  struct bf_pos where);

static void out_of_memory(struct bf_decoder *d, struct bf_pos pos)
{
	bf_diag(d->diags, BF_DIAG_ERROR, pos,
		"the configuration does not fit into memory: make it smaller");
}

static void wrong_kind(struct bf_decoder *d, const struct bf_node *node, const struct bf_path *path,
		       const char *wanted)
{
	char where[BF_PATH_TEXT_MAX];

	if (node->type != BF_NODE_BAD)
		bf_diag(d->diags, BF_DIAG_ERROR, node->pos, "%s: must be %s, not %s",
			bf_path_text(path, where), wanted, bf_node_kind(node));
}

static const char *wanted_kind(const struct bf_field *f)
{
	switch ((enum bf_field_type)f->type) {
	case BF_T_BOOL:
		return "true or false";
	case BF_T_INT:
	case BF_T_UINT:
		return "a whole number";
	case BF_T_DECIMAL:
		return "a number";
	case BF_T_DURATION:
		return "a duration such as 30s";
	case BF_T_SIZE:
		return "a size such as 10MB";
	case BF_T_TIME:
		return "a time such as 2026-11-21T10:00:00Z";
	case BF_T_TRISTATE:
		return "true or false";
	case BF_T_STRING:
	case BF_T_SECRET:
	case BF_T_ENUM:
	case BF_T_BYTES:
		return "a string";
	case BF_T_STRINGS:
		return "a list of strings";
	case BF_T_OBJECT:
	case BF_T_MAP:
		return "a mapping";
	case BF_T_PAIRS:
		return "a mapping of names to strings";
	case BF_T_LIST:
		return "a list";
	case BF_T_COUNT:
		break;
	}
	return "something else";
}

/* A choice that exists elsewhere and not here must not read like a typing error. */
static bool refuse_unbuilt_choice(struct bf_decoder *d, const struct bf_field *f,
				  const struct bf_node *node, struct bf_slice text,
				  const struct bf_path *path)
{
	char where[BF_PATH_TEXT_MAX], key[2 * BF_PATH_TEXT_MAX];

	(void)snprintf(key, sizeof(key), "%s=%.*s", bf_path_pattern(path, where),
		       BF_SLICE_FMT(text));
	const struct bf_unbuilt *row = bf_unbuilt_find(bf_slice_from(key));
	if (!row || row->class != BF_UNBUILT_CHOICE)
		return false;
	bf_diag(d->diags, BF_DIAG_ERROR, node->pos, "%s: %.*s is not part of this build: use %s",
		bf_path_text(path, where), BF_SLICE_FMT(text), f->choices[0]);
	return true;
}

static const char *choice_hint(struct bf_decoder *d, const struct bf_field *f, struct bf_slice text)
{
	struct bf_nearest nearest;

	bf_nearest_init(&nearest, text);
	for (size_t i = 0; f->choices[i]; i++)
		bf_nearest_offer(&nearest, bf_slice_from(f->choices[i]));
	if (!nearest.best.ptr)
		return "";
	const char *hint =
	    bf_arena_printf(d->arena, ": did you mean \"%.*s\"?", BF_SLICE_FMT(nearest.best));
	return hint ? hint : "";
}

static void decode_scalar(struct bf_decoder *d, const struct bf_field *f,
			  const struct bf_node *node, void *slot, const struct bf_path *path)
{
	char where[BF_PATH_TEXT_MAX];
	enum bf_text_style style;
	struct bf_slice text;
	struct bf_err err;

	if (node->type != BF_NODE_SCALAR) {
		wrong_kind(d, node, path, wanted_kind(f));
		return;
	}
	if (bf_resolve(d, f, node, path, &text, &style) < 0)
		return;
	int r = bf_value_parse(f, text, style, slot, d->arena, &err);
	if (r == 0 && f->settle)
		r = f->settle(slot, d->arena, &err);
	if (r == 0)
		return;
	bool is_choice = f->type == BF_T_ENUM && style != BF_TEXT_RESOLVED;
	if (is_choice && refuse_unbuilt_choice(d, f, node, text, path))
		return;
	bf_diag(d->diags, BF_DIAG_ERROR, node->pos, "%s: %s%s", bf_path_text(path, where), err.text,
		is_choice ? choice_hint(d, f, text) : "");
}

/* Space for a list of count elements; false when it was refused. */
static bool start_list(struct bf_decoder *d, const struct bf_field *f, const struct bf_node *node,
		       size_t item_size, struct bf_array *list, const struct bf_path *path)
{
	char where[BF_PATH_TEXT_MAX];

	*list = (struct bf_array){NULL, 0};
	if (!bf_field_admits_len(f, node->count)) {
		bf_diag(d->diags, BF_DIAG_ERROR, node->pos,
			"%s: has %u entries: at most %" PRId64 " are allowed",
			bf_path_text(path, where), node->count, f->max);
		return false;
	}
	if (node->count == 0)
		return false;
	list->items = bf_arena_alloc(d->arena, node->count * item_size);
	if (!list->items) {
		out_of_memory(d, node->pos);
		return false;
	}
	list->count = node->count;
	return true;
}

static void decode_strings(struct bf_decoder *d, const struct bf_field *f,
			   const struct bf_node *node, struct bf_array *list,
			   const struct bf_path *path)
{
	const struct bf_field element = {
	    .name = "", .max = BF_STRINGS_MAX_BYTES, .type = BF_T_STRING, .settle = f->settle};
	/* One string stands for a list of one. */
	struct bf_node single = {.type = BF_NODE_LIST, .count = 1, .pos = node->pos};
	const struct bf_node *from = node->type == BF_NODE_SCALAR ? &single : node;
	const struct bf_node *child = node->type == BF_NODE_SCALAR ? node : node->first;

	if (from->type != BF_NODE_LIST) {
		wrong_kind(d, node, path, wanted_kind(f));
		return;
	}
	if (!start_list(d, f, from, sizeof(struct bf_slice), list, path))
		return;
	for (uint32_t i = 0; i < list->count; i++, child = child->next) {
		struct bf_path here = {.up = path, .index = i, .kind = BF_PATH_INDEX};

		decode_scalar(d, &element, child, (struct bf_slice *)list->items + i, &here);
	}
}

static void decode_list(struct bf_decoder *d, const struct bf_field *f, const struct bf_node *node,
			struct bf_array *list, const struct bf_path *path)
{
	struct bf_node single = {.type = BF_NODE_LIST, .count = 1, .pos = node->pos};
	bool one = (f->flags & BF_OR_ONE) && node->type == BF_NODE_MAP;
	const struct bf_node *from = one ? &single : node, *child = one ? node : node->first;

	if (from->type != BF_NODE_LIST) {
		wrong_kind(d, node, path, f->flags & BF_OR_ONE ? "a mapping" : wanted_kind(f));
		return;
	}
	if (!start_list(d, f, from, f->sub->size, list, path))
		return;
	for (uint32_t i = 0; i < list->count; i++, child = child->next) {
		struct bf_path here = {.up = path, .index = i, .kind = BF_PATH_INDEX};

		decode_fields(d, f->sub, child, bf_array_at(list, f->sub->size, i),
			      one ? path : &here, child->pos);
	}
}

static void decode_map(struct bf_decoder *d, const struct bf_field *f, const struct bf_node *node,
		       struct bf_array *list, const struct bf_path *path)
{
	const struct bf_node *child = node->first;

	if (node->type != BF_NODE_MAP) {
		wrong_kind(d, node, path, wanted_kind(f));
		return;
	}
	if (!start_list(d, f, node, f->sub->size, list, path))
		return;
	for (uint32_t i = 0; i < list->count; i++, child = child->next) {
		struct bf_path here = {.up = path, .name = child->key, .kind = BF_PATH_NAME};
		void *item = bf_array_at(list, f->sub->size, i);

		decode_fields(d, f->sub, child, item, &here, child->key_pos);
	}
}

/* 0 when the name may stand there; otherwise it was reported. */
static int decode_pair_name(struct bf_decoder *d, const struct bf_field *f,
			    const struct bf_node *node, struct bf_conf_pair *pairs, uint32_t index,
			    const struct bf_path *path)
{
	static const struct bf_field as_text = {.max = BF_PAIR_NAME_MAX_BYTES, .type = BF_T_STRING};
	struct bf_slice *name = &pairs[index].name;
	char where[BF_PATH_TEXT_MAX];
	struct bf_err err;
	int r = bf_value_parse(&as_text, node->key, BF_TEXT_QUOTED, name, d->arena, &err);

	if (r == 0 && f->settle)
		r = f->settle(name, d->arena, &err);
	if (r < 0)
		bf_diag(d->diags, BF_DIAG_ERROR, node->key_pos, "%s: its name %s",
			bf_path_text(path, where), err.text);
	/* The canonical form may make one of two names. */
	for (uint32_t i = 0; r == 0 && i < index; i++) {
		if (!bf_slice_eq(pairs[i].name, *name))
			continue;
		bf_diag(d->diags, BF_DIAG_ERROR, node->key_pos,
			"%s: stands there twice: remove one", bf_path_text(path, where));
		r = BF_E_DUPLICATE;
	}
	return r;
}

static void decode_pairs(struct bf_decoder *d, const struct bf_field *f, const struct bf_node *node,
			 struct bf_array *list, const struct bf_path *path)
{
	static const struct bf_field value = {
	    .name = "", .max = BF_PAIR_VALUE_MAX_BYTES, .type = BF_T_SECRET};
	const struct bf_node *child = node->first;

	if (node->type != BF_NODE_MAP) {
		wrong_kind(d, node, path, wanted_kind(f));
		return;
	}
	if (!start_list(d, f, node, sizeof(struct bf_conf_pair), list, path))
		return;
	struct bf_conf_pair *pairs = list->items;
	for (uint32_t i = 0; i < list->count; i++, child = child->next) {
		struct bf_path here = {.up = path, .name = child->key, .kind = BF_PATH_NAME};

		if (decode_pair_name(d, f, child, pairs, i, &here) == 0)
			decode_scalar(d, &value, child, &pairs[i].value, &here);
	}
}

static void decode_field(struct bf_decoder *d, const struct bf_field *f, const struct bf_node *node,
			 void *slot, const struct bf_path *path)
{
	if (node->type == BF_NODE_BAD)
		return;
	switch ((enum bf_field_type)f->type) {
	case BF_T_STRINGS:
		decode_strings(d, f, node, slot, path);
		break;
	case BF_T_OBJECT:
		decode_fields(d, f->sub, node, slot, path, node->key_pos);
		break;
	case BF_T_LIST:
		decode_list(d, f, node, slot, path);
		break;
	case BF_T_MAP:
		decode_map(d, f, node, slot, path);
		break;
	case BF_T_PAIRS:
		decode_pairs(d, f, node, slot, path);
		break;
	case BF_T_BOOL:
	case BF_T_INT:
	case BF_T_UINT:
	case BF_T_DURATION:
	case BF_T_SIZE:
	case BF_T_DECIMAL:
	case BF_T_TIME:
	case BF_T_TRISTATE:
	case BF_T_STRING:
	case BF_T_SECRET:
	case BF_T_BYTES:
	case BF_T_ENUM:
	case BF_T_COUNT:
		decode_scalar(d, f, node, slot, path);
		break;
	}
}

/* Internal fields and the key of a map's item are no keys of the file. */
static const struct bf_field *find_field(const struct bf_table *table, struct bf_slice name,
					 bool skip_first)
{
	for (uint16_t i = skip_first ? 1 : 0; i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];

		if (!(f->flags & BF_INTERNAL) && bf_slice_is(name, f->name))
			return f;
	}
	return NULL;
}

/* null stands for "not given", as in Bifrost. */
static void decode_members(struct bf_decoder *d, const struct bf_table *table,
			   const struct bf_node *node, void *object, const struct bf_path *path,
			   uint64_t *seen)
{
	bool in_map = path && path->kind == BF_PATH_NAME;

	for (const struct bf_node *child = node->first; child; child = child->next) {
		struct bf_path here = {.up = path, .name = child->key, .kind = BF_PATH_KEY};
		const struct bf_field *f = find_field(table, child->key, in_map);

		if (!f) {
			bf_decode_unknown(d, table, child, &here);
			continue;
		}
		if (bf_node_is_null(child))
			continue;
		*seen |= UINT64_C(1) << (f - table->fields);
		decode_field(d, f, child, bf_field_slot(f, object), &here);
	}
}

static void report_missing(struct bf_decoder *d, const struct bf_table *table,
			   const struct bf_path *path, struct bf_pos where, uint64_t seen)
{
	char text[BF_PATH_TEXT_MAX];

	for (uint16_t i = 0; i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];

		if ((f->flags & BF_REQUIRED) && !(seen & (UINT64_C(1) << i)))
			bf_diag(d->diags, BF_DIAG_ERROR, where, "%s: \"%s\" is missing: add it",
				bf_path_text(path, text), f->name);
	}
}

/* The key of a map's member becomes the first field of the item, before the item's check asks for
 * it. */
static void decode_map_key(struct bf_decoder *d, const struct bf_table *table,
			   const struct bf_path *path, struct bf_pos where, void *object)
{
	char text[BF_PATH_TEXT_MAX];
	struct bf_err err;
	const struct bf_field *f = &table->fields[0];
	int r =
	    bf_value_parse(f, path->name, BF_TEXT_QUOTED, bf_field_slot(f, object), d->arena, &err);

	if (r < 0)
		bf_diag(d->diags, BF_DIAG_ERROR, where, "%s: its name %s", bf_path_text(path, text),
			err.text);
}

static void decode_fields(struct bf_decoder *d, const struct bf_table *table,
			  const struct bf_node *node, void *object, const struct bf_path *path,
			  struct bf_pos where)
{
	uint32_t errors = d->diags->error_count;
	char text[BF_PATH_TEXT_MAX];
	struct bf_err err = {.code = 0};
	uint64_t seen = path && path->kind == BF_PATH_NAME;

	if (bf_table_defaults(table, object, d->arena) < 0)
		out_of_memory(d, where);
	if (seen)
		decode_map_key(d, table, path, where, object);
	if (!node || bf_node_is_null(node))
		node = NULL;
	else if (node->type == BF_NODE_MAP)
		decode_members(d, table, node, object, path, &seen);
	else
		wrong_kind(d, node, path, "a mapping");
	report_missing(d, table, path, where, seen);
	/* With an error inside, a check over several fields would only report its echo. */
	if (!table->check || d->diags->error_count != errors || table->check(object, &err) == 0)
		return;
	bf_diag(d->diags, BF_DIAG_ERROR, where, "%s: %s", bf_path_text(path, text), err.text);
}

void bf_decode_members(struct bf_decoder *d, const struct bf_table *table,
		       const struct bf_node *node, void *object)
{
	uint32_t errors = d->diags->error_count;
	struct bf_err err = {.code = 0};
	uint64_t seen = 0;

	decode_members(d, table, node, object, NULL, &seen);
	if (table->check && d->diags->error_count == errors && table->check(object, &err) < 0)
		bf_diag(d->diags, BF_DIAG_ERROR, node->pos, "%s", err.text);
}

void bf_decode_object(struct bf_decoder *d, const struct bf_table *table,
		      const struct bf_node *node, void *object)
{
	decode_fields(d, table, node, object, NULL, node ? node->pos : (struct bf_pos){0, 0});
}

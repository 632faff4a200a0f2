/*
 * A client's JSON as the struct of its table, new or over what there is. Called by writerd for each
 * change. Must never refer to the environment or to files: the text comes from outside.
 */
#include "common/schema/entity_parse.h"

#include <string.h>

#include "common/base/num.h"
#include "common/schema/decode.h"
#include "common/schema/entity_priv.h"

/* Answers show these, so clients send them back. */
#define USAGE(what) what "current_usage", what "held", what "window_start", what "window_end"
static const char *const shown[] = {"version",
				    "created_at",
				    "updated_at",
				    "value_hint",
				    "from_file",
				    "quarantined",
				    USAGE(""),
				    USAGE("token_"),
				    USAGE("request_"),
				    USAGE("concurrent_"),
				    "effective_max_limit",
				    "override_cycles_remaining",
				    "override_ends_at"};
#undef USAGE
/* Of a rate limit, behind "token_" and the like. */
static const char *const shown_ends[] = {"_current_usage", "_held", "_window_start", "_window_end"};
/* {} of these is none. */
static const char *const single[] = {"rate_limit", "budget"};

static bool is_one_of(struct bf_slice name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bf_slice_is(name, names[i]))
			return true;
	return false;
}

static bool is_shown(struct bf_slice name)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(shown_ends); i++) {
		struct bf_slice end = bf_slice_from(shown_ends[i]);

		if (name.len > end.len &&
		    memcmp(name.ptr + name.len - end.len, end.ptr, end.len) == 0)
			return true;
	}
	return is_one_of(name, shown, BF_ARRAY_LEN(shown));
}

/* ---- the tree */

static void make_null(struct bf_node *node)
{
	node->type = BF_NODE_SCALAR;
	node->style = BF_TEXT_PLAIN;
	node->text = BF_SLICE_LIT("null");
	node->first = NULL;
	node->count = 0;
}

static void unlink_shown(struct bf_node *map)
{
	struct bf_node **at = &map->first;

	while (*at) {
		if (is_shown((*at)->key)) {
			*at = (*at)->next;
			map->count--;
		} else {
			at = &(*at)->next;
		}
	}
}

/* Nodes nest at most BF_NODE_MAX_DEPTH deep. */
static void tidy(struct bf_node *node)
{
	if (node->type == BF_NODE_MAP)
		unlink_shown(node);
	for (struct bf_node *child = node->first; child; child = child->next) {
		bool is_none = child->type == BF_NODE_MAP && !child->first &&
			       is_one_of(child->key, single, BF_ARRAY_LEN(single));

		if (is_none)
			make_null(child);
		else
			tidy(child);
	}
}

static void take_expected(struct bf_entity_body *body)
{
	struct bf_node **at = &body->root->first;

	while (*at && !bf_slice_is((*at)->key, "expected_version"))
		at = &(*at)->next;
	if (!*at)
		return;
	struct bf_node *node = *at;
	*at = node->next;
	body->root->count--;
	if (bf_node_is_null(node))
		return;
	if (node->type != BF_NODE_SCALAR || node->style != BF_TEXT_PLAIN ||
	    bf_parse_u64(node->text, &body->expected_version) < 0)
		bf_diag(&body->diags, BF_DIAG_ERROR, node->pos,
			"expected_version: must be a whole number: the version that was read");
}

static void read_tree(struct bf_entity_body *body, struct bf_slice json)
{
	struct bf_err err = {.code = 0};
	struct bf_tree tree;

	bf_tree_init(&tree, body->arena, &body->diags);
	if (bf_json_read(json, &tree, &err) < 0) {
		bf_diag(&body->diags, BF_DIAG_ERROR, (struct bf_pos){0, 0}, "not JSON: %s",
			err.text);
		return;
	}
	if (!tree.failed && (!tree.root || tree.root->type != BF_NODE_MAP))
		bf_diag(&body->diags, BF_DIAG_ERROR, (struct bf_pos){0, 0},
			"must be a JSON object");
	else
		body->root = tree.root;
	if (body->diags.error_count)
		return;
	take_expected(body);
	tidy(body->root);
	entity_rename(body);
}

/* ---- members that become what they are when they are not given */

static size_t slot_size(const struct bf_field *f)
{
	switch ((enum bf_field_type)f->type) {
	case BF_T_BOOL:
		return sizeof(bool);
	case BF_T_TRISTATE:
	case BF_T_ENUM:
		return sizeof(int32_t);
	case BF_T_INT:
	case BF_T_UINT:
	case BF_T_DURATION:
	case BF_T_SIZE:
	case BF_T_DECIMAL:
	case BF_T_TIME:
		return sizeof(int64_t);
	case BF_T_STRING:
	case BF_T_SECRET:
	case BF_T_BYTES:
		return sizeof(struct bf_slice);
	case BF_T_STRINGS:
	case BF_T_LIST:
	case BF_T_MAP:
	case BF_T_PAIRS:
		return sizeof(struct bf_array);
	case BF_T_OBJECT:
		return f->sub->size;
	case BF_T_COUNT:
		break;
	}
	return 0;
}

static void reset_one(struct bf_entity_body *body, const struct bf_field *f,
		      const struct bf_node *node, void *object)
{
	char *defaults = bf_arena_alloc(body->arena, body->table->size);

	if (f->flags & BF_REQUIRED)
		bf_diag(&body->diags, BF_DIAG_ERROR, node->pos,
			"%s: is required and cannot be removed: give another value, or leave it "
			"out",
			f->name);
	else if (!defaults || bf_table_defaults(body->table, defaults, body->arena) < 0)
		bf_diag(&body->diags, BF_DIAG_ERROR, node->pos, "does not fit into memory");
	else
		memcpy(bf_field_slot(f, object), defaults + f->offset, slot_size(f));
}

static void reset(struct bf_entity_body *body, void *object)
{
	for (const struct bf_node *node = body->root->first; node; node = node->next) {
		if (node->type == BF_NODE_BAD || !bf_node_is_null(node))
			continue;
		for (uint16_t i = 0; i < body->table->field_count; i++) {
			const struct bf_field *f = &body->table->fields[i];

			if (!(f->flags & BF_INTERNAL) && bf_slice_is(node->key, f->name))
				reset_one(body, f, node, object);
		}
	}
}

/* ---- all of it */

/* What this build does not have would be accepted and do nothing. */
static void refuse_unbuilt(struct bf_decoder *d)
{
	for (const struct bf_unbuilt_use *use = d->uses; use; use = use->next)
		bf_diag(d->diags, BF_DIAG_ERROR, use->pos,
			"%s: is not part of this build: remove it", use->dotted);
}

/* Keys of a provider may be given one by one, behind the provider. */
static struct bf_table live_table(const struct bf_table *of_files)
{
	struct bf_table table = *of_files;

	if (of_files == &bf_provider_table)
		table.check = bf_provider_check_live;
	return table;
}

/* The check comes when secrets that were not given anew are back. */
static void decode_over(struct bf_entity_body *body, struct bf_decoder *d, void *object)
{
	struct bf_table table = live_table(body->table), unchecked = table;
	struct bf_err err = {.code = 0};

	unchecked.check = NULL;
	bf_decode_members(d, &unchecked, body->root, object);
	if (body->diags.error_count)
		return;
	entity_keep_secrets(body, object);
	if (body->diags.error_count == 0 && table.check && table.check(object, &err) < 0)
		bf_diag(&body->diags, BF_DIAG_ERROR, body->root->pos, "%s", err.text);
}

static void decode(struct bf_entity_body *body, void *object)
{
	struct bf_table table = live_table(body->table);
	struct bf_decoder d;

	bf_decoder_init(&d, body->arena, &body->diags, NULL, (struct bf_slice){NULL, 0});
	d.prefix = body->table->name;
	if (body->before) {
		memcpy(object, body->before, body->table->size);
		reset(body, object);
		entity_replace(body, object);
		decode_over(body, &d, object);
	} else {
		bf_decode_object(&d, &table, body->root, object);
	}
	refuse_unbuilt(&d);
}

/* Whom nobody can name, in lists, logs and requests, has none. */
static bool is_blank(struct bf_slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] != ' ')
			return false;
	return true;
}

static void refuse_blank(struct bf_entity_body *body, const void *object)
{
	for (uint16_t i = 0; i < body->table->field_count; i++) {
		const struct bf_field *f = &body->table->fields[i];

		if (f->type == BF_T_STRING && f->flags & BF_REQUIRED &&
		    bf_entity_gives(body, f->name) &&
		    is_blank(*(const struct bf_slice *)bf_field_slot_const(f, object)))
			bf_entity_blame(body, f->name, "is empty: give it a text");
	}
}

/* Nobody could ask for it: clients fold the first two away, the last is a path of its own. */
static void refuse_unaskable(struct bf_entity_body *body)
{
	const struct bf_node *id = bf_node_member(body->root, "id");

	if (!id || id->type != BF_NODE_SCALAR)
		return;
	if (bf_slice_is(id->text, ".") || bf_slice_is(id->text, "..") ||
	    (body->table == &bf_virtual_key_table && bf_slice_is(id->text, "quota")))
		bf_entity_blame(body, "id", "could not be asked for by its path: give another one");
}

int bf_entity_parse(const struct bf_table *table, struct bf_slice json, const void *before,
		    struct bf_arena *arena, void *ret_object, struct bf_entity_body *ret_body)
{
	struct bf_entity_body *body = ret_body;

	*body = (struct bf_entity_body){.table = table, .arena = arena, .before = before};
	bf_diags_init(&body->diags, BF_SLICE_LIT("body"), arena);
	read_tree(body, json);
	if (body->diags.error_count == 0)
		decode(body, ret_object);
	if (body->diags.error_count == 0)
		refuse_blank(body, ret_object);
	if (body->diags.error_count == 0 && !before)
		refuse_unaskable(body);
	if (body->diags.error_count == 0 && before)
		entity_keep_ids(body, ret_object);
	return body->diags.error_count ? BF_E_SYNTAX : 0;
}

bool bf_entity_gives(const struct bf_entity_body *body, const char *member)
{
	return body->root && bf_is_given(body->root, member);
}

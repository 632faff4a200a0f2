/*
 * Builds the node tree from a flat run of events. Called by the two readers. Must stay linear in
 * the size of the input, whatever it holds: duplicate keys are found by sorting.
 */
#include "common/schema/node.h"

#include <stdlib.h>
#include <string.h>

void bf_tree_init(struct bf_tree *t, struct bf_arena *arena, struct bf_diags *diags)
{
	memset(t, 0, sizeof(*t));
	t->arena = arena;
	t->diags = diags;
}

void bf_tree_fail(struct bf_tree *t, struct bf_pos pos, const char *text)
{
	if (t->failed)
		return;
	t->failed = true;
	bf_diag(t->diags, BF_DIAG_ERROR, pos, "%s", text);
}

static struct bf_tree_frame *top(struct bf_tree *t)
{
	return t->depth ? &t->stack[t->depth - 1] : NULL;
}

static void link_child(struct bf_tree_frame *f, struct bf_node *node)
{
	if (f->last)
		f->last->next = node;
	else
		f->node->first = node;
	f->last = node;
	f->node->count++;
}

/* The next node of a map is a key. */
static void take_key(struct bf_tree *t, struct bf_tree_frame *f, const struct bf_node *node)
{
	f->have_key = true;
	f->key = node->text;
	f->key_pos = node->pos;
	f->key_is_bad = node->type != BF_NODE_SCALAR;
	if (f->key_is_bad && node->type != BF_NODE_BAD)
		bf_diag(t->diags, BF_DIAG_ERROR, node->pos,
			"%s cannot be a key: write one word or a quoted string",
			bf_node_kind(node));
}

static void attach(struct bf_tree *t, struct bf_node *node)
{
	struct bf_tree_frame *f = top(t);

	if (!f) {
		t->root = node;
		return;
	}
	if (f->node->type != BF_NODE_MAP) {
		link_child(f, node);
		return;
	}
	if (!f->have_key) {
		take_key(t, f, node);
		return;
	}
	f->have_key = false;
	node->key = f->key;
	node->key_pos = f->key_pos;
	if (!f->key_is_bad)
		link_child(f, node);
}

static struct bf_node *new_node(struct bf_tree *t, enum bf_node_type type, struct bf_pos pos)
{
	if (t->failed)
		return NULL;
	if (t->node_count == BF_NODE_MAX_COUNT) {
		bf_tree_fail(t, pos, "more than 1000000 values: this is no configuration");
		return NULL;
	}
	struct bf_node *node = bf_arena_alloc(t->arena, sizeof(*node));
	if (!node) {
		bf_tree_fail(t, pos, "the file does not fit into memory: make it smaller");
		return NULL;
	}
	t->node_count++;
	node->type = (uint8_t)type;
	node->pos = pos;
	return node;
}

void bf_tree_scalar(struct bf_tree *t, struct bf_slice text, enum bf_text_style style,
		    struct bf_pos pos)
{
	struct bf_node *node = new_node(t, BF_NODE_SCALAR, pos);

	if (!node)
		return;
	node->text = text;
	node->style = (uint8_t)style;
	attach(t, node);
}

void bf_tree_bad(struct bf_tree *t, struct bf_pos pos)
{
	struct bf_node *node = new_node(t, BF_NODE_BAD, pos);

	if (node)
		attach(t, node);
}

void bf_tree_open(struct bf_tree *t, enum bf_node_type type, struct bf_pos pos)
{
	if (t->depth == BF_NODE_MAX_DEPTH) {
		bf_tree_fail(t, pos, "nested more than 32 deep: flatten it");
		return;
	}
	struct bf_node *node = new_node(t, type, pos);
	if (!node)
		return;
	attach(t, node);
	t->stack[t->depth++] = (struct bf_tree_frame){.node = node};
}

static int compare_members(const void *va, const void *vb)
{
	const struct bf_node *const *a = va;
	const struct bf_node *const *b = vb;
	const struct bf_slice x = (*a)->key, y = (*b)->key;
	int r = memcmp(x.ptr ? x.ptr : "", y.ptr ? y.ptr : "", x.len < y.len ? x.len : y.len);

	if (r != 0)
		return r;
	if (x.len != y.len)
		return x.len < y.len ? -1 : 1;
	if ((*a)->key_pos.line != (*b)->key_pos.line)
		return (*a)->key_pos.line < (*b)->key_pos.line ? -1 : 1;
	if ((*a)->key_pos.col != (*b)->key_pos.col)
		return (*a)->key_pos.col < (*b)->key_pos.col ? -1 : 1;
	return 0;
}

static void refuse_duplicates(struct bf_tree *t, struct bf_node *map)
{
	if (map->count < 2)
		return;
	struct bf_node **members = calloc(map->count, sizeof(struct bf_node *));
	if (!members) {
		bf_tree_fail(t, map->pos, "the file does not fit into memory: make it smaller");
		return;
	}
	uint32_t n = 0;
	for (struct bf_node *m = map->first; m && n < map->count; m = m->next)
		members[n++] = m;
	qsort(members, n, sizeof(struct bf_node *), compare_members);
	for (uint32_t i = 1, first = 0; i < n; i++) {
		if (!bf_slice_eq(members[first]->key, members[i]->key)) {
			first = i;
			continue;
		}
		bf_diag(t->diags, BF_DIAG_ERROR, members[i]->key_pos,
			"duplicate key \"%.80s\": it stands in line %u already; remove one",
			members[i]->key.ptr, members[first]->key_pos.line);
		members[i]->type = BF_NODE_BAD;
	}
	free(members);
}

void bf_tree_close(struct bf_tree *t)
{
	if (t->failed || t->depth == 0)
		return;
	struct bf_node *node = t->stack[--t->depth].node;
	if (node->type == BF_NODE_MAP)
		refuse_duplicates(t, node);
}

const struct bf_node *bf_node_member(const struct bf_node *map, const char *key)
{
	if (!map || map->type != BF_NODE_MAP)
		return NULL;
	for (const struct bf_node *m = map->first; m; m = m->next)
		if (bf_slice_is(m->key, key) && m->type != BF_NODE_BAD)
			return m;
	return NULL;
}

const struct bf_node *bf_node_child(const struct bf_node *parent, uint32_t index)
{
	const struct bf_node *child = parent ? parent->first : NULL;

	while (child && index-- > 0)
		child = child->next;
	return child;
}

struct bf_pos bf_node_pos(const struct bf_node *node)
{
	return node ? node->pos : (struct bf_pos){0, 0};
}

bool bf_node_is_null(const struct bf_node *node)
{
	const char *kind;

	if (node->type != BF_NODE_SCALAR || node->style != BF_TEXT_PLAIN)
		return false;
	kind = bf_plain_kind(node->text);
	return kind && strcmp(kind, "null") == 0;
}

const char *bf_node_kind(const struct bf_node *node)
{
	const char *kind;

	switch ((enum bf_node_type)node->type) {
	case BF_NODE_LIST:
		return "a list";
	case BF_NODE_MAP:
		return "a mapping";
	case BF_NODE_SCALAR:
		kind = node->style == BF_TEXT_PLAIN ? bf_plain_kind(node->text) : NULL;
		return kind ? kind : "a string";
	case BF_NODE_BAD:
		break;
	}
	return "a bad value";
}

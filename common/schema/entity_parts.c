/*
 * What is wrong with an entity, as a client is told: a JSON pointer and a text each. Called by
 * writerd before it answers. The position of a diagnostic says which node it is about: no two nodes
 * of a text stand at the same place.
 */
#include "common/schema/entity_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POINTER_MAX 256

static bool is_at(struct bf_pos a, const struct bf_diag *d)
{
	return a.line == d->line && a.col == d->col;
}

static void step(char pointer[POINTER_MAX], size_t *io_len, const struct bf_node *parent,
		 const struct bf_node *child, uint32_t index)
{
	size_t at = *io_len;

	if (parent->type == BF_NODE_LIST) {
		at += (size_t)snprintf(pointer + at, POINTER_MAX - at, "/%u", index);
	} else {
		pointer[at++] = '/';
		for (size_t i = 0; i < child->key.len && at + 3 < POINTER_MAX; i++) {
			char c = child->key.ptr[i];

			if (c == '~' || c == '/')
				pointer[at++] = '~';
			pointer[at++] = c == '~' ? '0' : c == '/' ? '1' : c;
		}
	}
	*io_len = at;
}

/* Bounded by the depth of the tree. */
static bool find(const struct bf_node *node, const struct bf_diag *d, char pointer[POINTER_MAX],
		 size_t *io_len)
{
	uint32_t index = 0;
	size_t len = *io_len;

	if (is_at(node->pos, d))
		return true;
	for (const struct bf_node *child = node->first; child; child = child->next, index++) {
		/* What is too deep is told of what it stands in. */
		if (len + child->key.len + 16 >= POINTER_MAX)
			continue;
		step(pointer, io_len, node, child, index);
		if (is_at(child->key_pos, d) || find(child, d, pointer, io_len))
			return true;
		*io_len = len;
	}
	return false;
}

static struct bf_slice pointer_of(struct bf_entity_body *body, const struct bf_diag *d)
{
	char pointer[POINTER_MAX];
	size_t len = 0;

	if (!body->root || d->line == 0 || !find(body->root, d, pointer, &len))
		len = 0;
	return bf_arena_dup(body->arena, (struct bf_slice){pointer, len});
}

static struct bf_slice without(struct bf_slice text, const char *lead)
{
	struct bf_slice prefix = bf_slice_from(lead);

	if (!bf_slice_starts(text, prefix))
		return text;
	return (struct bf_slice){text.ptr + prefix.len, text.len - prefix.len};
}

struct bf_array bf_entity_parts(struct bf_entity_body *body)
{
	const struct bf_diag *items;
	struct bf_problem_part *parts;
	uint32_t count = 0;

	bf_diags_finish(&body->diags);
	items = body->diags.list.items;
	parts = bf_arena_alloc(body->arena, (body->diags.list.count + 1) * sizeof(*parts));
	for (uint32_t i = 0; parts && i < body->diags.list.count; i++) {
		if (items[i].is_warning)
			continue;
		parts[count++] = (struct bf_problem_part){pointer_of(body, &items[i]),
							  without(items[i].text, "the file: ")};
	}
	return (struct bf_array){parts, count};
}

void entity_strip_place(struct bf_entity_body *body, const char *block)
{
	struct bf_diag *items = body->diags.list.items;
	char inside[64], whole[64];

	(void)snprintf(inside, sizeof(inside), "governance.%s[0].", block);
	(void)snprintf(whole, sizeof(whole), "governance.%s[0]: ", block);
	for (uint32_t i = 0; i < body->diags.list.count; i++)
		items[i].text = without(without(items[i].text, inside), whole);
}

/* ---- faults of the caller's finding */

/* The node of "a[1].b", or the deepest there is on the way. */
static const struct bf_node *node_at(const struct bf_node *node, const char *path)
{
	while (node && *path) {
		size_t len = strcspn(path, ".[");
		const struct bf_node *next = NULL;

		if (*path == '[') {
			next = bf_node_child(node, (uint32_t)strtoul(path + 1, NULL, 10));
			len = strcspn(path, "]") + 1;
		} else {
			for (const struct bf_node *m = node->first; m; m = m->next)
				if (bf_slice_eq(m->key, (struct bf_slice){path, len}))
					next = m;
		}
		if (!next)
			return node;
		node = next;
		path += len + (path[len] == '.');
	}
	return node;
}

void bf_entity_blame(struct bf_entity_body *body, const char *member, const char *text)
{
	const struct bf_node *node = member ? node_at(body->root, member) : body->root;

	bf_diag(&body->diags, BF_DIAG_ERROR, bf_node_pos(node), "%s%s%s", member ? member : "",
		member ? ": " : "", text);
}

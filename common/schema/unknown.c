/*
 * Keys that no table has: typing errors get the nearest valid name; Bifrost's own keys that are not
 * built here are noted and settled once supervisor.accept_unbuilt is known. Called by the decoder.
 * Must never let a key pass in silence.
 */
#include <stdio.h>
#include <string.h>

#include "common/schema/config_priv.h"
#include "common/schema/decode.h"
#include "common/schema/nearest.h"

/* The names valid at this place, for the hint: those of the table and those of unbuilt.c below the
 * same parent. */
static void offer_names(struct bf_nearest *nearest, const struct bf_table *table, bool skip_first,
			struct bf_slice parent)
{
	for (uint16_t i = skip_first ? 1 : 0; table && i < table->field_count; i++)
		if (!(table->fields[i].flags & BF_INTERNAL))
			bf_nearest_offer(nearest, bf_slice_from(table->fields[i].name));
	for (size_t i = 0; i < bf_unbuilt_count; i++) {
		struct bf_slice name = bf_unbuilt_child(&bf_unbuilt_table[i], parent);

		if (name.ptr && !bf_slice_is(name, "*"))
			bf_nearest_offer(nearest, name);
	}
}

static void list_names(const struct bf_table *table, bool skip_first, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (uint16_t i = skip_first ? 1 : 0; table && i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];

		if (f->flags & BF_INTERNAL)
			continue;
		int n = snprintf(out + used, size - used, "%s%s",
				 used ? ", " : ": valid here: ", f->name);
		if (n < 0 || (size_t)n >= size - used)
			return;
		used += (size_t)n;
	}
}

static void report_unknown(struct bf_decoder *d, const struct bf_table *table,
			   const struct bf_node *node, const struct bf_path *path,
			   struct bf_slice parent)
{
	char where[BF_PATH_TEXT_MAX], names[400], place[BF_PATH_TEXT_MAX + 8] = "";
	bool skip_first = path->up && path->up->kind == BF_PATH_NAME;
	struct bf_nearest nearest;

	/* Nobody will see it: do not search names for a million of them. */
	if (d->diags->error_count > BF_DIAGS_MAX) {
		bf_diag(d->diags, BF_DIAG_ERROR, node->key_pos, "unknown key");
		return;
	}
	bf_nearest_init(&nearest, node->key);
	offer_names(&nearest, table, skip_first, parent);
	if (path->up)
		(void)snprintf(place, sizeof(place), " in %s", bf_path_text(path->up, where));
	if (nearest.best.ptr) {
		bf_diag(d->diags, BF_DIAG_ERROR, node->key_pos,
			"unknown key \"%.80s\"%s: did you mean \"%.*s\"?", node->key.ptr, place,
			BF_SLICE_FMT(nearest.best));
		return;
	}
	list_names(table, skip_first, names, sizeof(names));
	bf_diag(d->diags, BF_DIAG_ERROR, node->key_pos, "unknown key \"%.80s\"%s%s", node->key.ptr,
		place, names[0] ? names : ": remove it");
}

static void note_use(struct bf_decoder *d, const struct bf_unbuilt *row, const struct bf_node *node,
		     const struct bf_path *path)
{
	char where[BF_PATH_TEXT_MAX];
	struct bf_unbuilt_use *use = bf_arena_alloc(d->arena, sizeof(*use));

	if (use)
		use->dotted = bf_arena_printf(d->arena, "%s", bf_path_text(path, where));
	if (!use || !use->dotted) {
		bf_diag(d->diags, BF_DIAG_ERROR, node->key_pos,
			"the configuration does not fit into memory");
		return;
	}
	use->row = row;
	use->pos = node->key_pos;
	*d->uses_tail = use;
	d->uses_tail = &use->next;
}

/* A block such as governance, of which every member is unbuilt but has a class of its own. */
static void decode_group(struct bf_decoder *d, const struct bf_node *node,
			 const struct bf_path *path)
{
	char where[BF_PATH_TEXT_MAX];

	if (node->type == BF_NODE_BAD || bf_node_is_null(node))
		return;
	if (node->type != BF_NODE_MAP) {
		bf_diag(d->diags, BF_DIAG_ERROR, node->pos, "%s: must be a mapping, not %s",
			bf_path_text(path, where), bf_node_kind(node));
		return;
	}
	for (const struct bf_node *child = node->first; child; child = child->next) {
		struct bf_path here = {.up = path, .name = child->key, .kind = BF_PATH_KEY};

		bf_decode_unknown(d, NULL, child, &here);
	}
}

/* As unbuilt.c names it. */
static struct bf_slice pattern_of(const struct bf_decoder *d, const struct bf_path *path,
				  char out[2 * BF_PATH_TEXT_MAX])
{
	char pattern[BF_PATH_TEXT_MAX];

	(void)bf_path_pattern(path, pattern);
	(void)snprintf(out, 2 * BF_PATH_TEXT_MAX, "%s%s%s", d->prefix ? d->prefix : "",
		       d->prefix && pattern[0] ? "." : "", pattern);
	return bf_slice_from(out);
}

void bf_decode_unknown(struct bf_decoder *d, const struct bf_table *table,
		       const struct bf_node *node, const struct bf_path *path)
{
	char pattern[2 * BF_PATH_TEXT_MAX], parent[2 * BF_PATH_TEXT_MAX];

	if (node->type == BF_NODE_BAD)
		return;
	struct bf_slice dotted = pattern_of(d, path, pattern);
	const struct bf_unbuilt *row = bf_unbuilt_find(dotted);
	if (row && row->class != BF_UNBUILT_CHOICE) {
		if (bf_unbuilt_asks(row, node))
			note_use(d, row, node, path);
		return;
	}
	if (bf_unbuilt_is_group(dotted)) {
		decode_group(d, node, path);
		return;
	}
	report_unknown(d, table, node, path, pattern_of(d, path->up, parent));
}

/* An entry accepts the key as written in the file, with "*" for chosen names, or with indices left
 * out. */
static bool accepts(struct bf_slice entry, const struct bf_unbuilt_use *use)
{
	return bf_slice_is(entry, use->row->key) || bf_slice_is(entry, use->dotted);
}

static bool is_accepted(const struct bf_array *accepted, const struct bf_unbuilt_use *use)
{
	const struct bf_slice *entries = accepted->items;

	for (uint32_t i = 0; i < accepted->count; i++)
		if (entries[i].ptr && accepts(entries[i], use))
			return true;
	return false;
}

static void settle_use(struct bf_decoder *d, const struct bf_array *accepted,
		       const struct bf_unbuilt_use *use)
{
	if (use->row->class == BF_UNBUILT_TUNING)
		bf_diag(d->diags, BF_DIAG_WARNING, use->pos,
			"%s is not part of this build and has no effect", use->dotted);
	else if (is_accepted(accepted, use))
		bf_diag(d->diags, BF_DIAG_WARNING, use->pos,
			"%s is not part of this build and is not enforced (accepted by "
			"supervisor.accept_unbuilt)",
			use->dotted);
	else
		bf_diag(d->diags, BF_DIAG_ERROR, use->pos,
			"%s is not part of this build and would not be enforced: remove it, or "
			"list \"%s\" in "
			"supervisor.accept_unbuilt to start without it",
			use->dotted, use->row->key);
}

/* A stale entry would accept a later typing error; it is told, not refused, so that an upgrade may
 * build the key. */
static void warn_stale(struct bf_decoder *d, const struct bf_node *root,
		       const struct bf_array *accepted)
{
	const struct bf_slice *entries = accepted->items;
	const struct bf_node *list =
	    bf_node_member(bf_node_member(root, "supervisor"), "accept_unbuilt");
	const struct bf_node *node = list && list->type == BF_NODE_LIST ? list->first : NULL;

	for (uint32_t i = 0; i < accepted->count; i++, node = node ? node->next : NULL) {
		bool used = false;

		for (const struct bf_unbuilt_use *use = d->uses; use && !used; use = use->next)
			used = entries[i].ptr && accepts(entries[i], use);
		if (used || !entries[i].ptr)
			continue;
		struct bf_pos pos = node ? node->pos : list ? list->pos : (struct bf_pos){0, 0};
		bf_diag(
		    d->diags, BF_DIAG_WARNING, pos,
		    "supervisor.accept_unbuilt: \"%.*s\" accepts no key of this file: remove it",
		    BF_SLICE_FMT(entries[i]));
	}
}

static bool is_listed(const struct bf_array *names, const char *dotted)
{
	const struct bf_slice *items = names->items;

	for (uint32_t i = 0; i < names->count; i++)
		if (bf_slice_is(items[i], dotted))
			return true;
	return false;
}

void bf_unbuilt_settle(struct bf_decoder *d, const struct bf_node *root,
		       const struct bf_array *accepted, struct bf_array *names)
{
	struct bf_slice *items = bf_arena_alloc(d->arena, BF_UNBUILT_NAMES_MAX * sizeof(*items));

	*names = (struct bf_array){items, 0};
	for (const struct bf_unbuilt_use *use = d->uses; use; use = use->next) {
		settle_use(d, accepted, use);
		if (items && names->count < BF_UNBUILT_NAMES_MAX && !is_listed(names, use->dotted))
			items[names->count++] = bf_slice_from(use->dotted);
	}
	if (names->count == 0)
		names->items = NULL;
	warn_stale(d, root, accepted);
}

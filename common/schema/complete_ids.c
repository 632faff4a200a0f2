/*
 * Names and ids of entries: made where they are missing, and each only once. Called by the parts of
 * complete.c. Must never show a secret.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "common/base/rand.h"
#include "common/schema/config_priv.h"

static int compare(const void *va, const void *vb)
{
	const struct bf_ref *a = va, *b = vb;
	int r = bf_slice_compare(a->text, b->text);

	if (r != 0)
		return r;
	struct bf_pos x = bf_node_pos(a->node), y = bf_node_pos(b->node);
	if (x.line != y.line)
		return x.line < y.line ? -1 : 1;
	return x.col < y.col ? -1 : x.col > y.col;
}

void bf_refs_sort(struct bf_refs *refs)
{
	if (refs->count)
		qsort(refs->items, refs->count, sizeof(*refs->items), compare);
}

static int compare_alone(const void *va, const void *vb)
{
	const struct bf_ref *a = va, *b = vb;

	return bf_slice_compare(a->text, b->text);
}

const struct bf_ref *bf_refs_find(const struct bf_refs *refs, struct bf_slice text)
{
	const struct bf_ref key = {.text = text};

	if (refs->count == 0 || text.len == 0)
		return NULL;
	return bsearch(&key, refs->items, refs->count, sizeof(*refs->items), compare_alone);
}

void bf_refs_check(struct bf_whole *w, struct bf_refs *refs, const char *thing, const char *what,
		   bool secret)
{
	bf_refs_sort(refs);
	for (size_t i = 1; i < refs->count; i++) {
		const struct bf_ref *first = &refs->items[i - 1], *again = &refs->items[i];
		uint32_t line = bf_node_pos(first->node).line;

		if (!bf_slice_eq(first->text, again->text))
			continue;
		if (secret)
			bf_diag(w->diags, BF_DIAG_ERROR, bf_node_pos(again->node),
				"this %s stands in line %u already: every %s needs its own", what,
				line, thing);
		else
			bf_diag(w->diags, BF_DIAG_ERROR, bf_node_pos(again->node),
				"the %s %s \"%.*s\" stands in line %u already: every %s needs its "
				"own",
				thing, what, BF_SLICE_FMT(again->text), line, thing);
	}
}

int bf_refs_init(struct bf_whole *w, struct bf_refs *refs, size_t most)
{
	*refs = (struct bf_refs){.items = calloc(most + 1, sizeof(*refs->items))};
	if (refs->items)
		return 0;
	bf_whole_is_full(w);
	return -1;
}

void bf_refs_add(struct bf_refs *refs, struct bf_slice text, const struct bf_node *node)
{
	if (text.len) {
		refs->items[refs->count] = (struct bf_ref){text, node, refs->next};
		refs->count++;
	}
	refs->next++;
}

void bf_refs_add_id(struct bf_refs *refs, struct bf_slice id, const struct bf_node *entry,
		    const char *named_by)
{
	bf_refs_add(refs, id, bf_node_member(entry, bf_is_given(entry, "id") ? "id" : named_by));
}

void bf_refs_check_both(struct bf_whole *w, struct bf_refs *names, struct bf_refs *ids,
			const char *thing)
{
	uint32_t errors = w->diags->error_count;

	bf_refs_check(w, names, thing, "name", false);
	/* Of two equal names two equal ids were made. */
	if (w->diags->error_count == errors)
		bf_refs_check(w, ids, thing, "id", false);
}

void bf_refs_done(struct bf_refs *refs)
{
	free(refs->items);
	*refs = (struct bf_refs){.items = NULL};
}

void bf_whole_is_full(struct bf_whole *w)
{
	bf_diag(w->diags, BF_DIAG_ERROR, (struct bf_pos){0, 0},
		"the configuration does not fit into memory");
}

/* The same text always gives the same id: rows, metrics and limits of two starts fit together. */
void bf_id_derive(struct bf_whole *w, struct bf_slice from, struct bf_slice *ret_id)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	char text[BF_UUID_TEXT_LEN + 1];
	struct bf_uuid id;

	(void)SHA256((const unsigned char *)from.ptr, from.len, hash);
	memcpy(id.bytes, hash, sizeof(id.bytes));
	id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x80); /* version 8: of our own making */
	id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
	bf_uuid_format(&id, text);
	*ret_id = bf_arena_dup(w->arena, bf_slice_from(text));
	if (!ret_id->ptr)
		bf_whole_is_full(w);
}

/*
 * The list of everything wrong with a file. Filled by the readers, the decoder and the cross
 * checks; printed by the helper. Must never lose count of an error, whatever memory is left: the
 * count decides whether anything is applied.
 */
#include "common/schema/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/codec/utf8.h"

void bf_diags_init(struct bf_diags *d, struct bf_slice file, struct bf_arena *arena)
{
	*d = (struct bf_diags){.arena = arena, .file = file};
	/* One more for the line that says how many are missing. */
	d->list.items = bf_arena_alloc(arena, (BF_DIAGS_MAX + 1) * sizeof(struct bf_diag));
}

static struct bf_diag *last_warning(struct bf_diags *d)
{
	struct bf_diag *items = d->list.items;

	for (uint32_t i = d->list.count; i > 0; i--)
		if (items[i - 1].is_warning)
			return &items[i - 1];
	return NULL;
}

static struct bf_diag *place_for(struct bf_diags *d, enum bf_diag_kind kind)
{
	struct bf_diag *items = d->list.items;

	if (!items)
		return NULL;
	if (kind == BF_DIAG_WARNING && d->warning_count > BF_DIAGS_MAX_WARNINGS)
		return NULL;
	if (d->list.count < BF_DIAGS_MAX)
		return &items[d->list.count++];
	return kind == BF_DIAG_ERROR ? last_warning(d) : NULL;
}

/* A key or value may hold anything; a diagnostic is one line of valid text. */
static void make_printable(char *text)
{
	size_t len = strlen(text), valid;

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = '?';
	while ((valid = bf_utf8_valid_prefix(text, len)) < len)
		text[valid] = '?';
}

void bf_diag(struct bf_diags *d, enum bf_diag_kind kind, struct bf_pos pos, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (kind == BF_DIAG_WARNING)
		d->warning_count++;
	else
		d->error_count++;
	struct bf_diag *place = place_for(d, kind);
	if (!place)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		text[0] = '\0';
	make_printable(text);
	*place = (struct bf_diag){
	    .is_warning = kind == BF_DIAG_WARNING, .line = pos.line, .col = pos.col};
	place->text = bf_arena_dup(d->arena, bf_slice_from(text));
	if (!place->text.ptr)
		place->text = BF_SLICE_LIT("the configuration does not fit into memory");
}

static int compare(const void *va, const void *vb)
{
	const struct bf_diag *a = va, *b = vb;

	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->col != b->col)
		return a->col < b->col ? -1 : 1;
	if (a->is_warning != b->is_warning)
		return a->is_warning ? 1 : -1;
	return 0;
}

void bf_diags_finish(struct bf_diags *d)
{
	struct bf_diag *items = d->list.items;
	uint32_t total = d->error_count + d->warning_count, shown = d->list.count;

	if (!items || d->list.count == 0)
		return;
	qsort(items, d->list.count, sizeof(*items), compare);
	if (total == shown)
		return;
	struct bf_diag *rest = &items[d->list.count++];
	const char *text =
	    bf_arena_printf(d->arena, "%u more not shown: mend these first", total - shown);
	*rest =
	    (struct bf_diag){.is_warning = d->error_count == 0,
			     .text = text ? bf_slice_from(text) : BF_SLICE_LIT("more not shown")};
}

static int print_one(const struct bf_diags *d, const struct bf_diag *diag, struct bf_buf *out)
{
	const char *kind = diag->is_warning ? "warning" : "error";

	if (diag->line == 0)
		return bf_buf_printf(out, "%.*s: %s: %.*s\n", BF_SLICE_FMT(d->file), kind,
				     BF_SLICE_FMT(diag->text));
	return bf_buf_printf(out, "%.*s:%u:%u: %s: %.*s\n", BF_SLICE_FMT(d->file), diag->line,
			     diag->col, kind, BF_SLICE_FMT(diag->text));
}

int bf_diags_print(const struct bf_diags *diags, struct bf_buf *out)
{
	const struct bf_diag *items = diags->list.items;

	for (uint32_t i = 0; i < diags->list.count; i++) {
		int r = print_one(diags, &items[i], out);

		if (r < 0)
			return r;
	}
	if (diags->error_count && diags->list.count == 0)
		return bf_buf_printf(out,
				     "%.*s: error: the configuration does not fit into memory\n",
				     BF_SLICE_FMT(diags->file));
	return 0;
}

/*
 * Fills a described object with the defaults of its table. Called before every decoding, so that an
 * absent field keeps its default. Must never fail on a table that the unit tests accept.
 */
#include <errno.h>
#include <string.h>

#include "common/schema/value.h"

/* "a, b" becomes two elements: the only list form a default may have. */
static int default_strings(const struct bf_field *f, struct bf_array *list, struct bf_arena *arena)
{
	struct bf_slice rest = bf_slice_from(f->dflt);
	uint32_t count = 1;

	for (size_t i = 0; i < rest.len; i++)
		count += rest.ptr[i] == ',';
	struct bf_slice *items = bf_arena_alloc(arena, count * sizeof(*items));
	if (!items)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		const char *comma = memchr(rest.ptr, ',', rest.len);
		size_t len = comma ? (size_t)(comma - rest.ptr) : rest.len;

		items[i] = bf_arena_dup(arena, (struct bf_slice){rest.ptr, len});
		if (!items[i].ptr)
			return -ENOMEM;
		size_t skip = comma ? len + 1 : len;
		while (skip < rest.len && rest.ptr[skip] == ' ')
			skip++;
		rest = (struct bf_slice){rest.ptr + skip, rest.len - skip};
	}
	*list = (struct bf_array){items, count};
	return 0;
}

static int default_field(const struct bf_field *f, void *slot, struct bf_arena *arena)
{
	if (f->type == BF_T_OBJECT)
		return bf_table_defaults(f->sub, slot, arena);
	if (f->flags & BF_OR_NULL)
		*(int64_t *)slot = -1;
	if (!f->dflt)
		return 0;
	if (f->type == BF_T_STRINGS)
		return default_strings(f, slot, arena);
	/* Defaults are quoted by nature: "1" may be the default of a string. */
	return bf_value_parse(f, bf_slice_from(f->dflt), BF_TEXT_RESOLVED, slot, arena, NULL);
}

int bf_table_defaults(const struct bf_table *table, void *object, struct bf_arena *arena)
{
	memset(object, table->blank, table->size);
	if (table->field_count > BF_TABLE_MAX_FIELDS)
		return BF_E_STATE;
	for (uint16_t i = 0; i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];
		int r = default_field(f, bf_field_slot(f, object), arena);

		if (r < 0)
			return r;
	}
	return 0;
}

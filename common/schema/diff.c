/*
 * Two objects of one table side by side: are they equal, and which fields differ. Called by the
 * supervisor when it decides what a reload must replace.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/schema/decode.h"

static bool strings_equal(const struct bf_array *a, const struct bf_array *b)
{
	const struct bf_slice *x = a->items, *y = b->items;

	if (a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (!bf_slice_eq(x[i], y[i]))
			return false;
	return true;
}

static bool pairs_equal(const struct bf_array *a, const struct bf_array *b)
{
	const struct bf_conf_pair *x = a->items, *y = b->items;

	if (a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (!bf_slice_eq(x[i].name, y[i].name) || !bf_slice_eq(x[i].value, y[i].value))
			return false;
	return true;
}

static bool lists_equal(const struct bf_table *sub, const struct bf_array *a,
			const struct bf_array *b, uint16_t audience)
{
	if (a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (!bf_table_equal(sub, bf_array_at(a, sub->size, i), bf_array_at(b, sub->size, i),
				    audience))
			return false;
	return true;
}

static bool fields_equal(const struct bf_field *f, const void *a, const void *b, uint16_t audience)
{
	switch ((enum bf_field_type)f->type) {
	case BF_T_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case BF_T_INT:
	case BF_T_DURATION:
	case BF_T_DECIMAL:
	case BF_T_TIME:
		return *(const int64_t *)a == *(const int64_t *)b;
	case BF_T_UINT:
	case BF_T_SIZE:
		return *(const uint64_t *)a == *(const uint64_t *)b;
	case BF_T_STRING:
	case BF_T_SECRET:
	case BF_T_BYTES:
		return bf_slice_eq(*(const struct bf_slice *)a, *(const struct bf_slice *)b);
	case BF_T_ENUM:
	case BF_T_TRISTATE:
		return *(const int32_t *)a == *(const int32_t *)b;
	case BF_T_STRINGS:
		return strings_equal(a, b);
	case BF_T_OBJECT:
		return bf_table_equal(f->sub, a, b, audience);
	case BF_T_LIST:
	case BF_T_MAP:
		return lists_equal(f->sub, a, b, audience);
	case BF_T_PAIRS:
		return pairs_equal(a, b);
	case BF_T_COUNT:
		break;
	}
	return false;
}

int bf_table_equal(const struct bf_table *table, const void *a, const void *b, uint16_t audience)
{
	for (uint16_t i = 0; i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];

		if (!bf_field_seen_by(f, audience))
			continue;
		if (!fields_equal(f, bf_field_slot_const(f, a), bf_field_slot_const(f, b),
				  audience))
			return false;
	}
	return true;
}

struct diff {
	uint16_t audience;
	enum bf_reload reload;
	struct bf_buf *names;
	int count;
};

static void diff_objects(struct diff *d, const struct bf_table *table, const void *a, const void *b,
			 const struct bf_path *path);

static void add_name(struct diff *d, const struct bf_path *path)
{
	char where[BF_PATH_TEXT_MAX];
	const char *lead = bf_buf_len(d->names) ? ", " : "";

	/* The count is what decides; a name that found no room is only missing from the message. */
	(void)!bf_buf_printf(d->names, "%s%s", lead, bf_path_text(path, where));
	d->count++;
}

/* Items are comparable one by one when the lists line up. */
static bool line_up(const struct bf_field *f, const struct bf_array *a, const struct bf_array *b)
{
	if (a->count != b->count)
		return false;
	for (uint32_t i = 0; f->type == BF_T_MAP && i < a->count; i++) {
		const struct bf_field *key = &f->sub->fields[0];
		const struct bf_slice *x =
		    bf_field_slot_const(key, bf_array_at(a, f->sub->size, i));
		const struct bf_slice *y =
		    bf_field_slot_const(key, bf_array_at(b, f->sub->size, i));

		if (!bf_slice_eq(*x, *y))
			return false;
	}
	return true;
}

static void diff_items(struct diff *d, const struct bf_field *f, const struct bf_array *a,
		       const struct bf_array *b, const struct bf_path *path)
{
	if (!line_up(f, a, b)) {
		if (f->reload == d->reload)
			add_name(d, path);
		return;
	}
	for (uint32_t i = 0; i < a->count; i++) {
		const void *x = bf_array_at(a, f->sub->size, i),
			   *y = bf_array_at(b, f->sub->size, i);
		struct bf_path here = {.up = path, .index = i, .kind = BF_PATH_INDEX};

		if (f->type == BF_T_MAP) {
			here.kind = BF_PATH_NAME;
			here.name =
			    *(const struct bf_slice *)bf_field_slot_const(&f->sub->fields[0], x);
		}
		diff_objects(d, f->sub, x, y, &here);
	}
}

static void diff_objects(struct diff *d, const struct bf_table *table, const void *a, const void *b,
			 const struct bf_path *path)
{
	for (uint16_t i = 0; i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];
		const void *x = bf_field_slot_const(f, a), *y = bf_field_slot_const(f, b);
		struct bf_path here = {
		    .up = path, .name = bf_slice_from(f->name), .kind = BF_PATH_KEY};

		if (!bf_field_seen_by(f, d->audience))
			continue;
		if (f->type == BF_T_OBJECT)
			diff_objects(d, f->sub, x, y, &here);
		else if (f->type == BF_T_LIST || f->type == BF_T_MAP)
			diff_items(d, f, x, y, &here);
		else if (f->reload == d->reload && !fields_equal(f, x, y, d->audience))
			add_name(d, &here);
	}
}

int bf_table_diff(const struct bf_table *table, const void *a, const void *b, uint16_t audience,
		  enum bf_reload reload, struct bf_buf *names)
{
	struct diff d = {.audience = audience, .reload = reload, .names = names};

	diff_objects(&d, table, a, b, NULL);
	return d.count;
}

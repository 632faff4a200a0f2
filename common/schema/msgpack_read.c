/*
 * msgpack maps {name: value} to objects. The bytes may come from a hostile child: must never read
 * past them, recurse by their nesting (only by the table's), or allocate more than the arena
 * allows.
 */
#include <errno.h>
#include <string.h>

#include "common/codec/mp.h"
#include "common/schema/value.h"

struct decode {
	struct bf_mp_reader r;
	struct bf_arena *arena;
	struct bf_err *err;
};

static int read_object(struct decode *d, const struct bf_table *table, void *object);

/* Errors of the reader are told by the caller, who knows the name of the field. */
static int read_number(struct decode *d, const struct bf_field *f, void *slot)
{
	if (f->type == BF_T_UINT || f->type == BF_T_SIZE) {
		uint64_t value = bf_mp_read_u64(&d->r);
		if (d->r.error)
			return d->r.error;
		if (!bf_field_admits_u64(f, value))
			return BF_E_RANGE;
		*(uint64_t *)slot = value;
		return 0;
	}
	int64_t value = bf_mp_read_i64(&d->r);
	bool absent = (f->flags & BF_OR_NULL) && value == -1;
	if (d->r.error)
		return d->r.error;
	if (!absent && !bf_field_admits_i64(f, value))
		return BF_E_RANGE;
	*(int64_t *)slot = value;
	return 0;
}

static int read_time(struct decode *d, int64_t *slot)
{
	int64_t value = bf_mp_read_i64(&d->r);

	if (d->r.error)
		return d->r.error;
	if (value < 0)
		return BF_E_RANGE;
	*slot = value;
	return 0;
}

static int read_tristate(struct decode *d, int32_t *slot)
{
	uint64_t value = bf_mp_read_u64(&d->r);

	if (d->r.error)
		return d->r.error;
	if (value > BF_TRI_TRUE)
		return BF_E_RANGE;
	*slot = (int32_t)value;
	return 0;
}

static int keep_text(struct decode *d, struct bf_slice text, struct bf_slice *slot)
{
	if (d->r.error)
		return d->r.error;
	*slot = bf_arena_dup(d->arena, text);
	return slot->ptr ? 0 : -ENOMEM;
}

static int read_text(struct decode *d, const struct bf_field *f, struct bf_slice *slot)
{
	struct bf_slice text = bf_mp_read_str(&d->r);

	if (!d->r.error && !bf_field_admits_len(f, text.len))
		return BF_E_RANGE;
	/* Users of a terminated string would see less than what was checked. */
	if (!d->r.error && text.len && memchr(text.ptr, '\0', text.len))
		return BF_E_SYNTAX;
	return keep_text(d, text, slot);
}

static int read_bytes(struct decode *d, const struct bf_field *f, struct bf_slice *slot)
{
	struct bf_slice bytes = bf_mp_read_bin(&d->r);

	if (!d->r.error && !bf_field_admits_len(f, bytes.len))
		return BF_E_RANGE;
	return keep_text(d, bytes, slot);
}

static int read_enum(struct decode *d, const struct bf_field *f, int32_t *slot)
{
	struct bf_slice text = bf_mp_read_str(&d->r);

	if (d->r.error)
		return d->r.error;
	int32_t index = bf_field_choice(f, text);
	if (index < 0)
		return BF_E_UNKNOWN;
	*slot = index;
	return 0;
}

/* Space for the count elements that are about to be read. */
static int start_items(struct decode *d, const struct bf_field *f, uint32_t count, size_t item_size,
		       struct bf_array *list)
{
	*list = (struct bf_array){NULL, 0};
	if (d->r.error)
		return d->r.error;
	if (!bf_field_admits_len(f, count))
		return BF_E_RANGE;
	if (count == 0)
		return 0;
	list->items = bf_arena_alloc(d->arena, count * item_size);
	if (!list->items)
		return -ENOMEM;
	list->count = count;
	return 0;
}

static int start_list(struct decode *d, const struct bf_field *f, size_t item_size,
		      struct bf_array *list)
{
	return start_items(d, f, bf_mp_read_array(&d->r), item_size, list);
}

static int read_strings(struct decode *d, const struct bf_field *f, struct bf_array *list)
{
	static const struct bf_field element = {.max = BF_STRINGS_MAX_BYTES, .type = BF_T_STRING};
	int r = start_list(d, f, sizeof(struct bf_slice), list);

	for (uint32_t i = 0; r == 0 && i < list->count; i++)
		r = read_text(d, &element, (struct bf_slice *)list->items + i);
	return r;
}

static bool name_repeats(const struct bf_conf_pair *pairs, uint32_t index)
{
	for (uint32_t i = 0; i < index; i++)
		if (bf_slice_eq(pairs[i].name, pairs[index].name))
			return true;
	return false;
}

static int read_pairs(struct decode *d, const struct bf_field *f, struct bf_array *list)
{
	static const struct bf_field name = {.max = BF_PAIR_NAME_MAX_BYTES};
	static const struct bf_field value = {.max = BF_PAIR_VALUE_MAX_BYTES};
	int r = start_items(d, f, bf_mp_read_map(&d->r), sizeof(struct bf_conf_pair), list);
	struct bf_conf_pair *pairs = list->items;

	for (uint32_t i = 0; r == 0 && i < list->count; i++) {
		r = read_text(d, &name, &pairs[i].name);
		if (r == 0 && name_repeats(pairs, i))
			r = BF_E_DUPLICATE;
		if (r == 0)
			r = read_text(d, &value, &pairs[i].value);
	}
	return r;
}

/* The first field of a map's item is its key; two equal ones would shadow each other. */
static bool key_repeats(const struct bf_table *sub, const struct bf_array *list, uint32_t index)
{
	const struct bf_slice *key =
	    bf_field_slot_const(&sub->fields[0], bf_array_at(list, sub->size, index));

	for (uint32_t i = 0; i < index; i++) {
		const struct bf_slice *other =
		    bf_field_slot_const(&sub->fields[0], bf_array_at(list, sub->size, i));
		if (bf_slice_eq(*key, *other))
			return true;
	}
	return false;
}

static int read_list(struct decode *d, const struct bf_field *f, struct bf_array *list)
{
	int r = start_list(d, f, f->sub->size, list);

	for (uint32_t i = 0; r == 0 && i < list->count; i++) {
		r = read_object(d, f->sub, bf_array_at(list, f->sub->size, i));
		if (r == 0 && f->type == BF_T_MAP && key_repeats(f->sub, list, i))
			r = BF_E_DUPLICATE;
	}
	return r;
}

static int read_field(struct decode *d, const struct bf_field *f, void *slot)
{
	switch ((enum bf_field_type)f->type) {
	case BF_T_BOOL:
		*(bool *)slot = bf_mp_read_bool(&d->r);
		return d->r.error;
	case BF_T_INT:
	case BF_T_UINT:
	case BF_T_DURATION:
	case BF_T_SIZE:
	case BF_T_DECIMAL:
		return read_number(d, f, slot);
	case BF_T_TIME:
		return read_time(d, slot);
	case BF_T_TRISTATE:
		return read_tristate(d, slot);
	case BF_T_STRING:
	case BF_T_SECRET:
		return read_text(d, f, slot);
	case BF_T_BYTES:
		return read_bytes(d, f, slot);
	case BF_T_ENUM:
		return read_enum(d, f, slot);
	case BF_T_STRINGS:
		return read_strings(d, f, slot);
	case BF_T_OBJECT:
		return read_object(d, f->sub, slot);
	case BF_T_LIST:
	case BF_T_MAP:
		return read_list(d, f, slot);
	case BF_T_PAIRS:
		return read_pairs(d, f, slot);
	case BF_T_COUNT:
		break;
	}
	return BF_E_STATE;
}

static int find_field(const struct bf_table *table, struct bf_slice name)
{
	for (uint16_t i = 0; i < table->field_count; i++)
		if (bf_slice_is(name, table->fields[i].name))
			return i;
	return -1;
}

/* An inner object has already told; the outer ones keep its words. */
static int tell(struct decode *d, int code, const struct bf_table *table, const char *field)
{
	if (d->err && d->err->code)
		return code;
	return bf_err_sys(d->err, code, "%s%s%s", table->name ? table->name : "", field ? "." : "",
			  field ? field : "");
}

static int read_member(struct decode *d, const struct bf_table *table, void *object, uint64_t *seen)
{
	struct bf_slice name = bf_mp_read_str(&d->r);

	if (d->r.error)
		return tell(d, d->r.error, table, NULL);
	int index = find_field(table, name);
	if (index < 0) {
		bf_mp_skip(&d->r);
		return d->r.error ? tell(d, d->r.error, table, NULL) : 0;
	}
	const struct bf_field *f = &table->fields[index];
	if (*seen & (UINT64_C(1) << index))
		return tell(d, BF_E_DUPLICATE, table, f->name);
	*seen |= UINT64_C(1) << index;
	int r = read_field(d, f, bf_field_slot(f, object));
	return r < 0 ? tell(d, r, table, f->name) : 0;
}

static int read_object(struct decode *d, const struct bf_table *table, void *object)
{
	uint64_t seen = 0;
	int r = bf_table_defaults(table, object, d->arena);

	if (r < 0)
		return tell(d, r, table, NULL);
	uint32_t count = bf_mp_read_map(&d->r);
	if (d->r.error)
		return tell(d, d->r.error, table, NULL);
	for (uint32_t i = 0; i < count; i++) {
		r = read_member(d, table, object, &seen);
		if (r < 0)
			return r;
	}
	for (uint16_t i = 0; i < table->field_count; i++)
		if ((table->fields[i].flags & BF_REQUIRED) && !(seen & (UINT64_C(1) << i)))
			return tell(d, BF_E_MISSING, table, table->fields[i].name);
	return 0;
}

int bf_table_decode_mp(const struct bf_table *table, void *object, struct bf_slice bytes,
		       struct bf_arena *arena, struct bf_err *err)
{
	struct bf_err local;
	struct decode d = {.arena = arena, .err = err ? err : &local};

	d.err->code = 0;
	bf_mp_reader_init(&d.r, bytes);
	int r = read_object(&d, table, object);
	if (r < 0)
		return r;
	r = bf_mp_reader_finish(&d.r);
	return r < 0 ? tell(&d, r, table, NULL) : 0;
}

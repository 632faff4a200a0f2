/*
 * Objects as msgpack maps {name: value}. Used for slices of the configuration and for the bodies of
 * control messages; the reader is msgpack_read.c. Must never write a field that the audience may
 * not see.
 */
#include <string.h>

#include "common/codec/mp.h"
#include "common/schema/value.h"

/* What of an object is written. */
struct choice {
	uint16_t audience;
	bool sparse; /* nothing that a reader would take for granted */
};

static void write_object(struct bf_mp_writer *w, const struct bf_table *table, const void *object,
			 const struct choice *c);

static void write_strings(struct bf_mp_writer *w, const struct bf_array *list)
{
	const struct bf_slice *items = list->items;

	bf_mp_write_array(w, list->count);
	for (uint32_t i = 0; i < list->count; i++)
		bf_mp_write_str(w, items[i]);
}

static void write_pairs(struct bf_mp_writer *w, const struct bf_array *list)
{
	const struct bf_conf_pair *pairs = list->items;

	bf_mp_write_map(w, list->count);
	for (uint32_t i = 0; i < list->count; i++) {
		bf_mp_write_str(w, pairs[i].name);
		bf_mp_write_str(w, pairs[i].value);
	}
}

static void write_list(struct bf_mp_writer *w, const struct bf_table *sub,
		       const struct bf_array *list, const struct choice *c)
{
	bf_mp_write_array(w, list->count);
	for (uint32_t i = 0; i < list->count; i++)
		write_object(w, sub, bf_array_at(list, sub->size, i), c);
}

/* By name, so that a choice may be added in the middle between two versions. */
static void write_enum(struct bf_mp_writer *w, const struct bf_field *f, int32_t index)
{
	int32_t count = 0;

	while (f->choices && f->choices[count])
		count++;
	if (index < 0 || index >= count) {
		if (!w->error)
			w->error = BF_E_RANGE;
		return;
	}
	bf_mp_write_str(w, bf_slice_from(f->choices[index]));
}

static void write_field(struct bf_mp_writer *w, const struct bf_field *f, const void *slot,
			const struct choice *c)
{
	switch ((enum bf_field_type)f->type) {
	case BF_T_BOOL:
		bf_mp_write_bool(w, *(const bool *)slot);
		break;
	case BF_T_INT:
	case BF_T_DURATION:
	case BF_T_DECIMAL:
	case BF_T_TIME:
		bf_mp_write_i64(w, *(const int64_t *)slot);
		break;
	case BF_T_UINT:
	case BF_T_SIZE:
		bf_mp_write_u64(w, *(const uint64_t *)slot);
		break;
	case BF_T_STRING:
	case BF_T_SECRET:
		bf_mp_write_str(w, *(const struct bf_slice *)slot);
		break;
	case BF_T_BYTES:
		bf_mp_write_bin(w, *(const struct bf_slice *)slot);
		break;
	case BF_T_ENUM:
		write_enum(w, f, *(const int32_t *)slot);
		break;
	case BF_T_TRISTATE:
		bf_mp_write_u64(w, (uint64_t) * (const int32_t *)slot);
		break;
	case BF_T_STRINGS:
		write_strings(w, slot);
		break;
	case BF_T_OBJECT:
		write_object(w, f->sub, slot, c);
		break;
	case BF_T_LIST:
	case BF_T_MAP:
		write_list(w, f->sub, slot, c);
		break;
	case BF_T_PAIRS:
		write_pairs(w, slot);
		break;
	case BF_T_COUNT:
		w->error = BF_E_STATE;
		break;
	}
}

static uint32_t count_written(const struct bf_table *table, const void *object,
			      const struct choice *c);

/* Nothing, as memory that was cleared has it. */
static bool is_empty(const struct bf_field *f, const void *slot, const struct choice *c)
{
	switch ((enum bf_field_type)f->type) {
	case BF_T_BOOL:
		return !*(const bool *)slot;
	case BF_T_INT:
	case BF_T_UINT:
	case BF_T_DURATION:
	case BF_T_SIZE:
	case BF_T_DECIMAL:
	case BF_T_TIME:
		return *(const uint64_t *)slot == 0;
	case BF_T_ENUM:
	case BF_T_TRISTATE:
		return *(const int32_t *)slot == 0;
	case BF_T_STRING:
	case BF_T_SECRET:
	case BF_T_BYTES:
		return ((const struct bf_slice *)slot)->len == 0;
	case BF_T_STRINGS:
	case BF_T_LIST:
	case BF_T_MAP:
	case BF_T_PAIRS:
		return ((const struct bf_array *)slot)->count == 0;
	case BF_T_OBJECT:
		return count_written(f->sub, slot, c) == 0;
	case BF_T_COUNT:
		break;
	}
	return false;
}

/* Only what is nothing, and would be nothing: another default may have changed when it is read. */
static bool goes_without_saying(const struct bf_table *table, const struct bf_field *f,
				const void *slot, const struct choice *c)
{
	bool none = !f->dflt || strcmp(f->dflt, "false") == 0 || strcmp(f->dflt, "0") == 0;

	return none && !table->blank && !(f->flags & (BF_REQUIRED | BF_OR_NULL)) &&
	       is_empty(f, slot, c);
}

/* What is not given is the reader's default. */
static bool is_written(const struct bf_table *table, const struct bf_field *f, const void *object,
		       const struct choice *c)
{
	const void *slot = bf_field_slot_const(f, object);
	bool given = !(f->flags & BF_OR_NULL) || *(const int64_t *)slot != -1;

	return given && bf_field_seen_by(f, c->audience) &&
	       !(c->sparse && goes_without_saying(table, f, slot, c));
}

static uint32_t count_written(const struct bf_table *table, const void *object,
			      const struct choice *c)
{
	uint32_t count = 0;

	for (uint16_t i = 0; i < table->field_count; i++)
		count += is_written(table, &table->fields[i], object, c);
	return count;
}

static void write_object(struct bf_mp_writer *w, const struct bf_table *table, const void *object,
			 const struct choice *c)
{
	bf_mp_write_map(w, count_written(table, object, c));
	for (uint16_t i = 0; i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];

		if (!is_written(table, f, object, c))
			continue;
		bf_mp_write_str(w, bf_slice_from(f->name));
		write_field(w, f, bf_field_slot_const(f, object), c);
	}
}

static int encode(const struct bf_table *table, const void *object, const struct choice *c,
		  struct bf_buf *out)
{
	struct bf_mp_writer w;

	bf_mp_writer_init(&w, out);
	write_object(&w, table, object, c);
	return bf_mp_writer_finish(&w);
}

int bf_table_encode_mp(const struct bf_table *table, const void *object, uint16_t audience,
		       struct bf_buf *out)
{
	return encode(table, object, &(struct choice){.audience = audience}, out);
}

int bf_table_encode_mp_sparse(const struct bf_table *table, const void *object, struct bf_buf *out)
{
	return encode(table, object, &(struct choice){.sparse = true}, out);
}

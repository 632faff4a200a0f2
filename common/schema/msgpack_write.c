/*
 * Objects as msgpack maps {name: value}. Used for slices of the configuration and for the bodies of
 * control messages; the reader is msgpack_read.c. Must never write a field that the audience may
 * not see.
 */
#include "common/codec/mp.h"
#include "common/schema/value.h"

static void write_object(struct bf_mp_writer *w, const struct bf_table *table, const void *object,
			 uint16_t audience);

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
		       const struct bf_array *list, uint16_t audience)
{
	bf_mp_write_array(w, list->count);
	for (uint32_t i = 0; i < list->count; i++)
		write_object(w, sub, bf_array_at(list, sub->size, i), audience);
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
			uint16_t audience)
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
		write_object(w, f->sub, slot, audience);
		break;
	case BF_T_LIST:
	case BF_T_MAP:
		write_list(w, f->sub, slot, audience);
		break;
	case BF_T_PAIRS:
		write_pairs(w, slot);
		break;
	case BF_T_COUNT:
		w->error = BF_E_STATE;
		break;
	}
}

/* What is not given is the reader's default. */
static bool is_written(const struct bf_field *f, const void *object, uint16_t audience)
{
	bool given =
	    !(f->flags & BF_OR_NULL) || *(const int64_t *)bf_field_slot_const(f, object) != -1;

	return given && bf_field_seen_by(f, audience);
}

static void write_object(struct bf_mp_writer *w, const struct bf_table *table, const void *object,
			 uint16_t audience)
{
	uint32_t count = 0;

	for (uint16_t i = 0; i < table->field_count; i++)
		count += is_written(&table->fields[i], object, audience);
	bf_mp_write_map(w, count);
	for (uint16_t i = 0; i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];

		if (!is_written(f, object, audience))
			continue;
		bf_mp_write_str(w, bf_slice_from(f->name));
		write_field(w, f, bf_field_slot_const(f, object), audience);
	}
}

int bf_table_encode_mp(const struct bf_table *table, const void *object, uint16_t audience,
		       struct bf_buf *out)
{
	struct bf_mp_writer w;

	bf_mp_writer_init(&w, out);
	write_object(&w, table, object, audience);
	return bf_mp_writer_finish(&w);
}

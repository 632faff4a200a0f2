/*
 * Objects as JSON, for people and tools: bifrostctl --json, traces, documents. One way only. Must
 * never print a secret.
 */
#include <stdio.h>
#include <time.h>

#include "common/base/num.h"
#include "common/codec/json_writer.h"
#include "common/schema/decimal.h"
#include "common/schema/value.h"

static void write_strings(struct bf_json_writer *w, const struct bf_array *list)
{
	const struct bf_slice *items = list->items;

	bf_jw_array(w);
	for (uint32_t i = 0; i < list->count; i++)
		bf_jw_string(w, items[i]);
	bf_jw_end_array(w);
}

static void write_fields(struct bf_json_writer *w, const struct bf_table *table, const void *object,
			 uint16_t first, uint16_t audience);

static void write_list(struct bf_json_writer *w, const struct bf_table *sub,
		       const struct bf_array *list, uint16_t audience)
{
	bf_jw_array(w);
	for (uint32_t i = 0; i < list->count; i++)
		write_fields(w, sub, bf_array_at(list, sub->size, i), 0, audience);
	bf_jw_end_array(w);
}

/* {key: item}, the item without its key, as it stands in the file. */
static void write_map(struct bf_json_writer *w, const struct bf_table *sub,
		      const struct bf_array *list, uint16_t audience)
{
	bf_jw_object(w);
	for (uint32_t i = 0; i < list->count; i++) {
		const void *item = bf_array_at(list, sub->size, i);
		const struct bf_slice *key = bf_field_slot_const(&sub->fields[0], item);

		bf_jw_key_slice(w, *key);
		write_fields(w, sub, item, 1, audience);
	}
	bf_jw_end_object(w);
}

static void write_pairs(struct bf_json_writer *w, const struct bf_array *list)
{
	const struct bf_conf_pair *pairs = list->items;

	bf_jw_object(w);
	for (uint32_t i = 0; i < list->count; i++) {
		bf_jw_key_slice(w, pairs[i].name);
		bf_jw_cstr(w, pairs[i].value.len ? "***" : "");
	}
	bf_jw_end_object(w);
}

static void write_enum(struct bf_json_writer *w, const struct bf_field *f, int32_t index)
{
	int32_t count = 0;

	while (f->choices && f->choices[count])
		count++;
	if (index < 0 || index >= count)
		bf_jw_null(w);
	else
		bf_jw_cstr(w, f->choices[index]);
}

/* Bytes have no JSON form of their own; hex is what people compare. */
static void write_hex(struct bf_json_writer *w, struct bf_slice bytes)
{
	static const char digits[] = "0123456789abcdef";
	struct bf_buf text;

	bf_buf_init(&text, SIZE_MAX / 2);
	for (size_t i = 0; i < bytes.len && !w->error; i++) {
		unsigned char byte = (unsigned char)bytes.ptr[i];
		char pair[2] = {digits[byte >> 4], digits[byte & 15]};

		w->error = bf_buf_append(&text, pair, sizeof(pair));
	}
	bf_jw_string(w, bf_buf_slice(&text));
	bf_buf_done(&text);
}

static void write_tristate(struct bf_json_writer *w, int32_t value)
{
	if (value == BF_TRI_UNSET)
		bf_jw_null(w);
	else
		bf_jw_bool(w, value == BF_TRI_TRUE);
}

static void write_time(struct bf_json_writer *w, int64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	char text[96];
	struct tm tm;

	if (wall_ms <= 0 || !gmtime_r(&seconds, &tm)) {
		bf_jw_null(w);
		return;
	}
	(void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		       (int)(wall_ms % 1000));
	bf_jw_cstr(w, text);
}

static void write_field(struct bf_json_writer *w, const struct bf_field *f, const void *slot,
			uint16_t audience)
{
	char text[BF_DECIMAL_BYTES];

	if ((f->flags & BF_OR_NULL) && *(const int64_t *)slot == -1) {
		bf_jw_null(w);
		return;
	}

	switch ((enum bf_field_type)f->type) {
	case BF_T_BOOL:
		bf_jw_bool(w, *(const bool *)slot);
		break;
	case BF_T_INT:
		bf_jw_i64(w, *(const int64_t *)slot);
		break;
	case BF_T_UINT:
		bf_jw_u64(w, *(const uint64_t *)slot);
		break;
	case BF_T_DURATION:
		bf_jw_cstr(w, bf_format_duration_ms(*(const int64_t *)slot, text));
		break;
	case BF_T_SIZE:
		bf_jw_cstr(w, bf_format_size(*(const uint64_t *)slot, text));
		break;
	case BF_T_DECIMAL:
		bf_jw_raw(
		    w, bf_slice_from(bf_decimal_format(*(const int64_t *)slot, f->decimals, text)));
		break;
	case BF_T_TIME:
		write_time(w, *(const int64_t *)slot);
		break;
	case BF_T_TRISTATE:
		write_tristate(w, *(const int32_t *)slot);
		break;
	case BF_T_STRING:
		bf_jw_string(w, *(const struct bf_slice *)slot);
		break;
	case BF_T_SECRET:
		bf_jw_cstr(w, ((const struct bf_slice *)slot)->len ? "***" : "");
		break;
	case BF_T_BYTES:
		write_hex(w, *(const struct bf_slice *)slot);
		break;
	case BF_T_ENUM:
		write_enum(w, f, *(const int32_t *)slot);
		break;
	case BF_T_STRINGS:
		write_strings(w, slot);
		break;
	case BF_T_OBJECT:
		write_fields(w, f->sub, slot, 0, audience);
		break;
	case BF_T_LIST:
		write_list(w, f->sub, slot, audience);
		break;
	case BF_T_MAP:
		write_map(w, f->sub, slot, audience);
		break;
	case BF_T_PAIRS:
		write_pairs(w, slot);
		break;
	case BF_T_COUNT:
		bf_jw_null(w);
		break;
	}
}

static void write_fields(struct bf_json_writer *w, const struct bf_table *table, const void *object,
			 uint16_t first, uint16_t audience)
{
	bf_jw_object(w);
	for (uint16_t i = first; i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];

		if (audience && (!bf_field_seen_by(f, audience) || (f->flags & BF_INTERNAL)))
			continue;
		bf_jw_key(w, f->name);
		write_field(w, f, bf_field_slot_const(f, object), audience);
	}
	bf_jw_end_object(w);
}

void bf_table_write_json(const struct bf_table *table, const void *object, struct bf_json_writer *w)
{
	write_fields(w, table, object, 0, 0);
}

void bf_table_show_json(const struct bf_table *table, const void *object, uint16_t audience,
			struct bf_json_writer *w)
{
	write_fields(w, table, object, 0, audience);
}

void bf_field_write_json(const struct bf_field *field, const void *slot, struct bf_json_writer *w)
{
	write_field(w, field, slot, 0);
}

void bf_time_write_json(int64_t wall_ms, struct bf_json_writer *w)
{
	write_time(w, wall_ms);
}

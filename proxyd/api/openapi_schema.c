/*
 * Schemas of entities. Called by openapi.c and describe.c. Must never promise a member that is kept
 * secret.
 */
#include "proxyd/api/openapi_schema.h"

#include <string.h>

#include "common/schema/decimal.h"

static void object(struct bf_json_writer *w, const struct bf_table *table, enum openapi_side side,
		   bool is_entity);

static void pair(struct bf_json_writer *w, const char *key, const char *value)
{
	bf_jw_key(w, key);
	bf_jw_cstr(w, value);
}

bool openapi_shows(const struct bf_field *f, enum openapi_side side)
{
	if (f->type == BF_T_SECRET && side == OPENAPI_ANSWER)
		return false;
	if (f->flags & BF_INTERNAL)
		return side == OPENAPI_ANSWER;
	/* In a file it is another form of rate_limit_id; here it is where the limits stand. */
	return !(f->flags & BF_HIDDEN) || strcmp(f->name, "rate_limit") == 0;
}

/* "integer", or that and null where it may be left open. */
static void type_of(struct bf_json_writer *w, const char *name, bool or_null)
{
	bf_jw_key(w, "type");
	if (!or_null) {
		bf_jw_cstr(w, name);
		return;
	}
	bf_jw_array(w);
	bf_jw_cstr(w, name);
	bf_jw_cstr(w, "null");
	bf_jw_end_array(w);
}

static void bound(struct bf_json_writer *w, const char *key, const struct bf_field *f,
		  int64_t value)
{
	char text[BF_DECIMAL_BYTES];
	unsigned decimals = f->type == BF_T_DECIMAL ? f->decimals : 0;

	bf_jw_key(w, key);
	bf_jw_raw(w, bf_slice_from(bf_decimal_format(value, decimals, text)));
}

static void number(struct bf_json_writer *w, const struct bf_field *f, enum openapi_side side)
{
	bool or_null = (f->flags & BF_OR_NULL) != 0;

	type_of(w, f->type == BF_T_DECIMAL ? "number" : "integer", or_null);
	if (side == OPENAPI_ANSWER)
		return;
	if (f->min || f->max || f->type == BF_T_UINT)
		bound(w, "minimum", f, f->min);
	if (f->min || f->max)
		bound(w, "maximum", f, f->max);
}

static void text(struct bf_json_writer *w, const struct bf_field *f, enum openapi_side side)
{
	type_of(w, "string", side == OPENAPI_ANSWER);
	if (side == OPENAPI_ANSWER)
		return;
	if (f->flags & BF_REQUIRED) {
		bf_jw_key(w, "minLength");
		bf_jw_u64(w, 1);
	}
	if (f->max > 0) {
		bf_jw_key(w, "maxLength");
		bf_jw_i64(w, f->max);
	}
}

/* An object, or null where an answer has none. */
static void one(struct bf_json_writer *w, const struct bf_table *table, enum openapi_side side)
{
	if (side != OPENAPI_ANSWER) {
		object(w, table, side, false);
		return;
	}
	bf_jw_key(w, "anyOf");
	bf_jw_array(w);
	bf_jw_object(w);
	object(w, table, side, false);
	bf_jw_end_object(w);
	bf_jw_object(w);
	pair(w, "type", "null");
	bf_jw_end_object(w);
	bf_jw_end_array(w);
}

static void list(struct bf_json_writer *w, const struct bf_field *f, enum openapi_side side)
{
	if (f->flags & BF_OR_ONE) {
		one(w, f->sub, side);
		return;
	}
	pair(w, "type", "array");
	if (f->max > 0) {
		bf_jw_key(w, "maxItems");
		bf_jw_i64(w, f->max);
	}
	bf_jw_key(w, "items");
	bf_jw_object(w);
	if (f->type == BF_T_STRINGS)
		pair(w, "type", "string");
	else
		object(w, f->sub, side, false);
	bf_jw_end_object(w);
}

static void mapping(struct bf_json_writer *w, const struct bf_field *f, enum openapi_side side)
{
	pair(w, "type", "object");
	bf_jw_key(w, "additionalProperties");
	bf_jw_object(w);
	if (f->type == BF_T_PAIRS)
		pair(w, "type", "string");
	else
		object(w, f->sub, side, false);
	bf_jw_end_object(w);
}

static void choices(struct bf_json_writer *w, const struct bf_field *f)
{
	bf_jw_key(w, "enum");
	bf_jw_array(w);
	for (size_t i = 0; f->choices[i]; i++)
		bf_jw_cstr(w, f->choices[i]);
	bf_jw_end_array(w);
}

static void form(struct bf_json_writer *w, const struct bf_field *f, enum openapi_side side)
{
	switch ((enum bf_field_type)f->type) {
	case BF_T_BOOL:
		pair(w, "type", "boolean");
		break;
	case BF_T_TRISTATE:
		type_of(w, "boolean", true);
		break;
	case BF_T_INT:
	case BF_T_UINT:
	case BF_T_DECIMAL:
		number(w, f, side);
		break;
	case BF_T_TIME:
		type_of(w, "string", side == OPENAPI_ANSWER);
		pair(w, "format", "date-time");
		break;
	case BF_T_ENUM:
		choices(w, f);
		break;
	case BF_T_OBJECT:
		one(w, f->sub, side);
		break;
	case BF_T_STRINGS:
	case BF_T_LIST:
		list(w, f, side);
		break;
	case BF_T_MAP:
	case BF_T_PAIRS:
		mapping(w, f, side);
		break;
	case BF_T_STRING:
	case BF_T_SECRET:
	case BF_T_DURATION:
	case BF_T_SIZE:
	case BF_T_BYTES:
	case BF_T_COUNT:
		text(w, f, side);
		break;
	}
}

static void write_version(struct bf_json_writer *w)
{
	bf_jw_key(w, "expected_version");
	bf_jw_object(w);
	pair(w, "type", "integer");
	bf_jw_key(w, "minimum");
	bf_jw_i64(w, 1);
	bf_jw_key(w, "maximum");
	bf_jw_i64(w, INT64_MAX);
	bf_jw_end_object(w);
}

static void properties(struct bf_json_writer *w, const struct bf_table *table,
		       enum openapi_side side, bool is_entity)
{
	bf_jw_key(w, "properties");
	bf_jw_object(w);
	for (uint16_t i = 0; i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];

		if (!openapi_shows(f, side))
			continue;
		bf_jw_key(w, f->name);
		bf_jw_object(w);
		if (f->doc)
			pair(w, "description", f->doc);
		form(w, f, side);
		bf_jw_end_object(w);
	}
	if (is_entity && side == OPENAPI_PARTS)
		write_version(w);
	bf_jw_end_object(w);
}

static void required(struct bf_json_writer *w, const struct bf_table *table, enum openapi_side side)
{
	bool any = false;

	for (uint16_t i = 0; i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];

		if (!(f->flags & BF_REQUIRED) || !openapi_shows(f, side))
			continue;
		if (!any) {
			bf_jw_key(w, "required");
			bf_jw_array(w);
		}
		any = true;
		bf_jw_cstr(w, f->name);
	}
	if (any)
		bf_jw_end_array(w);
}

/* Parts of an entity are given whole: what they must have is required of changes too. */
static void object(struct bf_json_writer *w, const struct bf_table *table, enum openapi_side side,
		   bool is_entity)
{
	pair(w, "type", "object");
	if (side != OPENAPI_ANSWER) {
		bf_jw_key(w, "additionalProperties");
		bf_jw_bool(w, false);
	}
	if (side == OPENAPI_NEW || (side == OPENAPI_PARTS && !is_entity))
		required(w, table, side);
	properties(w, table, side, is_entity);
}

void openapi_schema(struct bf_json_writer *w, const struct bf_table *table, enum openapi_side side)
{
	object(w, table, side, true);
}

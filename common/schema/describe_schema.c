/*
 * JSON Schema (draft 2020-12) of a table, for editors and for `bifrost --dump-schema`. Keys of
 * unbuilt.c are in it, marked, so that an editor accepts what the loader accepts.
 */
#include "common/schema/describe.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/codec/json_writer.h"
#include "common/schema/decimal.h"
#include "common/schema/decode.h"

#define REFERENCE "#/$defs/reference"

static void write_table(struct bf_json_writer *w, const struct bf_table *table, const char *pattern,
			bool skip_first);

static bool join(char out[BF_PATH_TEXT_MAX], const char *head, const char *tail)
{
	int n = snprintf(out, BF_PATH_TEXT_MAX, "%s%s", head, tail);

	return n >= 0 && n < BF_PATH_TEXT_MAX;
}

static void pair(struct bf_json_writer *w, const char *key, const char *value)
{
	bf_jw_key(w, key);
	bf_jw_cstr(w, value);
}

static void bound(struct bf_json_writer *w, const struct bf_field *f, int64_t value)
{
	char text[BF_DECIMAL_BYTES];
	unsigned decimals = f->type == BF_T_DECIMAL ? f->decimals : 0;

	bf_jw_raw(w, bf_slice_from(bf_decimal_format(value, decimals, text)));
}

static void number_bounds(struct bf_json_writer *w, const struct bf_field *f)
{
	if (f->min == 0 && f->max == 0) {
		if (f->type == BF_T_UINT) {
			bf_jw_key(w, "minimum");
			bf_jw_i64(w, 0);
		}
		return;
	}
	bf_jw_key(w, "minimum");
	bound(w, f, f->min);
	bf_jw_key(w, "maximum");
	bound(w, f, f->max);
}

static void text_form(struct bf_json_writer *w, const char *pattern)
{
	bf_jw_object(w);
	pair(w, "type", "string");
	pair(w, "pattern", pattern);
	bf_jw_end_object(w);
}

/* Text with a unit, and a bare number where the field has a unit of its own. */
static void write_measure(struct bf_json_writer *w, const struct bf_field *f, const char *pattern)
{
	text_form(w, pattern);
	if (f->unit == 0)
		return;
	bf_jw_object(w);
	pair(w, "type", "integer");
	bf_jw_key(w, "minimum");
	bf_jw_i64(w, (f->min + f->unit - 1) / f->unit);
	bf_jw_key(w, "maximum");
	bf_jw_i64(w, f->max / f->unit);
	bf_jw_end_object(w);
}

static void write_number(struct bf_json_writer *w, const struct bf_field *f)
{
	bf_jw_object(w);
	pair(w, "type", f->type == BF_T_DECIMAL ? "number" : "integer");
	number_bounds(w, f);
	bf_jw_end_object(w);
	if (!(f->flags & BF_OR_NULL))
		return;
	bf_jw_object(w);
	pair(w, "type", "null");
	bf_jw_end_object(w);
}

static void write_choices(struct bf_json_writer *w, const struct bf_field *f)
{
	bf_jw_object(w);
	bf_jw_key(w, "enum");
	bf_jw_array(w);
	for (size_t i = 0; f->choices[i]; i++)
		bf_jw_cstr(w, f->choices[i]);
	bf_jw_end_array(w);
	bf_jw_end_object(w);
}

/* The forms of a value that is not text by itself; each may also be a reference. */
static void write_forms(struct bf_json_writer *w, const struct bf_field *f)
{
	bf_jw_key(w, "anyOf");
	bf_jw_array(w);
	if (f->type == BF_T_BOOL || f->type == BF_T_TRISTATE) {
		bf_jw_object(w);
		pair(w, "type", "boolean");
		bf_jw_end_object(w);
	} else if (f->type == BF_T_DURATION) {
		write_measure(w, f, "^(0|([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+)$");
	} else if (f->type == BF_T_SIZE) {
		write_measure(w, f, "^[0-9]+([KMGT](i?B)?)?$");
	} else if (f->type == BF_T_TIME) {
		bf_jw_object(w);
		pair(w, "type", "string");
		pair(w, "format", "date-time");
		bf_jw_end_object(w);
	} else if (f->type == BF_T_ENUM) {
		write_choices(w, f);
	} else {
		write_number(w, f);
	}
	bf_jw_object(w);
	pair(w, "$ref", REFERENCE);
	bf_jw_end_object(w);
	bf_jw_end_array(w);
}

static void write_string(struct bf_json_writer *w, const struct bf_field *f)
{
	pair(w, "type", "string");
	if (f->max > 0) {
		bf_jw_key(w, "maxLength");
		bf_jw_i64(w, f->max);
	}
}

static void write_strings(struct bf_json_writer *w, const struct bf_field *f)
{
	bf_jw_key(w, "anyOf");
	bf_jw_array(w);
	bf_jw_object(w);
	pair(w, "type", "string");
	bf_jw_end_object(w);
	bf_jw_object(w);
	pair(w, "type", "array");
	bf_jw_key(w, "items");
	bf_jw_object(w);
	pair(w, "type", "string");
	bf_jw_end_object(w);
	if (f->max > 0) {
		bf_jw_key(w, "maxItems");
		bf_jw_i64(w, f->max);
	}
	bf_jw_end_object(w);
	bf_jw_end_array(w);
}

static void write_pairs(struct bf_json_writer *w, const struct bf_field *f)
{
	pair(w, "type", "object");
	bf_jw_key(w, "maxProperties");
	bf_jw_i64(w, f->max);
	bf_jw_key(w, "additionalProperties");
	bf_jw_object(w);
	pair(w, "type", "string");
	bf_jw_key(w, "maxLength");
	bf_jw_i64(w, BF_PAIR_VALUE_MAX_BYTES);
	bf_jw_end_object(w);
}

static void write_container(struct bf_json_writer *w, const struct bf_field *f, const char *pattern)
{
	char below[BF_PATH_TEXT_MAX];

	if (f->type == BF_T_OBJECT) {
		write_table(w, f->sub, pattern, false);
		return;
	}
	if (f->flags & BF_OR_ONE) {
		write_table(w, f->sub, pattern, false);
		return;
	}
	pair(w, "type", f->type == BF_T_LIST ? "array" : "object");
	bf_jw_key(w, f->type == BF_T_LIST ? "maxItems" : "maxProperties");
	bf_jw_i64(w, f->max);
	bf_jw_key(w, f->type == BF_T_LIST ? "items" : "additionalProperties");
	bf_jw_object(w);
	if (join(below, pattern, f->type == BF_T_MAP ? ".*" : ""))
		write_table(w, f->sub, below, f->type == BF_T_MAP);
	else
		w->error = BF_E_LIMIT;
	bf_jw_end_object(w);
}

static void write_default(struct bf_json_writer *w, const struct bf_field *f)
{
	bool bare = f->type == BF_T_BOOL || f->type == BF_T_INT || f->type == BF_T_UINT ||
		    f->type == BF_T_DECIMAL;

	if (!f->dflt)
		return;
	bf_jw_key(w, "default");
	if (bare)
		bf_jw_raw(w, bf_slice_from(f->dflt));
	else
		bf_jw_cstr(w, f->dflt);
}

static void write_field(struct bf_json_writer *w, const struct bf_field *f, const char *pattern)
{
	bf_jw_object(w);
	if (f->doc)
		pair(w, "description", f->doc);
	switch ((enum bf_field_type)f->type) {
	case BF_T_STRING:
	case BF_T_SECRET:
	case BF_T_BYTES:
		write_string(w, f);
		break;
	case BF_T_STRINGS:
		write_strings(w, f);
		break;
	case BF_T_OBJECT:
	case BF_T_LIST:
	case BF_T_MAP:
		write_container(w, f, pattern);
		break;
	case BF_T_PAIRS:
		write_pairs(w, f);
		break;
	case BF_T_BOOL:
	case BF_T_INT:
	case BF_T_UINT:
	case BF_T_DURATION:
	case BF_T_SIZE:
	case BF_T_DECIMAL:
	case BF_T_TIME:
	case BF_T_TRISTATE:
	case BF_T_ENUM:
	case BF_T_COUNT:
		write_forms(w, f);
		break;
	}
	write_default(w, f);
	bf_jw_end_object(w);
}

static bool has_field(const struct bf_table *table, struct bf_slice name)
{
	for (uint16_t i = 0; i < table->field_count; i++)
		if (bf_slice_is(name, table->fields[i].name))
			return true;
	return false;
}

/* Rows of one group follow each other: only the first of them names it. */
static void write_unbuilt(struct bf_json_writer *w, const struct bf_table *table,
			  const char *pattern)
{
	struct bf_slice parent = bf_slice_from(pattern), last = {NULL, 0};

	for (size_t i = 0; i < bf_unbuilt_count; i++) {
		const struct bf_unbuilt *row = &bf_unbuilt_table[i];
		struct bf_slice name = bf_unbuilt_child(row, parent);

		if (!name.ptr || bf_slice_is(name, "*") || bf_slice_eq(name, last) ||
		    has_field(table, name))
			continue;
		last = name;
		bf_jw_key_slice(w, name);
		bf_jw_object(w);
		pair(w, "description",
		     row->class == BF_UNBUILT_SAFETY ? "Not part of this build: refuses the start "
						       "unless listed in supervisor.accept_unbuilt."
						     : "Not part of this build: has no effect.");
		bf_jw_key(w, "deprecated");
		bf_jw_bool(w, true);
		bf_jw_end_object(w);
	}
}

static void write_required(struct bf_json_writer *w, const struct bf_table *table, uint16_t first)
{
	bool any = false;

	for (uint16_t i = first; i < table->field_count; i++) {
		if (!(table->fields[i].flags & BF_REQUIRED))
			continue;
		if (!any) {
			bf_jw_key(w, "required");
			bf_jw_array(w);
		}
		any = true;
		bf_jw_cstr(w, table->fields[i].name);
	}
	if (any)
		bf_jw_end_array(w);
}

static void write_table(struct bf_json_writer *w, const struct bf_table *table, const char *pattern,
			bool skip_first)
{
	char above[BF_PATH_TEXT_MAX], below[BF_PATH_TEXT_MAX];
	uint16_t first = skip_first ? 1 : 0;

	pair(w, "type", "object");
	bf_jw_key(w, "additionalProperties");
	bf_jw_bool(w, false);
	write_required(w, table, first);
	bf_jw_key(w, "properties");
	bf_jw_object(w);
	for (uint16_t i = first; i < table->field_count; i++) {
		const struct bf_field *f = &table->fields[i];

		if (f->flags & BF_INTERNAL)
			continue;
		if (!join(above, pattern, pattern[0] ? "." : "") || !join(below, above, f->name)) {
			w->error = BF_E_LIMIT;
			return;
		}
		bf_jw_key(w, f->name);
		write_field(w, f, below);
	}
	write_unbuilt(w, table, pattern);
	bf_jw_end_object(w);
}

int bf_describe_json_schema(const struct bf_table *table, struct bf_buf *out)
{
	struct bf_json_writer w;

	bf_jw_init(&w, out);
	bf_jw_object(&w);
	pair(&w, "$schema", "https://json-schema.org/draft/2020-12/schema");
	pair(&w, "title", "bifrost.yaml");
	if (table->doc)
		pair(&w, "description", table->doc);
	write_table(&w, table, "", false);
	bf_jw_key(&w, "$defs");
	bf_jw_object(&w);
	bf_jw_key(&w, "reference");
	bf_jw_object(&w);
	pair(&w, "description",
	     "env.NAME: an environment variable; file.PATH: the content of a file.");
	pair(&w, "type", "string");
	pair(&w, "pattern", "^(env|file)\\..+$");
	bf_jw_end_object(&w);
	bf_jw_end_object(&w);
	bf_jw_end_object(&w);
	int r = bf_jw_finish(&w);
	return r < 0 ? r : bf_buf_append(out, "\n", 1);
}

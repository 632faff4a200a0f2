/* Single values: where they live in the described struct, their bounds, their text form. Used only
 * within common/schema. */
#pragma once

#include <stdbool.h>

#include "common/base/arena.h"
#include "common/schema/field.h"

/* How a text stood in the file; decides which types it may become. */
enum bf_text_style {
	BF_TEXT_PLAIN,    /* YAML plain scalar, JSON number or literal, a default of a table */
	BF_TEXT_QUOTED,   /* only for types whose JSON form is a string */
	BF_TEXT_RESOLVED, /* came from env.NAME or file.PATH: fits any type, is never shown */
};

static inline void *bf_field_slot(const struct bf_field *f, void *object)
{
	return (char *)object + f->offset;
}

static inline const void *bf_field_slot_const(const struct bf_field *f, const void *object)
{
	return (const char *)object + f->offset;
}

static inline void *bf_array_at(const struct bf_array *a, size_t item_size, uint32_t i)
{
	return (char *)a->items + item_size * i;
}

static inline bool bf_field_seen_by(const struct bf_field *f, uint16_t audience)
{
	return audience == 0 || (f->audience & audience) != 0;
}

/* Numbers of signed types: BF_T_INT, BF_T_DURATION, BF_T_DECIMAL. */
bool bf_field_admits_i64(const struct bf_field *f, int64_t value);
/* BF_T_UINT, BF_T_SIZE. */
bool bf_field_admits_u64(const struct bf_field *f, uint64_t value);
/* Lengths of text, elements of lists. */
bool bf_field_admits_len(const struct bf_field *f, size_t len);

/* Index of text in choices; -1. */
int32_t bf_field_choice(const struct bf_field *f, struct bf_slice text);

/* Would YAML read this plain text as something else than a string (null, bool or number)? Returns
 * its name or NULL. */
const char *bf_plain_kind(struct bf_slice text);

/*
 * Text to a value of any type but BYTES, STRINGS, OBJECT, LIST and MAP. Fills err with what it must
 * be, to be read after the name of the field. Nothing is stored on an error.
 */
int bf_value_parse(const struct bf_field *f, struct bf_slice text, enum bf_text_style style,
		   void *slot, struct bf_arena *arena, struct bf_err *err);

/* "from 1s to 1h", in the field's own unit; "" when it has no bounds. Returns out. */
const char *bf_bounds_text(const struct bf_field *f, char out[96]);

/* A table with every type of field, and an arena, for the tests of the walkers. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/macros.h"
#include "common/schema/field.h"

struct bed_item {
	struct bf_slice name;
	int64_t rank;
};

struct bed_inner {
	int64_t wait_ms;
	struct bf_slice secret;
};

struct bed {
	bool on;
	int64_t level;
	uint64_t count;
	int64_t wait_ms;
	uint64_t size_bytes;
	int64_t weight_micro;
	struct bf_slice title;
	struct bf_slice secret;
	struct bf_slice raw;
	int32_t colour;
	struct bf_array tags;
	struct bed_inner inner;
	struct bf_array items;
	struct bf_array named;
	struct bf_array notes;
};

static const char *const bed_colours[] = {"red", "green", "blue", NULL};

static const struct bf_field bed_item_fields[] = {
    {.name = "name",
     .type = BF_T_STRING,
     .offset = offsetof(struct bed_item, name),
     .max = 8,
     .flags = BF_REQUIRED,
     .audience = BF_FOR_PROXYD,
     .doc = "Name."},
    {.name = "rank",
     .type = BF_T_INT,
     .offset = offsetof(struct bed_item, rank),
     .min = -5,
     .max = 5,
     .dflt = "3",
     .audience = BF_FOR_PROXYD,
     .reload = BF_RELOAD_LIVE,
     .doc = "Rank."},
};

static const struct bf_table bed_item_table = {.name = "bed.items",
					       .fields = bed_item_fields,
					       .size = sizeof(struct bed_item),
					       .field_count = 2};

static const struct bf_field bed_inner_fields[] = {
    {.name = "wait",
     .type = BF_T_DURATION,
     .offset = offsetof(struct bed_inner, wait_ms),
     .min = 1,
     .max = 60000,
     .dflt = "7s",
     .audience = BF_FOR_PROXYD | BF_FOR_WRITERD,
     .reload = BF_RELOAD_START,
     .doc = "Wait. Long."},
    {.name = "secret",
     .type = BF_T_SECRET,
     .offset = offsetof(struct bed_inner, secret),
     .max = 64,
     .audience = BF_FOR_PROXYD,
     .doc = "A secret."},
};

static const struct bf_table bed_inner_table = {.name = "bed.inner",
						.fields = bed_inner_fields,
						.size = sizeof(struct bed_inner),
						.field_count = 2};

#define BED_FIELD(n, t, member)                                                                   \
	.name = (n), .type = (t), .offset = offsetof(struct bed, member), .audience = BF_FOR_ALL, \
	.doc = "Text."

static const struct bf_field bed_fields[] = {
    {BED_FIELD("on", BF_T_BOOL, on), .dflt = "true"},
    {BED_FIELD("level", BF_T_INT, level), .min = -10, .max = 10, .dflt = "-2"},
    {BED_FIELD("count", BF_T_UINT, count)},
    {BED_FIELD("wait_in_seconds", BF_T_DURATION, wait_ms), .unit = 1000, .min = 0, .max = 3600000,
     .dflt = "1500ms"},
    {BED_FIELD("size", BF_T_SIZE, size_bytes), .min = 1, .max = 1 << 30, .dflt = "64KB"},
    {BED_FIELD("weight", BF_T_DECIMAL, weight_micro), .decimals = 6, .min = 0, .max = 2000000,
     .dflt = "0.5"},
    {BED_FIELD("title", BF_T_STRING, title), .max = 16, .dflt = "none"},
    {BED_FIELD("secret", BF_T_SECRET, secret), .max = 32},
    {BED_FIELD("raw", BF_T_BYTES, raw), .max = 4},
    {BED_FIELD("colour", BF_T_ENUM, colour), .choices = bed_colours, .dflt = "green"},
    {BED_FIELD("tags", BF_T_STRINGS, tags), .max = 3, .dflt = "a, bc"},
    {BED_FIELD("inner", BF_T_OBJECT, inner), .sub = &bed_inner_table},
    {BED_FIELD("items", BF_T_LIST, items), .sub = &bed_item_table, .max = 4},
    {BED_FIELD("named", BF_T_MAP, named), .sub = &bed_item_table, .max = 4,
     .reload = BF_RELOAD_LIVE},
    {BED_FIELD("notes", BF_T_PAIRS, notes), .max = 3},
};

static const struct bf_table bed_table = {.name = "bed",
					  .doc = "A bed.",
					  .fields = bed_fields,
					  .size = sizeof(struct bed),
					  .field_count = BF_ARRAY_LEN(bed_fields)};

static inline void bed_fill(struct bed *b, struct bf_arena *arena)
{
	static struct bf_slice tags[2];
	static struct bed_item items[2];
	static struct bf_conf_pair notes[2];
	static char raw[] = {0, 1, (char)0xff};

	assert_int_equal(bf_table_defaults(&bed_table, b, arena), 0);
	tags[0] = BF_SLICE_LIT("x");
	tags[1] = BF_SLICE_LIT("");
	items[0] = (struct bed_item){BF_SLICE_LIT("one"), -5};
	items[1] = (struct bed_item){BF_SLICE_LIT("two"), 5};
	b->on = false;
	b->count = UINT64_MAX;
	b->title = BF_SLICE_LIT("\xc3\xa4 \"q\"");
	b->secret = BF_SLICE_LIT("hunter2");
	b->inner.secret = BF_SLICE_LIT("hunter3");
	b->raw = (struct bf_slice){raw, sizeof(raw)};
	b->colour = 2;
	b->tags = (struct bf_array){tags, 2};
	b->items = (struct bf_array){items, 2};
	b->named = (struct bf_array){items, 2};
	notes[0] = (struct bf_conf_pair){BF_SLICE_LIT("n1"), BF_SLICE_LIT("hunter4")};
	notes[1] = (struct bf_conf_pair){BF_SLICE_LIT("n2"), BF_SLICE_LIT("")};
	b->notes = (struct bf_array){notes, 2};
}

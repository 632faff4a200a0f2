/*
 * A table of fields describes each config block and each control message once (design rule 6).
 * Everything that reads, writes, checks or documents such an object walks its table: YAML and JSON
 * decoding, msgpack, defaults, bounds, JSON schema, man page.
 *
 * A described object is a plain C struct. Its strings and lists live in the arena given to the
 * decoder.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/slice.h"

enum bf_field_type {
	BF_T_BOOL,     /* bool */
	BF_T_INT,      /* int64_t; min..max */
	BF_T_UINT,     /* uint64_t; min..max */
	BF_T_DURATION, /* int64_t milliseconds; text "30s"; a bare number counts field->unit_ms each
			  (0: refused) */
	BF_T_SIZE,    /* uint64_t bytes; text "10MB"; a bare number counts field->unit_bytes each */
	BF_T_DECIMAL, /* int64_t counts of 10^-field->decimals: 0.5, 1.5e-07; exact or refused */
	BF_T_TIME, /* int64_t milliseconds since 1970; text "2026-11-21T10:00:00Z"; not given: 0 */
	BF_T_TRISTATE, /* int32_t enum bf_tristate; true or false */
	BF_T_STRING,   /* struct bf_slice, terminated; max = longest length in bytes */
	BF_T_SECRET,   /* as BF_T_STRING, and printed as "***" everywhere */
	BF_T_BYTES,    /* struct bf_slice; messages only (msgpack bin) */
	BF_T_ENUM,     /* int32_t index into choices */
	BF_T_STRINGS, /* struct bf_array of struct bf_slice; max = most elements, at most 1024 bytes
			 each */
	BF_T_OBJECT,  /* embedded struct, described by sub */
	BF_T_LIST,    /* struct bf_array of objects described by sub; max = most elements */
	BF_T_MAP,     /* as BF_T_LIST; the item's first field is the key and is a BF_T_STRING */
	BF_T_PAIRS,   /* struct bf_array of struct bf_conf_pair: a mapping of chosen names to text;
			 max = most pairs, names up to 256 bytes, values up to 8 KiB; values are
			 printed as "***" */
	BF_T_COUNT,
};

/* Elements of sub->size bytes each, contiguous, in the arena. */
struct bf_array {
	void *items; /* NULL when count is 0 */
	uint32_t count;
};

struct bf_conf_pair {
	struct bf_slice name, value;
};

enum bf_tristate {
	BF_TRI_UNSET,
	BF_TRI_FALSE,
	BF_TRI_TRUE,
};

/* Who may see a field: a child's slice holds only the fields of its audience. */
enum bf_audience {
	BF_FOR_SUPERVISOR = 1 << 0,
	BF_FOR_PROXYD = 1 << 1,
	BF_FOR_CLUSTERD = 1 << 2,
	BF_FOR_DISCOVERYD = 1 << 3,
	BF_FOR_WRITERD = 1 << 4,
	BF_FOR_ALL = (1 << 5) - 1,
};

/* What a changed value needs to take effect. */
enum bf_reload {
	BF_RELOAD_ROLL,  /* the children that see the field are replaced one by one, no request lost
			  */
	BF_RELOAD_LIVE,  /* taken over by the supervisor at once */
	BF_RELOAD_START, /* only a full restart; a reload that changes it is refused whole, naming
			    the field */
};

enum bf_field_flag {
	BF_REQUIRED = 1 << 0, /* must be given */
	BF_HIDDEN = 1 << 1,   /* accepted alias: not in man page and example */
	BF_INTERNAL =
	    1 << 2, /* never read from a file and in no document; travels between processes */
	BF_FILE_TEXT = 1 << 3, /* text that starts with '/' is the path of a file with the value */
	BF_OR_ONE = 1 << 4,    /* of a BF_T_LIST: a mapping stands for a list of one */
	BF_OR_NULL = 1 << 5,   /* of a number that is never negative: not given, or null, is -1 */
};

struct bf_table;
struct bf_arena;

struct bf_field {
	const char *name;
	const char *doc;  /* one or two sentences for the man page; NULL in messages */
	const char *dflt; /* text form as it would stand in YAML; NULL: zero, empty or the
			     sub-table's own defaults */
	const struct bf_table *sub;
	const char *const *choices; /* NULL-terminated */
	/*
	 * What a text must be beyond its length: of a string or a secret, of every element of a
	 * BF_T_STRINGS, of every name of a BF_T_PAIRS. May replace the text by its canonical form.
	 * Returns 0 or fills err with what is to be read after the name of the field.
	 */
	int (*settle)(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err);
	int64_t min, max; /* numbers: both 0 = whatever the type holds; lengths: max 0 = no bound of
			     its own */
	int64_t unit;     /* BF_T_DURATION: ms per bare number; BF_T_SIZE: bytes per bare number */
	uint32_t offset;
	uint16_t audience; /* enum bf_audience bits; 0 in messages */
	uint8_t type;      /* enum bf_field_type */
	uint8_t flags;     /* enum bf_field_flag */
	uint8_t reload;    /* enum bf_reload */
	uint8_t decimals;  /* BF_T_DECIMAL: at most 18 */
};

struct bf_buf;
struct bf_json_writer;

#define BF_TABLE_MAX_FIELDS     64
#define BF_STRINGS_MAX_BYTES    1024 /* longest element of a BF_T_STRINGS */
#define BF_PAIR_NAME_MAX_BYTES  256
#define BF_PAIR_VALUE_MAX_BYTES 8192

struct bf_table {
	const char *name; /* "server", "providers.keys"; used in errors and documents */
	const char *doc;
	const struct bf_field *fields;
	size_t size;          /* sizeof the C struct */
	uint16_t field_count; /* at most BF_TABLE_MAX_FIELDS */
	uint8_t blank;        /* what bytes are that no field describes: 0, or 0xff for -1 */
	/* Checks that need more than one field. Returns 0 or fills err with what is wrong and how
	 * to mend it. */
	int (*check)(const void *object, struct bf_err *err);
};

/* Fills object (table->size bytes) with the defaults of its table, sub-objects included. BF_E_*,
 * only for bad tables. */
int bf_table_defaults(const struct bf_table *table, void *object, struct bf_arena *arena);

/*
 * msgpack map {name: value}. Only fields that audience may see are written; audience 0 writes all.
 * A field that is absent from the bytes keeps its default; unknown names are skipped (expand and
 * contract between versions); a wrong type, a value out of bounds, a missing BF_REQUIRED field or
 * left-over bytes are an error and nothing else is promised about object.
 */
int bf_table_encode_mp(const struct bf_table *table, const void *object, uint16_t audience,
		       struct bf_buf *out);
/*
 * The same of all fields, without those that are empty and have no other default: many of them
 * together take half the room, and read the same.
 */
int bf_table_encode_mp_sparse(const struct bf_table *table, const void *object, struct bf_buf *out);
int bf_table_decode_mp(const struct bf_table *table, void *object, struct bf_slice bytes,
		       struct bf_arena *arena, struct bf_err *err);

/* The object as JSON; secrets as "***". Durations and sizes in their text form. */
void bf_table_write_json(const struct bf_table *table, const void *object,
			 struct bf_json_writer *w);
/* One field of an object, at its place in the struct: the value alone. */
void bf_field_write_json(const struct bf_field *field, const void *slot, struct bf_json_writer *w);
/* A moment as fields have it, in RFC 3339; 0: null. */
void bf_time_write_json(int64_t wall_ms, struct bf_json_writer *w);
/* The same of what a file may hold and this audience sees. */
void bf_table_show_json(const struct bf_table *table, const void *object, uint16_t audience,
			struct bf_json_writer *w);

/* Deep equality of two objects over the fields that audience may see (0: all). */
int bf_table_equal(const struct bf_table *table, const void *a, const void *b, uint16_t audience);

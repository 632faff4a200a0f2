/*
 * MessagePack reader and writer with a sticky error. The reader works on the bytes in place, never
 * allocates, and checks every length against what is left; the writer uses msgpack-c. The only
 * users of msgpack.h are mp*.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/slice.h"

enum bf_mp_type {
	BF_MP_NIL,
	BF_MP_BOOL,
	BF_MP_INT,  /* fits int64_t */
	BF_MP_UINT, /* above INT64_MAX */
	BF_MP_STR,
	BF_MP_BIN,
	BF_MP_ARRAY,
	BF_MP_MAP,
	BF_MP_FLOAT,
	BF_MP_EXT,
	BF_MP_END,   /* nothing left */
	BF_MP_ERROR, /* the reader has failed */
};

struct bf_mp_reader {
	const uint8_t *pos, *end;
	int error; /* 0, BF_E_SYNTAX, BF_E_TYPE, BF_E_RANGE or BF_E_LIMIT: the first one */
};

void bf_mp_reader_init(struct bf_mp_reader *r, struct bf_slice bytes);
enum bf_mp_type bf_mp_peek(const struct bf_mp_reader *r);
bool bf_mp_read_bool(struct bf_mp_reader *r);
int64_t bf_mp_read_i64(struct bf_mp_reader *r);
uint64_t bf_mp_read_u64(struct bf_mp_reader *r);
struct bf_slice bf_mp_read_str(struct bf_mp_reader *r); /* refers to the input */
struct bf_slice bf_mp_read_bin(struct bf_mp_reader *r);
void bf_mp_read_nil(struct bf_mp_reader *r);
/* Number of elements or pairs; a count that cannot fit into the remaining bytes fails with
 * BF_E_LIMIT. */
uint32_t bf_mp_read_array(struct bf_mp_reader *r);
uint32_t bf_mp_read_map(struct bf_mp_reader *r);
/* Skips one value of any type, nested at most 64 deep, without recursion. */
void bf_mp_skip(struct bf_mp_reader *r);
/* 0 when nothing failed and every byte was consumed; BF_E_SYNTAX for left-over bytes. */
int bf_mp_reader_finish(struct bf_mp_reader *r);

struct bf_mp_writer {
	struct bf_buf *out;
	int error;
};

void bf_mp_writer_init(struct bf_mp_writer *w, struct bf_buf *out);
void bf_mp_write_nil(struct bf_mp_writer *w);
void bf_mp_write_bool(struct bf_mp_writer *w, bool v);
void bf_mp_write_i64(struct bf_mp_writer *w, int64_t v);
void bf_mp_write_u64(struct bf_mp_writer *w, uint64_t v);
void bf_mp_write_str(struct bf_mp_writer *w, struct bf_slice s);
void bf_mp_write_bin(struct bf_mp_writer *w, struct bf_slice s);
void bf_mp_write_array(struct bf_mp_writer *w, uint32_t count);
void bf_mp_write_map(struct bf_mp_writer *w, uint32_t count);
/* 0 or the first error. */
int bf_mp_writer_finish(const struct bf_mp_writer *w);

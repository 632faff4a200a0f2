/*
 * Any bytes as msgpack: skipped as a whole, and read value by value and written again. What was
 * written must be skipped to its end, and writing what is read from it must give the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/codec/mp.h"

#define OUT_MAX (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* Reads one value or the head of a container and writes it. What the writer has no form for becomes
 * nil. */
static void copy_one(struct bf_mp_reader *r, struct bf_mp_writer *w)
{
	switch (bf_mp_peek(r)) {
	case BF_MP_NIL:
		bf_mp_read_nil(r);
		bf_mp_write_nil(w);
		break;
	case BF_MP_BOOL:
		bf_mp_write_bool(w, bf_mp_read_bool(r));
		break;
	case BF_MP_INT:
		bf_mp_write_i64(w, bf_mp_read_i64(r));
		break;
	case BF_MP_UINT:
		bf_mp_write_u64(w, bf_mp_read_u64(r));
		break;
	case BF_MP_STR:
		bf_mp_write_str(w, bf_mp_read_str(r));
		break;
	case BF_MP_BIN:
		bf_mp_write_bin(w, bf_mp_read_bin(r));
		break;
	case BF_MP_ARRAY:
		bf_mp_write_array(w, bf_mp_read_array(r));
		break;
	case BF_MP_MAP:
		bf_mp_write_map(w, bf_mp_read_map(r));
		break;
	case BF_MP_FLOAT:
	case BF_MP_EXT:
	case BF_MP_END:
	case BF_MP_ERROR:
		bf_mp_skip(r);
		bf_mp_write_nil(w);
		break;
	}
}

/* 0 when every byte was read. */
static int copy_all(struct bf_slice bytes, struct bf_buf *out)
{
	struct bf_mp_reader r;
	struct bf_mp_writer w;

	bf_mp_reader_init(&r, bytes);
	bf_mp_writer_init(&w, out);
	while (bf_mp_peek(&r) != BF_MP_END && r.error == 0) {
		const uint8_t *before = r.pos;
		copy_one(&r, &w);
		require(r.error || r.pos > before);
		require(r.pos <= r.end);
	}
	require(bf_mp_writer_finish(&w) == 0);
	return bf_mp_reader_finish(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bf_slice bytes = {(const char *)data, size};
	struct bf_mp_reader r;
	struct bf_buf first, second;

	bf_mp_reader_init(&r, bytes);
	bf_mp_skip(&r);
	require(r.pos <= r.end && (r.error == 0 || bf_mp_peek(&r) == BF_MP_ERROR));
	bool one_value = r.error == 0 && r.pos == r.end;

	bf_buf_init(&first, OUT_MAX);
	bf_buf_init(&second, OUT_MAX);
	int error = copy_all(bytes, &first);
	require(!one_value || error == 0);
	/* Only for a whole value: shorter forms may leave an open container less room than its
	 * count needs. */
	if (one_value) {
		require(copy_all(bf_buf_slice(&first), &second) == 0);
		require(bf_slice_eq(bf_buf_slice(&first), bf_buf_slice(&second)));
		bf_mp_reader_init(&r, bf_buf_slice(&first));
		bf_mp_skip(&r);
		require(bf_mp_reader_finish(&r) == 0);
	}
	bf_buf_done(&first);
	bf_buf_done(&second);
	return 0;
}

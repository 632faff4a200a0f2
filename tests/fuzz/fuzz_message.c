/* The input as the body of every type of message: what decodes must be encoded and decoded again to
 * the same. */
#include <stdint.h>
#include <stdlib.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/codec/json_writer.h"
#include "common/ipc/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *decode(uint16_t type, struct bf_slice body, struct bf_arena *arena)
{
	void *message = bf_arena_alloc(arena, bf_msg_def(type)->body->size);
	struct bf_err err;

	if (!message)
		abort();
	return bf_msg_decode(type, body, message, arena, &err) == 0 ? message : NULL;
}

static void print(uint16_t type, const void *message)
{
	struct bf_json_writer w;
	struct bf_buf out;

	bf_buf_init(&out, 8 << 20);
	bf_jw_init(&w, &out);
	bf_table_write_json(bf_msg_def(type)->body, message, &w);
	if (bf_jw_finish(&w) < 0)
		abort();
	bf_buf_done(&out);
}

static void round_trip(uint16_t type, struct bf_slice body)
{
	const struct bf_table *table = bf_msg_def(type)->body;
	struct bf_arena arena;
	struct bf_buf again;

	bf_arena_init(&arena, 4 << 20);
	bf_buf_init(&again, 1 << 20);
	const void *first = decode(type, body, &arena);
	if (first) {
		if (bf_msg_encode(type, first, &again) < 0)
			abort();
		const void *second = decode(type, bf_buf_slice(&again), &arena);
		if (!second || !bf_table_equal(table, first, second, 0))
			abort();
		print(type, first);
	}
	bf_buf_done(&again);
	bf_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bf_slice body = {(const char *)data, size};

	if (size > BF_FRAME_MAX_BODY)
		return 0;
	for (uint16_t type = 1; type < BF_MSG_TYPE_MAX; type++) {
		if (bf_msg_def(type) && bf_msg_def(type)->body)
			round_trip(type, body);
	}
	return 0;
}

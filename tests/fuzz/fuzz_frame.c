/* One datagram as a channel would take it: header, permission, body. Nothing may crash, and what is
 * accepted must be said again in the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/ipc/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_body(const struct bf_frame *f)
{
	const struct bf_msg_def *def = bf_msg_def(f->type);
	struct bf_arena arena;
	struct bf_err err;

	bf_arena_init(&arena, 1 << 20);
	void *message = bf_arena_alloc(&arena, def->body ? def->body->size : 0);
	if (!message)
		abort();
	(void)bf_msg_decode(f->type, f->body, message, &arena, &err);
	bf_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bf_slice bytes = {(const char *)data, size};
	uint8_t header[BF_FRAME_HEADER_SIZE];
	struct bf_frame f;
	struct bf_err err;
	uint16_t endpoint;
	char text[24];

	/* With and without a descriptor; 0 is only a number here. */
	for (int fd = -1; fd <= 0; fd++) {
		if (bf_frame_decode(bytes, fd, &f, &err) < 0)
			continue;
		bf_frame_encode_header(&f, header);
		if (memcmp(header, data, sizeof(header)) != 0)
			abort();
		if (bf_endpoint_parse(bf_slice_from(bf_endpoint_format(f.source, text)),
				      &endpoint) < 0 ||
		    endpoint != f.source)
			abort();
		if (bf_msg_permitted(&f, &err) == 0)
			read_body(&f);
	}
	return 0;
}

/* Writes one seed of each message into CORPUS/frame and CORPUS/message. Run by hand when the table
 * has changed: seed-messages tests/fuzz/corpus */
#include <limits.h>
#include <stdio.h>

#include "common/base/buf.h"
#include "tests/support/messages_sample.h"

static int write_file(const char *corpus, const char *target, const char *name, const void *a,
		      size_t a_len, struct bf_slice b)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s/%s", corpus, target, name);
	FILE *f = n > 0 && n < PATH_MAX ? fopen(path, "wb") : NULL;

	if (!f)
		return -1;
	size_t written = fwrite(a, 1, a_len, f);
	if (b.len)
		written += fwrite(b.ptr, 1, b.len, f);
	return fclose(f) == 0 && written == a_len + b.len ? 0 : -1;
}

static int write_seeds(const char *corpus, uint16_t type)
{
	struct bf_frame f = sample_frame(type);
	const char *name = bf_msg_def(type)->name;
	uint8_t header[BF_FRAME_HEADER_SIZE];
	struct bf_buf body;

	bf_buf_init(&body, BF_FRAME_MAX_BODY);
	int r = bf_msg_encode(type, sample_message(type), &body);
	if (r == 0) {
		f.body = bf_buf_slice(&body);
		bf_frame_encode_header(&f, header);
		r = write_file(corpus, "frame", name, header, sizeof(header), f.body);
	}
	if (r == 0 && f.body.len)
		r = write_file(corpus, "message", name, "", 0, f.body);
	bf_buf_done(&body);
	return r;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		(void)fprintf(stderr, "usage: seed-messages CORPUS\n");
		return 64;
	}
	for (uint16_t type = 0; type < BF_MSG_TYPE_MAX; type++) {
		if (bf_msg_def(type) && write_seeds(argv[1], type) < 0) {
			(void)fprintf(stderr, "seed-messages: cannot write the seeds of %s\n",
				      bf_msg_def(type)->name);
			return 1;
		}
	}
	return 0;
}

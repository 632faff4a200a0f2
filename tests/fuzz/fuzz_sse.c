/*
 * Events and what they say: fed whole and one byte at a time, which must come to the same events,
 * data and verdicts. The first byte chooses the operation. Aborts when they differ.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/macros.h"
#include "proxyd/provider/openai_said.h"
#include "proxyd/provider/sse.h"

#define TEXT_MAX 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Everything that a reader of the stream would act on, in order. */
struct log {
	uint64_t hash;
	size_t events;
};

static void log_bytes(struct log *l, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < len; i++)
		l->hash = (l->hash ^ at[i]) * 1099511628211u;
	l->hash = (l->hash ^ len) * 1099511628211u;
}

static void check_said(const struct openai_said *s, struct bf_slice json)
{
	if ((unsigned)s->verdict > OPENAI_ERROR || s->prompt_tokens > OPENAI_TOKENS_MAX ||
	    s->completion_tokens > OPENAI_TOKENS_MAX || s->cached_tokens > s->prompt_tokens)
		abort();
	if (s->verdict == OPENAI_ERROR && (s->error_status < 400 || s->error_status > 599))
		abort();
	if (s->stop_reason.len > json.len || s->error_text.len > json.len)
		abort();
}

static void read_event(struct log *l, enum shm_usage_object object, struct bf_slice event)
{
	struct bf_arena arena;
	struct bf_buf joined;
	struct bf_slice data = {NULL, 0};
	struct openai_said said;

	bf_arena_init(&arena, 1 << 20);
	bf_buf_init(&joined, TEXT_MAX);
	log_bytes(l, event.ptr, event.len);
	if (sse_data(event, &joined, &data) == 0 && data.ptr) {
		bool maybe = openai_said_maybe(object, data, l->events == 0);
		log_bytes(l, data.ptr, data.len);
		log_bytes(l, &maybe, sizeof(maybe));
		if (openai_said_tokens(object, data) > data.len)
			abort();
		if (openai_said_read(object, data, false, &arena, &said))
			check_said(&said, data);
		if (openai_said_read(object, data, true, &arena, &said))
			check_said(&said, data);
	}
	l->events++;
	bf_buf_done(&joined);
	bf_arena_done(&arena);
}

/* As the stream's reader does it: what is no whole event is kept, and looked at again with more. */
static struct log read_stream(const char *bytes, size_t len, size_t step,
			      enum shm_usage_object object)
{
	struct log l = {.hash = 14695981039346656037u};
	struct sse_scan scan = {0};
	size_t begin = 0;

	for (size_t have = 0; have < len;) {
		have = BF_MIN(have + step, len);
		/* A copy of the exact size shows a look behind it. */
		size_t n = have - begin, used = 0;
		char *copy = malloc(n ? n : 1);
		if (!copy)
			abort();
		memcpy(copy, bytes + begin, n);
		for (size_t got; (got = sse_next(&scan, copy + used, n - used)) > 0; used += got) {
			if (got > n - used)
				abort();
			read_event(&l, object, (struct bf_slice){copy + used, got});
		}
		free(copy);
		begin += used;
	}
	log_bytes(&l, bytes + begin, len - begin);
	return l;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = {1, 7};

	if (size < 2 || size > 4096)
		return 0;
	enum shm_usage_object object = 1 + data[0] % SHM_OBJECT_RESPONSES;
	const char *text = (const char *)data + 1;
	struct log whole = read_stream(text, size - 1, size, object);
	for (size_t i = 0; i < BF_ARRAY_LEN(steps); i++) {
		struct log parts = read_stream(text, size - 1, steps[i], object);
		/* A lone CR at the very end may still get its LF: the same in both. */
		if (parts.events != whole.events || parts.hash != whole.hash)
			abort();
	}
	return 0;
}

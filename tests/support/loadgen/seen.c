/*
 * Looks through bodies for conn.c with plain searches: in JSON text a key with its quotes stands
 * nowhere inside a string. Must count a token only when its whole event came.
 */
#include "tests/support/loadgen/seen.h"

#include "common/base/macros.h"
#include "tests/support/wire/words.h"

void seen_init(struct seen *s)
{
	*s = (struct seen){0};
	bf_buf_init(&s->text, SEEN_TEXT_MAX);
}

void seen_done(struct seen *s)
{
	bf_buf_done(&s->text);
}

void seen_start(struct seen *s, bool keeps, bool verify, uint32_t hash)
{
	struct bf_buf text = s->text;

	bf_buf_clear(&text);
	*s = (struct seen){.text = text, .keeps = keeps, .verify = verify, .hash = hash};
}

/* What follows a key, or ptr NULL. */
static struct bf_slice after(struct bf_slice text, const char *key)
{
	size_t n = strlen(key);
	const char *at = text.len ? memmem(text.ptr, text.len, key, n) : NULL;

	if (!at)
		return (struct bf_slice){NULL, 0};
	return (struct bf_slice){at + n, text.len - (size_t)(at + n - text.ptr)};
}

static bool read_count(struct bf_slice text, const char *key, const char *other, uint64_t *ret)
{
	struct bf_slice v = after(text, key);
	uint64_t n = 0;
	size_t i;

	if (!v.ptr)
		v = after(text, other);
	for (i = 0; i < v.len && v.ptr[i] >= '0' && v.ptr[i] <= '9' && i < 18; i++)
		n = n * 10 + (uint64_t)(v.ptr[i] - '0');
	*ret = n;
	return i > 0 && i < v.len && (v.ptr[i] == ',' || v.ptr[i] == '}');
}

static void read_usage(struct seen *s, struct bf_slice text)
{
	struct bf_slice usage = after(text, "\"usage\":{");
	uint64_t prompt, completion;

	if (!usage.ptr || !read_count(usage, "\"prompt_tokens\":", "\"input_tokens\":", &prompt))
		return;
	if (!read_count(usage, "\"completion_tokens\":", "\"output_tokens\":", &completion))
		completion = 0; /* embeddings have none */
	s->has_usage = true;
	s->prompt_tokens = prompt;
	s->completion_tokens = completion;
}

static void read_words(struct seen *s, struct bf_slice text)
{
	static const char *const keys[] = {"\"content\":\"", "\"text\":\"", "\"delta\":\""};
	struct bf_slice v = {NULL, 0};
	const char *quote;

	for (size_t i = 0; i < BF_ARRAY_LEN(keys) && !v.ptr; i++)
		v = after(text, keys[i]);
	quote = v.len ? memchr(v.ptr, '"', v.len) : NULL;
	if (!quote || quote == v.ptr)
		return;
	v.len = (size_t)(quote - v.ptr);
	if (!s->verify)
		s->tokens++;
	else if (!words_check(v, s->hash, &s->tokens))
		s->garbled = true;
}

static void read_event(struct seen *s, struct bf_slice data)
{
	s->events++;
	if (bf_slice_is(data, "[DONE]")) {
		s->terminal = true;
		return;
	}
	if (after(data, "\"error\":{").ptr)
		s->error = true;
	read_words(s, data);
	read_usage(s, data);
}

static void read_line(struct seen *s, struct bf_slice line)
{
	const struct bf_slice data = BF_SLICE_LIT("data:"), event = BF_SLICE_LIT("event:");
	size_t skip;

	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	if (bf_slice_starts(line, data)) {
		skip = line.len > 5 && line.ptr[5] == ' ' ? 6 : 5;
		read_event(s, (struct bf_slice){line.ptr + skip, line.len - skip});
	} else if (bf_slice_starts(line, event)) {
		if (after(line, "error").ptr || after(line, "response.failed").ptr)
			s->error = true;
		if (after(line, "response.completed").ptr || after(line, "response.incomplete").ptr)
			s->terminal = true;
	}
}

static int feed_stream(struct seen *s, struct bf_slice bytes)
{
	while (bytes.len) {
		const char *end = memchr(bytes.ptr, '\n', bytes.len);
		size_t n = end ? (size_t)(end - bytes.ptr) : bytes.len;
		struct bf_slice line = {bytes.ptr, n};

		if (!end || bf_buf_len(&s->text)) {
			if (bf_buf_append_slice(&s->text, line) != 0)
				return -1;
			line = bf_buf_slice(&s->text);
		}
		if (!end)
			return 0;
		read_line(s, line);
		bf_buf_clear(&s->text);
		bytes = (struct bf_slice){end + 1, bytes.len - n - 1};
	}
	return 0;
}

int seen_feed(struct seen *s, struct bf_slice bytes)
{
	if (s->stream)
		return feed_stream(s, bytes);
	return s->keeps ? bf_buf_append_slice(&s->text, bytes) : 0;
}

void seen_end(struct seen *s)
{
	if (s->stream || !s->keeps)
		return;
	read_words(s, bf_buf_slice(&s->text));
	read_usage(s, bf_buf_slice(&s->text));
}

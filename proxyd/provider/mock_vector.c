/*
 * Vectors of the mock provider: numbers that follow from the text alone. Called by mock.c. Must
 * never give a number that a float cannot hold exactly, so that both encodings say the same.
 */
#include <errno.h>

#include "common/codec/json_writer.h"
#include "proxyd/provider/mock_write.h"

/* FNV-1a. */
static uint64_t text_hash(struct bf_slice s)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.ptr[i]) * 1099511628211u;
	return h;
}

/* The next of a text's numbers, in eighths, -8 to 7. */
static int64_t next_eighth(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (int64_t)(*state >> 60) - 8;
}

static void put_base64(char *out, const unsigned char *in, size_t len)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3, out += 4) {
		uint32_t v = (uint32_t)in[i] << 16;
		v |= i + 1 < len ? (uint32_t)in[i + 1] << 8 : 0;
		v |= i + 2 < len ? in[i + 2] : 0;
		out[0] = digits[v >> 18];
		out[1] = digits[v >> 12 & 63];
		out[2] = i + 1 < len ? digits[v >> 6 & 63] : '=';
		out[3] = i + 2 < len ? digits[v & 63] : '=';
	}
}

static void vector_numbers(struct bf_json_writer *j, uint64_t state, uint64_t dimensions)
{
	bf_jw_array(j);
	for (uint64_t i = 0; i < dimensions; i++)
		bf_jw_micro(j, next_eighth(&state) * 125000);
	bf_jw_end_array(j);
}

/* 32-bit floats, the lowest byte first. */
static void vector_base64(struct bf_json_writer *j, uint64_t state, uint64_t dimensions)
{
	unsigned char bytes[4 * MOCK_DIMENSION_MAX];
	char text[sizeof(bytes) / 3 * 4 + 8];
	size_t len = 4 * (size_t)dimensions;

	for (uint64_t i = 0; i < dimensions; i++) {
		float value = (float)next_eighth(&state) / 8.0f;
		uint32_t bits;
		memcpy(&bits, &value, sizeof(bits));
		for (unsigned k = 0; k < 4; k++)
			bytes[4 * i + k] = (unsigned char)(bits >> (8 * k));
	}
	put_base64(text, bytes, len);
	bf_jw_string(j, (struct bf_slice){text, (len + 2) / 3 * 4});
}

static void vector(struct bf_json_writer *j, struct bf_slice text, uint64_t index,
		   uint64_t dimensions, bool base64)
{
	bf_jw_object(j);
	bf_jw_key(j, "object");
	bf_jw_cstr(j, "embedding");
	bf_jw_key(j, "index");
	bf_jw_u64(j, index);
	bf_jw_key(j, "embedding");
	if (base64)
		vector_base64(j, text_hash(text), dimensions);
	else
		vector_numbers(j, text_hash(text), dimensions);
	bf_jw_end_object(j);
}

int mock_write_vectors(struct bf_buf *out, const struct mock_words *w, const struct bf_slice *texts,
		       size_t count, uint64_t dimensions, bool base64)
{
	struct bf_json_writer j;

	if (dimensions == 0 || dimensions > MOCK_DIMENSION_MAX)
		dimensions = MOCK_DIMENSIONS;
	bf_jw_init(&j, out);
	bf_jw_object(&j);
	bf_jw_key(&j, "object");
	bf_jw_cstr(&j, "list");
	bf_jw_key(&j, "data");
	bf_jw_array(&j);
	for (size_t i = 0; i < count; i++)
		vector(&j, texts[i], i, dimensions, base64);
	bf_jw_end_array(&j);
	bf_jw_key(&j, "model");
	bf_jw_string(&j, w->model);
	bf_jw_key(&j, "usage");
	bf_jw_object(&j);
	bf_jw_key(&j, "prompt_tokens");
	bf_jw_u64(&j, w->prompt_tokens);
	bf_jw_key(&j, "total_tokens");
	bf_jw_u64(&j, w->prompt_tokens);
	bf_jw_end_object(&j);
	bf_jw_end_object(&j);
	return bf_jw_finish(&j);
}

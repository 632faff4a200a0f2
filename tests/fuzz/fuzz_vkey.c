/*
 * Headers, a line each: which virtual key they carry; and the same text as the lines of an
 * upstream's answer, into which ours are merged. Fed whole, and with each line alone. Aborts when a
 * key comes from nowhere, or a line of the upstream's about limits gets through.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxyd/gate/limits_text.h"
#include "proxyd/gate/vkey.h"

#define HEADERS_MAX 128u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct exchange_header header_of(struct bf_slice line)
{
	const char *colon = memchr(line.ptr, ':', line.len);
	size_t n = colon ? (size_t)(colon - line.ptr) : line.len;
	size_t from = n + (colon ? 1 : 0);

	while (from < line.len && line.ptr[from] == ' ')
		from++;
	return (struct exchange_header){{line.ptr, n}, {line.ptr + from, line.len - from}};
}

/* The next line of text, without its end; takes it off. */
static struct bf_slice take_line(struct bf_slice *text)
{
	const char *end = memchr(text->ptr, '\n', text->len);
	struct bf_slice line = {text->ptr, end ? (size_t)(end - text->ptr) : text->len};
	size_t used = line.len + (end ? 1 : 0);

	*text = (struct bf_slice){text->ptr + used, text->len - used};
	return line;
}

/* A key is part of one value, and only x-bf-vk has one of another form. */
static void check_key(const struct exchange *x, struct bf_slice given)
{
	for (uint32_t i = 0; i < x->header_count; i++) {
		const struct exchange_header *h = &x->headers[i];
		bool within = given.ptr >= h->value.ptr &&
			      given.ptr + given.len == h->value.ptr + h->value.len;
		if (within && (bf_slice_is_nocase(h->name, "x-bf-vk") ||
			       bf_slice_starts_nocase(given, BF_SLICE_LIT("sk-bf-"))))
			return;
	}
	abort();
}

static struct bf_slice look(const struct exchange_header *headers, uint32_t count)
{
	struct exchange x = {.headers = headers, .header_count = count};
	struct bf_slice given = vkey_given(&x);

	if (given.len)
		check_key(&x, given);
	return given;
}

static void look_at_headers(struct bf_slice text)
{
	struct exchange_header headers[HEADERS_MAX];
	uint32_t count = 0;
	bool alone = false;

	while (text.len && count < HEADERS_MAX) {
		headers[count] = header_of(take_line(&text));
		alone |= look(&headers[count], 1).len > 0;
		count++;
	}
	/* Together they carry one exactly if one of them does. */
	if ((look(headers, count).len > 0) != alone)
		abort();
}

static void look_at_lines(struct bf_slice text)
{
	const struct bf_slice ours = BF_SLICE_LIT("x-ratelimit-limit-requests: 1\r\n");
	struct bf_arena arena;

	bf_arena_init(&arena, 1 << 20);
	struct bf_slice merged = limits_text_merge(&arena, text, ours);
	if (merged.len < ours.len || merged.len > text.len + ours.len ||
	    memcmp(merged.ptr + merged.len - ours.len, ours.ptr, ours.len) != 0)
		abort();
	merged.len -= ours.len;
	while (merged.len) {
		if (bf_slice_starts_nocase(take_line(&merged), BF_SLICE_LIT("x-ratelimit-")))
			abort();
	}
	bf_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bf_slice text = {(const char *)data, size};

	if (size > 65536)
		return 0;
	look_at_headers(text);
	if (size > 0 && data[size - 1] == '\n')
		look_at_lines(text);
	return 0;
}

/* Headers of answers that are passed on: which, how they are cut out, within which bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/macros.h"
#include "proxyd/provider/upstream_http.h"

static bool on_head(void *ctx, const struct upstream_head *head)
{
	*(struct upstream_head *)ctx = *head;
	return true;
}

static bool on_body(void *ctx BF_UNUSED, struct bf_slice bytes BF_UNUSED)
{
	return true;
}

/* The lines of an answer that is fed in pieces of step. */
static struct bf_slice lines_of(const char *text, size_t step, struct bf_arena *arena)
{
	static const struct upstream_http_events events = {on_head, on_body};
	struct upstream_head head = {0};
	struct upstream_http h;
	size_t len = strlen(text);

	upstream_http_reset(&h);
	h.lines.arena = arena;
	for (size_t at = 0; at < len;) {
		size_t n = BF_MIN(step, len - at);
		char *copy = malloc(n);
		assert_non_null(copy);
		memcpy(copy, text + at, n);
		at += upstream_http_feed(&h, copy, n, &events, &head);
		free(copy);
		if (h.phase >= UPSTREAM_HTTP_DONE)
			break;
	}
	assert_int_equal(h.phase, UPSTREAM_HTTP_DONE);
	return head.lines;
}

#define OK  "HTTP/1.1 200 OK\r\n"
#define END "Content-Length: 2\r\n\r\n{}"

static void lines_that_pass(void **state BF_UNUSED)
{
	static const struct {
		const char *answer, *lines;
	} list[] = {
	    {OK END, ""},
	    {OK "X-A: 1\r\nDate: now\r\nServer: s\r\nOpenAI-Version:  2020 \t\r\n" END,
	     "X-A: 1\r\nOpenAI-Version: 2020\r\n"},
	    {OK "X-Empty:\r\nX-Spaces:   \r\n" END, "X-Empty:\r\nX-Spaces:\r\n"},
	    {OK "Set-Cookie: a\r\nSet-Cookie2: a\r\nAlt-Svc: h3\r\nKeep-Alive: 5\r\n"
		"Strict-Transport-Security: x\r\nAccess-Control-Allow-Origin: *\r\n"
		"X-Request-ID: r\r\nTraceparent: t\r\nContent-Type: application/json\r\n"
		"Proxy-Authenticate: b\r\nTE: x\r\nTrailer: y\r\nUpgrade: h2c\r\nRetry-After: 1\r\n"
		"Retry-After-Ms: 1\r\nConnection: keep-alive\r\n" END,
	     ""},
	    {OK "Servers: a\r\nTes: b\r\nDates: c\r\nxx-request-id: d\r\n" END,
	     "Servers: a\r\nTes: b\r\nDates: c\r\nxx-request-id: d\r\n"},
	    /* What an interim answer says is nobody's. */
	    {"HTTP/1.1 103 Early\r\nLink: a\r\nX-B: 2\r\n\r\n" OK "X-A: 1\r\n" END, "X-A: 1\r\n"},
	    /* What it names is of this hop, before it and behind it; nothing else is. */
	    {OK "X-A: 1\r\nConnection: close, x-a\r\n" END, ""},
	    {OK "X-A: 1\r\nConnection: Close\r\n" END, "X-A: 1\r\n"},
	    {OK "X-Up: yes\r\nX-Secret: 1\r\nConnection: keep-alive, X-Secret ,\tx-SECOND\r\n"
		"x-secret: 2\r\nX-Secret2: b\r\nX-Second:\r\nX-Last: z\r\n" END,
	     "X-Up: yes\r\nX-Secret2: b\r\nX-Last: z\r\n"},
	    {OK "X-A: 1\r\nConnection: x-a\r\nX-B: 2\r\nConnection:x-c\r\nX-C: 3\r\n"
		"X-D: x-b\r\n" END,
	     "X-B: 2\r\nX-D: x-b\r\n"},
	    {OK "X-A: 1\r\nConnection:\r\nX-Connection: x-a\r\nConnection: ,, \r\n" END,
	     "X-A: 1\r\nX-Connection: x-a\r\n"},
	    {"HTTP/1.1 103 Early\r\nConnection: x-a\r\n\r\n" OK "X-A: 1\r\n" END, "X-A: 1\r\n"},
	};
	struct bf_arena arena;

	bf_arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < BF_ARRAY_LEN(list); i++) {
		for (size_t step = 1; step <= strlen(list[i].answer); step++) {
			bf_arena_reset(&arena);
			struct bf_slice lines = lines_of(list[i].answer, step, &arena);
			if (!bf_slice_is(lines, list[i].lines))
				fail_msg("%zu step %zu: %.*s", i, step, BF_SLICE_FMT(lines));
#ifndef BF_ARENA_MALLOC
			/* No more than the lines stays taken. */
			assert_true(arena.used_bytes <= lines.len + 32);
#endif
		}
	}
	bf_arena_done(&arena);
}

static size_t count_of(struct bf_slice s, char ch)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += s.ptr[i] == ch;
	return n;
}

static void bounds(void **state BF_UNUSED)
{
	static char text[64 * 1024];
	struct bf_arena arena;
	size_t len = (size_t)snprintf(text, sizeof(text), OK);

	bf_arena_init(&arena, 1 << 20);
	for (unsigned i = 0; i < UPSTREAM_LINES_MAX + 10; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "X-%u: y\r\n", i);
	(void)snprintf(text + len, sizeof(text) - len, END);
	struct bf_slice lines = lines_of(text, 1000, &arena);
	assert_int_equal(count_of(lines, '\n'), UPSTREAM_LINES_MAX);

	/* A line that does not fit is left out whole; a shorter one behind it is not. */
	len = (size_t)snprintf(text, sizeof(text), OK "X-Small: 1\r\nX-Large: ");
	memset(text + len, 'l', UPSTREAM_LINES_BYTES);
	len += UPSTREAM_LINES_BYTES;
	(void)snprintf(text + len, sizeof(text) - len, "\r\nX-Last: 2\r\n" END);
	for (size_t step = 1; step < 5000; step = step * 3 + 1) {
		lines = lines_of(text, step, &arena);
		assert_true(bf_slice_is(lines, "X-Small: 1\r\nX-Last: 2\r\n"));
	}
	/* Names that cannot be kept could be any: nothing is passed on. */
	len = (size_t)snprintf(text, sizeof(text), OK "X-Small: 1\r\nConnection: x-small,");
	memset(text + len, 'l', UPSTREAM_LINES_BYTES);
	len += UPSTREAM_LINES_BYTES;
	(void)snprintf(text + len, sizeof(text) - len, "\r\nX-Last: 2\r\n" END);
	for (size_t step = 1; step < 5000; step = step * 3 + 1)
		assert_int_equal(lines_of(text, step, &arena).len, 0);
	/* Nor is it so behind the last line that there is room for. */
	len = (size_t)snprintf(text, sizeof(text), OK);
	for (unsigned i = 0; i < UPSTREAM_LINES_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "X-%u: y\r\n", i);
	(void)snprintf(text + len, sizeof(text) - len, "Connection: x-7\r\n" END);
	assert_int_equal(lines_of(text, 1000, &arena).len, 0);

	/* Without memory the answer is as good without them. */
	bf_arena_done(&arena);
	bf_arena_init(&arena, 64);
	assert_int_equal(lines_of(OK "X-A: 1\r\n" END, 7, &arena).len, 0);
	bf_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines_that_pass),
	    cmocka_unit_test(bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

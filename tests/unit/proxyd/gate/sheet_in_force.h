/* A price sheet of a few models, in force in a worker, and questions about it. Only for tests. */
#pragma once

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/schema/price_sheet.h"
#include "tests/unit/proxyd/gate/in_force.h"
#include "tests/unit/proxyd/harness.h"

#define OK "HTTP/1.1 200 OK\r\n"

static struct bf_arena sheet_arena;

/* Of the file's form; overrides come before in_force_open(). */
static inline void sheet_in_force(struct harness *h, const char *json)
{
	struct bf_err err = {0};

	bf_arena_init(&sheet_arena, 16u << 20);
	if (bf_price_sheet_read(bf_slice_from(json), &sheet_arena, &h->config.pricing.sheet, &err) <
	    0)
		fail_msg("%s", err.text);
	in_force_open(&h->w);
}

static inline void sheet_gone(struct harness *h)
{
	in_force_close(&h->w);
	harness_close(h);
	bf_arena_done(&sheet_arena);
}

static inline void expect(struct harness *h, const char *path, const char *start, const char *body)
{
	static char request[2048], answer[2u << 20];
	int fd = harness_client(h);

	(void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
		       path);
	(void)harness_ask(h, fd, request, answer, sizeof(answer));
	const char *end = strstr(answer, "\r\n\r\n");
	if (strncmp(answer, start, strlen(start)) != 0 || !end || (body && !strstr(end, body)))
		fail_msg("%s: %s\nexpected %s", path, answer, body ? body : start);
	(void)close(fd);
	harness_turns(h, 4);
}

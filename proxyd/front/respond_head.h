/* Head sections of answers: status line, the lines that every answer has, and what the exchange
 * asks for. */
#pragma once

#include <string.h>

#include "proxyd/front/conn.h"

#define RESPOND_HEAD_MAX \
	2048u /* beside x->answer_head; the longest line of ours has about 400 bytes */

struct respond_head {
	size_t len;
	char text[RESPOND_HEAD_MAX];
};

/* Starts a head. Decides whether the connection stays. */
void respond_head_begin(struct respond_head *h, struct conn *c, int http_status,
			struct bf_slice content_type);
/* "Name: value" CRLF. name: with its colon and space. Lines that do not fit are left out. */
static inline void respond_head_line(struct respond_head *h, struct bf_slice name,
				     struct bf_slice value)
{
	char *at = h->text + h->len;

	if (name.len + value.len + 2 > sizeof(h->text) - h->len)
		return;
	memcpy(at, name.ptr, name.len);
	if (value.len)
		memcpy(at + name.len, value.ptr, value.len);
	memcpy(at + name.len + value.len, "\r\n", 2);
	h->len += name.len + value.len + 2;
}
void respond_head_number(struct respond_head *h, struct bf_slice name, uint64_t value);
/* Lines as they stand. */
void respond_head_lines(struct respond_head *h, struct bf_slice lines);

static inline struct bf_slice respond_head_slice(const struct respond_head *h)
{
	return (struct bf_slice){h->text, h->len};
}

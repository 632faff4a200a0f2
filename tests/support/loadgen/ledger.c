/*
 * The client's side of the books: a line per request. Called by client.c at the end of each; lines
 * are gathered and written whole.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/loadgen/load_priv.h"

#define GATHER_BYTES (64u << 10)

static int append_usage(struct bf_buf *b, const struct seen *s)
{
	if (!s->has_usage)
		return bf_buf_printf(b, "\"usage\":null");
	return bf_buf_printf(b, "\"usage\":[%llu,%llu]", (unsigned long long)s->prompt_tokens,
			     (unsigned long long)s->completion_tokens);
}

void load_note(struct load *l, const struct client *c, enum load_end end)
{
	struct bf_buf *b = &l->lines;
	const char *prefix = l->options->user_prefix;
	int r;

	if (l->ledger < 0)
		return;
	r = bf_buf_printf(b, "{\"user\":\"%s%s%.*s\",\"status\":%d,\"end\":\"%s\",\"id\":\"%s\",",
			  prefix ? prefix : "", prefix ? "-" : "", (int)MESSAGE_DIGITS, c->digits,
			  c->reply.status, load_end_name(end), c->reply.id);
	r = r < 0 ? r : append_usage(b, &c->seen);
	if (r == 0)
		r = bf_buf_printf(
		    b,
		    ",\"stream\":%s,\"tokens_seen\":%llu,\"events\":%llu,\"latency_ns\":%lld,"
		    "\"first_byte_ns\":%lld,\"late_ns\":%lld}\n",
		    c->reply.is_stream ? "true" : "false", (unsigned long long)c->seen.tokens,
		    (unsigned long long)c->seen.events, (long long)(l->now_ns - c->intended_ns),
		    (long long)(c->first_ns ? c->first_ns - c->intended_ns : 0),
		    (long long)(c->sent_ns - c->intended_ns));
	if (r < 0) {
		fputs("loadgen: no memory for the ledger\n", stderr);
		exit(1);
	}
	if (bf_buf_len(b) > GATHER_BYTES)
		load_flush(l);
}

void load_flush(struct load *l)
{
	while (l->ledger >= 0 && bf_buf_len(&l->lines)) {
		struct bf_slice text = bf_buf_slice(&l->lines);
		ssize_t n = write(l->ledger, text.ptr, text.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			perror("loadgen: the ledger cannot be written");
			exit(1);
		}
		bf_buf_consume(&l->lines, (size_t)n);
	}
}

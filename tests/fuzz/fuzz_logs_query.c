/* The input as the query string of /api/logs: what is taken must fit its message, be read back as
 * the same, and be within the bounds that the reader relies on. */
#include <stdint.h>
#include <stdlib.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "proxyd/gate/logs_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct bf_msg_logs_query *q, struct bf_arena *arena)
{
	const struct bf_table *table = bf_msg_def(BF_MSG_LOGS_QUERY)->body;
	struct bf_msg_logs_query again;
	struct bf_buf body;

	if (q->limit == 0 || q->limit > BF_LOGS_MAX_LIMIT || q->offset > INT64_MAX || q->id.len ||
	    q->content_search.len > BF_LOGS_MAX_TEXT)
		abort();
	bf_buf_init(&body, BF_FRAME_MAX_BODY);
	if (bf_msg_encode(BF_MSG_LOGS_QUERY, q, &body) < 0 ||
	    bf_msg_decode(BF_MSG_LOGS_QUERY, bf_buf_slice(&body), &again, arena, NULL) < 0 ||
	    !bf_table_equal(table, q, &again, 0))
		abort();
	bf_buf_done(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bf_msg_logs_query q;
	struct bf_err err = {0};
	struct bf_arena arena;

	/* What the front lets through is shorter than a header section. */
	if (size > 32768)
		return 0;
	bf_arena_init(&arena, 4 << 20);
	if (logs_query_parse((struct bf_slice){(const char *)data, size}, 1763721600000, &arena, &q,
			     &err) == 0)
		check(&q, &arena);
	else if (err.text[0] == '\0' && err.code != 0)
		abort();
	bf_arena_done(&arena);
	return 0;
}

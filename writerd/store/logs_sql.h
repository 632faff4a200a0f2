/* A question about the logs as SQL: pure. What a client wrote only ever becomes a bound parameter.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/ipc/messages.h"
#include "writerd/row/row.h"

#define LOGS_SQL_BINDS_MAX 352u /* ten lists of BF_LOGS_MAX_VALUES, and the bounds */
#define LOGS_SQL_TEXT_MAX  (16u << 10)

struct logs_bind {
	struct bf_slice text; /* ptr NULL: number counts */
	int64_t number;
};

/* The conditions of one question. Texts refer to the question and to itself: it must not move. */
struct logs_where {
	struct bf_buf sql; /* "" or " WHERE ..." */
	struct logs_bind binds[LOGS_SQL_BINDS_MAX];
	unsigned bind_count;
	char start[ROW_TIME_LEN + 1], end[ROW_TIME_LEN + 1];
	char pattern[2 * BF_LOGS_MAX_TEXT + 3]; /* of LIKE */
	int error;                              /* the first one */
};

/* 0, BF_E_LIMIT or -ENOMEM; to be ended by logs_where_done in any case. */
int logs_where_build(struct logs_where *w, const struct bf_msg_logs_query *q);
void logs_where_done(struct logs_where *w);

/* "SELECT <columns> FROM logs <where> ORDER BY ... LIMIT ? OFFSET ?"; the two are bound last. */
int logs_sql_page(const struct logs_where *w, const struct bf_msg_logs_query *q,
		  const char *columns, struct bf_buf *out);

/* Answers of the management API that this worker makes itself. */
#pragma once

#include "common/codec/problem.h"
#include "proxyd/exchange.h"

/* No cache may keep it: it may show a secret once. */
#define API_NO_STORE "Cache-Control: no-store\r\n"

/* Refuses an exchange in state GATE or CALLING. param: the member or parameter; may be empty. */
void api_refuse(struct exchange *x, int http_status, const char *type, struct bf_slice param,
		const char *fmt, ...) BF_PRINTF(5, 6);

/* Answers with this JSON. head: further header lines, or empty. */
void api_answer(struct exchange *x, int http_status, struct bf_slice head, struct bf_slice json);
/* {"message": text} */
void api_answer_message(struct exchange *x, struct bf_slice head, const char *text);

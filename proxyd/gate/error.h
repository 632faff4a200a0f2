/* Error bodies in the client's dialect. */
#pragma once

#include "proxyd/exchange.h"

enum error_dialect {
	ERROR_UNIFIED, /* {"is_bifrost_error":true,"status_code":..,"error":{..},"extra_fields":{..}}
			*/
	ERROR_OPENAI,  /* {"error":{"message":..,"type":..,"param":null,"code":..}} */
};

/*
 * Appends the body. type: a snake_case name or NULL. x may be NULL (a request that could not be
 * read). 0 or an error of bf_buf.
 */
int error_write(struct bf_buf *out, enum error_dialect dialect, int http_status, const char *type,
		const char *message, const struct exchange *x) BF_MUST_CHECK;

/* Refuses an exchange that was not admitted: state becomes DONE, the answer leaves. */
void gate_refuse(struct exchange *x, int http_status, const char *type, const char *fmt, ...)
    BF_PRINTF(4, 5);

/* As gate_refuse, for an exchange whose row is already written or was never wanted; text as it
 * stands. */
void gate_answer_error(struct exchange *x, int http_status, const char *type, const char *message);

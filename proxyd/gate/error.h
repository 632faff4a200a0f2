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

/*
 * Appends what ends a stream that failed, in the shape of its API: an event whose `error` makes the
 * vendors' clients raise. 0, or an error of bf_buf with out as it was.
 */
int error_event_write(struct bf_buf *out, const struct exchange *x, int http_status,
		      const char *type, const char *message) BF_MUST_CHECK;

/*
 * x->answer is the body with which an upstream refused: turns it into what the client gets. On the
 * OpenAI routes that is the same where it has their shape, else its words in that shape; on the
 * unified routes it is wrapped, with `error` taken from it.
 * Uses w->text. 0, or an error of bf_buf or BF_E_FULL with the answer as it came.
 */
int error_relayed(struct exchange *x, int http_status);

/* Puts extra_fields into the JSON object that out ends with, which has a member already. class_name
 * as in common/base/error_class.h, or NULL. 0 or an error of bf_buf. */
int error_add_extra(struct bf_buf *out, const struct exchange *x,
		    const char *class_name) BF_MUST_CHECK;

/* A request for a provider that was refused before one was asked, and not by the management API: it
 * is counted by its class, and has a row if its client is known. */
void gate_refused(struct exchange *x, const struct exchange_outcome *why);
/* Refuses an exchange that was not admitted: state becomes DONE, it is counted and recorded, the
 * answer leaves. */
void gate_refuse(struct exchange *x, int http_status, const char *type, const char *fmt, ...)
    BF_PRINTF(4, 5);

/* As gate_refuse, for an exchange whose row is already written or was never wanted; text as it
 * stands. */
void gate_answer_error(struct exchange *x, int http_status, const char *type, const char *message);

/*
 * Error reports. Functions return 0 or a negative code (-errno, or one of errors.def); where a
 * person has to act they also fill a bf_err with one line "where: what: how to mend it".
 */
#pragma once

#include "common/base/macros.h"

enum bf_errcode {
#define X(name, code, http, text) name = (code),
#include "common/base/errors.def"
#undef X
};

struct bf_err {
	int code;       /* 0 when nothing was reported */
	char text[512]; /* always terminated; longer text is cut with "..." */
};

/* Fills err (which may be NULL) and returns code, so that a caller can `return bf_err_set(...)`. */
int bf_err_set(struct bf_err *err, int code, const char *fmt, ...) BF_PRINTF(3, 4);

/* Like bf_err_set, and appends ": " and the text of code. */
int bf_err_sys(struct bf_err *err, int code, const char *fmt, ...) BF_PRINTF(3, 4);

/* Text of a code of either kind. Never NULL; static or thread-local storage. */
const char *bf_err_text(int code);

/* Name such as "BF_E_LIMIT" or "ENOENT"; "UNKNOWN" when there is none. */
const char *bf_err_name(int code);

/* HTTP status that reports code to a client; 500 for system errors. */
int bf_err_http(int code);

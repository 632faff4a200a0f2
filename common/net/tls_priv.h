/* What both sides of TLS need of OpenSSL; only for common/net/tls*.c. */
#pragma once

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "common/base/err.h"
#include "common/base/slice.h"

/* Why the last call failed. The first error is the cause; the rest of the queue is what came of it,
 * and is emptied. Returns out. */
static inline const char *tls_reason(char out[160])
{
	unsigned long e = ERR_get_error();
	const char *reason = NULL;

	if (ERR_SYSTEM_ERROR(e))
		reason = bf_err_text(-ERR_GET_REASON(e));
	else if (e)
		reason = ERR_reason_error_string(e);
	(void)snprintf(out, 160, "%s", reason ? reason : "the connection was cut");
	ERR_clear_error();
	return out;
}

/* To read text from; NULL: no memory. */
static inline BIO *tls_bio(struct bf_slice text)
{
	return BIO_new_mem_buf(text.ptr ? text.ptr : "",
			       text.len > 0x7fffffff ? 0x7fffffff : (int)text.len);
}

/*
 * Error bodies. Called by every step of the gate, by the relay, and by the front for requests that
 * could not be read. Must never put a secret or a piece of a prompt into a message.
 */
#include "proxyd/gate/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/codec/json_writer.h"
#include "proxyd/gate/route.h"
#include "proxyd/worker.h"

static const char *error_openai_type(int http_status)
{
	if (http_status == 429)
		return "rate_limit_error";
	return http_status >= 500 ? "server_error" : "invalid_request_error";
}

static void error_openai(struct bf_json_writer *w, int http_status, const char *type,
			 const char *message)
{
	bf_jw_object(w);
	bf_jw_key(w, "error");
	bf_jw_object(w);
	bf_jw_key(w, "message");
	bf_jw_cstr(w, message);
	bf_jw_key(w, "type");
	bf_jw_cstr(w, error_openai_type(http_status));
	bf_jw_key(w, "param");
	bf_jw_null(w);
	bf_jw_key(w, "code");
	if (type)
		bf_jw_cstr(w, type);
	else
		bf_jw_null(w);
	bf_jw_end_object(w);
	bf_jw_end_object(w);
}

static void error_extra_fields(struct bf_json_writer *w, const struct exchange *x)
{
	bf_jw_key(w, "extra_fields");
	bf_jw_object(w);
	if (x && x->provider.len) {
		bf_jw_key(w, "provider");
		bf_jw_string(w, x->provider);
		bf_jw_key(w, "original_model_requested");
		bf_jw_string(w, x->model);
		bf_jw_key(w, "request_type");
		bf_jw_cstr(w, x->wants_stream ? "chat_completion_stream" : "chat_completion");
	}
	bf_jw_end_object(w);
}

static void error_unified(struct bf_json_writer *w, int http_status, const char *type,
			  const char *message, const struct exchange *x)
{
	bf_jw_object(w);
	if (type) {
		bf_jw_key(w, "type");
		bf_jw_cstr(w, type);
	}
	bf_jw_key(w, "is_bifrost_error");
	bf_jw_bool(w, true);
	bf_jw_key(w, "status_code");
	bf_jw_i64(w, http_status);
	bf_jw_key(w, "error");
	bf_jw_object(w);
	if (type) {
		bf_jw_key(w, "type");
		bf_jw_cstr(w, type);
	}
	bf_jw_key(w, "message");
	bf_jw_cstr(w, message);
	bf_jw_end_object(w);
	error_extra_fields(w, x);
	bf_jw_end_object(w);
}

int error_write(struct bf_buf *out, enum error_dialect dialect, int http_status, const char *type,
		const char *message, const struct exchange *x)
{
	struct bf_json_writer w;

	bf_jw_init(&w, out);
	if (dialect == ERROR_OPENAI)
		error_openai(&w, http_status, type, message);
	else
		error_unified(&w, http_status, type, message, x);
	return bf_jw_finish(&w);
}

void gate_answer_error(struct exchange *x, int http_status, const char *type, const char *message)
{
	struct bf_buf *text = &x->worker->text;

	bf_buf_clear(text);
	if (error_write(text, gate_dialect(x), http_status, type, message, x) < 0)
		bf_buf_clear(text); /* out of memory: the status alone must do */
	x->out->answer(x, http_status, BF_SLICE_LIT("application/json"), bf_buf_slice(text));
}

void gate_refuse(struct exchange *x, int http_status, const char *type, const char *fmt, ...)
{
	char message[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	exchange_set_state(x, EXCHANGE_DONE);
	gate_answer_error(x, http_status, type, message);
}

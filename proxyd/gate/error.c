/*
 * Error bodies. Called by every step of the gate, by the relay, and by the front for requests that
 * could not be read. Must never put a secret or a piece of a prompt into a message.
 */
#include "proxyd/gate/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/error_class.h"
#include "common/codec/json_writer.h"
#include "proxyd/gate/extra.h"
#include "proxyd/gate/route.h"
#include "proxyd/record/record.h"
#include "proxyd/worker.h"

static const char *error_openai_type(int http_status)
{
	if (http_status == 429)
		return "rate_limit_error";
	return http_status >= 500 ? "server_error" : "invalid_request_error";
}

static void error_code(struct bf_json_writer *w, const char *type)
{
	bf_jw_key(w, "code");
	if (type)
		bf_jw_cstr(w, type);
	else
		bf_jw_null(w);
}

static void error_openai_object(struct bf_json_writer *w, int http_status, const char *type,
				const char *message)
{
	bf_jw_key(w, "error");
	bf_jw_object(w);
	bf_jw_key(w, "message");
	bf_jw_cstr(w, message);
	bf_jw_key(w, "type");
	bf_jw_cstr(w, error_openai_type(http_status));
	bf_jw_key(w, "param");
	bf_jw_null(w);
	error_code(w, type);
	bf_jw_end_object(w);
}

static void error_openai(struct bf_json_writer *w, int http_status, const char *type,
			 const char *message)
{
	bf_jw_object(w);
	error_openai_object(w, http_status, type, message);
	bf_jw_end_object(w);
}

static void error_unified(struct bf_json_writer *w, int http_status, const char *type,
			  const char *message)
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
	bf_jw_end_object(w);
}

int error_add_extra(struct bf_buf *out, const struct exchange *x, const char *class_name)
{
	int r;

	out->end--; /* the object's last brace */
	r = bf_buf_append(out, ",", 1);
	if (r == 0)
		r = extra_member(x, class_name, out);
	return r == 0 ? bf_buf_append(out, "}", 1) : r;
}

int error_write(struct bf_buf *out, enum error_dialect dialect, int http_status, const char *type,
		const char *message, const struct exchange *x)
{
	static const struct exchange nobody;
	struct bf_json_writer w;
	int r;

	bf_jw_init(&w, out);
	if (dialect == ERROR_OPENAI) {
		error_openai(&w, http_status, type, message);
		return bf_jw_finish(&w);
	}
	error_unified(&w, http_status, type, message);
	r = bf_jw_finish(&w);
	return r < 0 ? r
		     : error_add_extra(
			   out, x ? x : &nobody,
			   bf_error_class_name(bf_error_class_of(http_status, type, NULL)));
}

/* The shape of the Responses API: the members at the top, and `error` once more, because that is
 * what makes the vendor's client raise. */
static int error_responses_event(struct bf_buf *out, const struct exchange *x, int http_status,
				 const char *type, const char *message)
{
	struct bf_json_writer w;
	int r = bf_buf_append_slice(out, BF_SLICE_LIT("event: error\ndata: "));

	if (r < 0)
		return r;
	bf_jw_init(&w, out);
	bf_jw_object(&w);
	bf_jw_key(&w, "type");
	bf_jw_cstr(&w, "error");
	bf_jw_key(&w, "sequence_number");
	bf_jw_u64(&w, x->stream_events);
	error_code(&w, type);
	bf_jw_key(&w, "message");
	bf_jw_cstr(&w, message);
	bf_jw_key(&w, "param");
	bf_jw_null(&w);
	error_openai_object(&w, http_status, type, message);
	bf_jw_end_object(&w);
	r = bf_jw_finish(&w);
	if (r == 0 && gate_dialect(x) == ERROR_UNIFIED)
		r = error_add_extra(
		    out, x, bf_error_class_name(bf_error_class_of(http_status, type, NULL)));
	return r;
}

int error_event_write(struct bf_buf *out, const struct exchange *x, int http_status,
		      const char *type, const char *message)
{
	size_t before = bf_buf_len(out);
	int r;

	if (x->route && x->route->object == SHM_OBJECT_RESPONSES) {
		r = error_responses_event(out, x, http_status, type, message);
	} else {
		r = bf_buf_append_slice(out, BF_SLICE_LIT("data: "));
		if (r == 0)
			r = error_write(out, gate_dialect(x), http_status, type, message, x);
	}
	if (r == 0)
		r = bf_buf_append_slice(out, BF_SLICE_LIT("\n\n"));
	if (r < 0)
		out->end = out->start + before;
	return r;
}

void gate_answer_error(struct exchange *x, int http_status, const char *type, const char *message)
{
	struct bf_buf *text = &x->worker->text;

	bf_buf_clear(text);
	if (error_write(text, gate_dialect(x), http_status, type, message, x) < 0)
		bf_buf_clear(text); /* out of memory: the status alone must do */
	x->out->answer(x, http_status, BF_SLICE_LIT("application/json"), bf_buf_slice(text));
}

void gate_refused(struct exchange *x, const struct exchange_outcome *why)
{
	const struct worker *w = x->worker;

	if (!x->route || !x->route->object)
		return;
	worker_count(x->worker, SHM_M_REQUESTS_REFUSED);
	shm_error_class_count(w->seg, w->proc_slot,
			      bf_error_class_of(why->http_status, why->error_type, NULL));
	record_refused(x, why);
}

void gate_refuse(struct exchange *x, int http_status, const char *type, const char *fmt, ...)
{
	char message[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	gate_refused(x, &(struct exchange_outcome){
			    .http_status = http_status, .error_type = type, .error_text = message});
	exchange_set_state(x, EXCHANGE_DONE);
	gate_answer_error(x, http_status, type, message);
}

/*
 * An upstream's own error body, in the dialect of the route. Called by the relay once the row is
 * written. Must never lose the upstream's words, and never take what it sent for JSON before it was
 * read as such.
 */
#include <errno.h>
#include <stdio.h>

#include "common/base/error_class.h"
#include "common/codec/json_tape.h"
#include "common/codec/json_writer.h"
#include "common/codec/utf8.h"
#include "proxyd/gate/error.h"
#include "proxyd/gate/error_status.h"
#include "proxyd/gate/extra.h"
#include "proxyd/worker.h"

#define RELAYED_READ_MAX 65536u /* longer bodies are quoted, not read */
#define RELAYED_TEXT_MAX 500u   /* characters of a body that is quoted */

/* Members of an error in OpenAI's shape, as they stand in the body: JSON, or empty. */
struct relayed {
	struct bf_slice message, type, code, param;
	char code_text[32];
	bool openai; /* it stands in `error`, as OpenAI's clients look for it */
};

static struct bf_slice relayed_raw(const struct bf_json_tape *t, uint32_t object, const char *key)
{
	uint32_t i = bf_json_member(t, object, key);

	return i == BF_JSON_NONE ? (struct bf_slice){NULL, 0} : bf_json_raw(t, i);
}

static bool relayed_is_string(const struct bf_json_tape *t, uint32_t i)
{
	return i != BF_JSON_NONE && t->tokens[i].type == BF_JSON_STRING;
}

static void relayed_members(const struct bf_json_tape *t, uint32_t object, struct relayed *e)
{
	uint32_t code = bf_json_member(t, object, "code");

	e->message = relayed_raw(t, object, "message");
	e->type = relayed_raw(t, object, "type");
	e->code = relayed_raw(t, object, "code");
	e->param = relayed_raw(t, object, "param");
	if (relayed_is_string(t, code))
		(void)snprintf(e->code_text, sizeof(e->code_text), "%.*s",
			       (int)BF_MIN(t->tokens[code].len, sizeof(e->code_text)),
			       t->text.ptr + t->tokens[code].start);
}

/* {"error":{..}}, {"error":".."}, {"detail":".."}, or the members at the top: what servers of this
 * family send. */
static bool relayed_read(struct exchange *x, struct relayed *e)
{
	static const struct bf_json_limits limits = {.max_depth = 32, .max_tokens = 4096};
	struct bf_slice body = bf_buf_slice(&x->answer);
	struct bf_json_tape tape;
	struct bf_err err = {0};
	uint32_t error;

	if (body.len == 0 || body.len > RELAYED_READ_MAX ||
	    bf_json_parse(&tape, body, &x->arena, &limits, &err) < 0 ||
	    tape.tokens[0].type != BF_JSON_OBJECT)
		return false;
	error = bf_json_member(&tape, 0, "error");
	if (relayed_is_string(&tape, error)) {
		e->message = bf_json_raw(&tape, error);
		return true;
	}
	e->openai = error != BF_JSON_NONE && tape.tokens[error].type == BF_JSON_OBJECT;
	if (!e->openai)
		error = 0;
	if (relayed_is_string(&tape, bf_json_member(&tape, error, "message"))) {
		relayed_members(&tape, error, e);
		return true;
	}
	e->openai = false;
	if (relayed_is_string(&tape, bf_json_member(&tape, 0, "detail")))
		e->message = relayed_raw(&tape, 0, "detail");
	return e->message.len > 0;
}

/* The first characters of a text; a cut one at the end is left out. */
static struct bf_slice relayed_quote(struct bf_slice text)
{
	size_t at = 0, characters = 0;

	while (at < text.len) {
		bool begins = ((unsigned char)text.ptr[at] & 0xc0) != 0x80;
		if (begins && characters++ == RELAYED_TEXT_MAX)
			break;
		at++;
		if (at >= 4 * (size_t)RELAYED_TEXT_MAX)
			break; /* that is no UTF-8 anyway */
	}
	return (struct bf_slice){text.ptr, at};
}

static void relayed_member(struct bf_json_writer *w, const char *key, struct bf_slice json)
{
	if (json.len == 0)
		return;
	bf_jw_key(w, key);
	bf_jw_raw(w, json);
}

static void relayed_error(struct bf_json_writer *w, const struct exchange *x, int http_status,
			  const struct relayed *e)
{
	struct bf_slice quote = relayed_quote(bf_buf_slice(&x->answer));
	char text[64];

	relayed_member(w, "type", e->type);
	relayed_member(w, "code", e->code);
	relayed_member(w, "param", e->param);
	if (e->message.len) {
		relayed_member(w, "message", e->message);
		return;
	}
	(void)snprintf(text, sizeof(text), "the provider answered with status %d", http_status);
	bf_jw_key(w, "message");
	bf_jw_string(w, quote.len ? quote : bf_slice_from(text));
}

/* The same in OpenAI's shape, whose clients look for all four members. */
static int relayed_write_openai(struct exchange *x, int http_status, const struct relayed *e)
{
	struct relayed whole = *e;
	struct bf_json_writer w;

	if (!whole.type.len)
		whole.type = http_status == 429   ? BF_SLICE_LIT("\"rate_limit_error\"")
			     : http_status >= 500 ? BF_SLICE_LIT("\"server_error\"")
						  : BF_SLICE_LIT("\"invalid_request_error\"");
	if (!whole.code.len)
		whole.code = BF_SLICE_LIT("null");
	if (!whole.param.len)
		whole.param = BF_SLICE_LIT("null");
	bf_buf_clear(&x->worker->text);
	bf_jw_init(&w, &x->worker->text);
	bf_jw_object(&w);
	bf_jw_key(&w, "error");
	bf_jw_object(&w);
	relayed_error(&w, x, http_status, &whole);
	bf_jw_end_object(&w);
	bf_jw_end_object(&w);
	return bf_jw_finish(&w);
}

static int relayed_write(struct exchange *x, int http_status, const struct relayed *e)
{
	struct bf_buf *out = &x->worker->text;
	struct bf_json_writer w;
	int r;

	bf_buf_clear(out);
	bf_jw_init(&w, out);
	bf_jw_object(&w);
	bf_jw_key(&w, "is_bifrost_error");
	bf_jw_bool(&w, false);
	bf_jw_key(&w, "status_code");
	bf_jw_i64(&w, http_status);
	bf_jw_key(&w, "error");
	bf_jw_object(&w);
	relayed_error(&w, x, http_status, e);
	bf_jw_end_object(&w);
	bf_jw_end_object(&w);
	r = bf_jw_finish(&w);
	http_status = error_status_meant(http_status, bf_buf_slice(&x->answer));
	return r < 0 ? r
		     : error_add_extra(
			   out, x,
			   bf_error_class_name(bf_error_class_of(http_status, NULL, e->code_text)));
}

int error_relayed(struct exchange *x, int http_status)
{
	struct bf_buf *text = &x->worker->text;
	struct relayed e = {.code_text = ""};
	size_t had = bf_buf_len(&x->answer), more;
	int r;

	/* What was too long to be read may be right as it is. */
	if (!extra_wanted(x) && had > RELAYED_READ_MAX)
		return 0;
	(void)relayed_read(x, &e);
	if (!extra_wanted(x) && e.openai)
		return 0;
	r = extra_wanted(x) ? relayed_write(x, http_status, &e)
			    : relayed_write_openai(x, http_status, &e);
	if (r < 0)
		return r;
	more = bf_buf_len(text) > had ? bf_buf_len(text) - had : 0;
	if (!worker_answer_take(x->worker, more))
		return BF_E_FULL;
	x->answer_charged += more;
	r = bf_buf_reserve(&x->answer, more);
	if (r < 0)
		return r;
	bf_buf_clear(&x->answer);
	return bf_buf_append_slice(&x->answer, bf_buf_slice(text));
}

/*
 * An upstream's own error body, in the dialect of the route. Called by the relay once the row is
 * written. Must never lose the upstream's words, and never take what it sent for JSON before it was
 * read as such.
 */
#include <errno.h>
#include <stdio.h>

#include "common/codec/json_tape.h"
#include "common/codec/json_writer.h"
#include "common/codec/utf8.h"
#include "proxyd/gate/error.h"
#include "proxyd/gate/error_class.h"
#include "proxyd/gate/extra.h"
#include "proxyd/worker.h"

#define RELAYED_READ_MAX 65536u /* longer bodies are quoted, not read */
#define RELAYED_TEXT_MAX 500u   /* characters of a body that is quoted */

/* Members of an error in OpenAI's shape, as they stand in the body: JSON, or empty. */
struct relayed {
	struct bf_slice message, type, code, param;
	char code_text[32];
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

/* {"error":{..}}, {"error":".."}, or the members at the top: what servers of this family send. */
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
	if (error == BF_JSON_NONE || tape.tokens[error].type != BF_JSON_OBJECT)
		error = 0;
	if (!relayed_is_string(&tape, bf_json_member(&tape, error, "message")))
		return false;
	relayed_members(&tape, error, e);
	return true;
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
	return r < 0 ? r : error_add_extra(out, x, error_class(http_status, NULL, e->code_text));
}

int error_relayed(struct exchange *x, int http_status)
{
	struct bf_buf *text = &x->worker->text;
	struct relayed e = {.code_text = ""};
	size_t had = bf_buf_len(&x->answer), more;
	int r;

	if (!extra_wanted(x))
		return 0;
	(void)relayed_read(x, &e);
	r = relayed_write(x, http_status, &e);
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

/*
 * Reading requests to the management API. Called by its handlers. Must never keep anything of the
 * tape beyond the handler: it lies in the worker's scratch.
 */
#include "proxyd/api/request.h"

#include <errno.h>
#include <inttypes.h>

#include "common/base/num.h"
#include "proxyd/api/refuse.h"
#include "proxyd/gate/query.h"
#include "proxyd/worker.h"

static const struct bf_slice nobody = {NULL, 0};

static bool no_memory(struct exchange *x)
{
	api_refuse(x, 503, "out_of_memory", nobody, "no memory to read the request");
	return false;
}

bool request_parameters(struct exchange *x, const struct api_operation *op,
			struct api_values *ret_values)
{
	struct bf_slice name = nobody;
	struct bf_err err = {0};
	int r;

	r = api_parameters_read(op->parameters, x->query, &x->arena, ret_values, &name, &err);
	if (r == -ENOMEM)
		return no_memory(x);
	if (r < 0)
		api_refuse(x, 400, "invalid_request",
			   (struct bf_slice){name.ptr, BF_MIN(name.len, 64)}, "%s", err.text);
	return r == 0;
}

bool request_id(struct exchange *x, const char *name, struct bf_slice *ret_id)
{
	struct bf_slice raw = route_segment(x, name);
	int r = percent_decode(raw, false, &x->arena, ret_id);

	if (r == -ENOMEM)
		return no_memory(x);
	if (r == 0 && ret_id->len <= BF_ENTITY_ID_MAX)
		return true;
	api_refuse(x, 404, "not_found", bf_slice_from(name),
		   "%s: must be percent-encoded UTF-8 of at most %u bytes", name, BF_ENTITY_ID_MAX);
	return false;
}

bool request_body(struct exchange *x, struct request_body *ret_body)
{
	struct bf_err err = {0};
	int r = 0;

	ret_body->given = x->body.len > 0;
	if (x->body_encoded) {
		api_refuse(x, 415, "unsupported_encoding", nobody,
			   "a Content-Encoding of the request body is not supported; send plain "
			   "JSON");
		return false;
	}
	if (x->body.len > BF_ENTITY_CHANGE_BODY_MAX) {
		api_refuse(x, 413, "body_too_large", nobody,
			   "the request body has more than %u bytes", BF_ENTITY_CHANGE_BODY_MAX);
		return false;
	}
	if (ret_body->given)
		r = bf_json_parse(&ret_body->tape, x->body, &x->worker->tape_arena,
				  &bf_json_default_limits, &err);
	if (r == -ENOMEM) {
		request_done(x->worker);
		return no_memory(x);
	}
	if (r == 0 && (!ret_body->given || ret_body->tape.tokens[0].type == BF_JSON_OBJECT))
		return true;
	request_done(x->worker);
	api_refuse(x, 400, "invalid_request", nobody, "the request body %s%s",
		   r < 0 ? "is not valid JSON: " : "must be a JSON object", r < 0 ? err.text : "");
	return false;
}

void request_done(struct worker *w)
{
	bf_arena_reset(&w->tape_arena);
}

int request_text(struct exchange *x, const struct request_body *body, const char *name,
		 struct bf_slice *ret_text)
{
	uint32_t i = body->given ? bf_json_member(&body->tape, 0, name) : BF_JSON_NONE;

	*ret_text = nobody;
	return i == BF_JSON_NONE ? BF_E_MISSING
				 : bf_json_string(&body->tape, i, &x->arena, ret_text);
}

/* ---- versions */

static uint32_t offset_of(const struct bf_json_tape *t, const char *at)
{
	return (uint32_t)(at - t->text.ptr);
}

/* From its key to the next one, or from the end of the member before to its own. */
static struct exchange_edit extent_of(const struct bf_json_tape *t, uint32_t value)
{
	struct bf_slice raw = bf_json_raw(t, value), key = bf_json_raw(t, value - 1);
	uint32_t after = t->tokens[value].next, before = BF_JSON_NONE;
	struct exchange_edit e = {.from = offset_of(t, key.ptr),
				  .to = offset_of(t, raw.ptr + raw.len)};

	if (after < t->tokens[0].next) {
		e.to = offset_of(t, bf_json_raw(t, after).ptr);
		return e;
	}
	for (uint32_t k = bf_json_first(0); k + 1 < value; k = t->tokens[k + 1].next)
		before = k + 1;
	if (before != BF_JSON_NONE) {
		raw = bf_json_raw(t, before);
		e.from = offset_of(t, raw.ptr + raw.len);
	}
	return e;
}

static bool version_of_body(struct exchange *x, const struct request_body *body,
			    uint64_t *ret_version, struct exchange_edit *ret_cut)
{
	uint32_t i =
	    body->given ? bf_json_member(&body->tape, 0, "expected_version") : BF_JSON_NONE;
	int64_t version;

	if (i == BF_JSON_NONE)
		return true;
	*ret_cut = extent_of(&body->tape, i);
	if (bf_json_i64(&body->tape, i, &version) == 0 && version > 0) {
		*ret_version = (uint64_t)version;
		return true;
	}
	api_refuse(x, 400, "invalid_request", BF_SLICE_LIT("expected_version"),
		   "expected_version: must be a whole number from 1");
	return false;
}

/* "7", W/"7" as caches write it, or 7; * is any. */
static bool version_of_header(struct exchange *x, uint64_t *ret_version)
{
	struct bf_slice text = exchange_header(x, "if-match");

	if (!text.ptr || bf_slice_is(text, "*"))
		return true;
	if (bf_slice_starts(text, BF_SLICE_LIT("W/")))
		text = (struct bf_slice){text.ptr + 2, text.len - 2};
	if (text.len > 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"')
		text = (struct bf_slice){text.ptr + 1, text.len - 2};
	if (bf_parse_u64(text, ret_version) == 0 && *ret_version > 0)
		return true;
	api_refuse(x, 400, "invalid_request", BF_SLICE_LIT("If-Match"),
		   "If-Match: must be one version, as the header ETag of an answer tells it");
	return false;
}

bool request_version(struct exchange *x, const struct request_body *body,
		     const struct api_values *values, uint64_t *ret_version,
		     struct exchange_edit *ret_cut)
{
	uint64_t found[3] = {0, 0, api_number(values, "expected_version")};

	*ret_version = 0;
	*ret_cut = (struct exchange_edit){0, 0, nobody};
	if (!version_of_body(x, body, &found[0], ret_cut) || !version_of_header(x, &found[1]))
		return false;
	for (size_t i = 0; i < BF_ARRAY_LEN(found); i++) {
		if (*ret_version && found[i] && found[i] != *ret_version) {
			api_refuse(x, 400, "invalid_request", BF_SLICE_LIT("expected_version"),
				   "expected_version: %" PRIu64 " and %" PRIu64
				   " are both expected: give one of them",
				   *ret_version, found[i]);
			return false;
		}
		if (found[i])
			*ret_version = found[i];
	}
	return true;
}

/*
 * Changes of entities. Called by the route table. Must never judge what is asked for: writerd knows
 * all entities and decides.
 */
#include <string.h>

#include "proxyd/api/answers.h"
#include "proxyd/api/handlers.h"
#include "proxyd/api/operations.h"
#include "proxyd/api/refuse.h"
#include "proxyd/api/request.h"
#include "proxyd/api/spelling.h"
#include "proxyd/worker.h"

/* The edits, in order, and between them what stays. */
static bool edited(struct exchange *x, const struct exchange_edit *edits, uint32_t count,
		   struct bf_slice *ret_body)
{
	size_t size = x->body.len, at = 0, n = 0;
	char *bytes;

	for (uint32_t i = 0; i < count; i++)
		size += edits[i].text.len;
	bytes = bf_arena_alloc(&x->arena, size);
	if (!bytes) {
		x->retry_after_s = 1;
		api_refuse(x, 503, "out_of_memory", (struct bf_slice){NULL, 0},
			   "no memory to read the request");
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		memcpy(bytes + n, x->body.ptr + at, edits[i].from - at);
		n += edits[i].from - at;
		if (edits[i].text.len)
			memcpy(bytes + n, edits[i].text.ptr, edits[i].text.len);
		n += edits[i].text.len;
		at = edits[i].to;
	}
	memcpy(bytes + n, x->body.ptr + at, x->body.len - at);
	*ret_body = (struct bf_slice){bytes, n + x->body.len - at};
	return true;
}

/* The body without what only this worker reads, and as entities have it. */
static bool translate(struct exchange *x, const struct request_body *body,
		      const struct exchange_edit *version, struct bf_slice *ret_body)
{
	struct exchange_edit edits[SPELLING_EDITS_MAX + 1];
	uint32_t count = spelling_edits(api_operation_of(x), &body->tape, edits), i = count;

	*ret_body = x->body;
	if (version->to > 0) {
		/* What is inserted where the version stands comes before it. */
		for (; i > 0 && edits[i - 1].from > version->from; i--)
			edits[i] = edits[i - 1];
		edits[i] = *version;
		count++;
	}
	return count == 0 || edited(x, edits, count, ret_body);
}

static bool has_body(const struct api_operation *op)
{
	return op->body != API_NO_BODY && op->body != API_BODY_VERSION;
}

/* Is there what there must be, and nothing where nothing is read? */
static bool check_body(struct exchange *x, const struct request_body *body,
		       const struct exchange_edit *version)
{
	const struct api_operation *op = api_operation_of(x);
	const struct bf_slice none = {NULL, 0};

	if (has_body(op) && !body->given) {
		api_refuse(x, 400, "invalid_request", none,
			   "the request body is empty; send a JSON object");
		return false;
	}
	if (!has_body(op) && body->given &&
	    body->tape.tokens[0].count > (version->to > 0 ? 1u : 0u)) {
		api_refuse(x, 400, "invalid_request", none,
			   "the request body may hold expected_version and nothing else");
		return false;
	}
	return true;
}

/* The one that the body holds; BF_JSON_NONE: none, or not that alone. */
static uint32_t member_of(const struct api_operation *op, const struct request_body *body,
			  const struct exchange_edit *version, struct bf_msg_entity_change *change)
{
	uint32_t at = bf_json_member(&body->tape, 0, op->member);

	if (at == BF_JSON_NONE && op->instead.member) {
		at = bf_json_member(&body->tape, 0, op->instead.member);
		change->type = op->instead.type;
		change->id = bf_slice_from(op->instead.only);
	}
	if (at == BF_JSON_NONE || body->tape.tokens[at].type != BF_JSON_OBJECT ||
	    body->tape.tokens[0].count != (version->to > 0 ? 2u : 1u))
		return BF_JSON_NONE;
	return at;
}

/* The entity itself. */
static bool take_body(struct exchange *x, const struct request_body *body,
		      const struct exchange_edit *version, struct bf_msg_entity_change *change)
{
	const struct api_operation *op = api_operation_of(x);
	const struct bf_slice none = {NULL, 0};
	uint32_t at;

	if (!op->member)
		return translate(x, body, version, &change->body);
	at = member_of(op, body, version, change);
	if (at == BF_JSON_NONE) {
		api_refuse(x, 400, "invalid_request", none,
			   "the request body must hold %s%s%s and nothing else: what else there is "
			   "stands in the configuration file",
			   op->member, op->instead.member ? ", or " : "",
			   op->instead.member ? op->instead.member : "");
		return false;
	}
	change->body = bf_json_raw(&body->tape, at);
	return true;
}

static bool read_body(struct exchange *x, const struct api_values *values,
		      struct bf_msg_entity_change *change)
{
	struct worker *w = x->worker;
	struct exchange_edit version;
	struct request_body body;
	bool good;

	if (!request_body(x, &body))
		return false;
	good = request_version(x, &body, values, &change->expected_version, &version) &&
	       check_body(x, &body, &version);
	if (good && has_body(api_operation_of(x)))
		good = take_body(x, &body, &version, change);
	request_done(w);
	return good;
}

void api_change(struct exchange *x)
{
	const struct api_operation *op = api_operation_of(x);
	struct bf_msg_entity_change change = {.action = op->action,
					      .type = op->type,
					      .is_sub = op->parts,
					      .actor = bf_slice_from(x->actor)};
	struct ask_table *asks = x->worker->asks;
	struct api_values values;
	int r;

	if (!request_parameters(x, op, &values) || !request_id(x, "id", &change.id) ||
	    !request_id(x, op->parts ? "key_id" : "budget_id", &change.sub_id) ||
	    !read_body(x, &values, &change))
		return;
	if (op->action == BF_ENTITY_RESET_USAGE)
		change.sub_id = api_text(&values, "limit_id");
	if (op->only)
		change.id = bf_slice_from(op->only);
	r = asks ? ask_change(asks, x, &change, api_answered) : BF_E_STATE;
	if (r < 0)
		api_not_asked(x, r);
}

/*
 * New values for several virtual keys: one change after the other, so that each is whole by itself.
 * Called by the route table. Must never lose a new value: what was rotated is told, whatever
 * becomes of the rest.
 */
#include <string.h>

#include "common/codec/json_writer.h"
#include "common/snapshot/entity.h"
#include "proxyd/api/answers.h"
#include "proxyd/api/handlers.h"
#include "proxyd/api/refuse.h"
#include "proxyd/api/request.h"
#include "proxyd/worker.h"

static const struct bf_slice nobody = {NULL, 0};

/* Lives in the request's arena. */
struct rotation {
	struct bf_slice ids[ROTATE_MAX];
	struct bf_slice errors[ROTATE_MAX]; /* JSON of those that were refused, in the arena */
	uint32_t count, at, rotated, refused;
	int first_refusal;       /* its status */
	struct bf_json_writer w; /* into x->answer: the keys that were rotated */
};

static void ask_next(struct exchange *x, struct rotation *r);

/* ---- the request */

static int read_id(struct exchange *x, const struct bf_json_tape *t, uint32_t i, struct rotation *r)
{
	struct bf_slice id;

	if (r->count == ROTATE_MAX || bf_json_string(t, i, &x->arena, &id) < 0 || id.len == 0 ||
	    id.len > BF_ENTITY_ID_MAX || memchr(id.ptr, '\0', id.len))
		return -1;
	/* Of a key that is rotated twice the first value would be dead when it is shown. */
	for (uint32_t k = 0; k < r->count; k++) {
		if (bf_slice_eq(r->ids[k], id))
			return -1;
	}
	/* An id without escapes refers to the body, which stays. */
	r->ids[r->count++] = id;
	return 0;
}

static int read_ids(struct exchange *x, const struct request_body *body, struct rotation *r)
{
	const struct bf_json_tape *t = &body->tape;
	uint32_t list = body->given ? bf_json_member(t, 0, "ids") : BF_JSON_NONE;

	if (list == BF_JSON_NONE || t->tokens[list].type != BF_JSON_ARRAY ||
	    t->tokens[0].count != 1)
		return -1;
	for (uint32_t i = bf_json_first(list); i < t->tokens[list].next; i = t->tokens[i].next) {
		if (read_id(x, t, i, r) < 0)
			return -1;
	}
	return r->count ? 0 : -1;
}

/* ---- the answers */

/* The extent of a member of what writerd answered; empty: there is none. */
static struct bf_slice member_of(struct exchange *x, struct bf_slice json, const char *name)
{
	struct bf_arena *arena = &x->worker->tape_arena;
	struct bf_slice found = nobody;
	struct bf_json_tape t;
	uint32_t i;

	if (bf_json_parse(&t, json, arena, &bf_json_default_limits, NULL) == 0) {
		i = bf_json_member(&t, 0, name);
		if (i != BF_JSON_NONE)
			found = bf_json_raw(&t, i);
	}
	bf_arena_reset(arena);
	return found;
}

static void keep_error(struct exchange *x, struct rotation *r, const struct ask_answer *answer)
{
	struct bf_slice error = member_of(x, answer->text, "error");

	if (r->refused == 0)
		r->first_refusal = answer->http_status;
	r->errors[r->at] = error.len ? bf_arena_dup(&x->arena, error) : nobody;
	r->refused++;
}

/* This one and all behind it. */
static void keep_unanswered(struct rotation *r)
{
	for (uint32_t i = r->at; i < r->count; i++) {
		r->errors[i] = BF_SLICE_LIT("{\"type\":\"api_unavailable\",\"message\":\"nobody "
					    "answered: look before you ask again\"}");
		r->refused++;
	}
}

static void write_errors(struct rotation *r)
{
	bf_jw_key(&r->w, "errors");
	bf_jw_array(&r->w);
	for (uint32_t i = 0, told = 0; i < r->count && told < r->refused; i++) {
		if (!r->errors[i].ptr)
			continue;
		told++;
		bf_jw_object(&r->w);
		bf_jw_key(&r->w, "id");
		bf_jw_string(&r->w, r->ids[i]);
		bf_jw_key(&r->w, "error");
		bf_jw_raw(&r->w, r->errors[i]);
		bf_jw_end_object(&r->w);
	}
	bf_jw_end_array(&r->w);
}

static void finish(struct exchange *x, struct rotation *r)
{
	if (r->rotated == 0) {
		if (r->first_refusal == 503)
			x->retry_after_s = 1;
		api_refuse(x, r->first_refusal,
			   r->first_refusal == 404 ? "not_found" : "not_rotated",
			   BF_SLICE_LIT("ids"),
			   "ids: none of these virtual keys was rotated; the first: %.*s",
			   (int)BF_MIN(r->errors[0].len, 300), r->errors[0].ptr);
		return;
	}
	bf_jw_end_array(&r->w);
	bf_jw_key(&r->w, "count");
	bf_jw_u64(&r->w, r->rotated);
	write_errors(r);
	bf_jw_key(&r->w, "message");
	bf_jw_cstr(&r->w, r->rotated == r->count
			      ? "Virtual keys rotated successfully"
			      : "Some virtual keys were not rotated; see errors");
	bf_jw_end_object(&r->w);
	if (bf_jw_finish(&r->w) < 0)
		api_refuse(x, 503, "out_of_memory", nobody, "no memory for the answer");
	else
		api_answer(x, 200, nobody, bf_buf_slice(&x->answer));
}

/* Nobody is there: the others would wait in vain, each for as long. */
static void give_up(struct exchange *x, struct rotation *r, const struct ask_answer *answer)
{
	if (r->rotated == 0) {
		api_answered(x, answer);
		return;
	}
	keep_unanswered(r);
	finish(x, r);
}

static void rotated(struct exchange *x, const struct ask_answer *answer)
{
	struct rotation *r = x->api_state;

	if (answer->code < 0) {
		give_up(x, r, answer);
		return;
	}
	if (answer->http_status == 200) {
		bf_jw_raw(&r->w, member_of(x, answer->text, "virtual_key"));
		r->rotated++;
	} else {
		keep_error(x, r, answer);
	}
	r->at++;
	if (r->at == r->count)
		finish(x, r);
	else
		ask_next(x, r);
}

static void ask_next(struct exchange *x, struct rotation *r)
{
	const struct bf_msg_entity_change change = {.action = BF_ENTITY_ROTATE,
						    .type = BF_ENTITY_VIRTUAL_KEY,
						    .id = r->ids[r->at],
						    .actor = bf_slice_from(x->actor)};
	struct ask_table *asks = x->worker->asks;
	int code = asks ? ask_change(asks, x, &change, rotated) : BF_E_STATE;

	if (code == 0)
		return;
	if (r->rotated) {
		keep_unanswered(r);
		finish(x, r);
	} else {
		api_not_asked(x, code);
	}
}

void api_rotate(struct exchange *x)
{
	struct rotation *r = bf_arena_alloc(&x->arena, sizeof(*r));
	struct worker *w = x->worker;
	struct request_body body;
	struct api_values values;
	int good;

	if (!r) {
		api_refuse(x, 503, "out_of_memory", nobody, "no memory to read the request");
		return;
	}
	if (!request_parameters(x, api_operation_of(x), &values) || !request_body(x, &body))
		return;
	good = read_ids(x, &body, r);
	request_done(w);
	if (good < 0) {
		api_refuse(x, 400, "invalid_request", BF_SLICE_LIT("ids"),
			   "ids: send {\"ids\": [..]} with 1 to %u ids of virtual keys, each once",
			   ROTATE_MAX);
		return;
	}
	x->api_state = r;
	bf_jw_init(&r->w, &x->answer);
	bf_jw_object(&r->w);
	bf_jw_key(&r->w, "virtual_keys");
	bf_jw_array(&r->w);
	ask_next(x, r);
}

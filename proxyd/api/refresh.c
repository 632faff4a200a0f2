/*
 * A provider's models, asked for and stored: the provider says what it has, writerd keeps it as
 * its list of models. Called by the route table. Must never change the list when the provider did
 * not tell one.
 */
#include <stdio.h>

#include "common/codec/json_writer.h"
#include "proxyd/api/answers.h"
#include "proxyd/api/handlers.h"
#include "proxyd/api/operations.h"
#include "proxyd/api/refuse.h"
#include "proxyd/api/request.h"
#include "proxyd/gate/listing.h"
#include "proxyd/worker.h"

static const struct bf_slice nobody = {NULL, 0};

/* Lives in the request's arena. */
struct refresh {
	struct bf_slice provider, key_id; /* no key: whichever may be asked */
	uint64_t expected_version;
	uint32_t count, left_out;
};

static void no_memory(struct exchange *x)
{
	x->retry_after_s = 1;
	api_refuse(x, 503, "out_of_memory", nobody, "no memory for the list of models");
}

/* ---- what is answered */

static int write_answer(const struct refresh *r, const struct bf_json_tape *tape, uint32_t catalog,
			struct bf_buf *text)
{
	char message[120];
	struct bf_json_writer w;
	int n = snprintf(message, sizeof(message), "Models refreshed: %u", r->count);

	if (r->left_out && n > 0)
		(void)snprintf(message + n, sizeof(message) - (size_t)n,
			       "; left out, as no request could name them: %u", r->left_out);
	bf_buf_clear(text);
	bf_jw_init(&w, text);
	bf_jw_object(&w);
	bf_jw_key(&w, "message");
	bf_jw_cstr(&w, message);
	bf_jw_key(&w, "model_catalog");
	bf_jw_raw(&w, bf_json_raw(tape, catalog));
	bf_jw_end_object(&w);
	return bf_jw_finish(&w);
}

/* It is stored, and in force on every worker. */
static void answer_stored(struct exchange *x, const struct ask_answer *answer)
{
	struct worker *worker = x->worker;
	struct ask_answer said = {.http_status = 200, .version = answer->version};
	struct bf_json_tape tape;
	uint32_t catalog = BF_JSON_NONE;

	if (bf_json_parse(&tape, answer->text, &worker->tape_arena, &bf_json_default_limits,
			  NULL) == 0)
		catalog = bf_json_member(&tape, 0, "model_catalog");
	if (catalog != BF_JSON_NONE &&
	    write_answer(x->api_state, &tape, catalog, &worker->text) == 0)
		said.text = bf_buf_slice(&worker->text);
	else
		said.text = answer->text; /* done it is, whoever has no memory to say how */
	api_answered(x, &said);
	request_done(worker);
}

static void on_stored(struct exchange *x, const struct ask_answer *answer)
{
	if (answer->code < 0 || answer->http_status > 299)
		api_answered(x, answer);
	else
		answer_stored(x, answer);
}

/* ---- what the provider says */

static int write_change(const struct listing_names *names, struct bf_buf *text)
{
	struct bf_json_writer w;

	bf_buf_clear(text);
	bf_jw_init(&w, text);
	bf_jw_object(&w);
	bf_jw_key(&w, "models");
	bf_jw_array(&w);
	for (uint32_t i = 0; i < names->count; i++)
		bf_jw_string(&w, names->names[i]);
	bf_jw_end_array(&w);
	bf_jw_end_object(&w);
	return bf_jw_finish(&w);
}

static void store(struct exchange *x, struct bf_slice body)
{
	const struct refresh *r = x->api_state;
	const struct bf_msg_entity_change change = {.action = BF_ENTITY_UPDATE,
						    .type = BF_ENTITY_MODEL_CATALOG,
						    .id = r->provider,
						    .expected_version = r->expected_version,
						    .body = body,
						    .actor = bf_slice_from(x->actor)};
	struct ask_table *asks = x->worker->asks;
	int code = asks ? ask_change(asks, x, &change, on_stored) : BF_E_STATE;

	if (code < 0)
		api_not_asked(x, code);
}

static void refuse_length(struct exchange *x, uint32_t count)
{
	worker_count(x->worker, SHM_M_MODEL_LIST_FAILURES);
	api_refuse(x, 502, "answer_too_large", nobody,
		   "the names of the provider's %u models take more than %u bytes", count,
		   BF_ENTITY_CHANGE_BODY_MAX);
}

static void on_listed(struct exchange *x, const struct listing *listing)
{
	struct refresh *r = x->api_state;
	struct bf_buf *text = &x->worker->text;

	if (listing->http_status) {
		api_refuse(x, listing->http_status, listing->type, nobody, "%s", listing->text);
		return;
	}
	r->count = listing->names.count;
	r->left_out = listing->names.left_out;
	if (write_change(&listing->names, text) < 0)
		no_memory(x);
	else if (bf_buf_len(text) > BF_ENTITY_CHANGE_BODY_MAX)
		refuse_length(x, r->count);
	else
		store(x, bf_buf_slice(text));
}

/* ---- what is asked for */

/* A version of the list is all that it may hold. */
static bool read_version(struct exchange *x, const struct api_values *values, uint64_t *ret_version)
{
	struct worker *w = x->worker;
	struct exchange_edit version;
	struct request_body body;
	bool good;

	if (!request_body(x, &body))
		return false;
	good = request_version(x, &body, values, ret_version, &version);
	if (good && body.given && body.tape.tokens[0].count > (version.to > 0 ? 1u : 0u)) {
		good = false;
		api_refuse(x, 400, "invalid_request", nobody,
			   "the request body may hold expected_version and nothing else");
	}
	request_done(w);
	return good;
}

void api_refresh_models(struct exchange *x)
{
	struct refresh *r = bf_arena_alloc(&x->arena, sizeof(*r));
	struct api_values values;

	if (!r) {
		no_memory(x);
		return;
	}
	if (!request_parameters(x, api_operation_of(x), &values) ||
	    !request_id(x, "id", &r->provider) || !request_id(x, "key_id", &r->key_id) ||
	    !read_version(x, &values, &r->expected_version))
		return;
	x->api_state = r;
	listing_ask(x, r->provider, r->key_id, on_listed);
}

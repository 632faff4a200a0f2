/*
 * The price sheet, asked for at once. Called by the route table. Must never fetch anything itself:
 * the reader does, and answers when the sheet is in force.
 */
#include "proxyd/api/answers.h"
#include "proxyd/api/handlers.h"
#include "proxyd/api/operations.h"
#include "proxyd/api/refuse.h"
#include "proxyd/api/request.h"
#include "proxyd/worker.h"

/* Nothing is read of it, so nothing may stand there; a version is what every change takes. */
static bool is_empty(struct exchange *x)
{
	const struct bf_slice nobody = {NULL, 0};
	struct worker *w = x->worker;
	struct request_body body;
	bool empty;

	if (!request_body(x, &body))
		return false;
	empty = !body.given || body.tape.tokens[0].count == 0 ||
		(body.tape.tokens[0].count == 1 &&
		 bf_json_member(&body.tape, 0, "expected_version") != BF_JSON_NONE);
	if (!empty)
		api_refuse(x, 400, "invalid_request", nobody,
			   "the request body must be empty: accept_smaller is a parameter");
	request_done(w);
	return empty;
}

void api_price_sync(struct exchange *x)
{
	struct ask_table *asks = x->worker->asks;
	struct bf_msg_price_sync message;
	struct api_values values;
	int r;

	if (!request_parameters(x, api_operation_of(x), &values) || !is_empty(x))
		return;
	message.accept_smaller = api_number(&values, "accept_smaller") != 0;
	r = asks ? ask_price_sync(asks, x, &message, api_answered) : BF_E_STATE;
	if (r < 0)
		api_not_asked(x, r);
}

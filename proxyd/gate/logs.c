/*
 * Rows for clients on this machine. Called by the route table. Must never touch a database: the
 * question goes to the reader, the exchange is parked, and requests to providers do not notice.
 */
#include "proxyd/gate/logs.h"

#include <errno.h>

#include "common/base/clock.h"
#include "proxyd/ask.h"
#include "proxyd/gate/error.h"
#include "proxyd/gate/logs_query.h"
#include "proxyd/worker.h"

static const struct {
	int code, http_status;
	const char *type;
} logs_errors[] = {
    {BF_E_UNKNOWN, 404, "not_found"},
    {BF_E_TIMEOUT, 504, "logs_timeout"},
    {BF_E_LIMIT, 400, "logs_answer_too_large"},
    {BF_E_FULL, 503, "logs_busy"},
};

static void logs_fail(struct exchange *x, int code, struct bf_slice text)
{
	int http_status = 503;
	const char *type = "logs_unavailable";

	for (size_t i = 0; i < BF_ARRAY_LEN(logs_errors); i++) {
		if (logs_errors[i].code == code) {
			http_status = logs_errors[i].http_status;
			type = logs_errors[i].type;
		}
	}
	if (http_status == 503)
		x->retry_after_s = 1;
	gate_refuse(x, http_status, type, "%.*s", BF_SLICE_FMT(text));
}

static void logs_answered(struct exchange *x, const struct ask_answer *answer)
{
	if (answer->code < 0) {
		logs_fail(x, answer->code, answer->text);
		return;
	}
	exchange_set_state(x, EXCHANGE_DONE);
	x->out->answer(x, answer->http_status, BF_SLICE_LIT("application/json"), answer->text);
}

static void logs_ask(struct exchange *x, const struct bf_msg_logs_query *q)
{
	struct ask_table *asks = x->worker->asks;
	int r = asks ? ask_logs(asks, x, q, logs_answered) : BF_E_STATE;

	if (r == BF_E_FULL)
		logs_fail(x, r, BF_SLICE_LIT("too many searches wait for an answer: try again"));
	else if (r == BF_E_LIMIT)
		gate_refuse(x, 400, "invalid_request",
			    "the search has too many values: name fewer");
	else if (r < 0)
		logs_fail(x, r, BF_SLICE_LIT("the reader process cannot be asked: try again"));
}

void logs_list(struct exchange *x)
{
	struct bf_msg_logs_query q;
	struct bf_err err = {0};
	int r;

	r = logs_query_parse(x->query, bf_wall_ms(), &x->arena, &q, &err);
	if (r == -ENOMEM)
		gate_refuse(x, 503, "out_of_memory", "no memory for the search");
	else if (r < 0)
		gate_refuse(x, 400, "invalid_request", "%s", err.text);
	else
		logs_ask(x, &q);
}

void logs_show(struct exchange *x)
{
	struct bf_msg_logs_query q;
	int r;

	if (x->query.len) {
		gate_refuse(x, 400, "invalid_request", "%.*s: /api/logs/{id} takes no parameters",
			    (int)BF_MIN(x->query.len, 64), x->query.ptr);
		return;
	}
	r = logs_id_parse(x->rest, bf_wall_ms(), &x->arena, &q);
	if (r == -ENOMEM)
		gate_refuse(x, 503, "out_of_memory", "no memory for the search");
	else if (r < 0)
		gate_refuse(x, 404, "not_found",
			    "a row is named by its id or by the x-request-id of its request; see "
			    "/api/logs");
	else
		logs_ask(x, &q);
}

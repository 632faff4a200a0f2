/*
 * Rows for clients on this machine. Called by the route table. Must never touch a database: the
 * question goes to the reader, the exchange is parked, and requests to providers do not notice.
 */
#include "proxyd/gate/logs.h"

#include <errno.h>

#include "common/base/clock.h"
#include "common/codec/json_tape.h"
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

/* The member of this name alone. */
static void logs_answered_part(struct exchange *x, const struct ask_answer *answer,
			       const char *name)
{
	struct bf_arena *arena = &x->worker->tape_arena;
	struct bf_json_tape t;
	struct ask_answer part = *answer;
	uint32_t at = BF_JSON_NONE;

	if (answer->code == 0 &&
	    bf_json_parse(&t, answer->text, arena, &bf_json_default_limits, NULL) == 0)
		at = bf_json_member(&t, 0, name);
	if (at != BF_JSON_NONE)
		part.text = bf_json_raw(&t, at);
	bf_arena_reset(arena);
	if (answer->code == 0 && at == BF_JSON_NONE)
		logs_fail(x, BF_E_TYPE, BF_SLICE_LIT("the answer cannot be used"));
	else
		logs_answered(x, &part);
}

static void logs_answered_stats(struct exchange *x, const struct ask_answer *answer)
{
	logs_answered_part(x, answer, "stats");
}

static void logs_ask(struct exchange *x, const struct bf_msg_logs_query *q, ask_done done)
{
	struct ask_table *asks = x->worker->asks;
	int r = asks ? ask_logs(asks, x, q, done) : BF_E_STATE;

	if (r == BF_E_FULL)
		logs_fail(x, r, BF_SLICE_LIT("too many searches wait for an answer: try again"));
	else if (r == BF_E_LIMIT)
		gate_refuse(x, 400, "invalid_request",
			    "the search has too many values: name fewer");
	else if (r < 0)
		logs_fail(x, r, BF_SLICE_LIT("the reader process cannot be asked: try again"));
}

/* false: refused, and x is gone. */
static bool logs_read(struct exchange *x, struct bf_msg_logs_query *ret_query)
{
	struct bf_err err = {0};
	int r = logs_query_parse(x->query, bf_wall_ms(), &x->arena, ret_query, &err);

	if (r == -ENOMEM)
		gate_refuse(x, 503, "out_of_memory", "no memory for the search");
	else if (r < 0)
		gate_refuse(x, 400, "invalid_request", "%s", err.text);
	return r == 0;
}

void logs_list(struct exchange *x)
{
	struct bf_msg_logs_query q;

	if (logs_read(x, &q))
		logs_ask(x, &q, logs_answered);
}

void logs_stats(struct exchange *x)
{
	struct bf_msg_logs_query q;

	if (!logs_read(x, &q))
		return;
	/* The sums are those of all rows, whatever page of them is shown. */
	q.limit = 1;
	q.offset = 0;
	logs_ask(x, &q, logs_answered_stats);
}

void logs_facets(struct exchange *x, uint64_t facets, uint64_t limit)
{
	const struct bf_slice none = {NULL, 0};
	struct bf_msg_logs_query q;

	(void)logs_query_parse(none, bf_wall_ms(), &x->arena, &q, NULL);
	q.facets = facets;
	q.limit = limit;
	logs_ask(x, &q, logs_answered);
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
		logs_ask(x, &q, logs_answered);
}

/*
 * Questions about entities. Called by the route table. Must never look at an entity itself: the
 * reader answers, from what is in force.
 */
#include <errno.h>
#include <string.h>

#include "common/crypt/seal.h"
#include "common/snapshot/snapshot.h"
#include "proxyd/api/answers.h"
#include "proxyd/api/handlers.h"
#include "proxyd/api/operations.h"
#include "proxyd/api/queries.h"
#include "proxyd/api/refuse.h"
#include "proxyd/api/request.h"
#include "proxyd/gate/vkey.h"
#include "proxyd/snapshot.h"
#include "proxyd/worker.h"

/* A connection holds what a provider answers; it must hold what the reader does. */
_Static_assert(BF_ENTITY_ANSWER_MAX <= WORKER_ANSWER_MAX, "an answer of the reader can be sent");

static void ask(struct exchange *x, const struct bf_msg_entity_query *q)
{
	struct ask_table *asks = x->worker->asks;
	int r = asks ? ask_entities(asks, x, q, api_answered) : BF_E_STATE;

	if (r < 0)
		api_not_asked(x, r);
}

/* A parameter that has two names. False: both were given, and x is gone. */
static bool either(struct exchange *x, const struct api_values *values, const char *one,
		   const char *other, struct bf_slice *ret_text)
{
	struct bf_slice a = api_text(values, one), b = api_text(values, other);

	*ret_text = a.len ? a : b;
	if (a.len == 0 || b.len == 0)
		return true;
	api_refuse(x, 400, "invalid_request", bf_slice_from(other),
		   "%s: is the same as %s: leave one of them out", other, one);
	return false;
}

/* What an operation has no parameter for is never given, so that these read all kinds of pages.
 * False: refused, and x is gone. */
static bool read_order(struct exchange *x, const struct api_values *values,
		       struct bf_msg_entity_query *q)
{
	struct bf_slice by = api_text(values, "sort_by"), order = api_text(values, "order");

	q->descending = bf_slice_eq_nocase(order, BF_SLICE_LIT("desc"));
	if (order.len && !q->descending && !bf_slice_eq_nocase(order, BF_SLICE_LIT("asc"))) {
		api_refuse(x, 400, "invalid_request", BF_SLICE_LIT("order"),
			   "order: must be asc or desc");
		return false;
	}
	if (by.len == 0) {
		q->sort_by = order.len ? BF_ORDER_CREATED_AT : BF_ORDER_NONE;
		return true;
	}
	for (int32_t i = BF_ORDER_NAME; bf_entity_orders[i]; i++) {
		if (bf_slice_is(by, bf_entity_orders[i]))
			q->sort_by = i;
	}
	if (q->sort_by)
		return true;
	api_refuse(x, 400, "invalid_request", BF_SLICE_LIT("sort_by"),
		   "sort_by: must be name, created_at, status or budget_spent");
	return false;
}

static bool read_size(struct exchange *x, const struct api_values *values,
		      struct bf_msg_entity_query *q)
{
	bool kept = api_number(values, "export");

	q->offset = api_number(values, "offset");
	q->limit = api_number(values, "limit");
	if (q->limit == 0)
		q->limit = kept ? BF_ENTITY_EXPORT_MAX : QUERY_PAGE_DEFAULT;
	if (kept || q->limit <= BF_ENTITY_PAGE_MAX)
		return true;
	api_refuse(x, 400, "invalid_request", BF_SLICE_LIT("limit"),
		   "limit: must be at most %u: page through them, or ask for export=true",
		   BF_ENTITY_PAGE_MAX);
	return false;
}

/* False: refused, and x is gone. */
static bool read_page(struct exchange *x, const struct api_values *values,
		      struct bf_msg_entity_query *q)
{
	q->provider_key_id = api_text(values, "provider_key_id");
	q->search = api_text(values, "search");
	q->team_id = api_text(values, "team_id");
	q->customer_id = api_text(values, "customer_id");
	return read_size(x, values, q) && read_order(x, values, q) &&
	       either(x, values, "virtual_key_id", "scope_id", &q->virtual_key_id) &&
	       either(x, values, "provider", "provider_id", &q->provider) &&
	       either(x, values, "scope", "scope_kind", &q->scope);
}

void api_look(struct exchange *x)
{
	const struct api_operation *op = api_operation_of(x);
	struct bf_msg_entity_query q = {.type = op->type, .is_sub = op->parts, .limit = 1};
	struct api_values values;

	if (!request_parameters(x, op, &values) || !request_id(x, "id", &q.id) ||
	    !request_id(x, "key_id", &q.sub_id))
		return;
	if (op->only)
		q.id = bf_slice_from(op->only);
	if (op->answer != API_ANSWER_PAGE || read_page(x, &values, &q))
		ask(x, &q);
}

void api_quota(struct exchange *x)
{
	const struct bf_snapshot *s = snapshots_now(x->worker);
	struct bf_msg_entity_query q = {.type = BF_ENTITY_VIRTUAL_KEY, .limit = 1};
	struct bf_slice given = vkey_given(x), none = {NULL, 0};
	uint8_t secret[BF_ENTITY_SECRET_LEN];
	struct api_values values;
	struct bf_entity e;

	if (!request_parameters(x, api_operation_of(x), &values))
		return;
	if (given.len == 0) {
		api_refuse(x, 401, "virtual_key_required", none,
			   "the virtual key whose quota is asked for must be sent, as x-bf-vk");
		return;
	}
	if (!s) {
		x->retry_after_s = 1;
		api_refuse(x, 503, "governance_not_loaded", none,
			   "this worker does not know the keys yet: try again");
		return;
	}
	bf_hmac(bf_snapshot_pepper(s->base), given, secret);
	/* Asked here too, so that a stranger's guesses stop here. */
	if (!bf_snapshot_find_secret(s, BF_ENTITY_VIRTUAL_KEY, secret, &e)) {
		api_refuse(x, 401, "virtual_key_not_found", none,
			   "this virtual key does not exist");
		return;
	}
	q.secret = (struct bf_slice){(const char *)secret, sizeof(secret)};
	ask(x, &q);
}

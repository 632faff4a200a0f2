/*
 * What is asked about the logs beside their rows. Called by the route table. Must never look into
 * the store itself: the reader answers.
 */
#include "proxyd/gate/logs.h"

#include <string.h>

#include "common/codec/json_writer.h"
#include "common/ipc/messages_logs.h"
#include "proxyd/api/handlers.h"
#include "proxyd/api/operations.h"
#include "proxyd/api/refuse.h"
#include "proxyd/api/request.h"
#include "proxyd/worker.h"

static const struct bf_slice nobody = {NULL, 0};

/* 0: there is none of this name. */
static uint64_t facet_of(struct bf_slice name)
{
	for (unsigned i = 0; i < BF_LOGS_FACETS; i++) {
		if (bf_slice_is(name, bf_logs_facets[i]))
			return UINT64_C(1) << i;
	}
	return 0;
}

/* By commas; none: all. False: one of them is unknown. */
static bool read_facets(struct bf_slice text, uint64_t *ret_facets)
{
	uint64_t facets = text.len ? 0 : (UINT64_C(1) << BF_LOGS_FACETS) - 1;

	while (text.len) {
		const char *comma = memchr(text.ptr, ',', text.len);
		size_t len = comma ? (size_t)(comma - text.ptr) : text.len;
		uint64_t facet = facet_of((struct bf_slice){text.ptr, len});

		if (!facet || len + 1 == text.len)
			return false;
		facets |= facet;
		text.ptr += len + (comma != NULL);
		text.len -= len + (comma != NULL);
	}
	*ret_facets = facets;
	return true;
}

void api_logs_filterdata(struct exchange *x)
{
	struct api_values values;
	uint64_t facets;

	if (!request_parameters(x, api_operation_of(x), &values))
		return;
	if (read_facets(api_text(&values, "dimensions"), &facets))
		logs_facets(x, facets, api_number(&values, "limit"));
	else
		api_refuse(x, 400, "invalid_request", BF_SLICE_LIT("dimensions"),
			   "dimensions: must be names of members of the answer, separated by "
			   "commas");
}

/* Rows are never dropped; what a full ring has no room for are their bodies. */
void api_logs_dropped(struct exchange *x)
{
	struct worker *w = x->worker;
	struct api_values values;
	struct bf_json_writer j;

	if (!request_parameters(x, api_operation_of(x), &values))
		return;
	bf_buf_clear(&w->text);
	bf_jw_init(&j, &w->text);
	bf_jw_object(&j);
	bf_jw_key(&j, "dropped_requests");
	bf_jw_i64(&j, shm_metric_sum(w->seg, SHM_M_CONTENT_DROPPED));
	bf_jw_end_object(&j);
	if (bf_jw_finish(&j) < 0)
		api_refuse(x, 503, "out_of_memory", nobody, "no memory for the answer");
	else
		api_answer(x, 200, nobody, bf_buf_slice(&w->text));
}

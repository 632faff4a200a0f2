/* What requests to the management API have in common. Each refuses what is wrong and returns false
 * then. */
#pragma once

#include "common/codec/json_tape.h"
#include "proxyd/api/operations.h"

bool request_parameters(struct exchange *x, const struct api_operation *op,
			struct api_values *ret_values) BF_MUST_CHECK;
/* A segment of the path, decoded; empty when the path has none of this name. */
bool request_id(struct exchange *x, const char *name, struct bf_slice *ret_id) BF_MUST_CHECK;

/* A request's JSON object, in the worker's scratch: request_done() when it was read. */
struct request_body {
	struct bf_json_tape tape;
	bool given; /* else there is no tape */
};

bool request_body(struct exchange *x, struct request_body *ret_body) BF_MUST_CHECK;
/* Also after a refusal, when the exchange is gone. */
void request_done(struct worker *w);

/* A text member. BF_E_MISSING, BF_E_TYPE, -ENOMEM. */
int request_text(struct exchange *x, const struct request_body *body, const char *name,
		 struct bf_slice *ret_text);

/*
 * The version that the client expects, of the body, of If-Match or of its parameter, which must not
 * contradict each other; 0: any. Notes where the member lies in the body, so that it can be cut
 * out: *ret_cut is its extent, with a comma.
 */
bool request_version(struct exchange *x, const struct request_body *body,
		     const struct api_values *values, uint64_t *ret_version,
		     struct exchange_edit *ret_cut) BF_MUST_CHECK;

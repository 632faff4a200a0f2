/*
 * GET /api/governance/explain: what would become of a request of a key for a model, and why. The
 * route table lets only clients of this machine ask (gate/local.h). Nothing is reserved, counted or
 * sent.
 */
#pragma once

#include "proxyd/gate/decide.h"
#include "proxyd/gate/infer_target.h"
#include "proxyd/gate/limits.h"

/* Parameters: virtual_key_id or virtual_key_name (neither: a request without a key), model, object
 * (what is asked for, as rows name it: chat.completion where not given), prompt_tokens and
 * max_tokens (1 where not given; of an embedding 0). */
void explain_answer(struct exchange *x);

/* What follows is between explain.c and explain_write.c. */

/* What would be said; http_status 200: nothing, it would be sent. */
struct explain_verdict {
	int http_status;
	const char *type; /* NULL with 200 */
	char text[DECIDE_TEXT];
};

struct explain_limit {
	const struct bf_limit *limit;
	bool ready; /* it has its meter; else there are no numbers */
	int64_t max, used, held, left, wants;
	int64_t end_ms; /* of the window that is counted; 0: it has none */
};

struct explain_target {
	struct exchange_target target;
	const struct bf_conf_provider *provider;
	struct key_set keys; /* that might serve it */
	bool priced;
	uint64_t tokens;
	int64_t nusd;
	struct explain_limit *limits;
	uint32_t limit_count;
	struct explain_verdict verdict;
};

struct explain {
	struct exchange *x; /* its virtual_key is the one that is asked about */
	struct bf_slice model;
	const char *object; /* the name of x->object */
	uint64_t prompt_tokens, max_tokens;
	struct explain_verdict key;    /* of the key itself */
	struct explain_verdict nobody; /* of the model, when there are no targets */
	struct explain_target *targets;
	uint32_t target_count;
};

/* The verdict on the request: the first target's that would be sent, else the first one's. */
const struct explain_verdict *explain_verdict_of(const struct explain *e);
/* 0 or an error of bf_buf. */
int explain_write(const struct explain *e, struct bf_buf *out) BF_MUST_CHECK;

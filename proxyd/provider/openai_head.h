/* Header sections of requests to a provider. */
#pragma once

#include <sys/uio.h>

#include "common/schema/config.h"
#include "proxyd/exchange.h"
#include "proxyd/provider/openai_table.h"
#include "proxyd/provider/upstream_target.h"

#define OPENAI_HEAD_MAX (16u << 10) /* what a request adds to its provider's lines */

/* What all requests for an operation have in common: first line, Host, extra_headers. BF_E_LIMIT,
 * -ENOMEM. */
int openai_head_template(struct bf_buf *out, const struct bf_conf_provider *conf,
			 const struct upstream_target *target, enum shm_usage_object object,
			 const char *version);
/*
 * The rest: Accept, key, trace, headers of the client's that go on, framing, the empty line. In
 * x->arena. authorization: the header's value where there is no key. 0, BF_E_LIMIT beyond
 * OPENAI_HEAD_MAX, -ENOMEM.
 */
int openai_head_rest(struct exchange *x, const struct bf_conf_provider *conf,
		     struct bf_slice authorization, size_t body_len, struct iovec *ret_part);
/*
 * The whole head of a request for the names of models. Nothing of the client's goes on but its
 * trace: its credentials are for this gateway. BF_E_LIMIT, -ENOMEM.
 */
int openai_head_models(struct bf_buf *out, const struct exchange *x,
		       const struct bf_conf_provider *conf, const struct upstream_target *target,
		       struct bf_slice authorization);
/* A header of this name is never taken from a client or from extra_headers. */
bool openai_head_is_ours(struct bf_slice name);
/* Value of the last extra header of this name (lower case); ptr NULL: there is none. */
struct bf_slice openai_head_extra(const struct bf_conf_provider *conf, const char *name);

/*
 * The management API, as the route table and the process see it: paths below /api/, who may ask
 * them, and the same question for requests to providers.
 */
#pragma once

#include "common/base/err.h"
#include "proxyd/exchange.h"

/* Hangs itself into w->api: what is remembered about logins. -ENOMEM. */
int api_open(struct worker *w, struct bf_err *err);
/* Accepts a worker without one. */
void api_close(struct worker *w);
/* About once a second: says who may ask when that has changed. */
void api_beat(struct worker *w);

/* The route of a path below /api/; NULL. */
const struct route *api_route(struct bf_slice path, enum exchange_method method);

/*
 * May this request, to a path below /api/, be served? With auth_config it needs a login, from
 * wherever it comes; else it must come from this machine (gate/local.h). Sets x->actor. false: it
 * was answered.
 */
bool api_admits(struct exchange *x);
/* The same of a request to anything else: with auth_config /metrics needs a login, and so do models
 * unless it says otherwise. Cheap. */
bool api_admits_other(struct exchange *x);

/* Who may ask, in a word or two for /health. */
const char *api_reach(const struct worker *w);

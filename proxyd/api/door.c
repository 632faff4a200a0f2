/*
 * Who may ask what. Called by the route table before every handler, and by /health. Must never let
 * a request in because something about logins is not known.
 */
#include <errno.h>
#include <string.h>

#include "common/log/log.h"
#include "common/net/addr.h"
#include "proxyd/api/api.h"
#include "proxyd/api/auth.h"
#include "proxyd/api/operations.h"
#include "proxyd/api/refuse.h"
#include "proxyd/gate/local.h"

#define CHALLENGE "WWW-Authenticate: Bearer realm=\"bifrost\", Basic realm=\"bifrost\"\r\n"
#define LOG_IN                                                                                  \
	"log in: send Authorization: Basic with name and password, or Bearer with a session's " \
	"token or an API key"

static const struct bf_slice nobody = {NULL, 0};

int api_open(struct worker *w, struct bf_err *err)
{
	w->api = auth_new(w);
	return w->api ? 0 : bf_err_sys(err, -ENOMEM, "logins");
}

void api_close(struct worker *w)
{
	auth_free(w->api);
	w->api = NULL;
}

/* ---- what people are told */

static bool listens_afar(const struct worker *w)
{
	const struct bf_slice *items = w->config->server.listen.items;
	struct bf_addr addr;

	for (uint32_t i = 0; i < w->config->server.listen.count; i++) {
		if (bf_addr_parse(items[i], &addr, NULL) < 0 || !bf_addr_is_loopback(&addr))
			return true;
	}
	return false;
}

const char *api_reach(const struct worker *w)
{
	if (w->api && w->api->state == AUTH_ON)
		return "after a login";
	return listens_afar(w) ? "this machine only: there is no auth_config" : "this machine only";
}

void api_beat(struct worker *w)
{
	enum auth_state state = w->api ? auth_state(w) : AUTH_UNKNOWN;

	if (state == AUTH_UNKNOWN || state == w->api->told)
		return;
	w->api->told = state;
	if (w->index != 0)
		return;
	if (state == AUTH_OFF && listens_afar(w))
		bf_log(BF_LOG_WARN, "api_off_for_others",
		       "hint=\"the management API answers this machine only: set "
		       "governance.auth_config to open it to those who log in\"");
	else
		bf_log(BF_LOG_INFO, "management_api", "open_to=%s", bf_log_quote(api_reach(w)));
}

/* ---- the API */

static bool refuse(struct exchange *x, enum auth_verdict v, const struct auth_who *who)
{
	switch (v) {
	case AUTH_YES:
		return true;
	case AUTH_TOO_OFTEN:
		x->retry_after_s = (unsigned)(who->wait_ms / 1000 + 1);
		api_refuse(x, 429, "too_many_logins", nobody,
			   "passwords were tried too often: wait, or use an API key or a session");
		break;
	case AUTH_FOREIGN:
		api_refuse(x, 403, "cross_site", nobody,
			   "a page of another site made the browser send this: ask from the "
			   "gateway's own pages, or with a program");
		break;
	case AUTH_NO_MEMORY:
		api_refuse(x, 503, "out_of_memory", nobody, "no memory to read the credentials");
		break;
	case AUTH_NO:
		x->answer_head = BF_SLICE_LIT(API_NO_STORE CHALLENGE);
		api_refuse(x, 401, "authentication_required", nobody, LOG_IN);
		break;
	}
	return false;
}

static bool admits_local(struct exchange *x)
{
	struct bf_err err;

	x->actor = "local";
	if (local_check(x, &err) == 0)
		return true;
	api_refuse(x, 403, "loopback_only", nobody, "%s", err.text);
	return false;
}

/* Nothing is in force yet, so nobody can tell whether a login is needed. */
#define NOT_LOADED "governance_not_loaded"
#define NOT_LOADED_TEXT \
	"this worker does not know yet who may ask: try again, or see /health if that goes on"

static bool admits_open(struct exchange *x)
{
	const struct auth_who none = {.kind = CREDENTIALS_NONE};

	x->actor = "nobody";
	return !credentials_foreign(x) || refuse(x, AUTH_FOREIGN, &none);
}

bool api_admits(struct exchange *x)
{
	enum api_access access = x->route ? api_operation_of(x)->access : API_GUARDED;
	enum auth_state state;
	struct auth_who who;
	enum auth_verdict v;

	x->answer_head = BF_SLICE_LIT(API_NO_STORE);
	if (access == API_SELF) {
		x->actor = "virtual_key";
		return true;
	}
	state = x->worker->api ? auth_state(x->worker) : AUTH_OFF;
	if (state == AUTH_UNKNOWN) {
		x->retry_after_s = 1;
		api_refuse(x, 503, NOT_LOADED, nobody, NOT_LOADED_TEXT);
		return false;
	}
	if (state == AUTH_OFF)
		return admits_local(x);
	if (access == API_OPEN)
		return admits_open(x);
	v = auth_identify(x, &who);
	x->actor = who.actor;
	return refuse(x, v, &who);
}

/* ---- the rest */

static bool is_inference(const struct exchange *x)
{
	return bf_slice_starts(x->path, BF_SLICE_LIT("/v1/")) ||
	       bf_slice_starts(x->path, BF_SLICE_LIT("/openai/"));
}

/* It names customers, teams and keys, and what is left of their budgets. */
static bool is_metrics(const struct exchange *x)
{
	return bf_slice_is(x->path, "/metrics");
}

static bool admits_who(struct exchange *x, const char *text)
{
	struct auth_who who;
	enum auth_verdict v = auth_identify(x, &who);

	x->authorized = who.kind == CREDENTIALS_BASIC || who.kind == CREDENTIALS_BEARER;
	if (v == AUTH_YES)
		return true;
	if (v != AUTH_NO)
		return refuse(x, v, &who);
	x->answer_head = BF_SLICE_LIT(CHALLENGE);
	gate_refuse(x, 401, "authentication_required", "%s", text);
	return false;
}

bool api_admits_other(struct exchange *x)
{
	const struct api *a = x->worker->api;
	bool of_models = is_inference(x);

	if (!a || (!of_models && !is_metrics(x)))
		return true;
	switch (auth_state(x->worker)) {
	case AUTH_UNKNOWN:
		/* Where nothing is in force nobody can be named, and this tells of it. */
		if (!of_models && a->generation == 0)
			return true;
		x->retry_after_s = 1;
		gate_refuse(x, 503, NOT_LOADED, "%s", NOT_LOADED_TEXT);
		return false;
	case AUTH_OFF:
		break;
	case AUTH_ON:
		if (!of_models)
			return admits_who(x, "this gateway asks who you are: " LOG_IN);
		return !a->of_inference || admits_who(x, "this gateway asks who you are: " LOG_IN
							 "; a virtual key goes into x-bf-vk");
	}
	return true;
}

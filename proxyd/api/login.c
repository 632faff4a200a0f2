/*
 * Sessions: begun, ended, asked after. Called by the route table. Must never show a token but in
 * the cookie of who began the session.
 */
#include <stdio.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/codec/json_writer.h"
#include "common/snapshot/entity.h"
#include "proxyd/api/answers.h"
#include "proxyd/api/auth.h"
#include "proxyd/api/handlers.h"
#include "proxyd/api/refuse.h"
#include "proxyd/api/request.h"

#define COOKIE_MAX 256u

static const struct bf_slice nobody = {NULL, 0};

/* Behind TLS, ours or a proxy's, the cookie never travels in clear. */
static const char *secure(const struct exchange *x)
{
	bool tls =
	    x->worker->tls || bf_slice_is_nocase(exchange_header(x, "x-forwarded-proto"), "https");

	return tls ? "; Secure" : "";
}

static struct bf_slice cookie(const struct exchange *x, const char *token, int life_s,
			      char out[COOKIE_MAX])
{
	int n = snprintf(out, COOKIE_MAX,
			 "Set-Cookie: token=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax%s\r\n",
			 token, life_s, secure(x));

	return (struct bf_slice){out, (size_t)n};
}

/* ---- login */

static bool read_login(struct exchange *x, struct bf_slice *ret_name, struct bf_slice *ret_word)
{
	struct request_body body;
	bool good;

	if (!request_body(x, &body))
		return false;
	good = request_text(x, &body, "username", ret_name) == 0 &&
	       request_text(x, &body, "password", ret_word) == 0;
	request_done(x->worker);
	if (!good)
		api_refuse(x, 400, "invalid_request", nobody,
			   "send {\"username\": \"..\", \"password\": \"..\"}");
	return good;
}

static void begin(struct exchange *x)
{
	char token[SESSION_TOKEN_MAX], line[COOKIE_MAX];
	struct session session;

	session_begin(x->worker->api->session_key, bf_wall_ms() / 1000, token, &session);
	api_answer_message(x, cookie(x, token, SESSION_LIFE_S, line), "Login successful");
}

void api_login(struct exchange *x)
{
	struct bf_slice name, word;
	struct api_values values;
	struct auth_who who;

	if (!request_parameters(x, api_operation_of(x), &values))
		return;
	if (!x->worker->api || auth_state(x->worker) != AUTH_ON) {
		api_refuse(x, 403, "auth_disabled", nobody,
			   "there is no login: governance.auth_config is not enabled");
		return;
	}
	if (!read_login(x, &name, &word))
		return;
	switch (auth_password(x, name, word, &who)) {
	case AUTH_YES:
		begin(x);
		break;
	case AUTH_TOO_OFTEN:
		x->retry_after_s = (unsigned)(who.wait_ms / 1000 + 1);
		api_refuse(x, 429, "too_many_logins", nobody,
			   "passwords were tried too often: wait");
		break;
	case AUTH_NO:
	case AUTH_FOREIGN:
		api_refuse(x, 401, "invalid_credentials", nobody, "name or password is wrong");
		break;
	case AUTH_NO_MEMORY:
		api_refuse(x, 503, "out_of_memory", nobody, "no memory for the login");
		break;
	}
}

/* ---- logout */

static void ended(struct exchange *x, const struct ask_answer *answer)
{
	char line[COOKIE_MAX];

	if (answer->code < 0 || answer->http_status >= 300)
		api_answered(x, answer);
	else
		api_answer_message(x, cookie(x, "", 0, line), "Logout successful");
}

static void end(struct exchange *x, const struct session *s)
{
	struct bf_msg_entity_change change = {.action = BF_ENTITY_CREATE,
					      .type = BF_ENTITY_SESSION_END,
					      .id = bf_slice_from(s->id),
					      .actor = bf_slice_from(x->actor)};
	struct ask_table *asks = x->worker->asks;
	time_t ends_s = (time_t)s->ends_s;
	char body[160], when[32];
	struct tm tm;
	int r = BF_E_STATE;

	if (gmtime_r(&ends_s, &tm) && strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0) {
		int n = snprintf(body, sizeof(body), "{\"id\":\"%s\",\"expires_at\":\"%s\"}", s->id,
				 when);

		change.body = (struct bf_slice){body, (size_t)n};
		r = asks ? ask_change(asks, x, &change, ended) : BF_E_STATE;
	}
	if (r < 0)
		api_not_asked(x, r);
}

void api_logout(struct exchange *x)
{
	struct api_values values;
	struct auth_who who = {.kind = CREDENTIALS_NONE};
	char line[COOKIE_MAX];

	if (!request_parameters(x, api_operation_of(x), &values))
		return;
	if (x->worker->api && auth_state(x->worker) == AUTH_ON &&
	    auth_identify(x, &who) == AUTH_YES && who.session.ends_s > 0) {
		x->actor = who.actor;
		end(x, &who.session);
	} else {
		/* A cookie that is none any more goes too. */
		api_answer_message(x, cookie(x, "", 0, line), "There was no session");
	}
}

/* ---- is there one? */

static bool has_token(struct exchange *x)
{
	struct credentials c;
	struct auth_who who;

	if (credentials_read(x, &x->arena, &c) < 0 ||
	    (c.kind != CREDENTIALS_BEARER && c.kind != CREDENTIALS_COOKIE))
		return false;
	return auth_identify(x, &who) == AUTH_YES;
}

void api_is_auth_enabled(struct exchange *x)
{
	struct worker *w = x->worker;
	bool on = w->api && auth_state(w) == AUTH_ON;
	struct api_values values;
	struct bf_json_writer j;

	if (!request_parameters(x, api_operation_of(x), &values))
		return;
	bf_buf_clear(&w->text);
	bf_jw_init(&j, &w->text);
	bf_jw_object(&j);
	bf_jw_key(&j, "is_auth_enabled");
	bf_jw_bool(&j, on);
	bf_jw_key(&j, "has_valid_token");
	bf_jw_bool(&j, on && has_token(x));
	bf_jw_key(&j, "auth_type");
	bf_jw_cstr(&j, on ? "password" : "none");
	bf_jw_key(&j, "inference_auth_enforced");
	bf_jw_bool(&j, on && w->api->of_inference);
	bf_jw_end_object(&j);
	if (bf_jw_finish(&j) < 0)
		api_refuse(x, 503, "out_of_memory", nobody, "no memory for the answer");
	else
		api_answer(x, 200, nobody, bf_buf_slice(&w->text));
}

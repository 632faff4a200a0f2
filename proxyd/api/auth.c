/*
 * Logins. Called by the door for every request to the API, and for requests to models when these
 * need a login. Must never log, keep or answer a secret, nor take longer for one that is nearly
 * right.
 */
#include "proxyd/api/auth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/nodump.h"
#include "common/base/rand.h"
#include "common/codec/utf8.h"
#include "common/crypt/seal.h"
#include "common/log/log.h"
#include "common/net/addr.h"
#include "common/snapshot/snapshot.h"
#include "proxyd/snapshot.h"

#define ACTOR_NAME_MAX 100 /* of BF_MSG_ENTITY_CHANGE's actor */
#define AUTH_ARENA     (64u << 10)

struct api *auth_new(const struct worker *w)
{
	size_t size = sizeof(struct api);
	struct api *a = bf_nodump_alloc(&size);

	if (!a)
		return NULL;
	a->size = size;
	throttle_open(&a->throttle, w->workers);
	bf_rand_bytes(a->compare, sizeof(a->compare));
	return a;
}

void auth_free(struct api *a)
{
	if (a)
		bf_nodump_free(a, a->size);
}

/* ---- what is in force */

static void take_config(struct api *a, const struct bf_snapshot *s, uint64_t version,
			const struct bf_conf_auth_config *auth)
{
	a->state = AUTH_ON;
	a->of_inference = !auth->disable_auth_on_inference;
	(void)snprintf(a->username, sizeof(a->username), "%.*s",
		       BF_SLICE_FMT(auth->admin_username));
	bf_hmac(a->compare, auth->admin_username, a->username_code);
	bf_hmac(a->compare, auth->admin_password, a->password_code);
	session_key(bf_snapshot_pepper(s->base), version, a->session_key);
}

/* One that cannot be read opens the door to nobody, and is read again by whoever asks next. */
static void read_config(struct api *a, const struct bf_snapshot *s)
{
	struct bf_conf_auth_config auth;
	struct bf_arena arena;
	struct bf_entity e;

	a->state = AUTH_OFF;
	a->of_inference = false;
	if (!bf_snapshot_find(s, BF_ENTITY_AUTH_CONFIG, BF_SLICE_LIT(BF_AUTH_CONFIG_ID), &e))
		return;
	bf_arena_init_nodump(&arena, AUTH_ARENA);
	if (bf_entity_decode(&e, &auth, &arena, NULL) < 0) {
		a->state = AUTH_UNKNOWN;
		bf_log(BF_LOG_ERROR, "auth_config_unreadable", "version=%llu",
		       (unsigned long long)e.version);
	} else if (auth.is_enabled) {
		take_config(a, s, e.version, &auth);
	}
	bf_arena_done(&arena);
}

enum auth_state auth_state(struct worker *w)
{
	struct api *a = w->api;
	uint64_t generation = shm_generation(w->seg);
	const struct bf_snapshot *s;

	if (a->generation == generation && a->state != AUTH_UNKNOWN)
		return a->state;
	s = snapshots_now(w);
	/* Who might be let in by what was in force may not be any more. */
	if (!s)
		return AUTH_UNKNOWN;
	/* Read before the snapshot was taken: if that is newer, this is done again. */
	a->generation = generation;
	read_config(a, s);
	return a->state;
}

/* ---- who it is */

static const char *actor_of(struct exchange *x, const char *kind, struct bf_slice name)
{
	size_t len = bf_utf8_valid_prefix(name.ptr, BF_MIN(name.len, ACTOR_NAME_MAX));

	return bf_arena_printf(&x->arena, "%s %.*s", kind, (int)len, name.ptr);
}

static enum auth_verdict named(struct auth_who *who)
{
	return who->actor ? AUTH_YES : AUTH_NO_MEMORY;
}

static void count_failure(struct exchange *x, const char *what)
{
	bool is_v4 = bf_addr_bytes_are_v4(x->peer);
	char peer[INET6_ADDRSTRLEN] = "";

	worker_count(x->worker, SHM_M_LOGIN_FAILURES);
	/* As firewalls and those who feed them write it. */
	(void)inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? x->peer + 12 : x->peer, peer,
			sizeof(peer));
	bf_log(BF_LOG_WARN, "login_failed", "by=%s peer=%s", what, peer);
}

static bool is_text(const struct api *a, struct bf_slice given, const uint8_t expected[32])
{
	uint8_t code[BF_HMAC_LEN];

	bf_hmac(a->compare, given, code);
	return bf_equal_secret(code, expected, sizeof(code));
}

enum auth_verdict auth_password(struct exchange *x, struct bf_slice username,
				struct bf_slice password, struct auth_who *who)
{
	struct api *a = x->worker->api;
	int64_t now_ms = bf_mono_ms();
	bool name, word;

	who->wait_ms = throttle_take(&a->throttle, x->peer, now_ms);
	if (who->wait_ms > 0) {
		worker_count(x->worker, SHM_M_LOGINS_THROTTLED);
		return AUTH_TOO_OFTEN;
	}
	name = is_text(a, username, a->username_code);
	word = is_text(a, password, a->password_code);
	if (!name || !word) {
		count_failure(x, "password");
		return AUTH_NO;
	}
	throttle_give(&a->throttle, x->peer, now_ms);
	who->actor = actor_of(x, "password", bf_slice_from(a->username));
	return named(who);
}

static enum auth_verdict by_session(struct exchange *x, const struct bf_snapshot *s,
				    struct bf_slice token, struct auth_who *who)
{
	const struct api *a = x->worker->api;
	struct session session;
	struct bf_entity e;

	if (!session_check(a->session_key, token, bf_wall_ms() / 1000, &session) ||
	    bf_snapshot_find(s, BF_ENTITY_SESSION_END, bf_slice_from(session.id), &e))
		return AUTH_NO;
	who->session = session;
	who->actor = actor_of(x, "session", bf_slice_from(a->username));
	return named(who);
}

static enum auth_verdict by_key(struct exchange *x, const struct bf_snapshot *s,
				struct bf_slice value, struct auth_who *who)
{
	uint8_t secret[BF_ENTITY_SECRET_LEN];
	struct bf_conf_api_key key;
	struct bf_entity e;

	bf_hmac(bf_snapshot_pepper(s->base), value, secret);
	if (!bf_snapshot_find_secret(s, BF_ENTITY_API_KEY, secret, &e))
		return AUTH_NO;
	if (bf_entity_decode(&e, &key, &x->arena, NULL) < 0)
		return AUTH_NO;
	if (!key.is_active || bf_is_expired(key.expires_at_ms, bf_wall_ms()))
		return AUTH_NO;
	who->actor = actor_of(x, "api_key", key.name);
	return named(who);
}

static enum auth_verdict by_token(struct exchange *x, struct bf_slice token, struct auth_who *who)
{
	const struct bf_snapshot *s = snapshots_now(x->worker);
	enum auth_verdict v = AUTH_NO;

	if (s && bf_slice_starts(token, BF_SLICE_LIT(SESSION_PREFIX)))
		v = by_session(x, s, token, who);
	else if (s && who->kind == CREDENTIALS_BEARER && token.len > 0)
		v = by_key(x, s, token, who);
	if (v == AUTH_NO)
		count_failure(x, "token");
	return v;
}

/* Without them a foreign page can do no harm: it is not shown the answer. */
static bool changes(const struct exchange *x)
{
	return x->method != EXCHANGE_GET && x->method != EXCHANGE_HEAD;
}

enum auth_verdict auth_identify(struct exchange *x, struct auth_who *ret_who)
{
	struct credentials c;

	*ret_who = (struct auth_who){.kind = CREDENTIALS_NONE};
	if (credentials_read(x, &x->arena, &c) < 0)
		return AUTH_NO_MEMORY;
	ret_who->kind = c.kind;
	switch (c.kind) {
	case CREDENTIALS_BASIC:
		/* Browsers remember these too, and send them unasked. */
		if (changes(x) && credentials_foreign(x))
			return AUTH_FOREIGN;
		return auth_password(x, c.username, c.secret, ret_who);
	case CREDENTIALS_COOKIE:
		if (changes(x) && credentials_foreign(x))
			return AUTH_FOREIGN;
		return by_token(x, c.secret, ret_who);
	case CREDENTIALS_BEARER:
		return by_token(x, c.secret, ret_who);
	case CREDENTIALS_NONE:
	case CREDENTIALS_BROKEN:
		break;
	}
	return AUTH_NO;
}

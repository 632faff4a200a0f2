/*
 * Who a request is, by auth_config and the API keys that are in force. State of one worker, in
 * no-dump memory: it holds what passwords are compared with.
 */
#pragma once

#include "common/base/arena.h"
#include "proxyd/api/credentials.h"
#include "proxyd/api/session.h"
#include "proxyd/api/throttle.h"
#include "proxyd/worker.h"

enum auth_state {
	AUTH_UNKNOWN, /* nothing is in force yet, or it cannot be read */
	AUTH_OFF,     /* there is no auth_config, or it is not enabled */
	AUTH_ON,
};

struct api {
	size_t size; /* of this block */
	struct throttle throttle;
	uint64_t generation;   /* what is below was read from */
	enum auth_state state; /* read it with auth_state() */
	enum auth_state told;  /* what the log says */
	bool of_inference;     /* requests to models need a login too */
	char username[257];
	uint8_t compare[32]; /* a random key: texts are compared by their codes under it */
	uint8_t username_code[32], password_code[32];
	uint8_t session_key[SESSION_KEY_LEN];
};

/* NULL: no memory. */
struct api *auth_new(const struct worker *w);
void auth_free(struct api *a);

/* As the snapshot in force has it: one load when nothing changed. */
enum auth_state auth_state(struct worker *w);

enum auth_verdict {
	AUTH_YES,
	AUTH_NO,        /* it carries nothing, or nothing that is right */
	AUTH_TOO_OFTEN, /* wait_ms */
	AUTH_FOREIGN,   /* a page of another site made a browser send it */
	AUTH_NO_MEMORY,
};

struct auth_who {
	enum credentials_kind kind;
	const char *actor; /* "session admin"; in the request's arena */
	int64_t wait_ms;
	struct session session; /* bearers and cookies that are sessions: ends_s > 0 */
};

/* Only in state AUTH_ON. Tries of passwords are bounded, those that are right do not count. */
enum auth_verdict auth_identify(struct exchange *x, struct auth_who *ret_who);
/* A try of name and password, as by Basic. */
enum auth_verdict auth_password(struct exchange *x, struct bf_slice username,
				struct bf_slice password, struct auth_who *who);

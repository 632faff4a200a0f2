/*
 * Governance of one worker: who may ask, and what every request meets, as the snapshot in force has
 * it. Process lifetime.
 */
#pragma once

#include "common/base/err.h"
#include "proxyd/gate/everybody.h"
#include "proxyd/gate/infer.h"
#include "proxyd/gate/keyring.h"
#include "proxyd/gate/tariff.h"
#include "proxyd/gate/told.h"
#include "proxyd/worker.h"

struct governance {
	uint64_t generation;         /* of the snapshot that the rest is of */
	struct everybody *everybody; /* NULL: nothing is in force yet */
	struct everybody *next;      /* of a snapshot that comes; NULL: as now */
	uint8_t pepper[BF_SNAPSHOT_PEPPER_LEN];
	struct keyring keys;
	struct tariff tariff;
	struct told told;
	int64_t unpriced_mono_ms;  /* when a call was last refused for want of a price; 0: never */
	int64_t uncharged_mono_ms; /* when one was let through all the same */
};

/* Hangs itself into w->governance, and takes the identity of w over in the meters. 0 or -ENOMEM. */
int govern_open(struct worker *w, struct bf_err *err);
/* No exchange lives any more. */
void govern_close(struct worker *w);
/* About once a second: follows what is in force, and says what this worker has to say about
 * health. */
void govern_beat(struct worker *w);

/*
 * The snapshot that comes is held (w->snapshots->next): makes what every request will meet, so that
 * no request waits for it. 0, or an error: it must not come into force.
 */
int govern_prepare(struct worker *w, struct bf_err *err);
/* Follows what is in force. False: nothing is yet, or this worker has not heard of it. */
bool govern_follow(struct worker *w);

/* Whether requests of x's key, or without one, may meet limits at all; of tokens or dollars. */
bool govern_limits(const struct exchange *x);
bool govern_counts_tokens(const struct exchange *x);

/*
 * What x meets from here on, as it is in force now, is x's until it is freed: x->everybody, and
 * x->virtual_key by the request's headers. 0, or -1 with e: nothing is in force yet, or the key
 * lacks, is unknown or blocked. Only with w->governance.
 */
int govern_key(struct exchange *x, struct infer_error *e);
/* The same without a key, also again: for another target of the same request. False: as above. */
bool govern_hold(struct exchange *x);
/* x's virtual key is this one; the reference goes over. */
void govern_hold_key(struct exchange *x, struct keyring_key *key);

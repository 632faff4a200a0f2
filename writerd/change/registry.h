/*
 * The entities of this node: loaded from config.db, or from the file alone, reviewed, published,
 * and kept so. The one place that knows whether they can be changed.
 */
#pragma once

#include <ev.h>

#include "common/ipc/channel.h"
#include "common/proc/child.h"
#include "common/schema/config.h"
#include "shm/segment.h"
#include "writerd/change/last_good.h"
#include "writerd/change/publish.h"
#include "writerd/entity/entity_make.h"
#include "writerd/store/store_sqlite_entities.h"

/* What was put into the table and is not certain yet: to be taken back when it does not come into
 * the store. */
struct registry_step {
	struct entity *now; /* in the table */
	struct entity *old; /* NULL: there was none */
};

/* What there is, while the store is no use. */
enum registry_stopgap {
	REGISTRY_STORED,     /* it is in the store, or there is no config store */
	REGISTRY_NOT_STORED, /* the store's and, in memory alone, the file's */
	REGISTRY_COPY,       /* the last copy's */
};

struct limits_reset;

struct registry {
	const struct bf_config *config;
	const char *path; /* NULL: there is no config store */
	const char *state_dir;
	struct shm_segment *seg;
	uint32_t proc_slot;
	struct entities *t; /* NULL: nothing could be loaded */
	struct entity_maker maker;
	struct entity_store *store; /* NULL: none, or unusable */
	struct bf_err trouble;      /* of the store */
	int64_t retry_at_ms;        /* monotonic; 0: nothing to be tried again */
	int64_t forget_at_ms;       /* monotonic; not before */
	struct publish publish;
	struct last_good last_good;
	enum registry_stopgap stopgap;
	struct registry_step *steps; /* of the group that is under way */
	uint32_t step_count, step_room;
	uint32_t unreadable; /* rows of the store that are left out */
	uint32_t quarantined;
	uint64_t *blocked; /* entity_key() of each of them */
	uint32_t blocked_room;
	char first_quarantined[BF_ENTITY_ID_MAX + 32]; /* "virtual_key/ops"; "": none */
	/* After each change, with those that changed, before they are published: who counts usage
	 * opens meters now. May be NULL. */
	void (*on_changes)(void *owner, const struct registry_step *steps, uint32_t count);
	/* All entities were loaded, perhaps anew, and are about to be published. May be NULL. */
	void (*on_loaded)(void *owner);
	/* Forgives what was used: limits_reset(), whose verdict it returns. NULL: nobody can. */
	int (*on_reset)(void *owner, struct limits_reset *reset);
	/* See publish.h. */
	void (*on_published)(void *owner, int code, const char *why);
	void *owner;
};

/*
 * Loads what there is and begins to publish it. A store that cannot be used is told of and tried
 * again, whatever is wrong with it; meanwhile the last copy counts, if there is one. 0, or
 * BF_E_LIMIT with err: the file has too many limits beside the store's. Nothing was changed then,
 * and only registry_done() may follow.
 */
int registry_start(struct registry *r, struct ev_loop *loop, struct bf_channel *channel,
		   uint16_t endpoint, struct bf_err *err);
void registry_done(struct registry *r);

/* Once a second: tries again what failed; gauges and health. */
void registry_second(struct registry *r);

/* Adds to an answer about the status of this process. */
void registry_status(const struct registry *r, struct bf_array *items, struct bf_arena *arena);

/* Why nothing can be changed now; NULL: it can. */
const char *registry_refusal(const struct registry *r);

/* ---- a group of changes: begin, put.., then commit or rollback */

int registry_begin(struct registry *r, struct bf_err *err);
/* Takes x over, also when it fails. It is in the table at once, so that the next sees it. */
int registry_put(struct registry *r, struct entity *x, struct bf_err *err);
/* 0: it is certain, and publish_now() may follow. Else everything is as it was before begin. */
int registry_commit(struct registry *r, struct bf_err *err);
void registry_rollback(struct registry *r);

/*
 * What is in force, from writerd's side: makes the base and the overlays over it, hands them to the
 * supervisor, and says when they are in force. One is under way at a time. A new base is made in
 * small pieces while everything else goes on.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/ipc/channel.h"
#include "common/snapshot/builder.h"
#include "writerd/entity/entities.h"

/* A new base when the overlay has more. */
#define PUBLISH_OVERLAY_MAX_RECORDS 1024u
#define PUBLISH_OVERLAY_MAX_BYTES   (4u << 20)
#define PUBLISH_ANSWER_LIMIT_MS     15000
#define PUBLISH_LATE_MS             1000

struct publish_events {
	/* What publish_now() began is in force (0), or it is not: BF_E_DENIED, BF_E_TIMEOUT, or why
	 * it could not be made. May call publish_now() again. Also called for a new base that
	 * nobody asked for. */
	void (*done)(void *owner, int code, const char *why);
	/* A new base is in force: what it replaces may be copied to the disk. */
	void (*based)(void *owner);
	void *owner;
};

/* Since the base of index 0 was begun, and since the one that is being made was. */
struct publish_changes {
	struct entity **items; /* whose change_at[] is 1 + their place */
	uint32_t count, room;
	uint64_t bytes; /* about */
};

enum publish_base {
	PUBLISH_NO_BASE,
	PUBLISH_BASE_WALKS,
	PUBLISH_BASE_READY, /* waits until nothing is under way */
	PUBLISH_BASE_SENT,
};

struct publish {
	struct ev_loop *loop;
	struct bf_channel *channel;
	uint16_t endpoint;
	const struct publish_events *events;
	struct entities *t;
	const uint8_t *pepper;
	struct publish_changes changes[2];
	uint64_t base_id, next_base_id;
	int base_fd, overlay_fd; /* in force; -1: none */
	int next_base_fd, next_overlay_fd;
	enum publish_base base;
	struct bf_snapshot_builder *builder;
	struct entities_walk walk;
	ev_timer slice;
	ev_timer limit;
	uint32_t request; /* under way; 0: none */
	uint32_t last_request;
	bool wanted; /* publish_now() while a base was made and none is in force */
	bool late;   /* the answer of what is under way */
	bool unsure; /* an answer never came: which base is in force, nobody here knows */
	int64_t began_mono_ms;
	uint64_t flips, refused;
	int64_t flip_ms; /* the last one took */
};

void publish_init(struct publish *p, struct ev_loop *loop, struct bf_channel *channel,
		  uint16_t endpoint, const struct publish_events *events);
void publish_done(struct publish *p);

/* From now on it is these entities; the pepper must stay where it is. What was under way is
 * forgotten: done() is not called for it. */
void publish_begin(struct publish *p, struct entities *t, const uint8_t pepper[32]);

/*
 * x was put into the table in the place of old (NULL: it is new); old is about to be freed. 0 or
 * -ENOMEM: then nothing was noted, and a new base must be made: publish_rebase().
 */
int publish_note(struct publish *p, struct entity *x, struct entity *old);
/* Every change so far shall be in force: done() says so. Nothing may be under way. */
void publish_now(struct publish *p);
bool publish_is_busy(const struct publish *p);
/* Makes a new base. */
void publish_rebase(struct publish *p);

/* An answer of the supervisor. */
void publish_answered(struct publish *p, uint32_t request, bool taken);

/* Records of the overlay in force, or that would be. */
uint32_t publish_overlay_records(const struct publish *p);
bool publish_is_in_force(const struct publish *p);

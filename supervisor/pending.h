/*
 * Questions that a child has not answered in full: bifrostctl's, or those of other children. Ids of
 * different connections may be equal, so each question travels under an id of the supervisor's own.
 * Pure and bounded.
 */
#pragma once

#include <stdint.h>

#define PENDING_MAX        256u
#define PENDING_MAX_OF_ONE 64u /* per connection: bifrostctl status asks every process at once */

struct pending_entry {
	uint32_t id;              /* what the child sees; 0: unused */
	uint32_t asker;           /* connection */
	uint32_t asker_request;   /* what the asker sees */
	uint32_t peer;            /* process slot of the child that was asked */
	uint16_t type;            /* of the question: how long it may wait */
	int64_t deadline_mono_ms; /* moves on with every part */
};

struct pending {
	uint32_t last_id;
	struct pending_entry entries[PENDING_MAX];
};

void pending_init(struct pending *p);

/* How long a question may wait. A worker gives up before (ask.h), in words of its own. */
int64_t pending_limit_ms(uint16_t type);

/* A new entry, or NULL with *ret_code: BF_E_FULL, or BF_E_DUPLICATE when the asker still uses this
 * id. */
struct pending_entry *pending_add(struct pending *p, uint32_t asker, uint32_t asker_request,
				  uint32_t peer, uint16_t type, int64_t now_mono_ms, int *ret_code);

/* The question that this reply of peer belongs to; NULL when there is none (it was cancelled, or
 * never asked). */
struct pending_entry *pending_of_reply(struct pending *p, uint32_t id, uint32_t peer);
struct pending_entry *pending_of_asker(struct pending *p, uint32_t asker, uint32_t asker_request);

/* The first entry that concerns this; NULL when there is none. Free it before asking again. */
struct pending_entry *pending_any_of_asker(struct pending *p, uint32_t asker);
struct pending_entry *pending_any_of_peer(struct pending *p, uint32_t peer);
struct pending_entry *pending_any_expired(struct pending *p, int64_t now_mono_ms);

void pending_touch(struct pending_entry *e, int64_t now_mono_ms);
void pending_free(struct pending_entry *e);

/*
 * Table of open questions, for router.c. Small enough to be searched from front to back. Must never
 * grow and never give out an id that is still in use.
 */
#include "supervisor/pending.h"

#include <stddef.h>
#include <string.h>

#include "common/base/err.h"

void pending_init(struct pending *p)
{
	memset(p, 0, sizeof(*p));
}

static struct pending_entry *find_id(struct pending *p, uint32_t id)
{
	for (size_t i = 0; i < PENDING_MAX; i++) {
		if (p->entries[i].id == id)
			return &p->entries[i];
	}
	return NULL;
}

static uint32_t next_id(struct pending *p)
{
	do {
		p->last_id++;
	} while (p->last_id == 0 || find_id(p, p->last_id) != NULL);
	return p->last_id;
}

struct pending_entry *pending_add(struct pending *p, uint32_t asker, uint32_t asker_request,
				  uint32_t peer, int64_t now_mono_ms, int *ret_code)
{
	struct pending_entry *unused = NULL;
	uint32_t mine = 0;

	if (pending_of_asker(p, asker, asker_request)) {
		*ret_code = BF_E_DUPLICATE;
		return NULL;
	}
	for (size_t i = 0; i < PENDING_MAX; i++) {
		if (p->entries[i].id == 0)
			unused = &p->entries[i];
		else if (p->entries[i].asker == asker)
			mine++;
	}
	if (!unused || mine >= PENDING_MAX_OF_ONE) {
		*ret_code = BF_E_FULL;
		return NULL;
	}
	*unused = (struct pending_entry){
	    .asker = asker,
	    .asker_request = asker_request,
	    .peer = peer,
	    .deadline_mono_ms = now_mono_ms + PENDING_DEADLINE_MS,
	};
	unused->id = next_id(p);
	return unused;
}

struct pending_entry *pending_of_reply(struct pending *p, uint32_t id, uint32_t peer)
{
	struct pending_entry *e = id ? find_id(p, id) : NULL;

	return e && e->peer == peer ? e : NULL;
}

struct pending_entry *pending_of_asker(struct pending *p, uint32_t asker, uint32_t asker_request)
{
	for (size_t i = 0; i < PENDING_MAX; i++) {
		struct pending_entry *e = &p->entries[i];

		if (e->id && e->asker == asker && e->asker_request == asker_request)
			return e;
	}
	return NULL;
}

struct pending_entry *pending_any_of_asker(struct pending *p, uint32_t asker)
{
	for (size_t i = 0; i < PENDING_MAX; i++) {
		if (p->entries[i].id && p->entries[i].asker == asker)
			return &p->entries[i];
	}
	return NULL;
}

struct pending_entry *pending_any_of_peer(struct pending *p, uint32_t peer)
{
	for (size_t i = 0; i < PENDING_MAX; i++) {
		if (p->entries[i].id && p->entries[i].peer == peer)
			return &p->entries[i];
	}
	return NULL;
}

struct pending_entry *pending_any_expired(struct pending *p, int64_t now_mono_ms)
{
	for (size_t i = 0; i < PENDING_MAX; i++) {
		if (p->entries[i].id && p->entries[i].deadline_mono_ms <= now_mono_ms)
			return &p->entries[i];
	}
	return NULL;
}

void pending_touch(struct pending_entry *e, int64_t now_mono_ms)
{
	e->deadline_mono_ms = now_mono_ms + PENDING_DEADLINE_MS;
}

void pending_free(struct pending_entry *e)
{
	memset(e, 0, sizeof(*e));
}

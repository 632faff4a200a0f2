/*
 * Table of open questions, for router.c. Small enough to be searched from front to back. Must never
 * grow and never give out an id that is still in use.
 */
#include "supervisor/pending.h"

#include <stddef.h>
#include <string.h>

#include "common/base/err.h"
#include "common/ipc/deadlines.h"
#include "common/ipc/messages.h"

void pending_init(struct pending *p)
{
	memset(p, 0, sizeof(*p));
}

int64_t pending_limit_ms(uint16_t type)
{
	switch (type) {
	case BF_MSG_ENTITY_CHANGE:
		return BF_CHANGE_LIMIT_MS + BF_ANSWER_SLACK_MS;
	case BF_MSG_LOGS_QUERY:
	case BF_MSG_ENTITY_QUERY:
	case BF_MSG_PRICE_SYNC:
		return BF_QUESTION_LIMIT_MS + BF_ANSWER_SLACK_MS;
	default:
		return BF_QUESTION_LIMIT_MS;
	}
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
				  uint32_t peer, uint16_t type, int64_t now_mono_ms, int *ret_code)
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
	    .type = type,
	    .deadline_mono_ms = now_mono_ms + pending_limit_ms(type),
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
	e->deadline_mono_ms = now_mono_ms + pending_limit_ms(e->type);
}

void pending_free(struct pending_entry *e)
{
	memset(e, 0, sizeof(*e));
}

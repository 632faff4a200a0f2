/*
 * The content ring's reader. Called by intake.c for living slots and by sweep.c for dead ones; must
 * copy nothing (bodies are bound to statements where they lie) and must release nothing before the
 * commit.
 */
#include "writerd/usage/join.h"

#include <stdbool.h>
#include <string.h>

#include "shm/content.h"

#define TABLE_SIZE (JOIN_MAX_RECORDS * 4)
#define MAX_WALK   8192u /* bodies looked at in one turn */
#define MAX_PROBES \
	64u /* ids are random; a worker that forges them loses its bodies, not our time */
#define STUCK_MS       1000
#define PRESSURE_BYTES (SHM_CONTENT_RING_BYTES / 2)

struct index {
	uint16_t slots[TABLE_SIZE]; /* number of the item + 1; 0: empty */
	const struct store_item *items;
};

static uint32_t hash(const uint8_t id[16])
{
	uint32_t h;

	memcpy(&h, id + 12, sizeof(h)); /* the random end of a UUIDv7 */
	return h * 2654435761u >> 16;
}

static void index_build(struct index *x, const struct store_item *items, size_t n)
{
	memset(x, 0, sizeof(*x));
	x->items = items;
	for (size_t i = 0; i < n; i++) {
		uint32_t at = hash(items[i].record->id);

		for (uint32_t k = 0; k < MAX_PROBES; k++) {
			uint16_t *slot = &x->slots[(at + k) % TABLE_SIZE];

			if (*slot)
				continue;
			*slot = (uint16_t)(i + 1);
			break;
		}
	}
}

/* Number of the item with this id, or -1. */
static int index_find(const struct index *x, const uint8_t id[16])
{
	uint32_t at = hash(id);

	for (uint32_t k = 0; k < MAX_PROBES; k++) {
		uint16_t slot = x->slots[(at + k) % TABLE_SIZE];

		if (!slot)
			return -1;
		if (memcmp(x->items[slot - 1].record->id, id, 16) == 0)
			return slot - 1;
	}
	return -1;
}

static void attach(struct store_item *item, const struct shm_content *body)
{
	struct bf_slice bytes = {body->bytes, body->len};

	if (body->kind == SHM_CONTENT_REQUEST)
		item->input = bytes;
	else if (body->kind == SHM_CONTENT_RESPONSE)
		item->output = bytes;
}

uint64_t join_content(struct shm_segment *seg, uint32_t p, struct join *j, struct store_item *items,
		      size_t n, int64_t now_ms)
{
	bool pressed = shm_content_waiting_bytes(seg, p) > PRESSURE_BYTES;
	bool give_up = pressed && j->stuck_end && now_ms - j->stuck_since_ms >= STUCK_MS;
	uint64_t at = 0, release = 0;
	bool all_seen = true;
	struct shm_content body;
	struct index index;

	index_build(&index, items, n);
	for (uint32_t k = 0; k < MAX_WALK && shm_content_next(seg, p, at, &body); k++) {
		int i = index_find(&index, body.id);

		at = body.end;
		if (i >= 0)
			attach(&items[i], &body);
		else if (!give_up || body.end > j->stuck_end)
			all_seen = false;
		if (all_seen)
			release = body.end;
	}
	if (all_seen) {
		j->stuck_end = 0;
	} else if (!j->stuck_end || give_up) {
		j->stuck_end = at;
		j->stuck_since_ms = now_ms;
	}
	return release;
}

void join_discard(struct shm_segment *seg, uint32_t p)
{
	struct shm_content body;
	uint64_t at = 0;

	for (uint32_t k = 0; k < MAX_WALK && shm_content_next(seg, p, at, &body); k++)
		at = body.end;
	if (at)
		shm_content_release(seg, p, at);
}

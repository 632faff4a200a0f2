/*
 * The index of those who own rows. Called by store.c for each row and by limits_show.c for each
 * answer; must never fail for a row, whatever it names.
 */
#include "writerd/owners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/siphash.h"

#define LEAST_PLACES 16u
/* A name of this length may have lost letters: a field is cut before a torn one. */
#define MAYBE_CUT (sizeof(((struct shm_usage_record *)0)->virtual_key_name) - 3)

_Static_assert(offsetof(struct bf_conf_virtual_key, own) == 0 &&
		   offsetof(struct bf_conf_team, own) == 0 &&
		   offsetof(struct bf_conf_customer, own) == 0,
	       "what owners have comes first");

/* Ids are of the configuration, not of those who send requests: the key need not be secret. */
static uint32_t first_place(const struct owners_index *x, struct bf_slice id)
{
	static const uint8_t key[16] = "owners-of-rows.";

	return (uint32_t)bf_siphash(key, id.ptr, id.len) & (x->place_count - 1);
}

static const struct bf_conf_owner *owner_at(const struct owners_index *x, uint32_t number)
{
	return (const void *)((const char *)x->list->items + number * x->size);
}

/* Where the one with this id stands, or would. */
static uint32_t place_of(const struct owners_index *x, struct bf_slice id)
{
	uint32_t at = first_place(x, id);

	while (x->places[at] && !bf_slice_eq(owner_at(x, x->places[at] - 1)->id, id))
		at = (at + 1) & (x->place_count - 1);
	return at;
}

static int index_init(struct owners_index *x, const struct bf_array *list, size_t size)
{
	uint32_t count = LEAST_PLACES;

	/* Half of them stay free. */
	while (count / 2 < list->count)
		count *= 2;
	*x = (struct owners_index){.list = list, .size = size, .place_count = count};
	x->places = calloc(count, sizeof(*x->places));
	if (!x->places)
		return -ENOMEM;
	for (uint32_t i = 0; i < list->count; i++) {
		uint32_t at = place_of(x, owner_at(x, i)->id);

		if (x->places[at] == 0)
			x->places[at] = 1 + i;
	}
	return 0;
}

int owners_init(struct owners *o, const struct bf_conf_governance *governance)
{
	memset(o, 0, sizeof(*o));
	if (index_init(&o->kinds[BF_OWNER_VIRTUAL_KEY], &governance->virtual_keys,
		       sizeof(struct bf_conf_virtual_key)) == 0 &&
	    index_init(&o->kinds[BF_OWNER_TEAM], &governance->teams, sizeof(struct bf_conf_team)) ==
		0 &&
	    index_init(&o->kinds[BF_OWNER_CUSTOMER], &governance->customers,
		       sizeof(struct bf_conf_customer)) == 0)
		return 0;
	owners_done(o);
	return -ENOMEM;
}

void owners_done(struct owners *o)
{
	for (unsigned kind = 0; kind < BF_OWNER_COUNT; kind++)
		free(o->kinds[kind].places);
	memset(o, 0, sizeof(*o));
}

uint32_t owners_number(const struct owners *o, enum bf_owner kind, struct bf_slice id)
{
	const struct owners_index *x = o ? &o->kinds[kind] : NULL;
	uint32_t at;

	if (!x || !x->places || id.len == 0)
		return OWNERS_NOBODY;
	at = place_of(x, id);
	return x->places[at] ? x->places[at] - 1 : OWNERS_NOBODY;
}

struct bf_slice owners_name(const struct owners *o, enum bf_owner kind, struct bf_slice id)
{
	uint32_t number = owners_number(o, kind, id);

	if (number == OWNERS_NOBODY)
		return (struct bf_slice){NULL, 0};
	return owner_at(&o->kinds[kind], number)->name;
}

/* Never another name than the one it had. */
static void complete_name(const struct owners *o, struct row *row)
{
	struct bf_slice begins = bf_slice_from(row->virtual_key_name), whole;

	if (begins.len < MAYBE_CUT)
		return;
	whole = owners_name(o, BF_OWNER_VIRTUAL_KEY, bf_slice_from(row->virtual_key_id));
	if (whole.len > ROW_NAME_LEN || !bf_slice_starts(whole, begins))
		return;
	memcpy(row->virtual_key_name, whole.ptr, whole.len);
	row->virtual_key_name[whole.len] = '\0';
}

void owners_fill(const struct owners *o, struct row *row)
{
	complete_name(o, row);
	row->team_name = owners_name(o, BF_OWNER_TEAM, bf_slice_from(row->team_id));
	row->customer_name = owners_name(o, BF_OWNER_CUSTOMER, bf_slice_from(row->customer_id));
}

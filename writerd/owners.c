/*
 * The index of virtual keys. Called by store.c for each row and by limits_show.c for each answer;
 * must never fail for a row, whatever it names.
 */
#include "writerd/owners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/siphash.h"

#define LEAST_PLACES 16u

/* Ids are of the configuration, not of those who send requests: the key need not be secret. */
static uint32_t first_place(const struct owners *o, struct bf_slice id)
{
	static const uint8_t key[16] = "owners-of-rows.";

	return (uint32_t)bf_siphash(key, id.ptr, id.len) & (o->place_count - 1);
}

static struct bf_slice id_of(const struct owners *o, uint32_t number)
{
	return row_id_cut(o->plan->keys[number].conf->own.id);
}

/* Where the key with this id stands, or would. */
static uint32_t place_of(const struct owners *o, struct bf_slice id)
{
	uint32_t at = first_place(o, id);

	while (o->places[at] && !bf_slice_eq(id_of(o, o->places[at] - 1), id))
		at = (at + 1) & (o->place_count - 1);
	return at;
}

int owners_init(struct owners *o, const struct bf_plan *plan)
{
	uint32_t count = LEAST_PLACES;

	/* Half of them stay free. */
	while (count / 2 < plan->key_count)
		count *= 2;
	*o = (struct owners){.plan = plan, .place_count = count};
	o->places = calloc(count, sizeof(*o->places));
	if (!o->places)
		return -ENOMEM;
	for (uint32_t i = 0; i < plan->key_count; i++) {
		uint32_t at = place_of(o, id_of(o, i));

		if (o->places[at] == 0)
			o->places[at] = 1 + i;
	}
	return 0;
}

void owners_done(struct owners *o)
{
	free(o->places);
	*o = (struct owners){.plan = NULL};
}

const struct bf_plan_key *owners_find(const struct owners *o, struct bf_slice id)
{
	uint32_t at;

	if (!o || !o->places || id.len == 0)
		return NULL;
	at = place_of(o, id);
	return o->places[at] ? &o->plan->keys[o->places[at] - 1] : NULL;
}

void owners_fill(const struct owners *o, struct row *row)
{
	const struct bf_plan_key *key = owners_find(o, bf_slice_from(row->virtual_key_id));

	if (!key)
		return;
	if (key->team_conf) {
		row->team_id = key->team_conf->own.id;
		row->team_name = key->team_conf->own.name;
	}
	if (key->customer_conf) {
		row->customer_id = key->customer_conf->own.id;
		row->customer_name = key->customer_conf->own.name;
	}
}

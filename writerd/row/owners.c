/*
 * Names of those who own rows. Called by store.c for each row and by limits_show.c for each answer;
 * must never fail for a row, whatever it names.
 */
#include "writerd/row/owners.h"

#include <string.h>

/* A name of this length may have lost letters: a field is cut before a torn one. */
#define MAYBE_CUT (sizeof(((struct shm_usage_record *)0)->virtual_key_name) - 3)

struct bf_slice owners_name(const struct owners *o, uint32_t type, struct bf_slice id)
{
	const struct entity *x = o && *o->t && id.len ? entities_live(*o->t, type, id) : NULL;

	return x ? x->e.name : (struct bf_slice){NULL, 0};
}

/* Never another name than the one it had. */
static void complete_name(const struct owners *o, struct row *row)
{
	struct bf_slice begins = bf_slice_from(row->virtual_key_name), whole;

	if (begins.len < MAYBE_CUT)
		return;
	whole = owners_name(o, BF_ENTITY_VIRTUAL_KEY, bf_slice_from(row->virtual_key_id));
	if (whole.len > ROW_NAME_LEN || !bf_slice_starts(whole, begins))
		return;
	memcpy(row->virtual_key_name, whole.ptr, whole.len);
	row->virtual_key_name[whole.len] = '\0';
}

void owners_fill(const struct owners *o, struct row *row)
{
	complete_name(o, row);
	row->team_name = owners_name(o, BF_ENTITY_TEAM, bf_slice_from(row->team_id));
	row->customer_name = owners_name(o, BF_ENTITY_CUSTOMER, bf_slice_from(row->customer_id));
}

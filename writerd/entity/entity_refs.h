/* Whom an entity names: one list of the members that refer to others, for checks, quarantine and
 * deletion. Pure. */
#pragma once

#include <stdint.h>

#include "common/snapshot/entity.h"

/* member: "team_id", "provider_configs[1].rate_limit_id". */
typedef void (*entity_ref_visit)(void *ctx, uint32_t type, struct bf_slice id, const char *member);

/* May whom it names be missing? Nobody meets a provider that is not there; it must only not go
 * while it is named. */
static inline bool entity_ref_is_loose(uint32_t type)
{
	return type == BF_ENTITY_PROVIDER;
}

/* Each reference that is given. object is of the type's table, as it is kept. */
void entity_refs(uint32_t type, const void *object, entity_ref_visit visit, void *ctx);

/* "virtual key": a type as people call it. */
const char *entity_noun(uint32_t type);

#define ENTITY_REFS_MAX \
	258u /* a key, its team, customer and rate limit, and two a provider config */

/*
 * Entities as the management API shows them: pure. The one place that writes their JSON, for the
 * answers of writerd to changes and for those of the reader to questions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/codec/json_writer.h"
#include "common/govern/plan.h"
#include "common/snapshot/entity.h"

/* How a limit stands in its present window, in nano-dollars, tokens or requests. */
struct entity_usage {
	int64_t used; /* the sum of the rows */
	int64_t held; /* reserved, or not yet in a row */
	int64_t start_ms, end_ms;
	/* Of a budget whose override holds; extra 0: none does. */
	int64_t extra, extra_windows;
	int64_t extra_end_ms; /* INT64_MAX: when it is deleted */
};

struct entity_usages {
	/* false: no meter counts it: what is known of its usage is left out. owner_id may be that
	 * of a part of the entity: a provider config of a key. */
	bool (*of)(void *ctx, struct bf_slice owner_id, struct bf_slice limit_id,
		   enum bf_quantity quantity, struct entity_usage *ret_usage);
	void *ctx;
};

/*
 * The struct of a budget or of a rate limit that stands at an owner, with its usage. owner_kind is
 * NULL where that is plain; else it and the owner's name and id are written too.
 */
void entity_budget_json(struct bf_json_writer *w, const struct bf_conf_budget *budget,
			const char *owner_kind, const struct bf_conf_owner *own,
			const struct entity_usages *usages);
void entity_rate_limit_json(struct bf_json_writer *w, const struct bf_conf_rate_limit *limit,
			    const char *owner_kind, const struct bf_conf_owner *own,
			    const struct entity_usages *usages);

/* Members of an open object: what the holder of a key may know of it. */
void entity_quota_json(struct bf_json_writer *w, const struct bf_conf_virtual_key *key,
		       const struct entity_usages *usages);

/*
 * Writes the whole object: every field of its table but secrets (a hint of their end at most),
 * version, created_at, updated_at. object is what bf_entity_decode() made of e. usages may be NULL.
 */
void entity_json(struct bf_json_writer *w, const struct bf_entity_def *def,
		 const struct bf_entity *e, const void *object, const struct entity_usages *usages);
/* A part of one: a key of a provider. */
void entity_part_json(struct bf_json_writer *w, const struct bf_entity_def *part,
		      const void *object);
/* The same with a member that tells whose part it is. */
void entity_part_json_of(struct bf_json_writer *w, const struct bf_entity_def *part,
			 const void *object, const char *member, struct bf_slice whose);
/* The same for the answer that shows a new secret: nobody will see it again. */
void entity_json_once(struct bf_json_writer *w, const struct bf_entity_def *def,
		      const struct bf_entity *e, const void *object, struct bf_slice value);

/*
 * Ends of sessions that have ended. Called by registry.c. Must never take an entity away to which
 * what is about to be published still points.
 */
#include "writerd/change/registry_forget.h"

#include "common/base/clock.h"
#include "common/log/log.h"

#define FAILED_PAUSE_MS 600000

/* They come in the order of their ends. Those of the overlay wait for the next base. */
static uint32_t list_ended(const struct registry *r, struct entity *ended[REGISTRY_FORGETS])
{
	int64_t before_ms = bf_wall_ms() - REGISTRY_FORGET_MS;
	struct entity *x = entities_next(r->t, BF_ENTITY_SESSION_END, NULL);
	uint32_t looked = 0, n = 0;

	for (; x && x->e.updated_ms < before_ms && n < REGISTRY_FORGETS &&
	       looked < PUBLISH_OVERLAY_MAX_RECORDS + REGISTRY_FORGETS;
	     x = entities_next(r->t, BF_ENTITY_SESSION_END, x), looked++)
		if (!x->change_at[0] && !x->change_at[1])
			ended[n++] = x;
	return n;
}

static int take_from_store(struct registry *r, struct entity *const *ended, uint32_t n,
			   struct bf_err *err)
{
	int code = entity_store_begin(r->store, err);

	if (code < 0)
		return code;
	for (uint32_t i = 0; i < n && code == 0; i++)
		code = entity_store_remove(r->store, &ended[i]->e, err);
	if (code == 0)
		code = entity_store_commit(r->store, err);
	if (code < 0)
		entity_store_rollback(r->store);
	return code;
}

void registry_forget(struct registry *r)
{
	struct entity *ended[REGISTRY_FORGETS];
	struct bf_err err = {0};
	uint32_t n;

	/* What is not of the store will be loaded anew. */
	if (!r->t || r->trouble.code || bf_mono_ms() < r->forget_at_ms)
		return;
	n = list_ended(r, ended);
	if (n && r->store && take_from_store(r, ended, n, &err) < 0) {
		bf_log(BF_LOG_WARN, "sessions_not_forgotten", "reason=%s", bf_log_quote(err.text));
		r->forget_at_ms = bf_mono_ms() + FAILED_PAUSE_MS;
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		entity_free(entities_take(r->t, BF_ENTITY_SESSION_END, ended[i]->e.id));
}

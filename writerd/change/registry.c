/*
 * Entities from the store to what is in force. Called by main.c and changes.c. Must never publish
 * what is not certain to be found again, and never forget what was answered.
 */
#include "writerd/change/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/macros.h"
#include "common/crypt/seal.h"
#include "common/log/log.h"
#include "shm/health.h"
#include "shm/metrics.h"
#include "writerd/change/registry_forget.h"
#include "writerd/change/registry_load.h"

#define RETRY_MS 10000

/* ---- groups of changes */

int registry_begin(struct registry *r, struct bf_err *err)
{
	r->step_count = 0;
	return r->store ? entity_store_begin(r->store, err) : 0;
}

static int make_step(struct registry *r)
{
	uint32_t room = r->step_room ? 2 * r->step_room : 64;
	struct registry_step *wider;

	if (r->step_count < r->step_room)
		return 0;
	wider = realloc(r->steps, room * sizeof(*wider));
	if (!wider)
		return -ENOMEM;
	r->steps = wider;
	r->step_room = room;
	return 0;
}

static void take_back_last(struct registry *r)
{
	struct registry_step *s = &r->steps[--r->step_count];
	struct entity *x = NULL;

	if (s->old)
		(void)entities_put(r->t, s->old, &x); /* its place is there */
	else
		x = entities_take(r->t, s->now->e.type, s->now->e.id);
	entity_free(x);
}

static void take_back(struct registry *r)
{
	while (r->step_count > 0)
		take_back_last(r);
}

static int put_in_table(struct registry *r, struct entity *x, struct bf_err *err)
{
	struct entity *old = NULL;
	int code = make_step(r);

	if (code == 0)
		code = entities_put(r->t, x, &old);
	if (code == 0)
		r->steps[r->step_count++] = (struct registry_step){x, old};
	else if (code == BF_E_FULL)
		(void)bf_err_set(err, code,
				 "entities: %u are the most: delete some, or wait until those that "
				 "were deleted are forgotten",
				 ENTITIES_MAX);
	else
		(void)bf_err_sys(err, code, "entities");
	return code;
}

/* The table first: what it has no room for must not be in the transaction, which others end. */
int registry_put(struct registry *r, struct entity *x, struct bf_err *err)
{
	int code = put_in_table(r, x, err);

	if (code < 0) {
		entity_free(x);
		return code;
	}
	if (r->store)
		code = entity_store_put(r->store, x, err);
	if (code < 0)
		take_back_last(r);
	return code;
}

void registry_rollback(struct registry *r)
{
	if (r->store)
		entity_store_rollback(r->store);
	take_back(r);
}

static void note_steps(struct registry *r)
{
	bool whole = true;

	for (uint32_t i = 0; i < r->step_count; i++)
		if (publish_note(&r->publish, r->steps[i].now, r->steps[i].old) < 0)
			whole = false;
	if (!whole)
		publish_rebase(&r->publish);
}

/* Who is blocked may be free now: whom it names came, it is another one itself, or whoever had its
 * secret has it no more. */
static bool may_heal(const struct registry *r)
{
	for (uint32_t i = 0; r->quarantined > 0 && i < r->step_count; i++) {
		const struct entity *old = r->steps[i].old, *now = r->steps[i].now;

		if (!old || !entity_is_live(old) || old->e.flags & BF_ENTITY_QUARANTINED ||
		    memcmp(old->e.secret, now->e.secret, sizeof(now->e.secret)) != 0)
			return true;
	}
	return false;
}

int registry_commit(struct registry *r, struct bf_err *err)
{
	int code = r->store ? entity_store_commit(r->store, err) : 0;
	bool is_published;

	if (code < 0) {
		registry_rollback(r);
		return code;
	}
	/* While it is loaded nobody publishes it: what was noted of it would be another table's. */
	is_published = r->publish.t == r->t;
	if (is_published)
		note_steps(r);
	if (is_published && r->on_changes)
		r->on_changes(r->owner, r->steps, r->step_count);
	if (is_published && may_heal(r))
		registry_review_group(r);
	for (uint32_t i = 0; i < r->step_count; i++)
		entity_free(r->steps[i].old);
	r->step_count = 0;
	return 0;
}

/* ---- publishing */

static void show_force(const struct registry *r)
{
	shm_health_set(r->seg, r->proc_slot, SHM_H_NOT_IN_FORCE, !publish_is_in_force(&r->publish));
}

static void on_done(void *owner, int code, const char *why)
{
	struct registry *r = owner;

	/* At once: our READY follows, and whoever hears of it may look. */
	show_force(r);
	shm_metric_add(r->seg, r->proc_slot, code == 0 ? SHM_M_FLIPS : SHM_M_FLIPS_REFUSED, 1);
	if (code == 0)
		shm_histogram_observe(r->seg, r->proc_slot, SHM_H_FLIP, r->publish.flip_ms * 1000);
	else
		bf_log(BF_LOG_ERROR, "not_in_force", "reason=%s effect=%s", bf_log_quote(why),
		       bf_log_quote("what was in force stays, and it is tried again"));
	if (code < 0)
		r->retry_at_ms = bf_mono_ms() + RETRY_MS;
	else if (r->stopgap == REGISTRY_STORED)
		last_good_changed(&r->last_good);
	if (r->on_published)
		r->on_published(r->owner, code, why);
}

static void on_based(void *owner)
{
	struct registry *r = owner;

	bf_log(BF_LOG_INFO, "snapshot_base", "entities=%u bytes=%llu flip_ms=%lld",
	       entities_total(r->t), (unsigned long long)entities_bytes(r->t),
	       (long long)(bf_mono_ms() - r->publish.began_mono_ms));
}

static const struct publish_events publish_events = {.done = on_done, .based = on_based};

/* ---- beginning */

static void publish_loaded(struct registry *r)
{
	if (r->on_loaded)
		r->on_loaded(r->owner);
	publish_now(&r->publish);
}

/* The first time only: later there is something, or there was no copy either. What the store has
 * is newer than the copy. */
static void make_do(struct registry *r)
{
	struct bf_err err = {0};

	if (registry_load_unstored(r, &err) == 0) {
		bf_log(BF_LOG_WARN, "entities_not_stored", "entities=%u effect=%s",
		       entities_total(r->t),
		       bf_log_quote("what the store and the file say is in force"));
		publish_loaded(r);
	} else if (registry_load_copy(r, &err) == 0) {
		bf_log(BF_LOG_WARN, "last_snapshot_loaded", "entities=%u", entities_total(r->t));
		publish_loaded(r);
	} else {
		bf_log(BF_LOG_ERROR, "last_snapshot_not_loaded", "reason=%s effect=%s",
		       bf_log_quote(err.text),
		       bf_log_quote("workers that have nothing in force refuse requests with 503"));
	}
}

static int load(struct registry *r, struct bf_err *ret_err)
{
	struct bf_err err = {0};
	int code = registry_load(r, &err);

	*ret_err = err;
	if (code == 0) {
		if (r->trouble.code)
			bf_log(BF_LOG_INFO, "config_store_usable", "path=%s",
			       bf_log_quote(r->path));
		r->trouble = (struct bf_err){0};
		r->retry_at_ms = 0;
		publish_loaded(r);
		return 0;
	}
	/* That is the file's fault: whoever gave it to us takes it back, or mends it. */
	if (code == BF_E_LIMIT && r->trouble.code == 0)
		return code;
	if (r->trouble.code == 0) {
		bf_log(BF_LOG_ERROR, "config_store_unusable", "reason=%s effect=%s",
		       bf_log_quote(err.text),
		       bf_log_quote("nothing can be changed, and it is tried again"));
		make_do(r);
	}
	r->trouble = err;
	r->retry_at_ms = bf_mono_ms() + RETRY_MS;
	return 0;
}

int registry_start(struct registry *r, struct ev_loop *loop, struct bf_channel *channel,
		   uint16_t endpoint, struct bf_err *err)
{
	static struct publish_events events;

	events = publish_events;
	events.owner = r;
	publish_init(&r->publish, loop, channel, endpoint, &events);
	/* Where the file is all there is, a copy would speak for a store that there never was. */
	last_good_init(&r->last_good, loop, r->state_dir,
		       r->path ? r->config->encryption_key : (struct bf_slice){NULL, 0});
	return load(r, err);
}

void registry_done(struct registry *r)
{
	publish_done(&r->publish);
	last_good_done(&r->last_good);
	entity_store_close(r->store);
	entities_close(r->t);
	free(r->steps);
	free(r->blocked);
	bf_wipe(&r->maker, sizeof(r->maker));
	r->store = NULL;
	r->t = NULL;
	r->steps = NULL;
	r->blocked = NULL;
}

const char *registry_refusal(const struct registry *r)
{
	if (!r->path)
		return "config_store is off: the configuration file is all there is";
	if (r->trouble.code)
		return r->trouble.text;
	return r->t ? NULL : "nothing was loaded yet";
}

/* ---- once a second */

static void show(const struct registry *r)
{
	static const struct {
		uint32_t type;
		enum shm_metric metric;
	} gauges[] = {
	    {BF_ENTITY_CUSTOMER, SHM_M_CUSTOMERS},
	    {BF_ENTITY_TEAM, SHM_M_TEAMS},
	    {BF_ENTITY_VIRTUAL_KEY, SHM_M_VIRTUAL_KEYS},
	    {BF_ENTITY_RATE_LIMIT, SHM_M_RATE_LIMITS},
	    {BF_ENTITY_MODEL_CONFIG, SHM_M_MODEL_CONFIGS},
	    {BF_ENTITY_PROVIDER_LIMITS, SHM_M_PROVIDER_LIMITS},
	    {BF_ENTITY_PRICING_OVERRIDE, SHM_M_PRICING_OVERRIDES},
	    {BF_ENTITY_API_KEY, SHM_M_API_KEYS},
	    {BF_ENTITY_MODEL_CATALOG, SHM_M_MODEL_CATALOGS},
	};

	for (size_t i = 0; r->t && i < BF_ARRAY_LEN(gauges); i++)
		shm_metric_set(r->seg, r->proc_slot, gauges[i].metric,
			       entities_count(r->t, gauges[i].type));
	shm_metric_set(r->seg, r->proc_slot, SHM_M_OVERLAY_RECORDS,
		       publish_overlay_records(&r->publish));
	shm_metric_set(r->seg, r->proc_slot, SHM_M_QUARANTINED, r->quarantined);
	shm_health_set(r->seg, r->proc_slot, SHM_H_ENTITIES_QUARANTINED, r->quarantined > 0);
	shm_health_set(r->seg, r->proc_slot, SHM_H_ENTITIES_UNREADABLE, r->unreadable > 0);
	shm_health_set(r->seg, r->proc_slot, SHM_H_CONFIG_STORE_UNUSABLE, r->trouble.code != 0);
	show_force(r);
}

void registry_second(struct registry *r)
{
	struct bf_err err;

	show(r);
	if (!publish_is_busy(&r->publish))
		last_good_second(&r->last_good, r->publish.base_fd, r->publish.overlay_fd);
	registry_forget(r);
	if (r->retry_at_ms == 0 || bf_mono_ms() < r->retry_at_ms)
		return;
	r->retry_at_ms = 0;
	if (r->trouble.code)
		(void)load(r, &err);
	else if (!publish_is_busy(&r->publish))
		publish_now(&r->publish);
}

static const char *const stopgaps[] = {
    [REGISTRY_STORED] = "store",
    [REGISTRY_NOT_STORED] = "store and file, not stored",
    [REGISTRY_COPY] = "the last copy",
};

void registry_status(const struct registry *r, struct bf_array *items, struct bf_arena *arena)
{
	bf_status_add(items, arena, "entities", "%u", r->t ? entities_total(r->t) : 0);
	bf_status_add(items, arena, "entities_blocked", "%u%s%s", r->quarantined,
		      r->quarantined ? ", the first is " : "", r->first_quarantined);
	bf_status_add(items, arena, "entities_unreadable", "%u", r->unreadable);
	bf_status_add(items, arena, "config_store", "%s",
		      !r->path          ? "off"
		      : r->trouble.code ? r->trouble.text
					: "ok");
	if (r->trouble.code)
		bf_status_add(items, arena, "entities_from", "%s",
			      r->t ? stopgaps[r->stopgap] : "nowhere");
	bf_status_add(items, arena, "snapshot", "%s",
		      publish_is_in_force(&r->publish) ? "in force" : "not in force");
	bf_status_add(items, arena, "overlay_records", "%u", publish_overlay_records(&r->publish));
	bf_status_add(items, arena, "flips", "%llu", (unsigned long long)r->publish.flips);
	bf_status_add(items, arena, "flips_refused", "%llu",
		      (unsigned long long)r->publish.refused);
}

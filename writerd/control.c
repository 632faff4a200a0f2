/*
 * The control channel as writerd sees it. Called by the child runtime; must decide nothing: a death
 * is only a reason to look at the slots now, a configuration only a row of its history.
 */
#include "writerd/control.h"

#include "common/ipc/messages.h"
#include "common/log/log.h"
#include "shm/usage.h"
#include "writerd/store/store_sqlite_config.h"
#include "writerd/writerd.h"

static void on_proc_dead(struct bf_child *child, struct bf_frame *f, const void *message)
{
	struct writerd *w = child->daemon;

	(void)f;
	(void)message;
	turn_poke(&w->turn);
}

static void on_config_applied(struct bf_child *child, struct bf_frame *f, const void *message)
{
	const struct bf_msg_config_applied *m = message;
	struct writerd *w = child->daemon;
	struct bf_err err = {0};

	(void)f;
	if (w->config_path &&
	    config_store_note(w->config_path, m->config_hash, bf_version(), w->node_id, &err) < 0)
		bf_log(BF_LOG_WARN, "config_not_noted", "reason=%s", bf_log_quote(err.text));
}

static void on_limits_get(struct bf_child *child, struct bf_frame *f, const void *message)
{
	struct writerd *w = child->daemon;
	struct bf_msg_limits page;
	struct bf_err err = {0};

	if (limits_page(&w->limits, message, &page, &child->scratch, &err) < 0)
		(void)bf_channel_reply_error(&child->channel, f, err.code, err.text);
	else
		(void)bf_channel_reply(&child->channel, f, BF_MSG_LIMITS, &page, false);
}

static void on_entity_change(struct bf_child *child, struct bf_frame *f, const void *message)
{
	struct writerd *w = child->daemon;

	(void)message;
	changes_take(&w->changes, f);
}

static void on_snapshot_taken(struct bf_child *child, struct bf_frame *f, const void *message)
{
	struct writerd *w = child->daemon;

	(void)message;
	publish_answered(&w->registry.publish, f->request, true);
}

static void on_snapshot_refused(struct bf_child *child, struct bf_frame *f, const void *message)
{
	struct writerd *w = child->daemon;

	(void)message;
	publish_answered(&w->registry.publish, f->request, false);
}

static void on_price_sheet(struct bf_child *child, struct bf_frame *f, const void *message)
{
	struct writerd *w = child->daemon;

	prices_take(&w->prices, f, message);
}

static void on_price_fresh(struct bf_child *child, struct bf_frame *f, const void *message)
{
	struct writerd *w = child->daemon;

	prices_fresh(&w->prices, f, message);
}

const struct bf_child_handler control_handlers[] = {
    {BF_MSG_PROC_DEAD, on_proc_dead},
    {BF_MSG_CONFIG_APPLIED, on_config_applied},
    {BF_MSG_LIMITS_GET, on_limits_get},
    {BF_MSG_ENTITY_CHANGE, on_entity_change},
    {BF_MSG_SNAPSHOT_TAKEN, on_snapshot_taken},
    {BF_MSG_SNAPSHOT_REFUSED, on_snapshot_refused},
    {BF_MSG_PRICE_SHEET, on_price_sheet},
    {BF_MSG_PRICE_FRESH, on_price_fresh},
    {0, NULL},
};

void control_slot_freed(void *owner, uint32_t p)
{
	struct bf_child *child = owner;

	(void)p;
	(void)bf_channel_send_msg(&child->channel, BF_MSG_PROC_SWEPT, child->endpoint,
				  BF_ENDPOINT(BF_ROLE_SUPERVISOR, 0), 0, 0, NULL);
}

void control_status(struct bf_child *child, struct bf_array *items, struct bf_arena *arena)
{
	struct writerd *w = child->daemon;
	const struct turn *t = &w->turn;
	uint64_t overflow = 0;
	struct batch_waiting waiting;

	intake_look(&t->intake, &waiting);
	for (uint32_t p = 0; p < SHM_PROC_SLOTS; p++)
		overflow +=
		    intake_slot_held(&w->seg, p) ? shm_usage_overflow_waiting(&w->seg, p) : 0;
	bf_status_add(items, arena, "store", "%s", w->store_path ? w->store_path : "off");
	bf_status_add(items, arena, "store_state", "%s",
		      t->batch.state == BATCH_FAILING ? "failing" : "ok");
	bf_status_add(items, arena, "node_id", "%s", w->node_id);
	bf_status_add(items, arena, "rows_written", "%llu", (unsigned long long)t->rows_written);
	bf_status_add(items, arena, "rows_swept", "%llu", (unsigned long long)t->rows_swept);
	bf_status_add(items, arena, "rows_waiting", "%llu", (unsigned long long)waiting.rows);
	bf_status_add(items, arena, "rows_in_overflow", "%llu", (unsigned long long)overflow);
	bf_status_add(items, arena, "limits", "%u", w->limits.live);
	bf_status_add(items, arena, "limits_unplaced", "%u", w->limits.closed);
	bf_status_add(items, arena, "charges_unknown", "%llu",
		      (unsigned long long)w->limits.fold.unknown);
	registry_status(&w->registry, items, arena);
	prices_status(&w->prices, items, arena);
	bf_status_add(items, arena, "store_errors", "%llu", (unsigned long long)t->store_errors);
}

/*
 * Charges of rows that their workers' meters missed. Called by fold.c for each new row. Must find
 * the same rows that store_sqlite_charged.c sums up, each once, and cost nothing once all workers
 * know the plan.
 */
#include "writerd/limits_missed.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/macros.h"

#define PATH_BYTES (64u << 10)

/* ---- limits of teams and customers: a row keeps its own, whatever its key has now */

static void note_span(const struct limits *l, struct limits_span *spans, enum bf_owner kind,
		      uint32_t i)
{
	uint32_t number = owners_number(&l->owners, kind, l->plan.limits[i].owner_id);

	if (number == OWNERS_NOBODY)
		return;
	if (spans[number].count++ == 0)
		spans[number].first = i;
}

int limits_missed_init(struct limits *l)
{
	const struct bf_conf_governance *g = &l->config->governance;

	bf_arena_init(&l->path, PATH_BYTES);
	l->teams = calloc((size_t)g->teams.count + 1, sizeof(*l->teams));
	l->customers = calloc((size_t)g->customers.count + 1, sizeof(*l->customers));
	if (!l->teams || !l->customers)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->plan.limit_count; i++) {
		if (l->plan.limits[i].owner == BF_OWNER_TEAM)
			note_span(l, l->teams, BF_OWNER_TEAM, i);
		else if (l->plan.limits[i].owner == BF_OWNER_CUSTOMER)
			note_span(l, l->customers, BF_OWNER_CUSTOMER, i);
	}
	return 0;
}

void limits_missed_done(struct limits *l)
{
	free(l->teams);
	free(l->customers);
	bf_arena_done(&l->path);
}

/* ---- one row */

struct missing {
	struct limits *l;
	const struct shm_usage_record *record;
	const struct row *row;
};

static bool same(struct bf_slice wanted, const char *text)
{
	return wanted.len == 0 || bf_slice_is(wanted, text);
}

/* As the store's own sums ask. */
static bool is_about(const struct bf_limit_rows *rows, const struct row *row)
{
	struct bf_slice provider = bf_slice_from(row->provider), model;

	if (!same(rows->virtual_key_id, row->virtual_key_id) ||
	    !same(rows->team_id, row->team_id) || !same(rows->customer_id, row->customer_id) ||
	    !same(row_text_cut(rows->provider, ROW_PROVIDER_LEN), row->provider))
		return false;
	model = row_text_cut(bf_model_bare(rows->model, provider), ROW_MODEL_LEN);
	return rows->model.len == 0 || bf_model_is(model, bf_slice_from(row->model), provider);
}

static bool names(const struct shm_usage_record *r, uint32_t m)
{
	uint32_t n = BF_MIN(r->meter_count, SHM_METERS_PER_REQUEST);

	for (uint32_t k = 0; k < n; k++) {
		if (r->meters[k] == m)
			return true;
	}
	return false;
}

static void miss(const struct missing *w, const struct bf_limit *limit)
{
	struct limits *l = w->l;
	uint32_t i = (uint32_t)(limit - l->plan.limits), m = l->places[i];
	int64_t amount = shm_usage_charge(w->record, (uint32_t)limit->quantity);
	int64_t at_ms = BF_MAX(w->record->started_wall_ns, 0) / 1000000;

	/* Most rows name all; what has no place yet begins with this one, once it is written. */
	if (amount == 0 || !l->begun[i] || names(w->record, m) || !is_about(&limit->rows, w->row))
		return;
	/* No row is of a window that is still to come: clocks may disagree. */
	at_ms = BF_MIN(at_ms, limits_now_ms(l, limit));
	fold_miss(&l->fold, m, bf_limit_epoch(limit, at_ms), amount);
}

static void miss_path(const struct missing *w, const struct bf_plan_key *key)
{
	struct bf_plan_path path;

	if (bf_plan_path(&w->l->plan, key, bf_slice_from(w->row->provider),
			 bf_slice_from(w->row->model), &w->l->path, &path) < 0)
		w->l->fold.unknown++;
	else
		for (uint32_t k = 0; k < path.count; k++)
			miss(w, path.items[k]);
	bf_arena_reset(&w->l->path);
}

static void miss_span(const struct missing *w, const struct limits_span *spans, enum bf_owner kind,
		      const char *id)
{
	uint32_t number = owners_number(&w->l->owners, kind, bf_slice_from(id));

	for (uint32_t k = 0; number != OWNERS_NOBODY && k < spans[number].count; k++)
		miss(w, &w->l->plan.limits[spans[number].first + k]);
}

void limits_missed(void *limits, const struct shm_usage_record *r, const struct row *row)
{
	const struct missing w = {limits, r, row};
	const struct limits *l = w.l;
	const struct bf_plan_key *key = NULL;
	uint32_t number;

	if (l->plan.limit_count == 0 || r->started_wall_ns >= l->missed_until_ns)
		return;
	number =
	    owners_number(&l->owners, BF_OWNER_VIRTUAL_KEY, bf_slice_from(row->virtual_key_id));
	if (number != OWNERS_NOBODY)
		key = &l->plan.keys[number];
	miss_path(&w, key);
	/* A reload may have moved the key since: its old team's limits are not on its path. */
	if (!key || !key->team_conf || !bf_slice_is(key->team_conf->own.id, row->team_id))
		miss_span(&w, l->teams, BF_OWNER_TEAM, row->team_id);
	if (!key || !key->customer_conf ||
	    !bf_slice_is(key->customer_conf->own.id, row->customer_id))
		miss_span(&w, l->customers, BF_OWNER_CUSTOMER, row->customer_id);
}

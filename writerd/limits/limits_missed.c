/*
 * Charges of rows that their workers' meters missed. Called by fold.c for each new row. Must find
 * the same rows that store_sqlite_charged.c sums up, each once, and cost nothing once every request
 * knows all limits.
 */
#include "writerd/limits/limits_missed.h"

#include "common/base/macros.h"

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

static void miss(const struct missing *w, const struct limit *limit)
{
	struct limits *l = w->l;
	int64_t amount = shm_usage_charge(w->record, limit->quantity);
	int64_t at_ms = BF_MAX(w->record->started_wall_ns, 0) / 1000000;
	struct bf_limit whole;

	/* Most rows name all; what has no place yet begins with this one, once it is written. */
	if (amount == 0 || limit->state != LIMIT_BEGUN || names(w->record, limit->place))
		return;
	whole = limit_whole(limit);
	if (!is_about(&whole.rows, w->row))
		return;
	/* No row is of a window that is still to come: clocks may disagree. */
	at_ms = BF_MIN(at_ms, limits_now_ms(l, &whole));
	fold_miss(&l->fold, limit->place, bf_limit_epoch(&whole, at_ms), amount);
}

static void miss_all(const struct missing *w, const struct limited *of)
{
	for (uint32_t i = 0; of && i < of->count; i++)
		miss(w, &of->limits[i]);
}

static void miss_of(const struct missing *w, uint32_t type, const char *id)
{
	if (id[0])
		miss_all(w, limits_table_find(&w->l->table, type, bf_slice_from(id)));
}

static void miss_chain(const struct missing *w, const struct limited *of)
{
	for (; of; of = limits_table_next(of))
		miss_all(w, of);
}

/* Model configs of a scope. Who asked for a model by another one's word gets each but once. */
static void miss_models(const struct missing *w, const char *scope)
{
	const struct limits_table *t = &w->l->table;
	struct bf_slice of_whom = bf_slice_from(scope), model = bf_slice_from(w->row->model);
	const struct limited *of = limits_table_models(t, of_whom, model);
	const struct limited *any = limits_table_models(t, of_whom, LIMITS_ANY_MODEL);
	const struct limited *lengthy = limits_table_models(t, of_whom, LIMITS_LONG_MODELS);

	if (of != any && of != lengthy)
		miss_chain(w, of);
	miss_chain(w, any);
	miss_chain(w, lengthy);
}

void limits_missed(void *limits, const struct shm_usage_record *r, const struct row *row)
{
	const struct missing w = {limits, r, row};
	const struct limits *l = w.l;

	if (l->table.count == 0 || r->started_wall_ns >= l->missed_until_ns)
		return;
	miss_chain(&w, limits_table_provider(&l->table, bf_slice_from(row->provider)));
	miss_of(&w, BF_ENTITY_VIRTUAL_KEY, row->virtual_key_id);
	miss_of(&w, BF_ENTITY_TEAM, row->team_id);
	miss_of(&w, BF_ENTITY_CUSTOMER, row->customer_id);
	if (l->table.models == 0)
		return;
	miss_models(&w, "");
	if (row->virtual_key_id[0])
		miss_models(&w, row->virtual_key_id);
}

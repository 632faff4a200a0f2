/*
 * Totals of meters and whose are watched. Called by store_sqlite.c within its transactions; must
 * never let a sum run over, whatever a worker wrote.
 */
#include "writerd/store/store_sqlite_totals.h"

#include <stdlib.h>

/* Sums stop where the meters' do. What was missed is taken back when a new meter begins with all of
 * it. */
static const char *const statement_text[TOTALS_STATEMENTS] = {
    [TOTALS_ADD] = ("INSERT INTO meter_totals (identity, window, settled, missed, forgiven, resets,"
		    " created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
		    " ON CONFLICT (identity, window) DO UPDATE SET"
		    " settled = min(settled + excluded.settled, 2305843009213693952),"
		    " missed = max(0, min(missed + excluded.missed, 2305843009213693952)),"
		    " forgiven = max(0, min(forgiven + excluded.forgiven, 2305843009213693952)),"
		    " resets = resets + excluded.resets"
		    " RETURNING settled, missed, forgiven, resets"),
    [TOTALS_NEWEST] = ("SELECT window, settled, missed, forgiven, resets FROM meter_totals"
		       " WHERE identity = ?1 AND window BETWEEN ?2 AND ?3"
		       " ORDER BY window DESC LIMIT 1"),
    [TOTALS_IS_WATCHED] = "SELECT about FROM meter_watched WHERE identity = ?1",
    [TOTALS_WATCH] = ("INSERT INTO meter_watched (identity, about) VALUES (?1, ?2)"
		      " ON CONFLICT (identity) DO UPDATE SET about = excluded.about"),
    [TOTALS_LIST] = "SELECT identity FROM meter_watched",
    [TOTALS_UNWATCH] = "DELETE FROM meter_watched WHERE identity = ?1",
};

int totals_open(struct totals *t, sqlite3 *db)
{
	int r = SQLITE_OK;

	for (int i = 0; i < TOTALS_STATEMENTS && r == SQLITE_OK; i++)
		r = sqlite3_prepare_v3(db, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &t->statements[i], NULL);
	return r;
}

void totals_done(struct totals *t)
{
	for (int i = 0; i < TOTALS_STATEMENTS; i++) {
		(void)sqlite3_finalize(t->statements[i]);
		t->statements[i] = NULL;
	}
}

/* The statement with its numbers bound. */
static sqlite3_stmt *bound(struct totals *t, enum totals_statement which, const int64_t *numbers,
			   int count)
{
	sqlite3_stmt *st = t->statements[which];

	/* Cannot fail: each has its place, and none runs. */
	for (int i = 0; i < count; i++)
		(void)sqlite3_bind_int64(st, 1 + i, numbers[i]);
	return st;
}

/* Its first row, the first columns of it as numbers. */
static int first_row(sqlite3_stmt *st, int64_t *ret_numbers, int count)
{
	int r = sqlite3_step(st), last = r;

	for (int i = 0; r == SQLITE_ROW && i < count; i++)
		ret_numbers[i] = sqlite3_column_int64(st, i);
	/* RETURNING gives its rows when the change is made; it ends with the next step. */
	if (r == SQLITE_ROW)
		last = sqlite3_step(st);
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
	return last == SQLITE_DONE || last == SQLITE_ROW ? r : last;
}

int totals_add(struct totals *t, uint64_t identity, int64_t window, const struct store_total *more,
	       const char *created_at, struct store_total *ret_now)
{
	const int64_t numbers[] = {(int64_t)identity, window,         more->settled,
				   more->missed,      more->forgiven, more->resets};
	sqlite3_stmt *st = bound(t, TOTALS_ADD, numbers, 6);
	int64_t now[4] = {0};
	int r = sqlite3_bind_text(st, 7, created_at, -1, SQLITE_STATIC);

	if (r != SQLITE_OK)
		return r;
	r = first_row(st, now, 4);
	*ret_now = (struct store_total){now[0], now[1], now[2], now[3]};
	return r;
}

int totals_newest(struct totals *t, uint64_t identity, int64_t least, int64_t most,
		  int64_t *ret_window, struct store_total *ret_total)
{
	const int64_t numbers[] = {(int64_t)identity, least, most};
	int64_t found[5] = {0};
	int r = first_row(bound(t, TOTALS_NEWEST, numbers, 3), found, 5);

	*ret_window = found[0];
	*ret_total = (struct store_total){found[1], found[2], found[3], found[4]};
	return r;
}

int totals_is_watched(struct totals *t, uint64_t identity, uint64_t *ret_about)
{
	const int64_t number = (int64_t)identity;
	int64_t about = 0;
	int r = first_row(bound(t, TOTALS_IS_WATCHED, &number, 1), &about, 1);

	*ret_about = (uint64_t)about;
	return r;
}

int totals_watch(struct totals *t, uint64_t identity, uint64_t about)
{
	const int64_t numbers[] = {(int64_t)identity, (int64_t)about};

	return first_row(bound(t, TOTALS_WATCH, numbers, 2), NULL, 0);
}

int totals_unwatch(struct totals *t, uint64_t identity)
{
	const int64_t number = (int64_t)identity;

	return first_row(bound(t, TOTALS_UNWATCH, &number, 1), NULL, 0);
}

/* ---- all but some */

struct leaving {
	int64_t *items;
	size_t count, room;
};

static int by_number(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int leave(struct leaving *l, int64_t identity)
{
	size_t room = l->room ? 2 * l->room : 64;
	int64_t *items = l->items;

	if (l->count == l->room) {
		items = realloc(l->items, room * sizeof(*items));
		if (!items)
			return SQLITE_NOMEM;
		l->items = items;
		l->room = room;
	}
	items[l->count++] = identity;
	return SQLITE_ROW;
}

/* Collected first: a table is not changed while it is read. */
static int collect(struct totals *t, const uint64_t *identities, size_t count, struct leaving *l)
{
	sqlite3_stmt *st = t->statements[TOTALS_LIST];
	int r;

	while ((r = sqlite3_step(st)) == SQLITE_ROW) {
		uint64_t identity = (uint64_t)sqlite3_column_int64(st, 0);

		if (count && bsearch(&identity, identities, count, sizeof(identity), by_number))
			continue;
		r = leave(l, (int64_t)identity);
		if (r != SQLITE_ROW)
			break;
	}
	(void)sqlite3_reset(st);
	return r;
}

int totals_unwatch_others(struct totals *t, const uint64_t *identities, size_t count)
{
	struct leaving l = {.items = NULL};
	int r = collect(t, identities, count, &l);

	for (size_t i = 0; i < l.count && r == SQLITE_DONE; i++)
		r = first_row(bound(t, TOTALS_UNWATCH, &l.items[i], 1), NULL, 0);
	free(l.items);
	return r;
}

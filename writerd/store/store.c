/*
 * One transaction over any store. Called by intake.c and sweep.c, which release from the segment
 * only after this returned 0.
 */
#include "writerd/store/store.h"

#include "writerd/row/owners.h"
#include "writerd/store/fold.h"

static int append_all(struct store *s, const struct store_item *items, size_t count,
		      struct row_scratch *scratch, struct fold *fold, unsigned *inserted,
		      struct bf_err *err)
{
	struct row row;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		bool fresh = false;

		row_render(items[i].record, items[i].input, items[i].output, scratch, &row);
		owners_fill(s->owners, &row);
		r = s->ops->append(s, &row, &fresh, err);
		*inserted += fresh && !s->ops->keeps_nothing;
		if (fresh && fold)
			fold_add(fold, items[i].record, &row);
	}
	return r;
}

int store_write(struct store *s, const struct store_item *items, size_t count,
		struct row_scratch *scratch, struct fold *fold, unsigned *ret_inserted,
		struct bf_err *err)
{
	unsigned inserted = 0;
	int r = s->ops->begin(s, err);

	if (r < 0)
		return r;
	if (fold)
		fold_clear(fold);
	r = append_all(s, items, count, scratch, fold, &inserted, err);
	if (r == 0 && fold)
		r = fold_store(fold, s, err);
	if (r == 0)
		r = s->ops->commit(s, err);
	if (r < 0) {
		s->ops->rollback(s);
		return r;
	}
	if (fold)
		fold_publish(fold);
	*ret_inserted = inserted;
	return 0;
}

/*
 * One transaction over any store. Called by intake.c and sweep.c, which release from the segment
 * only after this returned 0.
 */
#include "writerd/store.h"

int store_write(struct store *s, const struct store_item *items, size_t count,
		struct row_scratch *scratch, unsigned *ret_inserted, struct bf_err *err)
{
	unsigned inserted = 0;
	struct row row;
	int r = s->ops->begin(s, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count && r == 0; i++) {
		bool fresh = false;

		row_render(items[i].record, items[i].input, items[i].output, scratch, &row);
		r = s->ops->append(s, &row, &fresh, err);
		inserted += fresh ? 1 : 0;
	}
	if (r == 0)
		r = s->ops->commit(s, err);
	if (r < 0) {
		s->ops->rollback(s);
		return r;
	}
	*ret_inserted = inserted;
	return 0;
}

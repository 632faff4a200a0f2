/*
 * Prices out of a snapshot. Called by everybody.c, before the snapshot is in force. Must never copy
 * or index them again when another entity changed: of a large sheet that takes milliseconds.
 */
#include "proxyd/gate/pricelist.h"

#include <errno.h>
#include <stdlib.h>

#include "common/log/log.h"

#define PRICELIST_MAX (64u << 20)

static int pricelist_fill(struct pricelist *list, const struct bf_snapshot *s, struct bf_err *err)
{
	struct bf_array entries;
	int r = bf_snapshot_prices(s, &list->arena, &entries, err);

	return r < 0 ? r : bf_price_index_make(&list->index, &entries, &list->arena);
}

static int pricelist_make(const struct bf_snapshot *s, uint64_t mark, struct pricelist **ret_list)
{
	struct pricelist *list = calloc(1, sizeof(*list));
	struct bf_err err = {.code = 0};
	int r;

	if (!list)
		return -ENOMEM;
	*list = (struct pricelist){.refs = 1, .mark = mark};
	bf_arena_init(&list->arena, PRICELIST_MAX);
	r = pricelist_fill(list, s, &err);
	if (r == 0) {
		*ret_list = list;
		return 0;
	}
	pricelist_free(list);
	if (r == -ENOMEM)
		return r;
	bf_log(BF_LOG_ERROR, "price_sheet_unreadable", "reason=%s effect=%s",
	       bf_log_quote(err.text),
	       bf_log_quote("the sheet of the configuration counts until another one is fetched"));
	return 0;
}

int pricelist_of(const struct bf_snapshot *s, struct pricelist *before, struct pricelist **ret_list)
{
	uint64_t mark = bf_snapshot_price_mark(s);

	*ret_list = NULL;
	if (mark == 0)
		return 0;
	if (before && before->mark == mark) {
		before->refs++;
		*ret_list = before;
		return 0;
	}
	return pricelist_make(s, mark, ret_list);
}

void pricelist_free(struct pricelist *list)
{
	bf_arena_done(&list->arena);
	free(list);
}

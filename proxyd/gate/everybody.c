/*
 * What every request meets. Made by govern.c, before a snapshot that changes it is in force. Must
 * never be half: what cannot be made whole is refused, and the one before stays.
 */
#include "proxyd/gate/everybody.h"

#include <errno.h>
#include <stdlib.h>

#include "proxyd/gate/place.h"

#define EVERYBODY_MAX (1u << 30)

static int everybody_fill(struct everybody *e, const struct bf_config *file,
			  const struct bf_snapshot *s, struct bf_err *err)
{
	struct bf_conf_governance *g = &e->config.governance;
	struct bf_config found;
	int r = bf_snapshot_common_config(s, &e->arena, &found, err);

	if (r < 0)
		return r;
	e->mark = bf_snapshot_common(s);
	e->config = *file;
	*g = found.governance;
	g->unpriced_models = file->governance.unpriced_models;
	g->default_price = file->governance.default_price;
	r = bf_plan_make(&e->plan, &e->config, &e->arena, err);
	if (r < 0)
		return r;
	if (places_make(&e->plan, &e->arena) < 0 ||
	    bf_price_book_open(&e->book, &e->config, &e->arena) < 0)
		return bf_err_sys(err, -ENOMEM, "limits of providers and models, and prices");
	return 0;
}

int everybody_make(struct everybody **ret_everybody, const struct bf_config *file,
		   const struct bf_snapshot *s, struct bf_err *err)
{
	struct everybody *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return bf_err_sys(err, -ENOMEM, "limits of providers and models, and prices");
	e->refs = 1;
	bf_arena_init(&e->arena, EVERYBODY_MAX);
	r = everybody_fill(e, file, s, err);
	if (r < 0)
		everybody_free(e);
	else
		*ret_everybody = e;
	return r;
}

void everybody_free(struct everybody *e)
{
	bf_arena_done(&e->arena);
	free(e);
}

/*
 * What every request meets. Made by govern.c, before a snapshot that changes it is in force. Must
 * never be half: what cannot be made whole is refused, and the one before stays.
 */
#include "proxyd/gate/everybody.h"

#include <errno.h>
#include <stdlib.h>

#include "proxyd/gate/govern.h"
#include "proxyd/gate/place.h"

#define EVERYBODY_MAX (1u << 30)

/* What of it cannot change while requests run stays the file's. */
static int fill_client(struct everybody *e, const struct bf_conf_client *file,
		       const struct bf_snapshot *s, struct bf_err *err)
{
	const struct bf_entity_def *def = bf_entity_def(BF_ENTITY_CLIENT_CONFIG);
	struct bf_conf_client *client = &e->config.client;
	struct bf_entity entity;
	int r;

	*client = *file;
	if (!bf_snapshot_find(s, BF_ENTITY_CLIENT_CONFIG, bf_slice_from(def->fixed_id), &entity))
		return 0;
	e->has_client = true;
	r = bf_entity_decode(&entity, client, &e->arena, err);
	client->enable_logging = file->enable_logging;
	client->enforce_governance_header = client->enforce_auth_on_inference;
	client->log_retention_days = file->log_retention_days;
	return r;
}

static int fill_providers(struct everybody *e, struct worker *w, const struct bf_snapshot *s,
			  struct provider_set *before, struct bf_err *err)
{
	int r = 0;

	if (before && before->mark == provider_set_mark(s))
		e->providers = provider_set_hold(before);
	else
		r = provider_set_make(w, s, before, &e->providers, err);
	if (r == 0)
		e->config.providers = e->providers->confs;
	return r;
}

static int fill_prices(struct everybody *e, const struct governance *g, const struct bf_snapshot *s)
{
	struct pricelist *before = g && g->everybody ? g->everybody->prices : NULL;
	int r = pricelist_of(s, before, &e->prices);

	if (e->prices)
		e->book.fetched = e->prices->index;
	return r;
}

static bool is_idle(const struct everybody *e)
{
	const struct bf_conf_governance *g = &e->config.governance;

	return e->plan.limit_count == 0 && !e->prices && g->pricing_overrides.count == 0 &&
	       e->config.pricing.sheet.entries.count == 0 &&
	       g->unpriced_models != BF_UNPRICED_DEFAULT_PRICE;
}

static int everybody_fill(struct everybody *e, struct worker *w, const struct bf_snapshot *s,
			  struct provider_set *before, struct bf_err *err)
{
	const struct bf_config *file = w->config;
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
	r = fill_client(e, &file->client, s, err);
	if (r == 0)
		r = fill_providers(e, w, s, before, err);
	if (r == 0)
		r = bf_plan_make(&e->plan, &e->config, &e->arena, err);
	if (r < 0)
		return r;
	if (places_make(&e->plan, &e->arena) < 0 ||
	    bf_price_book_open(&e->book, &e->config, &e->arena) < 0 ||
	    fill_prices(e, w->governance, s) < 0)
		return bf_err_sys(err, -ENOMEM, "limits of providers and models, and prices");
	e->idle = is_idle(e);
	return 0;
}

int everybody_make(struct everybody **ret_everybody, struct worker *w, const struct bf_snapshot *s,
		   struct provider_set *before, struct bf_err *err)
{
	struct everybody *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return bf_err_sys(err, -ENOMEM, "limits of providers and models, and prices");
	e->refs = 1;
	bf_arena_init(&e->arena, EVERYBODY_MAX);
	r = everybody_fill(e, w, s, before, err);
	if (r < 0)
		everybody_free(e);
	else
		*ret_everybody = e;
	return r;
}

void everybody_free(struct everybody *e)
{
	provider_set_drop(e->providers);
	pricelist_drop(e->prices);
	bf_arena_done(&e->arena);
	free(e);
}

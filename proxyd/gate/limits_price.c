/*
 * The price of a request's present target. Called by limits.c at admission, and when another key is
 * taken. Must never let a price end before the request does, nor pass over a model without one
 * untold.
 */
#include "proxyd/gate/limits.h"
#include "proxyd/gate/limits_priv.h"

#include "common/base/clock.h"

struct tariff_model *limits_model(const struct exchange *x)
{
	static const enum bf_price_mode modes[] = {
	    [SHM_OBJECT_CHAT] = BF_PRICE_CHAT,
	    [SHM_OBJECT_COMPLETION] = BF_PRICE_COMPLETION,
	    [SHM_OBJECT_EMBEDDING] = BF_PRICE_EMBEDDING,
	    [SHM_OBJECT_RESPONSES] = BF_PRICE_RESPONSES,
	};
	struct bf_price_query query = {
	    .provider = x->provider, .model = x->model, .mode = modes[x->object]};

	if (x->virtual_key)
		query.virtual_key_id = x->virtual_key->conf->own.id;
	if (x->key)
		query.provider_key_id = x->key->id;
	return tariff_of(&x->worker->governance->tariff, &query);
}

/* The model may be forgotten before the request ends, the configuration not. */
bool limits_price(struct exchange *x, const struct tariff_model *model)
{
	const struct tariff *t = &x->worker->governance->tariff;
	const struct bf_conf_governance *conf = &t->config->governance;
	struct bf_conf_price *room = NULL;

	x->spend.price = NULL;
	if (!model->priced && conf->unpriced_models == BF_UNPRICED_DEFAULT_PRICE) {
		x->spend.price = &conf->default_price;
		x->spend.bound = t->default_bound;
	}
	if (!model->priced)
		return true;
	if (model->found.base && model->found.patch) {
		room = bf_arena_alloc(&x->arena, sizeof(*room));
		if (!room)
			return false;
	}
	x->spend.price = bf_price_found_whole(&model->found, room);
	x->spend.bound = model->bound;
	return true;
}

bool limits_uncharged(struct exchange *x)
{
	struct governance *g = x->worker->governance;
	bool warn = g->tariff.config->governance.unpriced_models == BF_UNPRICED_WARN;

	if (!warn && x->limits.has_budget)
		return true;
	worker_count(x->worker, SHM_M_UNPRICED_CALLS);
	if (warn)
		g->uncharged_mono_ms = bf_mono_ms();
	return false;
}

void limits_rekey(struct exchange *x)
{
	const struct governance *g = x->worker->governance;
	const struct bf_price_bound bound = x->spend.bound;

	if (!x->admitted || !x->spend.price || !g->tariff.book.by_provider_key)
		return;
	/* Prices that are newer than the request are not its own. */
	if (x->everybody != g->everybody)
		return;
	const struct bf_conf_price *before = x->spend.price;
	if (!limits_price(x, limits_model(x)) || !x->spend.price)
		x->spend.price = before;
	x->spend.bound = bound; /* what was reserved is for any key */
}

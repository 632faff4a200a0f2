/*
 * The table of models. Called at admission and when an answer ends. Must never grow: a client that
 * invents names pushes out what was learned, nothing else.
 */
#include "proxyd/gate/tariff.h"

#include <string.h>

#include "common/base/rand.h"
#include "common/base/siphash.h"
#include "common/schema/provider_name.h"

void tariff_open(struct tariff *t)
{
	memset(t, 0, sizeof(*t));
	bf_rand_bytes(t->secret, sizeof(t->secret));
}

void tariff_renew(struct tariff *t, const struct bf_config *config,
		  const struct bf_price_book *book)
{
	t->config = config;
	t->book = *book;
	bf_price_bound_of(&config->governance.default_price, &t->default_bound);
	t->epoch++;
	t->last = NULL;
}

/* ---- names */

struct tariff_name {
	uint32_t len; /* 0: too long */
	char text[TARIFF_NAME_MAX];
};

/* The text, and a NUL. */
static void name_add(struct tariff_name *name, struct bf_slice text)
{
	if (name->len == 0 || name->len + text.len + 1 > sizeof(name->text)) {
		name->len = 0;
		return;
	}
	if (text.len)
		memcpy(name->text + name->len, text.ptr, text.len);
	name->len += (uint32_t)text.len;
	name->text[name->len++] = '\0';
}

static void name_of(const struct tariff *t, const struct bf_price_query *q,
		    struct tariff_name *ret_name)
{
	ret_name->text[0] = (char)('0' + (int)q->mode);
	ret_name->len = 1;
	name_add(ret_name, q->provider);
	name_add(ret_name, q->model);
	if (t->book.by_virtual_key)
		name_add(ret_name, q->virtual_key_id);
	if (t->book.by_provider_key)
		name_add(ret_name, q->provider_key_id);
}

static bool is_of(const struct tariff_model *m, const struct tariff_name *name)
{
	return m->name_len == name->len && memcmp(m->name, name->text, name->len) == 0;
}

/* The one of this name, else the one that was not used for longest. */
static struct tariff_model *tariff_find(struct tariff *t, const struct tariff_name *name)
{
	struct tariff_model *set =
	    t->models[bf_siphash(t->secret, name->text, name->len) % TARIFF_SETS];
	struct tariff_model *oldest = set;

	for (uint32_t i = 0; i < TARIFF_WAYS; i++) {
		if (is_of(&set[i], name))
			return &set[i];
		if (set[i].used < oldest->used)
			oldest = &set[i];
	}
	oldest->name_len = 0;
	return oldest;
}

/* ---- prices */

static const struct bf_array *keys_of(const struct bf_config *config, struct bf_slice provider)
{
	const struct bf_conf_provider *items = config->providers.items;

	for (uint32_t i = 0; i < config->providers.count; i++)
		if (bf_slice_eq(items[i].name, provider))
			return &items[i].keys;
	return NULL;
}

static bool price_bound(const struct bf_price_found *found, struct bf_price_bound *ret_bound)
{
	struct bf_conf_price room;
	const struct bf_conf_price *price = bf_price_found_whole(found, &room);

	if (price)
		bf_price_bound_of(price, ret_bound);
	return price != NULL;
}

/* Another key may be taken after the first has failed. */
static void price_of_all_keys(const struct tariff *t, const struct bf_price_query *query,
			      struct tariff_model *m)
{
	const struct bf_array *list = keys_of(t->config, query->provider);
	const struct bf_conf_provider_key *keys = list ? list->items : NULL;

	for (uint32_t i = 0; list && i < list->count; i++) {
		struct bf_price_query q = *query;
		struct bf_price_found found;
		struct bf_price_bound bound;

		q.provider_key_id = keys[i].id;
		m->priced = bf_price_find(&t->book, &q, &found) && m->priced;
		if (price_bound(&found, &bound))
			bf_price_bound_widen(&m->bound, &bound);
	}
}

static void tariff_price(const struct tariff *t, const struct bf_price_query *q,
			 struct tariff_model *m)
{
	struct bf_price_query query = *q;

	query.names_vendors = bf_provider_names_vendors(q->provider);
	m->epoch = t->epoch;
	memset(&m->bound, 0, sizeof(m->bound));
	m->priced = bf_price_find(&t->book, &query, &m->found);
	(void)price_bound(&m->found, &m->bound);
	if (t->book.by_provider_key)
		price_of_all_keys(t, &query, m);
}

struct tariff_model *tariff_of(struct tariff *t, const struct bf_price_query *query)
{
	struct tariff_model *m = t->last;
	struct tariff_name name;

	name_of(t, query, &name);
	if (m && is_of(m, &name))
		return m;
	m = name.len ? tariff_find(t, &name) : &t->other;
	m->used = ++t->turn;
	t->last = name.len ? m : NULL;
	if (name.len && m->name_len == name.len) {
		if (m->epoch != t->epoch)
			tariff_price(t, query, m);
		return m;
	}
	memset(&m->lengths, 0, sizeof(m->lengths));
	memcpy(m->name, name.text, name.len);
	m->name_len = name.len;
	tariff_price(t, query, m);
	return m;
}

/*
 * The models that keys of providers name, with what the price sheets tell of them. Called by the
 * route table. Must never look at all of them for more than a few milliseconds: everybody else of
 * this worker waits meanwhile.
 */
#include "common/schema/decimal.h"
#include "common/schema/provider_name.h"
#include "proxyd/gate/error.h"
#include "proxyd/gate/govern.h"
#include "proxyd/gate/models.h"
#include "proxyd/gate/models_priv.h"
#include "proxyd/provider/provider.h"

/* Comparisons of names that `keys` may cost: about 2 ms. */
#define COMPARED_MAX 250000u

/* The provider of the entry at hand: those of one stand together. */
struct owner {
	const struct bf_conf_provider *provider;
	struct key_set keys; /* of those that were asked for, the usable ones */
	uint64_t names;      /* in their lists */
};

/* A page while it is written. */
struct page {
	struct bf_json_writer w;
	const struct models_filter *filter;
	struct bf_array keys; /* of struct bf_slice: the filter's; none: whatever key */
	struct owner owner;
	uint64_t total, compared;
	struct bf_price_book book;
	void (*write)(struct page *p, const struct catalog_entry *entry);
};

/* ---- shared with models_sheet.c */

bool models_hold(struct bf_slice name, struct bf_slice piece)
{
	for (size_t i = 0; i + piece.len <= name.len; i++) {
		if (bf_slice_starts_nocase((struct bf_slice){name.ptr + i, name.len - i}, piece))
			return true;
	}
	return false;
}

bool models_book(struct exchange *x, struct bf_price_book *ret_book)
{
	struct worker *w = x->worker;

	*ret_book = (struct bf_price_book){.conf = &w->config->governance};
	if (!w->governance)
		return true;
	if (!govern_follow(w)) {
		x->retry_after_s = 1;
		gate_refuse(x, 503, "governance_not_loaded",
			    "this worker does not know the prices yet: try again");
		return false;
	}
	*ret_book = w->governance->everybody->book;
	return true;
}

const struct bf_conf_sheet_price *models_entry(const struct bf_price_book *book,
					       struct bf_price_query *query)
{
	const struct bf_conf_sheet_price *e;

	query->names_vendors = bf_provider_names_vendors(query->provider);
	query->mode = BF_PRICE_CHAT;
	e = bf_price_entry(book, query);
	if (!e) {
		query->mode = BF_PRICE_EMBEDDING;
		e = bf_price_entry(book, query);
	}
	if (!e)
		query->mode = BF_PRICE_CHAT;
	else if (e->mode != BF_PRICE_ANY_MODE)
		query->mode = (enum bf_price_mode)e->mode;
	return e;
}

void models_write_price(struct bf_json_writer *w, const char *name, int64_t pusd)
{
	char text[BF_DECIMAL_BYTES];

	if (pusd < 0)
		return;
	bf_jw_key(w, name);
	bf_jw_raw(w, bf_slice_from(bf_decimal_format(pusd, 12, text)));
}

static void write_length(struct bf_json_writer *w, const char *name, uint64_t tokens)
{
	if (tokens == 0)
		return;
	bf_jw_key(w, name);
	bf_jw_u64(w, tokens);
}

void models_write_lengths(struct bf_json_writer *w, const struct bf_conf_model_facts *facts)
{
	write_length(w, "context_length", facts->context_length);
	write_length(w, "max_input_tokens", facts->max_input_tokens);
	write_length(w, "max_output_tokens", facts->max_output_tokens);
}

/* ---- which of them */

/* By commas; blanks around a name are none of it. */
static int split(struct bf_slice text, struct bf_arena *arena, struct bf_array *ret)
{
	struct bf_slice *items = bf_arena_alloc(arena, (text.len / 2 + 1) * sizeof(*items));

	*ret = (struct bf_array){items, 0};
	if (!items)
		return -1;
	for (size_t at = 0, end; at < text.len; at = end + 1) {
		for (end = at; end < text.len && text.ptr[end] != ',';)
			end++;
		struct bf_slice item = {text.ptr + at, end - at};

		while (item.len && item.ptr[0] == ' ')
			item = (struct bf_slice){item.ptr + 1, item.len - 1};
		while (item.len && item.ptr[item.len - 1] == ' ')
			item.len--;
		if (item.len)
			items[ret->count++] = item;
	}
	return 0;
}

static void meet(struct page *p, const struct bf_conf_provider *provider)
{
	const struct bf_conf_provider_key *keys = provider->keys.items;
	struct key_set usable = provider_keys_usable(provider);
	struct key_set listed = provider_keys_listed(provider, &p->keys);
	struct owner *o = &p->owner;

	*o = (struct owner){.provider = provider, .keys = key_set_common(&usable, &listed)};
	for (int k = -1; (k = key_set_next(&o->keys, k + 1)) >= 0;)
		o->names += 1 + keys[k].models.count + keys[k].blacklisted_models.count;
}

/* Those of the keys that admit the model. */
static struct key_set admitting(struct page *p, const struct catalog_entry *entry)
{
	const struct provider_key_pin any = {.id = {NULL, 0}};
	struct key_set found = {{0}};

	if (p->owner.provider != entry->provider)
		meet(p, entry->provider);
	p->compared += p->owner.names;
	if (p->compared > COMPARED_MAX ||
	    provider_key_candidates(entry->provider, &p->owner.keys, entry->model, &any, &found) !=
		PROVIDER_KEY_SOME)
		found = (struct key_set){{0}};
	return found;
}

static bool matches(struct page *p, const struct catalog_entry *entry, struct key_set *ret_keys)
{
	const struct models_filter *f = p->filter;

	if ((f->provider.len && !bf_slice_eq(f->provider, entry->provider->name)) ||
	    !models_hold(entry->model, f->piece))
		return false;
	if (p->keys.count == 0)
		return true;
	*ret_keys = admitting(p, entry);
	return key_set_count(ret_keys) > 0;
}

static bool in_page(const struct page *p)
{
	const struct models_filter *f = p->filter;

	return p->total >= f->from && (f->size == 0 || p->total - f->from < f->size) &&
	       bf_buf_len(p->w.out) <= MODELS_TEXT_ENOUGH;
}

/* ---- writing them */

static void write_keys(struct page *p, const struct bf_conf_provider *provider,
		       const struct key_set *set)
{
	const struct bf_conf_provider_key *keys = provider->keys.items;

	if (p->keys.count == 0)
		return;
	bf_jw_key(&p->w, "accessible_by_keys");
	bf_jw_array(&p->w);
	for (int k = -1; (k = key_set_next(set, k + 1)) >= 0;)
		bf_jw_string(&p->w, keys[k].id);
	bf_jw_end_array(&p->w);
}

static void write_one(struct page *p, const struct catalog_entry *entry, const struct key_set *keys)
{
	bf_jw_object(&p->w);
	bf_jw_key(&p->w, "name");
	bf_jw_string(&p->w, entry->model);
	bf_jw_key(&p->w, "provider");
	bf_jw_string(&p->w, entry->provider->name);
	if (p->write)
		p->write(p, entry);
	write_keys(p, entry->provider, keys);
	bf_jw_end_object(&p->w);
}

static void take(struct page *p, const struct catalog_entry *entry)
{
	struct key_set keys = {{0}};

	if (!matches(p, entry, &keys))
		return;
	if (in_page(p))
		write_one(p, entry, &keys);
	p->total++;
}

/* What a list has and the catalog does not. */
static void write_unserved(struct page *p, const struct provider_set *set)
{
	for (uint32_t i = 0; set->lists && i < set->count; i++) {
		const struct bf_conf_provider *provider = set->items[i]->conf;
		const struct bf_slice *names = set->lists[i].items;

		for (uint32_t k = 0; k < set->lists[i].count; k++) {
			if (!catalog_find(&set->catalog, provider->name, names[k]))
				take(p, &(struct catalog_entry){provider, names[k], false});
		}
	}
}

static void write_matching(struct page *p, const struct provider_set *set)
{
	const struct catalog *c = &set->catalog;

	for (uint32_t i = 0; i < c->count && p->compared <= COMPARED_MAX; i++)
		take(p, &c->entries[i]);
	if (p->filter->unserved)
		write_unserved(p, set);
}

/* False: refused, and x is gone. */
static bool read_keys(struct exchange *x, struct page *p)
{
	if (p->filter->unserved)
		return true;
	if (split(p->filter->keys, &x->arena, &p->keys) < 0) {
		gate_refuse(x, 503, "out_of_memory", "no memory for the question");
		return false;
	}
	if (p->filter->keys.len == 0 || p->keys.count > 0)
		return true;
	gate_refuse(x, 400, "invalid_request", "keys: names none: leave it out");
	return false;
}

static void answer(struct exchange *x, struct page *p)
{
	if (!read_keys(x, p))
		return;
	bf_buf_clear(&x->worker->text);
	bf_jw_init(&p->w, &x->worker->text);
	bf_jw_object(&p->w);
	bf_jw_key(&p->w, "models");
	bf_jw_array(&p->w);
	write_matching(p, x->worker->providers);
	if (p->compared > COMPARED_MAX) {
		gate_refuse(x, 400, "too_many_models",
			    "the lists of these keys are too long to be gone through for all "
			    "models: name the provider, a piece of the model's name, or fewer "
			    "keys");
		return;
	}
	bf_jw_end_array(&p->w);
	bf_jw_key(&p->w, "total");
	bf_jw_u64(&p->w, p->total);
	bf_jw_end_object(&p->w);
	models_send(x, &p->w);
}

void models_list(struct exchange *x, const struct models_filter *filter)
{
	struct page p = {.filter = filter};

	answer(x, &p);
}

/* ---- details */

static const struct {
	const char *name;
	enum bf_price_kind kind;
} shown[] = {
    {"input_cost_per_token", BF_PRICE_INPUT},
    {"output_cost_per_token", BF_PRICE_OUTPUT},
    {"cache_creation_input_token_cost", BF_PRICE_CACHE_WRITE},
    {"cache_read_input_token_cost", BF_PRICE_CACHE_READ},
};

static int64_t plain(const struct bf_conf_price *price, enum bf_price_kind kind)
{
	return price ? price->token_pusd[kind][BF_RATE_PLAIN] : BF_PRICE_NOT_GIVEN;
}

/* The id of the override that a patch is of. */
static struct bf_slice override_of(const struct bf_price_book *book,
				   const struct bf_conf_price *patch)
{
	const struct bf_conf_pricing_override *o = book->conf->pricing_overrides.items;

	while (&o->pricing_patch != patch)
		o++;
	return o->id;
}

/* What of the prices that are shown an override for everybody changes. */
static void write_override(struct page *p, const struct bf_price_found *found)
{
	struct bf_json_writer *w = &p->w;
	bool open = false;

	for (size_t i = 0; found->patch && i < BF_ARRAY_LEN(shown); i++) {
		int64_t pusd = plain(found->patch, shown[i].kind);

		if (pusd < 0 || pusd == plain(found->base, shown[i].kind))
			continue;
		if (!open) {
			bf_jw_key(w, "overridden_pricing");
			bf_jw_object(w);
			open = true;
		}
		models_write_price(w, shown[i].name, pusd);
	}
	if (!open)
		return;
	bf_jw_end_object(w);
	bf_jw_key(w, "applied_override_id");
	bf_jw_string(w, override_of(&p->book, found->patch));
}

static void write_details(struct page *p, const struct catalog_entry *entry)
{
	struct bf_price_query q = {.provider = entry->provider->name, .model = entry->model};
	const struct bf_conf_sheet_price *e = models_entry(&p->book, &q);
	struct bf_price_found found = {NULL, NULL};

	(void)bf_price_find(&p->book, &q, &found);
	found.base = e ? &e->price : NULL;
	if (e)
		models_write_lengths(&p->w, &e->facts);
	for (size_t i = 0; i < BF_ARRAY_LEN(shown); i++)
		models_write_price(&p->w, shown[i].name, plain(found.base, shown[i].kind));
	write_override(p, &found);
}

void models_details(struct exchange *x, const struct models_filter *filter)
{
	struct page p = {.filter = filter, .write = write_details};

	if (models_book(x, &p.book))
		answer(x, &p);
}

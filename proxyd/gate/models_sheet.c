/*
 * What the price sheets tell of models, whoever has keys for them. Called by the route table. Must
 * never show a price that is not the sheet's: overrides have a path of their own.
 */
#include <stdlib.h>
#include <string.h>

#include "proxyd/gate/error.h"
#include "proxyd/gate/models.h"
#include "proxyd/gate/models_priv.h"
#include "proxyd/provider/provider.h"

/* ---- one model */

static struct bf_slice last_part(struct bf_slice name)
{
	const char *slash = name.len ? memrchr(name.ptr, '/', name.len) : NULL;
	size_t skip = slash ? (size_t)(slash - name.ptr) + 1 : 0;

	return (struct bf_slice){name.ptr + skip, name.len - skip};
}

static const struct bf_conf_sheet_price *entry_of(const struct bf_price_book *book,
						  struct bf_slice provider, struct bf_slice model)
{
	struct bf_price_query q = {.provider = provider, .model = model};

	return model.len ? models_entry(book, &q) : NULL;
}

/* The first of a sheet whose name ends so, those with the fewest parts first. */
static const struct bf_conf_sheet_price *entry_named(const struct bf_price_index *sheet,
						     struct bf_slice model)
{
	const struct bf_conf_sheet_price *found = NULL;

	for (uint32_t i = 0; i < sheet->count; i++) {
		const struct bf_conf_sheet_price *e = &sheet->entries[i];

		if (bf_slice_eq_nocase(last_part(e->key), model) &&
		    (!found || e->key.len < found->key.len))
			found = e;
	}
	return found;
}

/* As "provider/model"; a bare name as that of the provider whose keys name it, else of whoever has
 * it. */
static const struct bf_conf_sheet_price *
entry_asked(struct exchange *x, const struct bf_price_book *book, struct bf_slice model)
{
	const char *slash = memchr(model.ptr, '/', model.len);
	size_t skip = slash ? (size_t)(slash - model.ptr) + 1 : 0;
	const struct catalog_entry *known = catalog_first(&x->worker->providers->catalog, model);
	const struct bf_conf_sheet_price *e = NULL;

	if (slash)
		e = entry_of(book, (struct bf_slice){model.ptr, skip - 1},
			     (struct bf_slice){model.ptr + skip, model.len - skip});
	if (!e)
		e = entry_of(book, known ? known->provider->name : BF_SLICE_LIT(""), model);
	if (!e && !slash)
		e = entry_named(&book->fetched, model);
	if (!e && !slash)
		e = entry_named(&book->of_file, model);
	return e;
}

static void write_text(struct bf_json_writer *w, const char *name, struct bf_slice text)
{
	if (text.len == 0)
		return;
	bf_jw_key(w, name);
	bf_jw_string(w, text);
}

static void write_mode(struct bf_json_writer *w, int32_t mode)
{
	static const char *const names[] = {
	    [BF_PRICE_CHAT] = "chat",
	    [BF_PRICE_COMPLETION] = "completion",
	    [BF_PRICE_RESPONSES] = "responses",
	    [BF_PRICE_EMBEDDING] = "embedding",
	};

	if (mode != BF_PRICE_ANY_MODE)
		write_text(w, "mode", bf_slice_from(names[mode]));
}

static void write_entry(struct bf_json_writer *w, const struct bf_conf_sheet_price *e)
{
	bf_jw_object(w);
	write_text(w, "model", e->key);
	write_text(w, "provider", e->provider);
	write_text(w, "base_model", e->base_model);
	write_mode(w, e->mode);
	models_write_lengths(w, &e->facts);
	for (unsigned i = 0; bf_model_abilities[i]; i++) {
		if (!(e->facts.supports >> i & 1))
			continue;
		bf_jw_key(w, bf_model_abilities[i]);
		bf_jw_bool(w, true);
	}
	for (uint16_t i = 0; i < bf_price_fields_table.field_count; i++) {
		const struct bf_field *f = &bf_price_fields_table.fields[i];
		const char *at = (const char *)&e->price + f->offset;

		models_write_price(w, f->name, *(const int64_t *)(const void *)at);
	}
	bf_jw_end_object(w);
}

void models_parameters(struct exchange *x, struct bf_slice model)
{
	const struct bf_conf_sheet_price *e;
	struct bf_price_book book;
	struct bf_json_writer w;

	if (!models_book(x, &book))
		return;
	e = entry_asked(x, &book, model);
	if (!e) {
		gate_refuse(x, 404, "not_found", "no price sheet tells anything of this model");
		return;
	}
	bf_buf_clear(&x->worker->text);
	bf_jw_init(&w, &x->worker->text);
	write_entry(&w, e);
	models_send(x, &w);
}

/* ---- base models */

struct names {
	struct bf_slice *items;
	uint32_t count;
};

/* A model that names no other one is its own. */
static struct bf_slice base_of(const struct bf_conf_sheet_price *e)
{
	return last_part(e->base_model.len ? e->base_model : e->key);
}

static void gather(const struct bf_price_index *sheet, const struct models_filter *f,
		   struct names *n)
{
	for (uint32_t i = 0; i < sheet->count; i++) {
		const struct bf_conf_sheet_price *e = &sheet->entries[i];

		if ((f->provider.len == 0 || bf_slice_eq_nocase(e->provider, f->provider)) &&
		    models_hold(base_of(e), f->piece))
			n->items[n->count++] = base_of(e);
	}
}

static int by_text(const void *a, const void *b)
{
	const struct bf_slice *s = a, *t = b;
	int r = memcmp(s->ptr, t->ptr, BF_MIN(s->len, t->len));

	if (r != 0)
		return r;
	return (s->len > t->len) - (s->len < t->len);
}

static void keep_distinct(struct names *n)
{
	uint32_t kept = 0;

	/* 10,000 names take about 1 ms, and are asked for by people who look for one. */
	qsort(n->items, n->count, sizeof(n->items[0]), by_text);
	for (uint32_t i = 0; i < n->count; i++) {
		if (kept == 0 || !bf_slice_eq(n->items[kept - 1], n->items[i]))
			n->items[kept++] = n->items[i];
	}
	n->count = kept;
}

static void answer_names(struct exchange *x, const struct names *n, const struct models_filter *f)
{
	struct bf_json_writer w;

	bf_buf_clear(&x->worker->text);
	bf_jw_init(&w, &x->worker->text);
	bf_jw_object(&w);
	bf_jw_key(&w, "models");
	bf_jw_array(&w);
	for (uint64_t i = f->from; i < n->count && i - f->from < f->size; i++)
		bf_jw_string(&w, n->items[i]);
	bf_jw_end_array(&w);
	bf_jw_key(&w, "total");
	bf_jw_u64(&w, n->count);
	bf_jw_end_object(&w);
	models_send(x, &w);
}

void models_base(struct exchange *x, const struct models_filter *filter)
{
	struct bf_price_book book;
	struct names n = {NULL, 0};

	if (!models_book(x, &book))
		return;
	n.items = calloc(book.fetched.count + book.of_file.count + 1u, sizeof(n.items[0]));
	if (!n.items) {
		gate_refuse(x, 503, "out_of_memory", "no memory for the answer");
		return;
	}
	gather(&book.fetched, filter, &n);
	gather(&book.of_file, filter, &n);
	keep_distinct(&n);
	answer_names(x, &n, filter);
	free(n.items);
}

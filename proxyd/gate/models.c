/*
 * The models that the configuration names, as `provider/model`, in OpenAI's shapes. Called by the
 * route table. Must never ask an upstream.
 */
#include "proxyd/gate/models.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/num.h"
#include "common/codec/json_writer.h"
#include "proxyd/gate/decide.h"
#include "proxyd/gate/error.h"
#include "proxyd/gate/govern.h"
#include "proxyd/gate/models_priv.h"
#include "proxyd/gate/query.h"
#include "proxyd/provider/provider.h"
#include "proxyd/worker.h"

#define MODELS_PAGE_MAX 1000u

struct models_page {
	struct bf_slice provider; /* empty: all */
	uint64_t from, size;      /* among the entries that fit */
};

static void models_write_one(struct bf_json_writer *j, const struct catalog_entry *entry)
{
	char id[512 + 1];
	int n = snprintf(id, sizeof(id), "%.*s/%.*s", BF_SLICE_FMT(entry->provider->name),
			 BF_SLICE_FMT(entry->model));

	bf_jw_object(j);
	bf_jw_key(j, "id");
	bf_jw_string(j, (struct bf_slice){id, BF_MIN((size_t)BF_MAX(n, 0), sizeof(id) - 1)});
	bf_jw_key(j, "object");
	bf_jw_cstr(j, "model");
	bf_jw_key(j, "created"); /* nobody knows; clients expect a number */
	bf_jw_i64(j, 0);
	bf_jw_key(j, "owned_by");
	bf_jw_string(j, entry->provider->name);
	bf_jw_end_object(j);
}

/* Who may ask a model may see which there are; a list costs nothing. False: refused, and x is
 * gone. */
static bool models_admitted(struct exchange *x)
{
	struct infer_error e;

	if (!x->worker->governance || govern_key(x, &e) == 0)
		return true;
	gate_refuse(x, e.http_status, e.type, "%s", e.text);
	return false;
}

/* ---- the query */

static int models_number(struct exchange *x, const char *name, uint64_t min, uint64_t max,
			 uint64_t *ret_value)
{
	struct bf_slice text;
	int r = query_value(x, name, &text);

	if (r <= 0)
		return r;
	if (bf_parse_u64(text, ret_value) < 0 || *ret_value < min || *ret_value > max)
		return -1;
	return 0;
}

/* False: refused, and x is gone. */
static bool models_read_page(struct exchange *x, struct models_page *ret_page)
{
	*ret_page = (struct models_page){.size = UINT64_MAX};
	if (query_value(x, "provider", &ret_page->provider) < 0) {
		gate_refuse(x, 400, "invalid_request", "provider is not percent-encoded text");
		return false;
	}
	if (models_number(x, "page_size", 1, MODELS_PAGE_MAX, &ret_page->size) < 0) {
		gate_refuse(x, 400, "invalid_request", "page_size must be 1 to %u",
			    MODELS_PAGE_MAX);
		return false;
	}
	if (models_number(x, "page_token", 0, UINT32_MAX, &ret_page->from) < 0) {
		gate_refuse(x, 400, "invalid_request",
			    "page_token is not one that an answer gave as next_page_token");
		return false;
	}
	return true;
}

/* ---- the list */

/* Is one of the provider's keys, if it needs any, for this key and the model? */
static bool models_has_key(const struct exchange *x, const struct catalog_entry *entry)
{
	const struct provider_key_pin none = {{NULL, 0}, {NULL, 0}};
	const struct bf_array *ids = decide_key_ids(x->virtual_key->conf, entry->provider->name);
	const struct provider *p =
	    ids ? provider_find(x->worker->providers, entry->provider->name) : NULL;
	struct key_set keys;

	return !p || provider_key_candidates_of(p->conf, &p->keys.usable, ids, entry->model, &none,
						&keys) != PROVIDER_KEY_BLOCKED;
}

/* What a key may not ask it is not shown. */
static bool models_shows(const struct exchange *x, const struct catalog_entry *entry)
{
	if (!x->virtual_key)
		return true;
	return decide_target(x->virtual_key->conf, entry->provider->name, entry->model) ==
		   DECIDE_ALLOWED &&
	       models_has_key(x, entry);
}

/* Writes a page; returns the number of the entry that the next one begins with, 0: none. */
static uint64_t models_write_page(struct bf_json_writer *j, const struct exchange *x,
				  const struct models_page *page)
{
	const struct catalog *c = &x->worker->providers->catalog;
	uint64_t number = 0;

	for (uint32_t i = 0; i < c->count; i++) {
		if ((page->provider.len &&
		     !bf_slice_eq(page->provider, c->entries[i].provider->name)) ||
		    !models_shows(x, &c->entries[i]))
			continue;
		if (number >= page->from) {
			if (number - page->from == page->size ||
			    bf_buf_len(j->out) > MODELS_TEXT_ENOUGH)
				return number;
			models_write_one(j, &c->entries[i]);
		}
		number++;
	}
	return 0;
}

void models_send(struct exchange *x, struct bf_json_writer *j)
{
	if (bf_jw_finish(j) < 0) {
		gate_refuse(x, 503, "out_of_memory", "no memory for the answer");
		return;
	}
	exchange_set_state(x, EXCHANGE_DONE);
	x->out->answer(x, 200, BF_SLICE_LIT("application/json"), bf_buf_slice(j->out));
}

void models_answer(struct exchange *x)
{
	struct worker *w = x->worker;
	struct models_page page;
	struct bf_json_writer j;
	char token[24];

	if (!models_admitted(x) || !models_read_page(x, &page))
		return;
	bf_buf_clear(&w->text);
	bf_jw_init(&j, &w->text);
	bf_jw_object(&j);
	bf_jw_key(&j, "object");
	bf_jw_cstr(&j, "list");
	bf_jw_key(&j, "data");
	bf_jw_array(&j);
	uint64_t next = models_write_page(&j, x, &page);
	bf_jw_end_array(&j);
	if (next) {
		(void)snprintf(token, sizeof(token), "%llu", (unsigned long long)next);
		bf_jw_key(&j, "next_page_token");
		bf_jw_cstr(&j, token);
	}
	bf_jw_end_object(&j);
	models_send(x, &j);
}

/* ---- one model */

static const struct catalog_entry *models_find(const struct provider_set *set, struct bf_slice id)
{
	const struct catalog_entry *found;
	const char *slash = id.len ? memchr(id.ptr, '/', id.len) : NULL;

	if (slash) {
		struct bf_slice provider = {id.ptr, (size_t)(slash - id.ptr)};
		struct bf_slice model = {slash + 1, id.len - provider.len - 1};
		found = catalog_find(&set->catalog, provider, model);
		if (found)
			return found;
	}
	return catalog_first(&set->catalog, id);
}

void models_answer_one(struct exchange *x)
{
	struct worker *w = x->worker;
	const struct catalog_entry *found;
	struct bf_json_writer j;
	struct bf_slice id;

	if (!models_admitted(x))
		return;
	if (percent_decode(x->rest, false, &x->arena, &id) < 0) {
		gate_refuse(x, 400, "invalid_request",
			    "the model's name is not percent-encoded text");
		return;
	}
	found = models_find(w->providers, id);
	if (!found || !models_shows(x, found)) {
		gate_refuse(x, 404, "model_not_found", "The model '%.*s' does not exist",
			    (int)BF_MIN(id.len, 256u), id.ptr);
		return;
	}
	bf_buf_clear(&w->text);
	bf_jw_init(&j, &w->text);
	models_write_one(&j, found);
	models_send(x, &j);
}

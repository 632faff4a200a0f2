/*
 * The registry of providers. Called by the gate when what is in force changes, and for every
 * request. Must never call an upstream itself, and never close what a request still holds.
 */
#include "proxyd/provider/provider.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/macros.h"
#include "common/log/log.h"
#include "common/schema/model_catalog.h"
#include "proxyd/provider/provider_priv.h"

#define PROVIDER_ARENA_MAX (16u << 20)
/* 64 lists of 4096 names of 255 bytes, and their slices */
#define PROVIDER_LISTS_MAX (128u << 20)

/* ---- one that can serve nobody */

bool provider_serves(const struct provider *p, enum shm_usage_object object,
		     struct provider_unable *ret_why)
{
	const char *what = p->ops->unserved ? p->ops->unserved(p, object) : NULL;

	if (!what && p->broken.code == 0)
		return true;
	if (p->broken.code) {
		ret_why->http_status = 503;
		ret_why->type = "provider_unusable";
		memcpy(ret_why->text, p->broken.text, sizeof(ret_why->text));
	} else {
		ret_why->http_status = 400;
		ret_why->type = "operation_not_supported";
		(void)snprintf(ret_why->text, sizeof(ret_why->text),
			       "provider \"%.*s\" does not serve %s",
			       (int)BF_MIN(p->conf->name.len, 64u), p->conf->name.ptr, what);
	}
	return false;
}

static void broken_start(struct provider *p, struct exchange *x)
{
	const struct exchange_outcome outcome = {
	    .fault = EXCHANGE_FAULT_LOCAL,
	    .http_status = 503,
	    .error_type = "provider_unusable",
	    .error_text = p->broken.text,
	};

	x->provider_call = NULL;
	x->call_cancel = NULL;
	x->sink->on_done(x, &outcome);
}

static const struct provider_ops provider_broken = {
    .name = "", .start = broken_start, .list = broken_start};

static void provider_break(struct provider *p, const struct bf_err *err)
{
	p->broken = *err;
	bf_log(BF_LOG_ERROR, "provider_unusable", "provider=%.*s reason=%s",
	       BF_SLICE_FMT(p->conf->name), bf_log_quote(p->broken.text));
	if (p->ops->close)
		p->ops->close(p);
	p->ops = &provider_broken;
}

/* ---- one */

/* Every server that speaks the OpenAI API is served by one adapter, whatever its name. */
static const struct provider_ops *provider_ops_of(struct bf_slice name)
{
	return bf_slice_is(name, provider_mock.name) ? &provider_mock : &provider_openai;
}

static struct provider *provider_new(struct worker *w)
{
	struct provider *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->worker = w;
	p->refs = 1;
	bf_list_init(&p->node);
	bf_arena_init_nodump(&p->arena, PROVIDER_ARENA_MAX);
	return p;
}

static void provider_free(struct provider *p)
{
	if (p->ops && p->ops->close)
		p->ops->close(p);
	provider_keys_close(&p->keys);
	bf_tls_trust_free(p->trust);
	bf_list_remove(&p->node);
	bf_arena_done(&p->arena);
	free(p);
}

static void provider_drop(struct provider *p)
{
	assert(p->refs > 0);
	if (--p->refs == 0)
		provider_free(p);
}

/* Everything but its configuration is there. 0 or -ENOMEM. */
static int provider_begin(struct provider *p, const struct bf_conf_provider *conf)
{
	struct bf_err err = {0};
	int r;

	p->conf = conf;
	p->ops = provider_ops_of(conf->name);
	bf_list_append(&p->worker->net->open, &p->node);
	r = p->ops->open ? p->ops->open(p, &err) : 0;
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		provider_break(p, &err);
	return provider_keys_open(&p->keys, conf, p->worker);
}

int provider_open(struct worker *w, const struct bf_conf_provider *conf,
		  struct provider **ret_provider)
{
	struct provider *p = provider_new(w);
	int r = p ? provider_begin(p, conf) : -ENOMEM;

	if (r == 0)
		*ret_provider = p;
	else if (p)
		provider_free(p);
	return r;
}

static int provider_of_entity(struct worker *w, const struct bf_entity *e, uint64_t mark,
			      struct provider **ret_provider, struct bf_err *err)
{
	struct provider *p = provider_new(w);
	struct bf_conf_provider *conf = p ? bf_arena_alloc(&p->arena, sizeof(*conf)) : NULL;
	int r = conf ? bf_entity_decode(e, conf, &p->arena, err) : -ENOMEM;

	if (r == 0) {
		p->mark = mark;
		r = provider_begin(p, conf);
	}
	if (r == 0)
		*ret_provider = p;
	else if (p)
		provider_free(p);
	return r == -ENOMEM ? bf_err_sys(err, r, "provider %.*s", BF_SLICE_FMT(e->id)) : r;
}

/* ---- sets */

struct provider_set *provider_set_new(struct provider_net *net)
{
	struct provider_set *set = calloc(1, sizeof(*set));

	if (set) {
		set->refs = 1;
		set->net = net;
		bf_arena_init(&set->arena, PROVIDER_LISTS_MAX);
	}
	return set;
}

int provider_set_add(struct provider_set *set, struct provider *p)
{
	if (set->count == set->room) {
		uint32_t room = set->room ? 2 * set->room : 8;
		struct provider **wider = realloc(set->items, room * sizeof(struct provider *));

		if (!wider) {
			provider_drop(p);
			return -ENOMEM;
		}
		set->items = wider;
		set->room = room;
	}
	set->items[set->count++] = p;
	return 0;
}

int provider_set_finish(struct provider_set *set)
{
	struct bf_conf_provider *confs = calloc(BF_MAX(set->count, 1u), sizeof(*confs));

	if (!confs)
		return -ENOMEM;
	for (uint32_t i = 0; i < set->count; i++)
		confs[i] = *set->items[i]->conf;
	set->confs = (struct bf_array){confs, set->count};
	return catalog_open(&set->catalog, set->items, set->lists, set->count);
}

static void provider_set_free(struct provider_set *set)
{
	for (uint32_t i = 0; i < set->count; i++)
		provider_drop(set->items[i]);
	free(set->items);
	free(set->confs.items);
	catalog_close(&set->catalog);
	bf_arena_done(&set->arena);
	free(set);
}

void provider_set_drop(struct provider_set *set)
{
	struct provider_net *net = set ? set->net : NULL;

	if (!set || --set->refs > 0)
		return;
	if (!net || !net->loop) {
		provider_set_free(set);
		return;
	}
	set->next_unused = net->unused;
	net->unused = set;
	ev_prepare_start(net->loop, &net->undertaker);
}

void provider_sets_bury(struct provider_net *net)
{
	while (net->unused) {
		struct provider_set *set = net->unused;

		net->unused = set->next_unused;
		provider_set_free(set);
	}
}

struct provider *provider_find(const struct provider_set *set, struct bf_slice name)
{
	for (uint32_t i = 0; i < set->count; i++) {
		if (bf_slice_eq(set->items[i]->conf->name, name))
			return set->items[i];
	}
	return NULL;
}

/* ---- of a snapshot */

uint64_t provider_set_mark(const struct bf_snapshot *s)
{
	return bf_snapshot_sum(s, BF_ENTITY_PROVIDER) + bf_snapshot_sum(s, BF_ENTITY_MODEL_CATALOG);
}

static int take_entity(struct worker *w, const struct bf_snapshot *s, const struct bf_entity *e,
		       const struct provider_set *before, struct provider_set *set,
		       struct bf_err *err)
{
	struct provider *p = before ? provider_find(before, e->id) : NULL;
	uint64_t mark = bf_snapshot_mark(s, e);
	int r = 0;

	if (p && p->mark == mark)
		p->refs++;
	else
		r = provider_of_entity(w, e, mark, &p, err);
	if (r == 0 && provider_set_add(set, p) < 0)
		r = bf_err_sys(err, -ENOMEM, "providers");
	return r;
}

static int take_list(const struct bf_snapshot *s, struct bf_slice provider, struct bf_arena *arena,
		     struct bf_array *ret_list, struct bf_err *err)
{
	struct bf_model_catalog catalog;
	struct bf_entity e;
	int r;

	if (!bf_snapshot_find(s, BF_ENTITY_MODEL_CATALOG, provider, &e))
		return 0;
	r = bf_entity_decode(&e, &catalog, arena, err);
	if (r == 0)
		*ret_list = catalog.models;
	return r;
}

/* A list of who is not there says nothing. */
static int take_lists(struct provider_set *set, const struct bf_snapshot *s, struct bf_err *err)
{
	int r = 0;

	set->lists = bf_arena_alloc(&set->arena, set->count * sizeof(*set->lists));
	if (!set->lists)
		return bf_err_sys(err, -ENOMEM, "list of models");
	for (uint32_t i = 0; r == 0 && i < set->count; i++)
		r = take_list(s, set->items[i]->conf->name, &set->arena, &set->lists[i], err);
	return r;
}

int provider_set_make(struct worker *w, const struct bf_snapshot *s,
		      const struct provider_set *before, struct provider_set **ret_set,
		      struct bf_err *err)
{
	struct provider_set *set = provider_set_new(w->net);
	struct bf_snapshot_cursor cursor = {0};
	struct bf_entity e;
	int r = set ? 0 : bf_err_sys(err, -ENOMEM, "providers");

	while (r == 0 && bf_snapshot_next(s, BF_ENTITY_PROVIDER, &cursor, &e)) {
		if (!(e.flags & BF_ENTITY_QUARANTINED))
			r = take_entity(w, s, &e, before, set, err);
	}
	if (r == 0)
		r = take_lists(set, s, err);
	if (r == 0 && provider_set_finish(set) < 0)
		r = bf_err_sys(err, -ENOMEM, "list of models");
	if (r < 0) {
		provider_set_drop(set);
		return r;
	}
	set->mark = provider_set_mark(s);
	*ret_set = set;
	return 0;
}

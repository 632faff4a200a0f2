/*
 * Names of models: `provider/model`, bare names, and fallbacks. Called once the body is on the
 * tape. Must never take the first segment of a name for a provider that is not configured: ids such
 * as meta-llama/... stay whole.
 */
#include "proxyd/gate/infer_target.h"

#include <errno.h>

#include "proxyd/gate/infer_edit.h"
#include "proxyd/gate/infer_weights.h"
#include "proxyd/gate/route.h"

#define TARGET_NEED_PROVIDER "provider is required in model field (format: provider/model)"

/* Takes a configured provider off the front of a name. */
static bool target_split(struct bf_slice name, const struct provider_set *set,
			 struct exchange_target *ret_target)
{
	const char *slash = memchr(name.ptr, '/', name.len);
	struct bf_slice prefix = {name.ptr, slash ? (size_t)(slash - name.ptr) : 0};

	if (!slash || !provider_find(set, prefix))
		return false;
	ret_target->provider = prefix;
	ret_target->model = (struct bf_slice){slash + 1, name.len - prefix.len - 1};
	return true;
}

static int target_unknown(struct bf_slice name, struct infer_error *e)
{
	const char *slash = memchr(name.ptr, '/', name.len);
	size_t len = slash ? (size_t)(slash - name.ptr) : 0;

	if (!slash)
		return infer_invalid(e, TARGET_NEED_PROVIDER);
	return infer_invalid(e, TARGET_NEED_PROVIDER "; \"%.*s\" is not a configured provider",
			     (int)BF_MIN(len, 64u), name.ptr);
}

/* Some providers take blanks off a name, which lists and limits of ours would not know then. */
static int target_padded(struct bf_slice name, const char *what, struct infer_error *e)
{
	if (name.len == 0 || (name.ptr[0] != ' ' && name.ptr[name.len - 1] != ' '))
		return 0;
	return infer_invalid(e, "%s must not begin or end with a blank", what);
}

/* What no provider has, and what would break lines of logs and metrics. */
static int target_check(struct bf_slice name, const char *what, struct infer_error *e)
{
	if (name.len > INFER_MODEL_MAX)
		return infer_invalid(e, "%s is longer than %u bytes", what, INFER_MODEL_MAX);
	for (size_t i = 0; i < name.len; i++) {
		unsigned char ch = (unsigned char)name.ptr[i];
		if (ch < ' ' || ch == 0x7f)
			return infer_invalid(e, "%s must not hold control characters", what);
	}
	return target_padded(name, what, e);
}

/* Nobody has it: of a key that nobody may serve with it, that is the answer. */
static int target_nobody(struct exchange *x, struct bf_slice name, struct infer_error *e)
{
	const struct bf_plan_key *key = x->virtual_key;

	if (!key || key->conf->provider_configs.count == 0 || key->conf->allow_all_providers ||
	    infer_weights_admit(key->conf, name))
		return target_unknown(name, e);
	return infer_fail(e, 403, "model_blocked",
			  "virtual key \"%.*s\" may not use model \"%.*s\": none of its "
			  "provider_configs admits it",
			  (int)BF_MIN(key->conf->own.name.len, 48u), key->conf->own.name.ptr,
			  (int)BF_MIN(name.len, 64u), name.ptr);
}

/* A name without a provider: as the key's weights say, else the route's own, else the first one
 * that lists the model. */
static int target_bare(struct exchange *x, struct bf_slice name, const struct provider_set *set,
		       struct infer_choice *ret_choice, struct infer_error *e)
{
	const struct bf_slice openai = BF_SLICE_LIT("openai");
	struct exchange_target *first = &ret_choice->targets[0];
	const struct catalog_entry *listed;

	if (x->virtual_key && x->virtual_key->conf->provider_configs.count) {
		ret_choice->count =
		    infer_weights(x, name, set, ret_choice->targets, EXCHANGE_TARGETS_MAX);
		if (ret_choice->count)
			return 0;
	}
	ret_choice->count = 1;
	first->model = name;
	if (x->route->dialect == ERROR_OPENAI && provider_find(set, openai)) {
		first->provider = openai;
		return 0;
	}
	listed = catalog_first(&set->catalog, name);
	if (!listed)
		return target_nobody(x, name, e);
	first->provider = listed->provider->name;
	return 0;
}

int infer_choose(struct exchange *x, struct bf_slice name, const struct provider_set *set,
		 struct infer_choice *ret_choice, struct infer_error *e)
{
	if (name.len == 0)
		return infer_invalid(e, "model is required (format: provider/model)");
	if (target_check(name, "model", e) < 0)
		return -1;
	ret_choice->count = 1;
	if (!target_split(name, set, &ret_choice->targets[0]))
		return target_bare(x, name, set, ret_choice, e);
	if (ret_choice->targets[0].model.len == 0)
		return infer_invalid(
		    e, "the model is missing behind the provider (format: provider/model)");
	return target_padded(ret_choice->targets[0].model, "model", e);
}

static int target_model(struct exchange *x, const struct infer_body *b,
			const struct provider_set *set, struct infer_choice *ret_choice,
			struct infer_error *e)
{
	const struct bf_json_tape *t = &b->tape;
	uint32_t i = b->at[INFER_MODEL];
	struct bf_slice name = {NULL, 0};
	int r;

	if (!infer_member_given(b, INFER_MODEL))
		return infer_invalid(e, "model is required (format: provider/model)");
	r = bf_json_string(t, i, &x->arena, &name);
	if (r == -ENOMEM)
		return infer_no_memory(e);
	if (r < 0)
		return infer_invalid(e, "model must be a string (format: provider/model)");
	infer_edit_model(x, t, i);
	r = infer_choose(x, name, set, ret_choice, e);
	/* Counted here: who asks for an explanation is not refused. */
	if (r < 0 && e->http_status == 403)
		worker_count(x->worker, SHM_M_MODEL_BLOCKED);
	return r;
}

/* ---- fallbacks */

/* A member that is a string; ptr NULL when it is none. -ENOMEM. */
static int fallback_text(struct exchange *x, const struct bf_json_tape *t, uint32_t i,
			 struct bf_slice *ret_text)
{
	int r;

	*ret_text = (struct bf_slice){NULL, 0};
	if (i == BF_JSON_NONE)
		return 0;
	r = bf_json_string(t, i, &x->arena, ret_text);
	return r == -ENOMEM ? r : 0;
}

/* "provider/model" or {provider, model}; what lacks a part leaves an empty one. -ENOMEM. */
static int fallback_read(struct exchange *x, const struct bf_json_tape *t, uint32_t i,
			 const struct provider_set *set, struct exchange_target *ret_target)
{
	struct bf_slice name = {NULL, 0};
	int r;

	*ret_target = (struct exchange_target){0};
	if (t->tokens[i].type != BF_JSON_OBJECT) {
		r = fallback_text(x, t, i, &name);
		if (r == 0 && name.len)
			(void)target_split(name, set, ret_target);
		return r;
	}
	r = fallback_text(x, t, bf_json_member(t, i, "provider"), &ret_target->provider);
	if (r == 0)
		r = fallback_text(x, t, bf_json_member(t, i, "model"), &ret_target->model);
	if (r == 0 && !provider_find(set, ret_target->provider))
		ret_target->provider.len = 0;
	return r;
}

static int fallbacks_fill(struct exchange *x, const struct bf_json_tape *t, uint32_t list,
			  const struct provider_set *set, struct infer_error *e)
{
	for (uint32_t i = bf_json_first(list); i < t->tokens[list].next; i = t->tokens[i].next) {
		struct exchange_target *next = &x->targets[x->target_count];
		if (fallback_read(x, t, i, set, next) < 0)
			return infer_no_memory(e);
		if (target_check(next->model, "a model in fallbacks", e) < 0)
			return -1;
		if (next->provider.len && next->model.len)
			x->target_count++;
	}
	return 0;
}

/* How many there are. */
static int fallbacks_find(struct exchange *x, const struct infer_body *b, uint32_t *ret_count,
			  struct infer_error *e)
{
	const struct bf_json_tape *t = &b->tape;
	uint32_t list = b->at[INFER_FALLBACKS];

	*ret_count = 0;
	if (list == BF_JSON_NONE)
		return 0;
	infer_edit_cut_fallbacks(x, t, list);
	if (t->tokens[list].type == BF_JSON_NULL)
		return 0;
	if (t->tokens[list].type != BF_JSON_ARRAY)
		return infer_invalid(e, "fallbacks must be an array");
	*ret_count = t->tokens[list].count;
	if (*ret_count > EXCHANGE_TARGETS_MAX - 1)
		return infer_invalid(e, "fallbacks has more than %u entries",
				     EXCHANGE_TARGETS_MAX - 1);
	return 0;
}

int infer_targets(struct exchange *x, const struct infer_body *b, const struct provider_set *set,
		  struct infer_error *e)
{
	struct infer_choice choice;
	uint32_t count;

	if (target_model(x, b, set, &choice, e) < 0 || fallbacks_find(x, b, &count, e) < 0)
		return -1;
	/* Its own fallbacks count before those that it was given. */
	x->target_count = count ? 1 : choice.count;
	x->targets = bf_arena_alloc(&x->arena, (x->target_count + count) * sizeof(x->targets[0]));
	if (!x->targets)
		return infer_no_memory(e);
	memcpy(x->targets, choice.targets, x->target_count * sizeof(x->targets[0]));
	x->target = 0;
	x->provider = x->targets[0].provider;
	x->model = x->targets[0].model;
	return count ? fallbacks_fill(x, &b->tape, b->at[INFER_FALLBACKS], set, e) : 0;
}

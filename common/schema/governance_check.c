/*
 * Single entries of the governance block and their texts: the checks and settle functions of
 * config_governance.c, called by the decoder. Must never show the value of a key.
 */
#include <string.h>

#include "common/base/wall.h"
#include "common/base/window.h"
#include "common/schema/config_priv.h"

int bf_settle_window(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	struct bf_window window;
	int r = bf_window_parse(*text, false, &window);

	(void)arena;
	if (r == BF_E_RANGE)
		return bf_err_set(err, r, "must be longer than nothing and at most 100 years");
	if (r < 0)
		return bf_err_set(err, r,
				  "must be a duration such as 30s, 1h or 1d, with d, w, M, Q and Y "
				  "for days, weeks, months, quarters and years, or daily, weekly, "
				  "monthly, yearly, not \"%.40s\"",
				  text->ptr);
	return 0;
}

int bf_settle_moment(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	int64_t wall_ms;

	(void)arena;
	if (text->len == 0 || bf_wall_parse_ms(*text, &wall_ms) == 0)
		return 0;
	return bf_err_set(err, BF_E_SYNTAX,
			  "must be a time such as 2026-11-21T10:00:00Z, not \"%.40s\"", text->ptr);
}

int bf_settle_virtual_key(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	(void)arena;
	if (text->len == 0)
		return bf_err_set(err, BF_E_SYNTAX, "is empty: give a secret of its own");
	for (size_t i = 0; i < text->len; i++)
		if (text->ptr[i] <= ' ' || text->ptr[i] > '~')
			return bf_err_set(err, BF_E_SYNTAX,
					  "must consist of letters, digits and signs, without "
					  "spaces: it travels in a header");
	return 0;
}

static int check_pair(const char *what, int64_t max, struct bf_slice reset, struct bf_err *err)
{
	if (max && !reset.len)
		return bf_err_set(err, BF_E_MISSING,
				  "%s_max_limit needs %s_reset_duration: add it, such as 1h", what,
				  what);
	if (!max && reset.len)
		return bf_err_set(err, BF_E_MISSING,
				  "%s_reset_duration needs a %s_max_limit of 1 or more: add it, or "
				  "remove both",
				  what, what);
	return 0;
}

int bf_inline_rate_limit_check(const void *object, struct bf_err *err)
{
	const struct bf_conf_rate_limit *l = object;
	int r = check_pair("request", l->request_max_limit, l->request_reset_duration, err);

	if (r == 0)
		r = check_pair("token", l->token_max_limit, l->token_reset_duration, err);
	if (r < 0)
		return r;
	if (!l->request_max_limit && !l->token_max_limit && !l->concurrent_max_limit)
		return bf_err_set(err, BF_E_MISSING,
				  "limits nothing: give request_max_limit, token_max_limit or "
				  "concurrent_max_limit, or remove it");
	return 0;
}

int bf_budget_check(const void *object, struct bf_err *err)
{
	const struct bf_conf_budget *b = object;

	if (b->override_amount_nusd > BF_BUDGET_MAX_NUSD - b->max_limit_nusd)
		return bf_err_set(
		    err, BF_E_RANGE,
		    "override_amount and max_limit are more than 2000000000 together: "
		    "lower one of them");
	if (b->override_cycles && b->override_until_ms)
		return bf_err_set(err, BF_E_STATE,
				  "has override_cycles_total and override_until: keep one of them");
	if (b->override_cycles && b->override_anchor_ms == 0)
		return bf_err_set(err, BF_E_MISSING,
				  "override_cycles_total needs override_anchor_reset: add a moment "
				  "in the first window that it holds");
	return 0;
}

int bf_override_check(const void *object, struct bf_err *err)
{
	const struct bf_conf_override *o = object;
	bool cycles = o->mode == BF_OVERRIDE_CYCLES, until = o->mode == BF_OVERRIDE_UNTIL;

	if (cycles != (o->cycles != 0))
		return bf_err_set(err, cycles ? BF_E_MISSING : BF_E_STATE,
				  cycles ? "cycles: is required for mode cycles: give at least 1"
					 : "cycles: is for mode cycles: remove it");
	if (until != (o->until_ms != 0))
		return bf_err_set(err, until ? BF_E_MISSING : BF_E_STATE,
				  until ? "until: is required for mode until: give a moment"
					: "until: is for mode until: remove it");
	return 0;
}

int bf_rate_limit_check(const void *object, struct bf_err *err)
{
	const struct bf_conf_rate_limit *l = object;
	int r = bf_inline_rate_limit_check(object, err);

	if (r == 0 && l->id.len == 0)
		return bf_err_set(err, BF_E_MISSING, "its id is empty: give it one");
	return r;
}

int bf_virtual_key_check(const void *object, struct bf_err *err)
{
	const struct bf_conf_virtual_key *key = object;

	if (key->team_id.len && key->customer_id.len)
		return bf_err_set(err, BF_E_STATE,
				  "has team_id and customer_id: keep one of them; the customer of "
				  "its team counts anyway");
	return 0;
}

int bf_model_config_check(const void *object, struct bf_err *err)
{
	const struct bf_conf_model_config *m = object;

	if (m->scope == BF_MODEL_VIRTUAL_KEY && m->scope_id.len == 0)
		return bf_err_set(
		    err, BF_E_MISSING,
		    "scope: virtual_key needs scope_id: add the id of the virtual key");
	if (m->scope == BF_MODEL_GLOBAL && m->scope_id.len)
		return bf_err_set(err, BF_E_STATE,
				  "scope_id is for scope: virtual_key: write that, or remove it");
	return 0;
}

static bool is_blank(char ch)
{
	return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r';
}

/* Blanks around a name are nobody's meaning, and would make it one that is never asked for. */
static int strip(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	struct bf_slice bare = *text;

	while (bare.len && is_blank(bare.ptr[0]))
		bare = (struct bf_slice){bare.ptr + 1, bare.len - 1};
	while (bare.len && is_blank(bare.ptr[bare.len - 1]))
		bare.len--;
	if (bare.len == text->len)
		return 0;
	*text = bf_arena_dup(arena, bare);
	return text->ptr ? 0 : bf_err_set(err, BF_E_LIMIT, "does not fit into memory");
}

int bf_settle_model_name(struct bf_slice *text, struct bf_arena *arena, struct bf_err *err)
{
	int r = strip(text, arena, err);

	if (r < 0)
		return r;
	if (text->len == 0)
		return bf_err_set(err, BF_E_SYNTAX, "is empty: name a model, or \"*\" for all");
	if (bf_slice_starts(*text, BF_SLICE_LIT("regex:")))
		return bf_err_set(err, BF_E_SYNTAX,
				  "\"%.80s\": regular expressions are not part of this build: name "
				  "each model, or \"*\" for all",
				  text->ptr);
	if (text->len > 1 && memchr(text->ptr, '*', text->len))
		return bf_err_set(err, BF_E_SYNTAX,
				  "\"%.80s\" is a pattern, and only whole names are matched: name "
				  "each model, or \"*\" for all",
				  text->ptr);
	return 0;
}

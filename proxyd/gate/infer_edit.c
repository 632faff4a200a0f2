/*
 * Notes the places of a body that providers get otherwise than the client sent them. Called while
 * the body is on the tape; provider/openai_body.c does the splicing. Must never keep anything of
 * the tape: offsets into the body and constant texts only.
 */
#include "proxyd/gate/infer_edit.h"

static uint32_t start_of(const struct bf_json_tape *t, uint32_t value)
{
	return (uint32_t)(bf_json_raw(t, value).ptr - t->text.ptr);
}

static uint32_t end_of(const struct bf_json_tape *t, uint32_t value)
{
	struct bf_slice raw = bf_json_raw(t, value);

	return (uint32_t)(raw.ptr - t->text.ptr + (ptrdiff_t)raw.len);
}

static struct exchange_edit replace(const struct bf_json_tape *t, uint32_t value,
				    struct bf_slice text)
{
	return (struct exchange_edit){start_of(t, value), end_of(t, value), text};
}

/* Behind the brace that opens an object. */
static struct exchange_edit first_member(const struct bf_json_tape *t, uint32_t object,
					 struct bf_slice text)
{
	uint32_t at = start_of(t, object) + 1;

	return (struct exchange_edit){at, at, text};
}

void infer_edit_model(struct exchange *x, const struct bf_json_tape *t, uint32_t value)
{
	x->model_edit = replace(t, value, (struct bf_slice){NULL, 0});
}

void infer_edit_cut_fallbacks(struct exchange *x, const struct bf_json_tape *t, uint32_t value)
{
	struct exchange_edit *e = &x->fallbacks_edit;
	uint32_t after = t->tokens[value].next, before = BF_JSON_NONE;

	*e = (struct exchange_edit){.from = start_of(t, value - 1), .to = end_of(t, value)};
	if (after < t->tokens[0].next) {
		e->to = start_of(t, after);
		return;
	}
	for (uint32_t key = bf_json_first(0); key + 1 < value; key = t->tokens[key + 1].next)
		before = key + 1;
	if (before != BF_JSON_NONE)
		e->from = end_of(t, before);
}

void infer_edit_usage(struct exchange *x, const struct bf_json_tape *t, uint32_t options)
{
	struct exchange_edit *e = &x->usage_edit;
	uint32_t include;

	if (options == BF_JSON_NONE) {
		*e = first_member(t, 0,
				  BF_SLICE_LIT("\"stream_options\":{\"include_usage\":true},"));
		return;
	}
	if (t->tokens[options].type == BF_JSON_NULL) {
		*e = replace(t, options, BF_SLICE_LIT("{\"include_usage\":true}"));
		return;
	}
	include = bf_json_member(t, options, "include_usage");
	if (include != BF_JSON_NONE)
		*e = replace(t, include, BF_SLICE_LIT("true"));
	else if (t->tokens[options].count == 0)
		*e = first_member(t, options, BF_SLICE_LIT("\"include_usage\":true"));
	else
		*e = first_member(t, options, BF_SLICE_LIT("\"include_usage\":true,"));
}

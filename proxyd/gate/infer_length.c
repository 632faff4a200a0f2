/*
 * How long an answer a client allows, how many of them, and what it gives as tokens. Called for
 * keys with limits, once the body is on the tape. Must never refuse anything: what is no number of
 * something is as good as not given, the provider will say what it thinks of it.
 */
#include "proxyd/gate/infer_length.h"

#include "proxyd/gate/route.h"

static const struct {
	struct bf_slice name;
	bool choices; /* how many answers; else how long they may get */
} length_members[] = {
    {BF_SLICE_INIT("max_completion_tokens"), false},
    {BF_SLICE_INIT("max_tokens"), false},
    {BF_SLICE_INIT("max_output_tokens"), false},
    {BF_SLICE_INIT("n"), true},
    {BF_SLICE_INIT("best_of"), true},
};

/* Of several members the largest counts: no provider reads them all. */
static void length_count(struct exchange_spend *s, const struct bf_json_tape *t, uint32_t value,
			 bool choices)
{
	int64_t n;

	if (bf_json_i64(t, value, &n) < 0 || n < 0)
		return;
	if (choices) {
		s->choices = BF_MAX(s->choices, (uint32_t)BF_MIN(n, INT32_MAX));
		return;
	}
	s->bounded = true;
	s->max_tokens = BF_MAX(s->max_tokens, (uint64_t)n);
}

static void length_members_of(struct exchange_spend *s, const struct bf_json_tape *t)
{
	for (uint32_t key = bf_json_first(0); key < t->tokens[0].next;
	     key = t->tokens[key + 1].next) {
		struct bf_slice name = {t->text.ptr + t->tokens[key].start, t->tokens[key].len};

		if (t->tokens[key + 1].type != BF_JSON_NUMBER)
			continue;
		for (size_t i = 0; i < BF_ARRAY_LEN(length_members); i++) {
			if (bf_slice_eq(name, length_members[i].name))
				length_count(s, t, key + 1, length_members[i].choices);
		}
	}
}

/* The numbers of a list are tokens, each with the comma behind it; how many others there are. */
static uint32_t length_list(struct exchange_spend *s, const struct bf_json_tape *t, uint32_t list)
{
	uint32_t others = 0;

	for (uint32_t i = bf_json_first(list); i < t->tokens[list].next; i = t->tokens[i].next) {
		if (t->tokens[i].type != BF_JSON_NUMBER) {
			others++;
			continue;
		}
		s->listed_tokens++;
		s->listed_bytes += t->tokens[i].len + 1;
	}
	return others;
}

/* A list of tokens is one prompt; in any other list each element is one. */
static void length_prompts(struct exchange_spend *s, const struct bf_json_tape *t, uint32_t list)
{
	if (list == BF_JSON_NONE || t->tokens[list].type != BF_JSON_ARRAY)
		return;
	s->prompts = length_list(s, t, list);
	for (uint32_t i = bf_json_first(list); i < t->tokens[list].next; i = t->tokens[i].next) {
		if (t->tokens[i].type == BF_JSON_ARRAY)
			(void)length_list(s, t, i);
	}
}

void infer_length(struct exchange *x, const struct bf_json_tape *t)
{
	length_members_of(&x->spend, t);
	if (x->route->object == SHM_OBJECT_COMPLETION)
		length_prompts(&x->spend, t, bf_json_member(t, 0, "prompt"));
	else if (x->route->object == SHM_OBJECT_EMBEDDING)
		length_prompts(&x->spend, t, bf_json_member(t, 0, "input"));
}

void infer_tier(struct exchange *x, const struct bf_json_tape *t)
{
	uint32_t i = bf_json_member(t, 0, "service_tier");

	if (i != BF_JSON_NONE && t->tokens[i].type == BF_JSON_STRING)
		x->spend.tier = bf_service_tier_of(
		    (struct bf_slice){t->text.ptr + t->tokens[i].start, t->tokens[i].len});
}

/*
 * How long an answer a client allows, how many of them, and what it gives as tokens. Called for
 * keys with limits, once the body is on the tape. Must never believe a member that the provider of
 * this object need not obey, nor pass over one that it may read in another way: too little would be
 * reserved.
 */
#include "proxyd/gate/infer_length.h"

#include "proxyd/gate/route.h"

#define OF(object) (1u << SHM_OBJECT_##object)

static const struct length_member {
	enum infer_member member;
	unsigned objects; /* whose providers obey it */
	bool choices;     /* how many answers; else how long they may get */
} length_members[] = {
    {INFER_MAX_COMPLETION_TOKENS, OF(CHAT), false},
    {INFER_MAX_TOKENS, OF(CHAT) | OF(COMPLETION), false},
    {INFER_MAX_OUTPUT_TOKENS, OF(RESPONSES), false},
    {INFER_N, OF(CHAT) | OF(COMPLETION), true},
    {INFER_BEST_OF, OF(COMPLETION), true},
};

/* Of several members the largest counts: no provider reads them all. */
static void length_count(struct exchange_spend *s, int64_t n, bool choices)
{
	if (choices) {
		s->choices = BF_MAX(s->choices, (uint32_t)BF_MIN(n, INT32_MAX));
		return;
	}
	s->bounded = true;
	s->max_tokens = BF_MAX(s->max_tokens, (uint64_t)n);
}

static int length_members_of(struct exchange_spend *s, unsigned object, const struct infer_body *b,
			     struct infer_error *e)
{
	bool unbounded = false;

	for (size_t i = 0; i < BF_ARRAY_LEN(length_members); i++) {
		const struct length_member *m = &length_members[i];
		int64_t n;

		if (!(m->objects >> object & 1) || !infer_member_given(b, m->member))
			continue;
		if (bf_json_i64(&b->tape, b->at[m->member], &n) < 0 || n < 0)
			return infer_invalid(e, "%s must be a whole number",
					     infer_member_name(m->member));
		length_count(s, n, m->choices);
		/* To some providers a length of 0 is none, whatever stands beside it. */
		unbounded = unbounded || (n == 0 && !m->choices);
	}
	if (unbounded) {
		s->bounded = false;
		s->max_tokens = 0;
	}
	return 0;
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

int infer_length(struct exchange *x, const struct infer_body *b, struct infer_error *e)
{
	unsigned object = x->route->object;

	if (length_members_of(&x->spend, object, b, e) < 0)
		return -1;
	if (object == SHM_OBJECT_COMPLETION)
		length_prompts(&x->spend, &b->tape, b->at[INFER_PROMPT]);
	else if (object == SHM_OBJECT_EMBEDDING)
		length_prompts(&x->spend, &b->tape, b->at[INFER_INPUT]);
	return 0;
}

int infer_tier(struct exchange *x, const struct infer_body *b, struct infer_error *e)
{
	const struct bf_json_tape *t = &b->tape;
	uint32_t i = b->at[INFER_SERVICE_TIER];
	struct bf_slice name;

	if (i == BF_JSON_NONE || t->tokens[i].type != BF_JSON_STRING)
		return 0;
	if (bf_json_string(t, i, &x->arena, &name) < 0)
		return infer_no_memory(e);
	x->spend.tier = bf_service_tier_of(name);
	return 0;
}

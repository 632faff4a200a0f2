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
	struct bf_slice name;
	unsigned objects; /* whose providers obey it */
	bool choices;     /* how many answers; else how long they may get */
} length_members[] = {
    {BF_SLICE_INIT("max_completion_tokens"), OF(CHAT), false},
    {BF_SLICE_INIT("max_tokens"), OF(CHAT) | OF(COMPLETION), false},
    {BF_SLICE_INIT("max_output_tokens"), OF(RESPONSES), false},
    {BF_SLICE_INIT("n"), OF(CHAT) | OF(COMPLETION), true},
    {BF_SLICE_INIT("best_of"), OF(COMPLETION), true},
};

static const struct length_member *length_member_of(const struct exchange *x, struct bf_slice name)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(length_members); i++) {
		if (bf_slice_eq(name, length_members[i].name))
			return length_members[i].objects >> x->route->object & 1
				   ? &length_members[i]
				   : NULL;
	}
	return NULL;
}

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

static int length_members_of(struct exchange *x, const struct bf_json_tape *t,
			     struct infer_error *e)
{
	bool unbounded = false;

	for (uint32_t key = bf_json_first(0); key < t->tokens[0].next;
	     key = t->tokens[key + 1].next) {
		struct bf_slice name = {t->text.ptr + t->tokens[key].start, t->tokens[key].len};
		const struct length_member *member;
		int64_t n;

		if (t->tokens[key].escaped && bf_json_string(t, key, &x->arena, &name) < 0)
			return infer_no_memory(e);
		member = length_member_of(x, name);
		if (!member || t->tokens[key + 1].type == BF_JSON_NULL)
			continue;
		if (bf_json_i64(t, key + 1, &n) < 0 || n < 0)
			return infer_invalid(e, "%.*s must be a whole number",
					     BF_SLICE_FMT(member->name));
		length_count(&x->spend, n, member->choices);
		/* To some providers a length of 0 is none, whatever stands beside it. */
		unbounded = unbounded || (n == 0 && !member->choices);
	}
	if (unbounded) {
		x->spend.bounded = false;
		x->spend.max_tokens = 0;
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

int infer_length(struct exchange *x, const struct bf_json_tape *t, struct infer_error *e)
{
	if (length_members_of(x, t, e) < 0)
		return -1;
	if (x->route->object == SHM_OBJECT_COMPLETION)
		length_prompts(&x->spend, t, bf_json_member(t, 0, "prompt"));
	else if (x->route->object == SHM_OBJECT_EMBEDDING)
		length_prompts(&x->spend, t, bf_json_member(t, 0, "input"));
	return 0;
}

void infer_tier(struct exchange *x, const struct bf_json_tape *t)
{
	uint32_t i = bf_json_member(t, 0, "service_tier");

	if (i != BF_JSON_NONE && t->tokens[i].type == BF_JSON_STRING)
		x->spend.tier = bf_service_tier_of(
		    (struct bf_slice){t->text.ptr + t->tokens[i].start, t->tokens[i].len});
}

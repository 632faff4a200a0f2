/*
 * Bodies as Bifrost's API has them. Called before a change is sent. Must never touch a member that
 * entities know by the name and form in which it was given.
 */
#include "proxyd/api/spelling.h"

#include "common/snapshot/entity.h"

static uint32_t start_of(const struct bf_json_tape *t, uint32_t token)
{
	return (uint32_t)(bf_json_raw(t, token).ptr - t->text.ptr);
}

static struct exchange_edit replace(const struct bf_json_tape *t, uint32_t token,
				    struct bf_slice text)
{
	uint32_t from = start_of(t, token);

	return (struct exchange_edit){from, from + (uint32_t)bf_json_raw(t, token).len, text};
}

/* A string that is not empty; with `empty` one that is. */
static bool is_text(const struct bf_json_tape *t, uint32_t token, bool empty)
{
	return token != BF_JSON_NONE && t->tokens[token].type == BF_JSON_STRING &&
	       (bf_json_raw(t, token).len == 2) == empty;
}

/* Who gives a key to a team takes it from its customer, and the other way round. */
static bool moves(const struct bf_json_tape *t, const char *to, const char *from)
{
	return is_text(t, bf_json_member(t, 0, to), false) &&
	       bf_json_member(t, 0, from) == BF_JSON_NONE;
}

static uint32_t of_key(const struct bf_json_tape *t, struct exchange_edit *edits)
{
	uint32_t n = 0, at = start_of(t, 0) + 1, end = bf_json_member(t, 0, "expires_at");

	if (moves(t, "team_id", "customer_id"))
		edits[n++] = (struct exchange_edit){at, at, BF_SLICE_LIT("\"customer_id\":null,")};
	else if (moves(t, "customer_id", "team_id"))
		edits[n++] = (struct exchange_edit){at, at, BF_SLICE_LIT("\"team_id\":null,")};
	if (is_text(t, end, true))
		edits[n++] = replace(t, end, BF_SLICE_LIT("null"));
	return n;
}

/* The configuration file calls it so, and so does the answer. */
static uint32_t of_price(const struct bf_json_tape *t, struct exchange_edit *edits)
{
	uint32_t patch = bf_json_member(t, 0, "patch");

	if (patch == BF_JSON_NONE || bf_json_member(t, 0, "pricing_patch") != BF_JSON_NONE)
		return 0;
	edits[0] = replace(t, patch - 1, BF_SLICE_LIT("\"pricing_patch\""));
	return 1;
}

uint32_t spelling_edits(const struct api_operation *op, const struct bf_json_tape *tape,
			struct exchange_edit edits[SPELLING_EDITS_MAX])
{
	if (op->type == BF_ENTITY_VIRTUAL_KEY && op->action == BF_ENTITY_UPDATE)
		return of_key(tape, edits);
	return op->type == BF_ENTITY_PRICING_OVERRIDE ? of_price(tape, edits) : 0;
}

/*
 * A provider's list of models. Called when the whole answer is there. Must never take a name that
 * no request could carry, nor spend more time on a list than its length is worth.
 */
#include "proxyd/gate/listing_read.h"

#include <errno.h>

#include "common/base/macros.h"
#include "common/codec/json_tape.h"
#include "common/schema/model_catalog.h"

#define SLOTS (4 * BF_MODEL_CATALOG_MAX) /* a power of 2 */

struct reading {
	struct listing_names *list;
	const struct bf_json_tape *tape;
	struct bf_arena *arena;
	uint16_t *slots; /* index of a name and 1; 0: free */
};

_Static_assert((SLOTS & (SLOTS - 1)) == 0 && BF_MODEL_CATALOG_MAX < UINT16_MAX, "slots hold names");

static void add_once(struct reading *r, struct bf_slice name)
{
	struct listing_names *list = r->list;
	uint32_t at = bf_slice_hash(name) & (SLOTS - 1);

	for (; r->slots[at]; at = (at + 1) & (SLOTS - 1)) {
		if (bf_slice_eq(list->names[r->slots[at] - 1], name))
			return;
	}
	list->names[list->count++] = name;
	r->slots[at] = (uint16_t)list->count;
}

/* 0 or -ENOMEM. */
static int read_entry(struct reading *r, uint32_t i)
{
	uint32_t id = bf_json_member(r->tape, i, "id");
	struct bf_slice name = {NULL, 0};
	int code = id == BF_JSON_NONE ? BF_E_TYPE : bf_json_string(r->tape, id, r->arena, &name);

	if (code == -ENOMEM)
		return code;
	if (code < 0 || bf_model_name_check(name, NULL) < 0)
		r->list->left_out++;
	else
		add_once(r, name);
	return 0;
}

static int find_data(const struct bf_json_tape *t, uint32_t *ret_data, struct bf_err *err)
{
	*ret_data = bf_json_member(t, 0, "data");
	if (*ret_data == BF_JSON_NONE || t->tokens[*ret_data].type != BF_JSON_ARRAY)
		return bf_err_set(err, BF_E_SYNTAX, "it has no list of models in a member data");
	if (t->tokens[*ret_data].count > BF_MODEL_CATALOG_MAX)
		return bf_err_set(err, BF_E_LIMIT, "it lists %u models; at most %u can be kept",
				  t->tokens[*ret_data].count, BF_MODEL_CATALOG_MAX);
	return 0;
}

static int read_data(struct reading *r, uint32_t data)
{
	const struct bf_json_token *tokens = r->tape->tokens;
	int code = 0;

	for (uint32_t i = bf_json_first(data); code == 0 && i < tokens[data].next;
	     i = tokens[i].next)
		code = read_entry(r, i);
	return code;
}

static int no_memory(struct bf_err *err)
{
	return bf_err_set(err, -ENOMEM, "there is no memory to read it");
}

int listing_read(struct listing_names *ret_list, struct bf_slice text, struct bf_arena *scratch,
		 struct bf_arena *arena, struct bf_err *err)
{
	struct bf_json_limits limits = bf_json_default_limits;
	struct bf_json_tape tape;
	struct reading r = {.list = ret_list, .tape = &tape, .arena = arena};
	uint32_t data;
	int code;

	*ret_list = (struct listing_names){.count = 0};
	limits.reject_duplicate_keys = false;
	code = bf_json_parse(&tape, text, scratch, &limits, NULL);
	if (code == -ENOMEM)
		return no_memory(err);
	if (code < 0) /* where it is wrong is not told: it may quote what was sent */
		return bf_err_set(err, code == BF_E_LIMIT ? code : BF_E_SYNTAX,
				  code == BF_E_LIMIT ? "it has more parts than are read"
						     : "it is not valid JSON");
	code = find_data(&tape, &data, err);
	if (code < 0)
		return code;
	ret_list->names =
	    bf_arena_alloc(arena, (tape.tokens[data].count + (size_t)1) * sizeof(struct bf_slice));
	r.slots = bf_arena_alloc(scratch, SLOTS * sizeof(*r.slots));
	if (!ret_list->names || !r.slots || read_data(&r, data) < 0)
		return no_memory(err);
	if (ret_list->count == 0 && ret_list->left_out)
		return bf_err_set(err, BF_E_SYNTAX, "none of its entries has a name as its id");
	return 0;
}

/*
 * Reads a request's body for conn.c: one tape, a few members. Must keep nothing beyond the arena.
 */
#include "tests/support/mockllm/ask.h"

#include "common/base/macros.h"
#include "common/codec/json_tape.h"
#include "tests/support/wire/words.h"

static const struct {
	const char *method, *end;
	enum ask_kind kind;
} paths[] = {
    {"POST", "/chat/completions", ASK_CHAT}, {"POST", "/completions", ASK_COMPLETION},
    {"POST", "/embeddings", ASK_EMBEDDING},  {"POST", "/responses", ASK_RESPONSES},
    {"GET", "/models", ASK_MODELS},
};

bool ask_kind(struct bf_slice method, struct bf_slice path, enum ask_kind *ret_kind)
{
	for (size_t i = 0; i < BF_ARRAY_LEN(paths); i++) {
		size_t n = strlen(paths[i].end);

		if (bf_slice_is(method, paths[i].method) && path.len >= n &&
		    memcmp(path.ptr + path.len - n, paths[i].end, n) == 0) {
			*ret_kind = paths[i].kind;
			return true;
		}
	}
	return false;
}

static struct bf_slice text_of(const struct bf_json_tape *t, uint32_t object, const char *key)
{
	uint32_t i = bf_json_member(t, object, key);

	if (i == BF_JSON_NONE || t->tokens[i].type != BF_JSON_STRING)
		return (struct bf_slice){NULL, 0};
	return (struct bf_slice){t->text.ptr + t->tokens[i].start, t->tokens[i].len};
}

static bool is_true(const struct bf_json_tape *t, uint32_t object, const char *key)
{
	uint32_t i = object == BF_JSON_NONE ? BF_JSON_NONE : bf_json_member(t, object, key);

	return i != BF_JSON_NONE && t->tokens[i].type == BF_JSON_TRUE;
}

static struct bf_slice last_text(const struct bf_json_tape *t, enum ask_kind kind)
{
	uint32_t list, last = BF_JSON_NONE;

	if (kind != ASK_CHAT)
		return text_of(t, 0, kind == ASK_COMPLETION ? "prompt" : "input");
	list = bf_json_member(t, 0, "messages");
	if (list == BF_JSON_NONE || t->tokens[list].type != BF_JSON_ARRAY)
		return (struct bf_slice){NULL, 0};
	for (uint32_t i = bf_json_first(list); i < t->tokens[list].next; i = t->tokens[i].next)
		last = i;
	return last == BF_JSON_NONE ? (struct bf_slice){NULL, 0} : text_of(t, last, "content");
}

int ask_read(struct ask *a, enum ask_kind kind, struct bf_slice body, struct bf_arena *arena,
	     struct bf_err *err)
{
	struct bf_json_limits limits = bf_json_default_limits;
	struct bf_json_tape tape;
	int r;

	*a = (struct ask){.kind = kind};
	if (kind == ASK_MODELS)
		return 0;
	limits.reject_duplicate_keys = false;
	r = bf_json_parse(&tape, body, arena, &limits, err);
	if (r < 0)
		return r;
	if (tape.tokens[0].type != BF_JSON_OBJECT)
		return bf_err_set(err, BF_E_TYPE, "body: not an object");
	a->model = text_of(&tape, 0, "model");
	a->user = text_of(&tape, 0, "user");
	a->hash = words_hash(a->user);
	a->stream = is_true(&tape, 0, "stream");
	a->include_usage =
	    is_true(&tape, bf_json_member(&tape, 0, "stream_options"), "include_usage");
	a->last_text = last_text(&tape, kind);
	if (!a->model.len)
		return bf_err_set(err, BF_E_SYNTAX, "body: model: it is missing");
	return 0;
}

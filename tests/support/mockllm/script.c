/*
 * Reads scripts. Called for every request and for --default; must refuse what it does not know: a
 * misspelt fault would be a test that tests nothing.
 */
#include "tests/support/mockllm/script.h"

#include <stddef.h>

#include "common/base/macros.h"
#include "common/base/num.h"

const struct script script_default = {
    .retry_after_s = -1,
    .prompt_tokens = -1,
    .event_words = 1,
    .stall_at = SCRIPT_NEVER,
    .cut = SCRIPT_NEVER,
    .rst = SCRIPT_NEVER,
    .halfclose = SCRIPT_NEVER,
    .done = 1,
    .chunked = -1,
};

enum kind {
	KIND_NUMBER,
	KIND_WORDS, /* PROMPT/COMPLETION */
	KIND_CHOICE,
	KIND_KEYS,   /* TOKEN:STATUS,... */
	KIND_DENY,   /* TOKEN,...: 401 */
	KIND_LIMIT,  /* TOKEN,...: 429 */
	KIND_HEADERS /* endless */
};

static const char *const bodies[] = {"json", "text", "empty", NULL};
static const char *const usages[] = {"right", "none", "wrong", "late", "string", NULL};

const char *const script_tiers[] = {"none", "default", "priority", "flex", "batch", NULL};

struct row {
	const char *name;
	enum kind kind;
	size_t offset;
	int64_t max;
	const char *const *choices;
};

#define NUMBER(n, field, top)                                                             \
	{                                                                                 \
		.name = n, .kind = KIND_NUMBER, .offset = offsetof(struct script, field), \
		.max = top                                                                \
	}
#define SECONDS_MAX 86400
#define MS_MAX      3600000
#define BYTES_MAX   (1ll << 30)

static const struct row rows[] = {
    NUMBER("status", status, SCRIPT_STATUS),
    NUMBER("retry_after", retry_after_s, SECONDS_MAX),
    NUMBER("n", events, 10000000),
    NUMBER("size", size_bytes, BYTES_MAX),
    NUMBER("event_bytes", event_bytes, 1 << 20),
    NUMBER("event_words", event_words, 10000),
    NUMBER("interval_ms", interval_ms, MS_MAX),
    NUMBER("latency_ms", latency_ms, MS_MAX),
    NUMBER("trickle", trickle_bytes, BYTES_MAX),
    NUMBER("stall_at", stall_at, BYTES_MAX),
    NUMBER("cut", cut, BYTES_MAX),
    NUMBER("rst", rst, BYTES_MAX),
    NUMBER("halfclose", halfclose, BYTES_MAX),
    NUMBER("fail_first", fail_first, 1000),
    NUMBER("done", done, 1),
    NUMBER("garbage", garbage, 1),
    NUMBER("chunked", chunked, 1),
    NUMBER("echo", echo, 1),
    {.name = "words", .kind = KIND_WORDS},
    {.name = "body",
     .kind = KIND_CHOICE,
     .offset = offsetof(struct script, body),
     .choices = bodies},
    {.name = "usage",
     .kind = KIND_CHOICE,
     .offset = offsetof(struct script, usage),
     .choices = usages},
    NUMBER("cached", cached, 1000000000),
    NUMBER("written", written, 1000000000),
    NUMBER("written_1hr", written_1hr, 1000000000),
    NUMBER("heard", heard, 1000000000),
    NUMBER("spoken", spoken, 1000000000),
    NUMBER("thought", thought, 1000000000),
    NUMBER("searches", searches, 1000),
    NUMBER("cost_nusd", cost_nusd, 1ll << 40),
    {.name = "tier",
     .kind = KIND_CHOICE,
     .offset = offsetof(struct script, tier),
     .choices = script_tiers},
    {.name = "keys", .kind = KIND_KEYS},
    {.name = "deny", .kind = KIND_DENY},
    {.name = "limit", .kind = KIND_LIMIT},
    {.name = "headers", .kind = KIND_HEADERS},
};

/* What stands before the first c; *rest is what follows it, or empty. */
static struct bf_slice split(struct bf_slice text, char c, struct bf_slice *rest)
{
	const char *at = text.len ? memchr(text.ptr, c, text.len) : NULL;
	size_t n = at ? (size_t)(at - text.ptr) : text.len;

	*rest = at ? (struct bf_slice){at + 1, text.len - n - 1} : (struct bf_slice){NULL, 0};
	return (struct bf_slice){text.ptr, n};
}

static int read_number(struct bf_slice text, int64_t max, int64_t *ret_value)
{
	int64_t value;

	if (bf_parse_i64(text, &value) != 0 || value < 0 || value > max)
		return BF_E_SYNTAX;
	*ret_value = value;
	return 0;
}

static int read_words(struct bf_slice text, struct script *s)
{
	struct bf_slice completion, prompt = split(text, '/', &completion);

	if (read_number(prompt, BYTES_MAX, &s->prompt_tokens) != 0)
		return BF_E_SYNTAX;
	return completion.ptr ? read_number(completion, 10000000, &s->events) : 0;
}

static int read_keys(struct bf_slice text, int64_t status, struct script *s)
{
	while (text.len) {
		struct bf_slice said, item = split(text, ',', &text);
		struct script_key *k = &s->keys[s->key_count];

		if (s->key_count == SCRIPT_KEYS)
			return BF_E_SYNTAX;
		k->key = status ? item : split(item, ':', &said);
		k->status = status;
		if (!k->key.len || (!status && read_number(said, SCRIPT_STATUS, &k->status) != 0))
			return BF_E_SYNTAX;
		s->key_count++;
	}
	return 0;
}

static int read_choice(struct bf_slice text, const char *const *choices, int64_t *ret_value)
{
	for (int64_t i = 0; choices[i]; i++) {
		if (bf_slice_is(text, choices[i])) {
			*ret_value = i;
			return 0;
		}
	}
	return BF_E_SYNTAX;
}

static int read_value(const struct row *row, struct bf_slice text, struct script *s)
{
	int64_t *field = (void *)((char *)s + row->offset);

	switch (row->kind) {
	case KIND_NUMBER:
		return read_number(text, row->max, field);
	case KIND_WORDS:
		return read_words(text, s);
	case KIND_CHOICE:
		return read_choice(text, row->choices, field);
	case KIND_KEYS:
		return read_keys(text, 0, s);
	case KIND_DENY:
		return read_keys(text, 401, s);
	case KIND_LIMIT:
		return read_keys(text, 429, s);
	case KIND_HEADERS:
		s->endless = 1;
		return bf_slice_is(text, "endless") ? 0 : BF_E_SYNTAX;
	}
	return BF_E_SYNTAX;
}

static int read_member(struct bf_slice member, struct script *s)
{
	struct bf_slice value, name = split(member, '=', &value);

	for (size_t i = 0; i < BF_ARRAY_LEN(rows); i++) {
		if (bf_slice_is(name, rows[i].name))
			return read_value(&rows[i], value, s);
	}
	return BF_E_SYNTAX;
}

int script_parse(struct bf_slice model, const struct script *base, struct script *ret_script,
		 struct bf_err *err)
{
	struct bf_slice rest;

	*ret_script = *base;
	(void)split(model, ';', &rest);
	while (rest.len) {
		struct bf_slice member = split(rest, ';', &rest);

		if (member.len && read_member(member, ret_script) != 0)
			return bf_err_set(err, BF_E_SYNTAX, "script: %.*s: not a key and its value",
					  BF_SLICE_FMT(member));
	}
	return 0;
}
